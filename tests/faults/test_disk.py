"""The disk is full: what was stored stays, what can't be is refused, and new room is used."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import decode, encode
from tests.faults.storm import REPORTS, caller, make_course
from tests.test_app import managed

MIB = 1 << 20


@contextlib.contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in a folder."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_submissions_and_loses_none(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "small", 40) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(8 * MIB))
        url = f"sqlite:///{disk}/ngshare.db"
        with managed(hub_variables, tmp_path, database=url) as service:
            make_course(service.url)
            with caller(service.url, "student0") as student:
                receipts = {}
                while True:
                    content = os.urandom(MIB)
                    path = "submission/course1/ps1"
                    response = student.send("POST", path, files=encode({"a": content}))
                    if response.status_code != 200:
                        break
                    receipts[response.json()["timestamp"]] = content
                assert response.status_code == 507, response.text
                assert "disk of the database is full" in response.json()["message"]
                assert len(receipts) >= 5
                for timestamp, content in receipts.items():
                    path = "submission/course1/ps1/student0"
                    files = student.ok("GET", path, timestamp=timestamp)["files"]
                    assert decode(files) == {"a": content}
                ballast.unlink()
                student.submit("course1", "ps1", {"a": os.urandom(MIB)})
                listed = student.ok("GET", "submissions/course1/ps1/student0")["submissions"]
                assert len(listed) == len(receipts) + 1
    REPORTS.append(f"full disk of the database: {len(receipts)} receipts, lost 0")


def test_a_full_disk_for_uploads_refuses_long_ones_and_takes_short_ones(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "small", 4) as disk:
        variables = {**hub_variables, "TMPDIR": str(disk)}
        with managed(variables, tmp_path) as service:
            make_course(service.url)
            with caller(service.url, "student0") as student:
                for size in (3 * MIB, 20 * MIB):
                    files = encode({"a": os.urandom(size)})
                    response = student.send("POST", "submission/course1/ps1", files=files)
                    assert response.status_code == 507, response.text
                    message = response.json()["message"]
                    assert message.startswith(f"The server has no room left in {disk}")
                assert student.ok("GET", "submissions/course1/ps1/student0")["submissions"] == []
                student.submit("course1", "ps1", {"a": os.urandom(MIB // 2)})
                student.submit("course1", "ps1", {"a": os.urandom(MIB)})

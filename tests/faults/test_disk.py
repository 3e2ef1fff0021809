"""The disk is full: what was stored stays, what can't be is refused, and new room is used."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import encode
from tests.faults.report import tabulate
from tests.faults.storm import STUDENTS, Storm, caller, make_course
from tests.faults.test_kill import STORMY, check, check_by_command
from tests.test_app import Service, managed

MIB = 1 << 20
SIZES = [1_000, 30_000, MIB, 3 * MIB]
PATIENCE_SECONDS = 60


@contextlib.contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in a folder."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid():
        pytest.skip("only root may mount a small file system")
    result = subprocess.run(mount, capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"no small file system: {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def rage_until_refused(storm: Storm, service: Service, count: int) -> None:
    """Clients go on calling until so many answers were no success."""
    deadline, before = time.monotonic() + PATIENCE_SECONDS, len(storm.refusals)
    with storm.raging(service.url):
        while len(storm.refusals) < before + count:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def are_refusals_clear(storm: Storm, said: str) -> None:
    assert storm.refusals
    for refusal in storm.refusals:
        answer = refusal.response.json()
        assert refusal.response.status_code == 507, answer
        assert answer["success"] is False
        assert said in answer["message"]
        assert "nothing was changed" in answer["message"]


def submit_more(service: Service, count: int) -> None:
    for number in range(count):
        with caller(service.url, STUDENTS[number % len(STUDENTS)]) as student:
            student.submit("course1", "ps1", {"more": os.urandom(MIB)})


def test_a_full_disk_of_the_database_refuses_and_loses_nothing(
    hub_variables: dict[str, str], tmp_path: Path, seed: int
) -> None:
    """Nor does a service that is killed then, and starts on the full disk."""
    storm = Storm(seed, SIZES)
    with tmpfs(tmp_path / "small", 48) as disk:
        ballast, url = disk / "ballast", f"sqlite:///{disk}/ngshare.db"
        ballast.write_bytes(bytes(12 * MIB))
        with managed(hub_variables, tmp_path, *STORMY, database=url) as service:
            make_course(service.url)
            rage_until_refused(storm, service, 10)
            are_refusals_clear(storm, "The disk of the database is full")
            assert storm.submission_count >= 5
            found = check(storm, service.url, url, everything=True)
            assert found.unacknowledged == 0
            service.stop(signal.SIGKILL)
        with managed(hub_variables, tmp_path, *STORMY, database=url) as service:
            check(storm, service.url, url, everything=True)
            ballast.unlink()
            submit_more(service, 1)
        tabulate("full disk of the database", 1, storm, found)
        check_by_command(url)


def test_room_on_the_disk_of_the_database_is_used_again_without_a_restart(
    hub_variables: dict[str, str], tmp_path: Path, seed: int
) -> None:
    storm = Storm(seed, SIZES)
    with tmpfs(tmp_path / "small", 48) as disk:
        ballast, url = disk / "ballast", f"sqlite:///{disk}/ngshare.db"
        ballast.write_bytes(bytes(30 * MIB))
        with managed(hub_variables, tmp_path, *STORMY, database=url) as service:
            make_course(service.url)
            rage_until_refused(storm, service, 5)
            ballast.unlink()
            submit_more(service, 3)
            with caller(service.url, "kevin") as kevin:
                listed = kevin.ok("GET", "submissions/course1/ps1")["submissions"]
            assert len(listed) == storm.submission_count + 3


def test_a_full_disk_for_uploads_refuses_long_ones_and_takes_short_ones(
    hub_variables: dict[str, str], tmp_path: Path, seed: int
) -> None:
    storm = Storm(seed, SIZES)
    with tmpfs(tmp_path / "small", 4) as disk:
        with managed({**hub_variables, "TMPDIR": str(disk)}, tmp_path, *STORMY) as service:
            make_course(service.url)
            rage_until_refused(storm, service, 10)
            are_refusals_clear(storm, f"The server has no room left in {disk}")
            assert storm.submission_count >= 5
            url = f"sqlite:///{tmp_path}/ngshare.db"
            found = check(storm, service.url, url, everything=True)
            assert found.unacknowledged == 0
            room = os.statvfs(disk)
            assert room.f_bfree == room.f_blocks
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(room.f_bfree * room.f_frsize))
            with caller(service.url, STUDENTS[0]) as student:
                student.submit("course1", "ps1", {"a": b"short"})
                long = {"files": encode({"a": bytes(2 * MIB)})}
                assert student.send("POST", "submission/course1/ps1", **long).status_code == 507
            ballast.unlink()
            submit_more(service, 1)
        tabulate("full disk for uploads", 1, storm, found)

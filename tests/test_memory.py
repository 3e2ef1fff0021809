"""Long uploads and downloads take little memory, in a real process."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from benchmarks.bodies import form
from benchmarks.http_client import FORM
from tests.faults.storm import make_course
from tests.test_app import Service, headers, hub_variables, managed

__all__ = ["hub_variables"]

MIB = 1 << 20
PRINT_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""  # in a small process, as a child's peak is at least that of its parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def peak(service: Service) -> int:
    """The most bytes of memory that the process had since forget_peak."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def forget_peak(service: Service) -> int:
    Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")
    return peak(service)


def post(service: Service, body: bytes, student: str) -> None:
    response = requests.post(
        service.url + "submission/course1/ps1",
        data=body,
        headers={**headers(student), "Content-Type": FORM},
        timeout=60,
    )
    assert response.status_code == 200, response.text


def test_100_megabytes_up_and_down_take_less_than_64_mebibytes(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path) as service:
        make_course(service.url)
        before = forget_peak(service)
        post(service, form(os.urandom(100_000_000)), "student0")
        assert peak(service) - before < 64 * MIB
        before = forget_peak(service)
        path = service.url + "submission/course1/ps1/student0"
        with requests.get(path, headers=headers("kevin"), stream=True, timeout=60) as answer:
            size = sum(map(len, answer.iter_content(MIB)))
        assert size > 133_000_000
        assert peak(service) - before < 64 * MIB


def test_64_uploads_of_10_megabytes_at_once_take_less_than_256_mebibytes(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path, "--NgShare.max_submissions_per_minute=0") as service:
        make_course(service.url)
        post(service, form(b"1"), "student0")
        bodies = [form(os.urandom(10_000_000)) for _ in range(8)]
        before = forget_peak(service)
        with ThreadPoolExecutor(64) as threads:
            list(threads.map(lambda body: post(service, body, "student0"), 8 * bodies))
        assert peak(service) - before < 256 * MIB


def test_a_command_beside_the_service_fits_into_what_the_chart_allows(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    chart = Path(__file__).parents[1] / "helmchart/ngshare/templates/deployment.yaml"
    (allowed,) = re.findall(r'"limits" \(dict "memory" "(\d+)Mi"\)', chart.read_text())
    with managed(hub_variables, tmp_path) as service:
        make_course(service.url)
        for _ in range(4):
            post(service, form(os.urandom(8_000_000)), "student0")
        database = f"sqlite:///{tmp_path}/ngshare.db"
        command = [sys.executable, "-m", "ngshare", "check", "--database", database]
        used = subprocess.check_output([sys.executable, "-c", PRINT_PEAK, *command])
        assert peak(service) + (int(used.split()[-1]) << 10) < int(allowed) * MIB


def fill(database: Path, students: int, files: int) -> None:
    """Let so many more students have submitted so many files, each that of student0."""
    numbers = "WITH RECURSIVE n(n) AS (SELECT {} UNION ALL SELECT n + 1 FROM n WHERE n < {}) "
    each = numbers.format(1000, 999 + students)
    with sqlite3.connect(database) as connection:
        connection.execute(f"{each} INSERT INTO users SELECT n, 'one of many ' || n FROM n")
        connection.execute(
            f"{each} INSERT INTO snapshots (pk, digest, size, file_count)"
            f" SELECT n, CAST(n AS BLOB), 0, {files} FROM n"
        )
        connection.execute(
            f"{numbers.format(1, files)} INSERT INTO snapshot_files (snapshot_pk, path, digest)"
            " SELECT pk, 'notebook' || n, (SELECT min(digest) FROM blobs) FROM snapshots, n"
            " WHERE pk >= 1000"
        )
        connection.execute(
            f"{each} INSERT INTO submissions (assignment_pk, user_pk, at, snapshot_pk)"
            " SELECT assignment_pk, n, at, n FROM n, submissions"
        )
    connection.close()


def test_the_zip_of_a_course_of_30_000_files_takes_less_than_16_mebibytes(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path) as service:
        make_course(service.url)
        post(service, form(b"1"), "student0")
        fill(tmp_path / "ngshare.db", 1500, 20)
        before = forget_peak(service)
        path = service.url + "pages/assignment/course1/ps1/submissions.zip"
        with requests.get(path, headers=headers("kevin"), stream=True, timeout=60) as answer:
            size = sum(map(len, answer.iter_content(MIB)))
        assert size > 30_000 * 100
        assert peak(service) - before < 16 * MIB

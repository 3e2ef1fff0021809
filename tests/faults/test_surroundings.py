"""PostgreSQL is away, the Hub ill, clients vanish: the service answers, and goes on by itself."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.api import segment
from tests.fake_hub import FakeHub, token_of
from tests.faults.storm import REPORTS, caller, make_course
from tests.postgres import PostgreSQL
from tests.test_app import Service, managed


@pytest.fixture
def durable() -> Iterator[PostgreSQL]:
    server = PostgreSQL(durable=True)
    yield server
    server.close()


def test_while_postgresql_is_away_calls_are_503_and_afterwards_all_is_well(
    hub_variables: dict[str, str], tmp_path: Path, durable: PostgreSQL
) -> None:
    with managed(hub_variables, tmp_path, database=durable.create_database()) as service:
        make_course(service.url)
        with caller(service.url, "student0") as student:
            before = student.submit("course1", "ps1", {"a": b"1"})
            durable.stop()
            for verb, path, fields in (
                ("GET", "courses", {}),
                ("POST", "submission/course1/ps1", {"files": "[]"}),
            ):
                start = time.monotonic()
                response = student.send(verb, path, **fields)
                assert response.status_code == 503, response.text
                assert int(response.headers["Retry-After"]) > 0
                assert "database" in response.json()["message"]
                assert time.monotonic() - start < 10
            assert requests.get(service.url + "healthz", timeout=5).status_code == 200
            assert requests.get(service.url + "readyz", timeout=5).status_code == 503
            durable.start()
            after = student.submit("course1", "ps1", {"a": b"2"})
            listed = student.ok("GET", "submissions/course1/ps1/student0")["submissions"]
            assert [entry["timestamp"] for entry in listed] == [before, after]


@pytest.mark.parametrize(("mode", "status"), [("silent", 503), ("error", 502), ("nonsense", 502)])
def test_while_the_hub_is_ill_those_who_are_known_go_on(
    hub: FakeHub, hub_variables: dict[str, str], tmp_path: Path, mode: str, status: int
) -> None:
    with managed(hub_variables, tmp_path, "--NgShare.hub_timeout_seconds=1") as service:
        make_course(service.url)
        with caller(service.url, "student0") as known, caller(service.url, "student1") as new:
            known.submit("course1", "ps1", {"a": b"1"})
            hub.mode = mode
            known.submit("course1", "ps1", {"a": b"2"})
            start = time.monotonic()
            response = new.send("GET", "courses")
            assert response.status_code == status, response.text
            assert time.monotonic() - start < 3
            start = time.monotonic()
            assert requests.get(service.url + "healthz", timeout=5).status_code == 200
            assert time.monotonic() - start < 0.5
            hub.mode = "ok"
            assert new.ok("GET", "courses")["courses"] == ["course1"]


def open_files(service: Service) -> int:
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


def test_clients_that_vanish_leave_nothing_behind(
    hub_variables: dict[str, str], tmp_path: Path, full: bool
) -> None:
    count, length = 100 if full else 40, 8_000_000
    with managed(hub_variables, tmp_path) as service:
        make_course(service.url)
        parts = urlsplit(service.url)
        with caller(service.url, "student0") as student:
            student.submit("course1", "ps1", {"a": b"1"})
            before, slowest = open_files(service), 0.0
            head = (
                f"POST {parts.path}submission/course1/{segment('ps1')} HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: token {token_of('student0')}\r\nContent-Length: {length}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\nfiles="
            ).encode()
            for _ in range(count):
                with socket.create_connection((parts.hostname, parts.port)) as client:
                    client.sendall(head + bytes(random.randrange(length // 4)))
                start = time.monotonic()
                student.ok("GET", "courses")
                slowest = max(slowest, time.monotonic() - start)
            deadline = time.monotonic() + 10
            while open_files(service) > before + 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert slowest < 2
            listed = student.ok("GET", "submissions/course1/ps1/student0")["submissions"]
            assert len(listed) == 1
    REPORTS.append(f"{count} clients vanished: slowest call of others {1000 * slowest:.0f} ms")

"""Several processes behind one address: real ones, started as the Hub starts them."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from sqlalchemy import Connection, text

from ngshare.database.engine import Database, make_engine
from tests.api import Api, at_once, encode, person
from tests.tables import read_tables
from tests.test_app import Service, environment, headers, hub_variables, managed, run

__all__ = ["hub_variables"]

WORKERS = 2
STUDENTS = [f"student{number}" for number in range(8)]


@pytest.fixture
def service(hub_variables: dict[str, str], tmp_path: Path, database_url: str) -> Iterator[Service]:
    options = ("--workers", str(WORKERS), "--NgShare.max_submissions_per_minute=0")
    with managed(hub_variables, tmp_path, *options, database=database_url) as service:
        yield service


class Fresh(requests.Session):
    """Each call on a connection of its own, so that any process may get it."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Connection"] = "close"


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Fresh() as session:
        yield Api(service.url, session)


@pytest.fixture
def course(api: Api) -> Api:
    """course1 of the instructor kevin, with the assignment `challenge` and eight students."""
    api.user("root").ok("POST", "course/course1", instructors='["kevin"]')
    rows = [{"username": name, **person(name)} for name in STUDENTS]
    api.user("kevin").ok("POST", "students/course1", students=json.dumps(rows))
    api.user("kevin").release("course1", "challenge", {"file": b"1"})
    return api


def workers(service: Service) -> list[int]:
    """The processes that live, oldest first."""
    started = re.findall(r"Started process (\d+)", service.log.read_text())
    return [int(process_id) for process_id in started if is_alive(int(process_id))]


def is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def who_answered(service: Service) -> set[int]:
    log = service.log.read_text()
    return {int(found) for found in re.findall(r"INFO (\d+) ngshare.access: 200 ", log)}


def test_every_process_answers_and_says_so_in_the_log(service: Service, api: Api) -> None:
    def call_much() -> bool:
        at_once(lambda name: api.user(name).ok("GET", "courses"), STUDENTS * 2)
        return who_answered(service) == set(workers(service))

    wait_until(call_much)
    assert len(workers(service)) == WORKERS
    assert service.stop() == 0
    assert "Stopping 2 processes" in service.log.read_text()


def test_a_process_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(
    service: Service, course: Api, database: Database
) -> None:
    acknowledged: list[tuple[str, str]] = []
    over = threading.Event()

    def submit(name: str) -> None:
        while not over.is_set():
            try:
                timestamp = course.user(name).submit("course1", "challenge", {"a": name.encode()})
            except requests.ConnectionError:
                continue
            acknowledged.append((name, timestamp))

    with ThreadPoolExecutor(len(STUDENTS)) as threads:
        ends = [threads.submit(submit, name) for name in STUDENTS]
        try:
            for _ in range(2):
                time.sleep(1)
                victim = workers(service)[0]
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda victim=victim: not is_alive(victim))  # type: ignore[misc]
                wait_until(lambda: len(workers(service)) == WORKERS)
        finally:
            over.set()
        for end in ends:
            end.result(30)
    assert len(acknowledged) > len(STUDENTS)
    listed = course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"]
    stored = [(entry["student_id"], entry["timestamp"]) for entry in listed]
    assert set(acknowledged) <= set(stored)
    assert len(set(stored)) == len(stored)
    assert "was ended by signal 9" in service.log.read_text()
    assert service.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_every_process_finish_its_calls(
    service: Service, course: Api, number: signal.Signals
) -> None:
    body = urlencode({"files": encode({"a": b"x" * 50_000})}).encode()
    address = ("127.0.0.1", int(service.url.split(":")[2].split("/")[0]))
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(address, 10)) for _ in STUDENTS]
        for client, name in zip(clients, STUDENTS, strict=True):
            client.sendall(
                b"POST /services/ngshare/submission/course1/challenge HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Authorization: " + headers(name)["Authorization"].encode() + b"\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body[:1000]
            )
        time.sleep(0.5)
        family = workers(service)
        service.process.send_signal(number)
        wait_until(lambda: service.log.read_text().count("Stopping; ") == WORKERS)
        told = re.findall(r"Stopping; (\d+) calls", service.log.read_text())
        assert sum(map(int, told)) == len(clients)
        for client in clients:
            client.sendall(body[1000:])
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert service.process.wait(10) == 0
    assert not any(is_alive(process_id) for process_id in family)
    assert "ended with status 1" not in service.log.read_text()


def test_processes_whose_supervisor_is_killed_finish_and_end(service: Service) -> None:
    family = workers(service)
    assert len(family) == WORKERS
    service.process.kill()
    service.process.wait()
    wait_until(lambda: not any(is_alive(process_id) for process_id in family))
    assert "The process that watches over this one is gone" in service.log.read_text()
    assert "Stopped" in service.log.read_text()


def test_a_port_in_use_is_refused_before_anything_is_forked(
    service: Service, tmp_path: Path
) -> None:
    port = service.url.split(":")[2].split("/")[0]
    options = ("--vngshare", "--port", port, "--database", f"sqlite:///{tmp_path}/other.db")
    result = run("--workers", "2", *options)
    assert result.returncode == 1
    assert f"Can't listen on 127.0.0.1:{port}: Address already in use" in result.stderr
    assert "Started process" not in result.stderr


def test_a_supervisor_whose_processes_all_fail_at_once_gives_up(tmp_path: Path) -> None:
    code = (
        "import sys, ngshare.service, ngshare.app\n"
        "def fail(*_): raise RuntimeError('no start today')\n"
        "ngshare.service.make_application = fail\n"
        "ngshare.app.main(sys.argv[1:])"
    )
    script = tmp_path / "fails.py"
    script.write_text(code)
    result = subprocess.run(
        [
            *(sys.executable, script, "--vngshare", "--workers", "2", "--port", "0"),
            *("--database", f"sqlite:///{tmp_path}/ngshare.db"),
        ],
        env=environment() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 1
    assert "ngshare: All processes ended right after their start" in result.stderr


def test_first_calls_of_new_users_meet(course: Api, database: Database) -> None:
    names = [f"new{number}" for number in range(6)]

    def enroll(name: str) -> int:
        kevin = course.user("kevin")
        return kevin.send("POST", f"student/course1/{name}", **person(name)).status_code

    for name in names:
        assert set(at_once(enroll, [name] * 6)) == {200}
    assert at_once(lambda name: course.user(name).ok("GET", "courses")["courses"], names * 2) == [
        ["course1"]
    ] * len(names * 2)
    users = [row[1] for row in read_tables(database)["users"]]
    assert sorted(users) == sorted({*names, *STUDENTS, "kevin", "root"} & set(users))
    assert set(names) <= set(users)


def test_of_releases_that_meet_one_wins(course: Api) -> None:
    for number in range(5):
        path, contents = f"assignment/course1/a{number}", [b"%d" % n for n in range(8)]

        def release(content: bytes, path: str = path) -> int:
            return course.user("kevin").send("POST", path, files=encode({"f": content})).status_code

        statuses = at_once(release, contents)
        assert sorted(statuses) == [200] + [409] * 7
        assert course.user(STUDENTS[0]).files(path) == {"f": contents[statuses.index(200)]}


def test_submissions_that_meet_get_times_of_their_own_and_are_all_there(course: Api) -> None:
    calls = [(name, number) for number in range(6) for name in STUDENTS[:4]]

    def submit(call: tuple[str, int]) -> tuple[str, str]:
        name, number = call
        content = f"{name} {number}".encode()
        return name, course.user(name).submit("course1", "challenge", {"a": content})

    times = at_once(submit, calls)
    assert len(set(times)) == len(calls)
    listed = course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"]
    assert sorted((row["student_id"], row["timestamp"]) for row in listed) == sorted(times)
    for (name, number), (_, timestamp) in zip(calls, times, strict=True):
        path = f"submission/course1/challenge/{name}"
        files = course.user("kevin").files(path, timestamp=timestamp)
        assert files == {"a": f"{name} {number}".encode()}
    for name in STUDENTS[:4]:  # one after the other, by whatever process
        mine = [course.user(name).submit("course1", "challenge", {"a": b"x"}) for _ in range(6)]
        assert mine == sorted(set(mine))


def test_feedback_that_meets_is_that_of_one_of_the_calls(course: Api, database: Database) -> None:
    name = STUDENTS[0]
    timestamp = course.user(name).submit("course1", "challenge", {"a": b"1"})
    path = f"feedback/course1/challenge/{name}"
    contents = [b"%d" % number * 100 for number in range(12)]

    def give(content: bytes) -> int:
        fields = {"timestamp": timestamp, "files": encode({"f": content, "g": content})}
        return course.user("kevin").send("POST", path, **fields).status_code

    assert set(at_once(give, contents)) == {200}
    got = course.user(name).files(path, timestamp=timestamp)
    assert got["f"] == got["g"]
    assert got["f"] in contents
    assert len(read_tables(database)["feedback"]) == 1


def test_edits_of_a_roster_that_meet_leave_one_row_a_person(
    course: Api, database: Database
) -> None:
    before = len(read_tables(database)["memberships"])

    def edit(number: int) -> int:
        kevin, path = course.user("kevin"), "student/course1/editme"
        if number % 3 == 0:
            return kevin.send("DELETE", path).status_code
        return kevin.send("POST", path, **person(f"name{number}")).status_code

    for _ in range(3):
        assert set(at_once(edit, range(12))) <= {200, 404}
    course.user("kevin").ok("POST", "student/course1/editme", **person("final"))
    assert course.user("kevin").ok("GET", "student/course1/editme")["first_name"] == "Final"
    assert len(read_tables(database)["memberships"]) == before + 1


def write_for(url: str, number: int, seconds: float) -> float:
    """In a process of its own: the longest wait for a turn, while transactions take 50 ms."""
    database, longest = Database(make_engine(url), many_processes=True), 0.0
    end = time.monotonic() + seconds

    def insert(connection: Connection, asked: float) -> float:
        connection.execute(text("INSERT INTO users (name) VALUES (:n)"), {"n": f"{number} {asked}"})
        waited = time.monotonic() - asked
        time.sleep(0.05)
        return waited

    while time.monotonic() < end:
        longest = max(longest, database.write(insert, time.monotonic()))
    database.close()
    return longest


def test_no_process_waits_long_for_its_turn_to_write_an_sqlite_file(
    tmp_path: Path, sqlite_template: Path
) -> None:
    path = tmp_path / "ngshare.db"
    shutil.copy(sqlite_template, path)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, spawn) as processes:
        waits = [processes.submit(write_for, f"sqlite:///{path}", n, 6.0) for n in range(4)]
        assert max(wait.result(40) for wait in waits) < 3

"""Measurements of big courses, of many megabytes, and of several processes."""

import json
import os
import signal
import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from tests.postgres import PostgreSQL

from . import course
from .hub import token_of
from .measurements import (
    CPU_A_CALL,
    TOO_BIG,
    Figure,
    Measurement,
    Row,
    list_courses,
    rate_figure,
    short,
    submit,
    transfer_figures,
)
from .processes import BenchmarkError, cpu_seconds
from .servers import OLD_VERSION, PREFIX, Server, our_server

BIG_COURSE = course.COURSES[1]
HUGE_LIST = "huge"  # an assignment with 20,000 submissions
START = datetime(2024, 1, 1)
TRIES = 5
DATABASE_CPU_A_CALL = "database cpu ms per request"


def write(server: Server, statement: str, rows: list[tuple]) -> None:
    """Rows put straight into the server's database."""
    path = server.folder / "ngshare.db"
    with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
        connection.executemany(statement, rows)


def scalar(server: Server, statement: str, *values: str) -> int:
    with closing(sqlite3.connect(server.folder / "ngshare.db", timeout=60)) as connection:
        return connection.execute(statement, values).fetchone()[0]


def median_call(
    server: Server, method: str, path: str, form: dict[str, str] | None = None, tries: int = TRIES
) -> tuple[float, dict]:
    """Milliseconds until the whole answer is there (and decoded), and the last answer."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        answer = server.call(method, path, course.TEACHER, form)
        times.append(1000 * (time.perf_counter() - start))
    return sorted(times)[tries // 2], answer


def person(name: str) -> dict[str, str]:
    return {"username": name, "first_name": "A", "last_name": name, "email": f"{name}@x.org"}


def add_students(server: Server, count: int) -> None:
    """Members of BIG_COURSE."""
    there = server.state.get("students", 0)
    enroll(server, BIG_COURSE, [f"member{number:05}" for number in range(there, count)])
    server.state["students"] = max(there, count)


def enroll(server: Server, course_id: str, names: list[str]) -> None:
    """New people; 0.6.0 gets them into its tables, since it adds two a second."""
    if server.name == OLD_VERSION:
        write(server, "INSERT OR IGNORE INTO users VALUES (?)", [(name,) for name in names])
        rows = [(name, course_id, "A", name, f"{name}@x.org") for name in names]
        write(server, "INSERT INTO student_assoc_table VALUES (?, ?, ?, ?, ?)", rows)
    elif names:
        form = {"students": json.dumps([person(name) for name in names])}
        server.call("POST", course.url("students", course_id), course.TEACHER, form)


def read_roster(count: int, server: Server, seconds: float) -> list[Figure]:
    add_students(server, count)
    tries = 1 if server.name == OLD_VERSION and count > 1000 else TRIES
    took, answer = median_call(server, "GET", course.url("students", BIG_COURSE), None, tries)
    if len(answer["students"]) < count:
        raise BenchmarkError(f"{len(answer['students'])} students are listed, not {count}")
    return [Figure(took)]


def upload_roster(server: Server, seconds: float) -> list[Figure]:
    """200 new students into a course of 2,000."""
    add_students(server, 2000)
    times = []
    for attempt in range(1 if server.name == OLD_VERSION else TRIES):
        people = [person(f"late{attempt}-{number}") for number in range(200)]
        form = {"students": json.dumps(people)}
        took, answer = median_call(server, "POST", course.url("students", BIG_COURSE), form, 1)
        if not all(status["success"] for status in answer["status"]):
            raise BenchmarkError("not everybody was added")
        times.append(took)
    return [Figure(sorted(times)[len(times) // 2])]


def read_submissions(count: int, server: Server, seconds: float) -> list[Figure]:
    path = course.url("submissions", BIG_COURSE, HUGE_LIST)
    there = server.state.get("submissions", 0)
    if not there:
        release = course.url("assignment", BIG_COURSE, HUGE_LIST)
        form = {"files": course.files_field(b"huge")}
        server.call("POST", release, course.TEACHER, form)
    times = [str(START + timedelta(seconds=number)) for number in range(there, count)]
    server.state["submissions"] = max(there, count)
    if server.name == OLD_VERSION:
        pk = scalar(server, "SELECT _id FROM assignments WHERE id = ?", HUGE_LIST)
        rows = [(pk, f"{at}.000000", course.STUDENTS[0]) for at in times]
        columns = "assignment_id, timestamp, student_id"
        write(server, f"INSERT INTO submissions ({columns}) VALUES (?, ?, ?)", rows)
    else:
        pk = scalar(server, "SELECT pk FROM assignments WHERE name = ?", HUGE_LIST)
        user = scalar(server, "SELECT pk FROM users WHERE name = ?", course.STUDENTS[0])
        snapshot = scalar(server, "SELECT max(pk) FROM snapshots")
        rows = [(pk, user, f"{at}.000000", snapshot) for at in times]
        columns = "assignment_pk, user_pk, at, snapshot_pk"
        write(server, f"INSERT INTO submissions ({columns}) VALUES (?, ?, ?, ?)", rows)
    took, answer = median_call(server, "GET", path)
    if len(answer["submissions"]) < count:
        raise BenchmarkError(f"{len(answer['submissions'])} submissions are listed, not {count}")
    return [Figure(took)]


def collect(server: Server, seconds: float) -> list[Figure]:
    """Submissions of 1 MB, each another one: nothing that any cache could have."""
    path = course.url("submissions", course.COURSE, course.HANDED_IN)
    listed = server.call("GET", path, course.TEACHER)["submissions"][-200:]
    if len(listed) < 50:
        submit(8, server, 2)
        return collect(server, seconds)
    paths = [
        PREFIX
        + course.url("submission", course.COURSE, course.HANDED_IN, entry["student_id"])
        + f"?timestamp={course.url(entry['timestamp'])}"
        for entry in listed
    ]
    job = {"method": "GET", "paths": paths, "connections": 1}
    job["tokens"] = [token_of(course.TEACHER)]
    return [rate_figure(server, seconds, **job)[0]]


def upload_while_hub_is_silent(server: Server, seconds: float) -> list[Figure]:
    """1 GiB of somebody whom the server knows already; the Hub is stopped meanwhile."""
    job = {
        "method": "POST",
        "path": PREFIX + course.url("submission", course.COURSE, course.HANDED_IN),
        "token": token_of(course.STUDENTS[0]),
        "upload_bytes": 1 << 30,
    }
    hub = server.state["hub pid"]

    def silence() -> None:
        os.kill(hub, signal.SIGSTOP)

    try:
        figures, _ = transfer_figures(server, job, silence)
    finally:
        os.kill(hub, signal.SIGCONT)
    whose = (course.COURSE, course.HANDED_IN, course.STUDENTS[0])
    server.state["gibibyte"] = course.url("submission", *whose)
    return [figures[0], figures[2], figures[4]]


def download_gibibyte(server: Server, seconds: float) -> list[Figure]:
    if "gibibyte" not in server.state:
        raise BenchmarkError("the upload of 1 GiB failed")
    token = token_of(course.TEACHER)
    job = {"method": "GET", "path": PREFIX + server.state["gibibyte"], "token": token}
    figures, _ = transfer_figures(server, job)
    return [figures[0], figures[2], figures[4]]


def two_workers(server: Server, seconds: float) -> list[Figure]:
    """How many times the calls of one process two of them do, on a PostgreSQL of their own."""
    figures: list[list[Figure]] = []
    with ExitStack() as stack:
        postgresql = PostgreSQL(durable=True)
        stack.callback(postgresql.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ngshare-bench-")))
        for workers in (1, 2):
            site = our_server(folder / str(workers), server.hub_url, postgresql.create_database())
            site.command.append(f"--workers={workers}")
            stack.callback(site.stop)
            site.start()
            course.create(site)
            figures.append([])
            for run, connections in ((list_courses, 64), (submit, 8)):
                before = cpu_seconds(postgresql.pid)
                (figure,) = run(connections, site, seconds)
                used = 1000 * (cpu_seconds(postgresql.pid) - before)
                calls = figure.details["calls with the warm-up"]
                figure.details[DATABASE_CPU_A_CALL] = used / calls
                figures[-1].append(figure)
            site.stop()
    return [_compare(one, two) for one, two in zip(*figures, strict=True)]


def _compare(one: Figure, two: Figure) -> Figure:
    """With what the processors leave room for: the load generator and the kernel need some too."""
    ours, database = two.details[CPU_A_CALL], two.details[DATABASE_CPU_A_CALL]
    most = 1000 * (os.cpu_count() or 1) / (ours + database)
    note = (
        f"{one.value:,.0f} and {two.value:,.0f} req/s; a call takes {short(ours)} ms of a "
        f"processor, and {short(database)} ms of one in PostgreSQL: at most {most:,.0f} req/s"
    )
    return Figure(two.value / one.value, note)


def timed(group: str, title: str, run, target: float | None = None) -> Measurement:
    return Measurement(group, (Row(title, "ms", target=target),), run)


SITES = [
    Measurement(
        "collect", (Row("fetch 1 MB, each another one, 1 connection", "req/s", True),), collect
    ),
    *(
        timed("rosters", f"GET students, {n:,}", partial(read_roster, n), 15 if n == 2000 else None)
        for n in (10, 100, 1000, 2000)
    ),
    timed("rosters", "POST students, 200 into 2,000", upload_roster, 100),
    timed("rosters", "GET students, 5,000", partial(read_roster, 5000)),
    *(
        timed(
            "lists",
            f"GET submissions, {n:,}",
            partial(read_submissions, n),
            60 if n == 20_000 else None,
        )
        for n in (100, 1000, 10_000, 20_000)
    ),
    Measurement(
        "gibibyte",
        (
            Row("upload of 1 GiB, Hub silent", "s"),
            Row("healthz during upload of 1 GiB, Hub silent, p99", "ms", target=50),
            Row("peak memory of upload of 1 GiB, above idle", "MiB", target=64),
        ),
        upload_while_hub_is_silent,
        TOO_BIG,
    ),
    Measurement(
        "gibibyte",
        (
            Row("download of 1 GiB", "s"),
            Row("healthz during download of 1 GiB, p99", "ms"),
            Row("peak memory of download of 1 GiB, above idle", "MiB", target=64),
        ),
        download_gibibyte,
        TOO_BIG,
    ),
    Measurement(
        "workers",
        (
            Row("two workers to one on PostgreSQL, GET courses", "x", True, 1.7),
            Row("two workers to one on PostgreSQL, submit 1 MB", "x", True, 1.7),
        ),
        two_workers,
        "it knows neither workers nor PostgreSQL",
    ),
]

"""What a class of a thousand does on certain days, and the memory that many at once take."""

import os
from typing import Any

from . import course
from .hub import token_of
from .measurements import MEBIBYTE, Figure, Measurement, Row, milliseconds, short
from .processes import BenchmarkError, forget_peak, memory, run_load
from .servers import PREFIX, Server
from .sites import enroll

HOMEWORK = "homework"  # the class's assignment, with one file of 1 MB
AT_ONCE = 64
DAY_SECONDS = 600.0
TEN_MEGABYTES = 10 * course.MEGABYTE


def work_off(
    server: Server, method: str, requests: list[tuple[str, str]], connections: int, **job: Any
) -> Figure:
    """Seconds until all requests, pairs of path and user, were made; each must succeed."""
    job |= {"kind": "list", "port": server.port, "method": method, "connections": connections}
    job["requests"] = [(PREFIX + path, token_of(user)) for path, user in requests]
    result = run_load(job, DAY_SECONDS)
    if result["faults"] or len(result["times"]) != len(requests):
        raise BenchmarkError(f"not all answers were right: {result['faults']}")
    details = milliseconds(result["times"])
    note = f"p50 {short(details['p50 ms'])}, p99 {short(details['p99 ms'])} ms"
    return Figure(result["seconds"], note, details)


def open_class(server: Server) -> None:
    """A thousand students in a course, and an assignment for them."""
    if "class" in server.state:
        return
    enroll(server, course.CLASS, course.CLASSMATES)
    path = course.url("assignment", course.CLASS, HOMEWORK)
    form = {"files": course.files_field(os.urandom(course.MEGABYTE))}
    server.call("POST", path, course.TEACHER, form)
    server.state["class"] = True


def list_homework(server: Server) -> list[dict[str, str]]:
    path = course.url("submissions", course.CLASS, HOMEWORK)
    submissions: list[dict[str, str]] = server.call("GET", path, course.TEACHER)["submissions"]
    return submissions


def release_day(server: Server, seconds: float) -> list[Figure]:
    open_class(server)
    path = course.url("assignment", course.CLASS, HOMEWORK)
    return [work_off(server, "GET", [(path, name) for name in course.CLASSMATES], AT_ONCE)]


def deadline(server: Server, seconds: float) -> list[Figure]:
    """Every student's submission must be in the list afterwards."""
    open_class(server)
    path = course.url("submission", course.CLASS, HOMEWORK)
    requests = [(path, name) for name in course.CLASSMATES]
    figure = work_off(server, "POST", requests, AT_ONCE, upload_bytes=course.MEGABYTE)
    if {entry["student_id"] for entry in list_homework(server)} != set(course.CLASSMATES):
        raise BenchmarkError("not everybody's submission is listed")
    return [figure]


def collection(server: Server, seconds: float) -> list[Figure]:
    if "class" not in server.state:
        deadline(server, seconds)
    paths = [
        course.url("submission", course.CLASS, HOMEWORK, entry["student_id"])
        + f"?timestamp={course.url(entry['timestamp'])}"
        for entry in list_homework(server)[: len(course.CLASSMATES)]
    ]
    return [work_off(server, "GET", [(path, course.TEACHER) for path in paths], 1)]


def many_long_uploads(server: Server, seconds: float) -> list[Figure]:
    server.restart()
    server.call("GET", "courses", course.STUDENTS[0])
    forget_peak(server.pid)
    idle = memory(server.pid)["VmRSS"]
    path = course.url("submission", course.COURSE, course.HANDED_IN)
    whose = [course.STUDENTS[number % len(course.STUDENTS)] for number in range(AT_ONCE)]
    requests = [(path, name) for name in whose]
    took = work_off(server, "POST", requests, AT_ONCE, upload_bytes=TEN_MEGABYTES)
    return [took, Figure((memory(server.pid)["VmHWM"] - idle) / MEBIBYTE)]


DAYS = [
    Measurement(
        "days", (Row("release day: 1,000 students fetch 1 MB, 64 at once", "s"),), release_day
    ),
    Measurement(
        "days",
        (Row("deadline: 1,000 students submit 1 MB, 64 at once", "s", target=60),),
        deadline,
    ),
    Measurement(
        "days", (Row("collection of these 1,000 submissions, one by one", "s"),), collection
    ),
    Measurement(
        "many",
        (
            Row("64 uploads of 10 MB at once", "s"),
            Row("peak memory of 64 uploads of 10 MB at once, above idle", "MiB", target=256),
        ),
        many_long_uploads,
    ),
]

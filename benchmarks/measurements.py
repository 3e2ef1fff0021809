"""What is measured. To add a measurement: write its function and enter it in MEASUREMENTS."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import course
from .hub import token_of
from .processes import (
    BenchmarkError,
    cpu_seconds,
    forget_peak,
    load_process,
    memory,
    result_of,
    run_load,
    send_job,
)
from .servers import PREFIX, Server

MEBIBYTE = 1024 * 1024
WARM_UP_SECONDS = 0.5
PROBE_SECONDS = 0.01
TRANSFER_SECONDS = 180.0
PAUSE_SECONDS = 0.5
CPU_A_CALL = "server cpu ms per request"


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    title: str
    unit: str
    more_is_better: bool = False
    target: float | None = None  # what ours is to reach


@dataclass(frozen=True)
class Figure:
    """One server's cell: the value in the row's unit, and what else is known about it."""

    value: float
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """`run(server, seconds)` gives one figure a row. `group` is what `--only` names."""

    group: str
    rows: tuple[Row, ...]
    run: Callable[[Server, float], list[Figure]]
    not_for_old: str = ""  # the reason why 0.6.0 can't take part


# -- many small calls --------------------------------------------------------------------------


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(values: list[float]) -> dict[str, float]:
    return {
        "mean ms": 1000 * sum(values) / len(values),
        "p50 ms": 1000 * percentile(values, 0.5),
        "p99 ms": 1000 * percentile(values, 0.99),
        "max ms": 1000 * max(values),
    }


def rate_figure(server: Server, seconds: float, **job: Any) -> tuple[Figure, int]:
    """Requests a second over kept connections, and how many succeeded (with the warm-up)."""
    job = {"kind": "rate", "port": server.port, "tokens": course.STUDENT_TOKENS, **job}
    job |= {"seconds": seconds, "warm_up": WARM_UP_SECONDS}
    cpu = cpu_seconds(server.pid)
    result = run_load(job, seconds + TRANSFER_SECONDS)
    cpu = cpu_seconds(server.pid) - cpu
    if result["faults"] or not result["times"]:
        raise BenchmarkError(f"not all answers were right: {result['faults']}")
    details = milliseconds(result["times"])
    note = f"p50 {short(details['p50 ms'])}, p99 {short(details['p99 ms'])} ms"
    details["requests"] = len(result["times"])
    details["calls with the warm-up"] = result["succeeded"]
    details[CPU_A_CALL] = 1000 * cpu / result["succeeded"]
    details["load generator's share of a core"] = result["cpu"]
    rate = len(result["times"]) / result["seconds"]
    return Figure(rate, note, details), result["succeeded"]


def list_courses(connections: int, server: Server, seconds: float) -> list[Figure]:
    job = {"method": "GET", "path": PREFIX + "courses", "connections": connections}
    return [rate_figure(server, seconds, **job)[0]]


def fetch_assignment(connections: int, server: Server, seconds: float) -> list[Figure]:
    path = course.url("assignment", course.COURSE, course.RELEASED)
    answer = run_load(
        {
            "kind": "transfer",
            "port": server.port,
            "method": "GET",
            "path": PREFIX + path,
            "token": course.STUDENT_TOKENS[0],
            "timeout": TRANSFER_SECONDS,
        },
        TRANSFER_SECONDS,
    )
    if answer["length"] < course.MEGABYTE * 4 / 3:
        raise BenchmarkError(f"an answer of {answer['length']} bytes cannot hold the file")
    job = {"method": "GET", "path": PREFIX + path, "connections": connections}
    return [rate_figure(server, seconds, **job, length=answer["length"])[0]]


def submit(
    connections: int, server: Server, seconds: float, size: int = course.MEGABYTE
) -> list[Figure]:
    """Submissions, each of other bytes; every receipt must be in the list afterwards."""
    before = course.count_submissions(server)
    job = {
        "method": "POST",
        "path": PREFIX + course.url("submission", course.COURSE, course.HANDED_IN),
        "connections": connections,
        "upload_bytes": size,
    }
    figure, receipts = rate_figure(server, seconds, **job)
    listed = course.count_submissions(server) - before
    if listed != receipts:
        raise BenchmarkError(f"{receipts} receipts, but {listed} more submissions are listed")
    return [figure]


# -- one big transfer --------------------------------------------------------------------------


def transfer_figures(
    server: Server, job: dict[str, Any], prepare: Callable[[], None] = lambda: None
) -> tuple[list[Figure], dict[str, Any]]:
    """One big transfer on a server just started, probed by `healthz` all the while.

    `prepare` is called last before it begins.

    Returns the figures (seconds, three latencies in ms, MiB above idle) and the load's result.
    """
    server.restart()
    server.call("GET", "courses", course.TEACHER)
    server.call("GET", "courses", course.STUDENTS[0])
    forget_peak(server.pid)
    idle = memory(server.pid)["VmRSS"]
    big = {"kind": "transfer", "port": server.port, "pause": PAUSE_SECONDS}
    big |= {"timeout": TRANSFER_SECONDS, **job}
    probe = {"kind": "probe", "port": server.port, "path": PREFIX + "healthz"}
    probe |= {"interval": PROBE_SECONDS, "timeout": 2 * TRANSFER_SECONDS}
    prepare()
    with load_process() as prober:
        send_job(prober, probe)
        result = run_load(big, 2 * TRANSFER_SECONDS)
        samples = result_of(prober, TRANSFER_SECONDS)["samples"]
    if not result["succeeded"]:
        raise BenchmarkError(f"status {result['status']}: {result['opening'][:200]}")
    peak = (memory(server.pid)["VmHWM"] - idle) / MEBIBYTE
    start, end = result["start"], result["end"]
    delays = [seconds for due, seconds in samples if start <= due <= end]
    if not delays:
        raise BenchmarkError("no healthz call was due during the transfer")
    latency = milliseconds(delays)
    details = {"probes": len(delays), "idle MiB": idle / MEBIBYTE, **latency}
    values = [end - start, latency["p50 ms"], latency["p99 ms"], latency["max ms"], peak]
    return [Figure(value, details=details) for value in values], result


def upload(size: int, server: Server, seconds: float) -> list[Figure]:
    """One submission of a single big file; the server must have recorded its checksum."""
    student = course.STUDENTS[0]
    job = {
        "method": "POST",
        "path": PREFIX + course.url("submission", course.COURSE, course.HANDED_IN),
        "token": token_of(student),
        "upload_bytes": size,
    }
    figures, result = transfer_figures(server, job)
    path = course.url("submission", course.COURSE, course.HANDED_IN, student)
    listed = server.call("GET", f"{path}?list_only=true", course.TEACHER)
    if [entry["checksum"] for entry in listed["files"]] != [result["checksum"]]:
        raise BenchmarkError("the latest submission is not what was uploaded")
    server.state[f"upload of {size}"] = listed["timestamp"]
    return figures


def download(size: int, server: Server, seconds: float) -> list[Figure]:
    """The same file, collected by the teacher."""
    if f"upload of {size}" not in server.state:
        upload(size, server, seconds)
    timestamp = course.url(server.state[f"upload of {size}"])
    path = course.url("submission", course.COURSE, course.HANDED_IN, course.STUDENTS[0])
    job = {
        "method": "GET",
        "path": f"{PREFIX}{path}?timestamp={timestamp}",
        "token": token_of(course.TEACHER),
    }
    figures, result = transfer_figures(server, job)
    if result["length"] < size * 4 / 3:
        raise BenchmarkError(f"an answer of {result['length']} bytes cannot hold the file")
    return figures


# -- the list ----------------------------------------------------------------------------------


def rate(
    group: str,
    title: str,
    connections: int,
    run: Callable[..., list[Figure]],
    target: float | None = None,
) -> Measurement:
    plural = "" if connections == 1 else "s"
    row = Row(f"{title}, {connections} connection{plural}", "req/s", True, target)
    return Measurement(group, (row,), partial(run, connections))


def transfer(
    group: str,
    megabytes: int,
    run: Callable[..., list[Figure]],
    not_for_old: str = "",
    most_memory: float | None = None,
) -> Measurement:
    title = f"{group} of {megabytes} MB"
    rows = (
        Row(title, "s"),
        Row(f"healthz during {title}, p50", "ms"),
        Row(f"healthz during {title}, p99", "ms"),
        Row(f"healthz during {title}, max", "ms"),
        Row(f"peak memory of {title}, above idle", "MiB", target=most_memory),
    )
    return Measurement(group, rows, partial(run, megabytes * course.MEGABYTE), not_for_old)


TOO_BIG = "it refuses forms over 100 MiB, that is files over 74 MB; hence the rows with 70 MB"
MEASUREMENTS = [
    rate("courses", "GET courses (20)", 1, list_courses),
    rate("courses", "GET courses (20)", 64, list_courses, 3000),
    rate("fetch", "fetch 1 MB", 1, fetch_assignment),
    rate("fetch", "fetch 1 MB", 8, fetch_assignment, 700),
    rate("fetch", "fetch 1 MB", 64, fetch_assignment),
    rate("submit", "submit 1 MB", 1, submit),
    rate("submit", "submit 1 MB", 8, submit),
    rate("submit", "submit 1 MB", 64, submit, 120),
    rate("submit", "submit 1 kB", 64, partial(submit, size=1000)),
    transfer("upload", 70, upload),
    transfer("download", 70, download),
    transfer("upload", 100, upload, TOO_BIG, 64),
    transfer("download", 100, download, TOO_BIG),
]


def short(value: float) -> str:
    """Three digits at least: 0.42, 4.2, 42, 4200."""
    for digits, limit in ((2, 1), (1, 100)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def now() -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())

"""The load generator: a process of its own that sends prepared requests and counts the answers.

    python -m benchmarks.load < job.json

The job is one line of JSON on standard input, the result one line of JSON on standard output.
There are four kinds of job, told apart by `kind`:

- `rate`: `connections` kept connections, each sending its next request when it has its answer;
- `list`: so many connections share a list of requests, each to be made once;
- `transfer`: one big upload or download on a plain socket;
- `probe`: one small request every `interval` seconds, until standard input is closed.
"""

import asyncio
import itertools
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from .bodies import DistinctForms, checksum, form
from .http_client import HOST, Answer, Connection, LoadError, Parts, connect, request_head

# -- rate --------------------------------------------------------------------------------------


class Tally:
    """What the answers were, and how long each took."""

    def __init__(self, length: int | None) -> None:
        self.length = length
        self.times: list[float] = []
        self.faults: Counter[str] = Counter()

    def add(self, answer: Answer, seconds: float) -> None:
        if not answer.succeeded:
            self.faults[f"status {answer.status}: {answer.opening[:100]!r}"] += 1
        elif self.length is not None and answer.length != self.length:
            self.faults[f"{answer.length} bytes where {self.length} were expected"] += 1
        else:
            self.times.append(seconds)


def request_maker(job: dict[str, Any], token: str) -> Callable[[], Parts]:
    """A function that makes the next request; the costly parts are made here, once."""
    if job.get("paths"):
        heads = itertools.cycle([request_head(job["method"], path, token) for path in job["paths"]])
        return lambda: (next(heads),)
    if not job.get("upload_bytes"):
        ready = (request_head(job["method"], job["path"], token),)
        return lambda: ready
    forms = DistinctForms(job["upload_bytes"])
    head = request_head(job["method"], job["path"], token, forms.length)
    return lambda: (head, *forms.next())


async def keep_asking(
    connection: Connection, make: Callable[[], Parts], tally: Tally, until: float
) -> None:
    """Ask, one request after the other, until `until` (on the clock of `perf_counter`)."""
    while (start := time.perf_counter()) < until:
        answer = await connection.ask(make())
        tally.add(answer, time.perf_counter() - start)


async def run_rate(job: dict[str, Any]) -> dict[str, Any]:
    """Returns: seconds (measured), times (of each success), faults, sent, cpu (share of a core)."""
    tokens = job["tokens"]
    count = job["connections"]
    makers = [request_maker(job, tokens[i % len(tokens)]) for i in range(count)]
    connections = await asyncio.gather(*(connect(job["port"]) for _ in range(count)))
    warm, tally = Tally(job.get("length")), Tally(job.get("length"))

    async def round_(into: Tally, seconds: float) -> float:
        start = time.perf_counter()
        pairs = zip(connections, makers, strict=True)
        await asyncio.gather(*(keep_asking(c, make, into, start + seconds) for c, make in pairs))
        return time.perf_counter() - start

    await round_(warm, job["warm_up"])
    cpu = time.process_time()
    elapsed = await round_(tally, job["seconds"])
    cpu = time.process_time() - cpu
    close_all(connections)
    return {
        "seconds": elapsed,
        "times": tally.times,
        "faults": dict(tally.faults + warm.faults),
        "succeeded": len(tally.times) + len(warm.times),
        "cpu": cpu / elapsed,
    }


def close_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()


# -- list --------------------------------------------------------------------------------------


async def run_list(job: dict[str, Any]) -> dict[str, Any]:
    """Returns: seconds (for all), times (of each success), faults."""
    size = job.get("upload_bytes", 0)
    forms = DistinctForms(size) if size else None
    length = forms.length if forms else 0
    heads = iter(
        [request_head(job["method"], path, token, length) for path, token in job["requests"]]
    )
    connections = [await connect(job["port"]) for _ in range(job["connections"])]
    tally = Tally(None)

    async def work_off(connection: Connection) -> None:
        for head in heads:
            parts = (head, *forms.next()) if forms else (head,)
            start = time.perf_counter()
            answer = await connection.ask(parts)
            tally.add(answer, time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*map(work_off, connections))
    seconds = time.perf_counter() - start
    close_all(connections)
    return {"seconds": seconds, "times": tally.times, "faults": dict(tally.faults)}


# -- transfer ----------------------------------------------------------------------------------


def receive(connection: socket.socket) -> Answer:
    answer = Answer()
    buffer = memoryview(bytearray(1 << 18))
    while count := connection.recv_into(buffer):
        if answer.feed(buffer[:count]):
            return answer
    raise LoadError("the server closed the connection before the end of its answer")


def exchange(port: int, parts: Parts, timeout: float) -> Answer:
    """Send one request on a connection of its own; an early refusal counts as the answer."""
    with socket.create_connection((HOST, port), timeout) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError) as error:
            try:
                return receive(connection)
            except OSError:
                raise LoadError(f"the server closed the connection ({error})") from None
        return receive(connection)


def run_transfer(job: dict[str, Any]) -> dict[str, Any]:
    """Returns: start and end (`monotonic`), status, opening, length, checksum (of an upload)."""
    content = os.urandom(job.get("upload_bytes", 0))
    body = form(content) if content else b""
    head = request_head(job["method"], job["path"], job["token"], len(body))
    md5 = checksum(content)
    del content
    time.sleep(job.get("pause", 0))  # lets the probe see the server at rest
    start = time.monotonic()
    answer = exchange(job["port"], (head, memoryview(body)), job["timeout"])
    return {
        "start": start,
        "end": time.monotonic(),
        "succeeded": answer.succeeded,
        "status": answer.status,
        "opening": answer.opening.decode("utf-8", "replace"),
        "length": answer.length,
        "sent": len(body),
        "checksum": md5,
    }


# -- probe -------------------------------------------------------------------------------------


class Probe:
    """Asks on schedule until standard input is closed, and answers what was due until then.

    A late answer delays the requests after it, and those count from when they were due: a server
    that is stuck for a second fails a hundred requests, not one
    (https://github.com/giltene/wrk2#acknowledgements).
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self._port: int = job["port"]
        self._interval: float = job["interval"]
        self._path: str = job["path"]
        self._until = time.monotonic() + job["timeout"]
        self.samples: list[tuple[float, float]] = []

    async def run(self) -> None:
        connection = await connect(self._port)
        request = (request_head("GET", self._path),)
        due = time.monotonic()
        while due < self._until:
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
                due = time.monotonic()  # the timer's own lateness is not the server's
            answer = await connection.ask(request)
            if not answer.succeeded:
                raise LoadError(f"status {answer.status} from {self._path}")
            self.samples.append((due, time.monotonic() - due))
            due += self._interval

    async def stop_at_end_of_input(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
        self._until = time.monotonic()


async def run_probe(job: dict[str, Any]) -> dict[str, Any]:
    """Returns: samples, a list of (when it was due, seconds until the answer)."""
    probe = Probe(job)
    stopping = asyncio.create_task(probe.stop_at_end_of_input())
    await asyncio.wait_for(probe.run(), job["timeout"])
    stopping.cancel()
    return {"samples": probe.samples}


# -- the process -------------------------------------------------------------------------------


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job; returns its result, or `{"error": reason}`."""
    try:
        if job["kind"] == "transfer":
            return run_transfer(job)
        kinds = {"rate": run_rate, "list": run_list, "probe": run_probe}
        return asyncio.run(kinds[job["kind"]](job))
    except (OSError, LoadError, ValueError, asyncio.TimeoutError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.stdin.readline()))), flush=True)

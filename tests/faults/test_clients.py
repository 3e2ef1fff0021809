"""Clients vanish or dawdle, and the service is asked to end, all of it under load."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.api import Caller
from tests.fake_hub import token_of
from tests.faults.report import note, tabulate
from tests.faults.storm import Storm, caller, make_course
from tests.faults.test_kill import STORMY, check
from tests.test_app import Service, managed

MIB = 1 << 20
UPLOAD_BYTES = 8_000_000
MEMORY_BYTES = 256 * MIB  # that a hundred clients may cost
LEAK_BYTES = 64 * MIB  # more of it after they came again, of 375 that they would take then
OTHERS_SECONDS = 2.0  # within which everybody else is answered

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="looks at processes in /proc"
)


def resident(service: Service) -> int:
    return status(service, "VmRSS") << 10


def status(service: Service, name: str) -> int:
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0])


def open_files(service: Service) -> int:
    """How many connections and spooled bodies the process has; not those of its database pool."""
    targets = []
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            targets.append(os.readlink(link))
    return sum(target.startswith("socket:") or target.endswith("(deleted)") for target in targets)


def connect(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def head(service: Service, verb: str, path: str, length: int = 0) -> bytes:
    return (
        f"{verb} {urlsplit(service.url).path}{path} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: token {token_of('student0')}\r\nContent-Length: {length}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    ).encode()


@contextmanager
def others(service: Service) -> Iterator[list[float]]:
    """Somebody calls while this lasts; how long each call took."""
    over, seconds = threading.Event(), [0.0]

    def call_on(client: Caller) -> None:
        while not over.wait(0.01):
            start = time.monotonic()
            client.ok("GET", "courses")
            client.submit("course1", "ps1", {"a": os.urandom(1000)})
            seconds.append(time.monotonic() - start)

    with caller(service.url, "student1") as client, ThreadPoolExecutor(1) as thread:
        end = thread.submit(call_on, client)
        try:
            yield seconds
        finally:
            over.set()
        end.result()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_hundred_clients_that_vanish_in_the_midst_leave_nothing_behind(
    hub_variables: dict[str, str], tmp_path: Path, chance: random.Random
) -> None:
    """Half of them while they send, half while they are sent to; all of them at once."""
    with managed(hub_variables, tmp_path, *STORMY) as service:
        make_course(service.url)
        with caller(service.url, "kevin") as kevin:
            kevin.release("course1", "long", {"a": chance.randbytes(UPLOAD_BYTES)})
        with others(service):
            time.sleep(0.5)
        files, threads = open_files(service), status(service, "Threads")
        memory, most, afterwards = resident(service), 0, []
        with others(service) as seconds:
            for _ in range(4):
                with vanishing(service, chance):
                    most = max(most, resident(service) - memory)
                wait_until(lambda: open_files(service) <= files + 1)
                assert status(service, "Threads") <= threads + 16  # as many as the pools have
                afterwards.append(resident(service))
        assert most < MEMORY_BYTES
        assert afterwards[3] - afterwards[1] < LEAK_BYTES
        assert max(seconds) < OTHERS_SECONDS
        with caller(service.url, "student0") as student:
            assert student.ok("GET", "submissions/course1/ps1/student0")["submissions"] == []
    note(
        f"100 clients vanished, four times: {len(seconds) - 1} calls of another one within "
        f"{1000 * max(seconds):.0f} ms; {most / MIB:.0f} MiB more meanwhile"
    )


@contextmanager
def vanishing(service: Service, chance: random.Random) -> Iterator[None]:
    """A hundred clients amid an upload or a download, who are gone at the end."""
    with ExitStack() as connected:
        for _ in range(50):
            sender = connected.enter_context(connect(service))
            sender.sendall(head(service, "POST", "submission/course1/ps1", UPLOAD_BYTES))
            sender.sendall(b"files=" + bytes(chance.randrange(UPLOAD_BYTES // 4)))
            taker = connected.enter_context(connect(service))
            taker.sendall(head(service, "GET", "assignment/course1/long"))
            assert taker.recv(1000).startswith(b"HTTP/1.1 200")
        yield


def test_a_hundred_clients_of_a_byte_a_second_are_cut_and_disturb_nobody(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    count, limit = 100, 2
    options = (*STORMY, f"--NgShare.slow_client_seconds={limit}")
    with managed(hub_variables, tmp_path, *options) as service:
        make_course(service.url)
        with others(service) as seconds, ExitStack() as connected:
            time.sleep(0.5)
            files = open_files(service)
            start = head(service, "POST", "submission/course1/ps1", UPLOAD_BYTES) + b"files="
            clients = [connected.enter_context(connect(service)) for _ in range(count)]
            for client in clients:
                client.sendall(start)
            begun, cut = time.monotonic(), [0.0] * count
            while not all(cut):
                assert time.monotonic() - begun < 5 * limit
                for number, client in enumerate(clients):
                    if not cut[number] and is_closed(client):
                        cut[number] = time.monotonic() - begun
                time.sleep(1)
            wait_until(lambda: open_files(service) <= files + 1)
        assert max(seconds) < OTHERS_SECONDS
    note(
        f"{count} clients of a byte a second: cut within {max(cut):.0f} s (the limit is {limit}); "
        f"{len(seconds) - 1} calls of another one within {1000 * max(seconds):.0f} ms"
    )


def is_closed(client: socket.socket) -> bool:
    """Send one byte; whether the server has closed the connection."""
    client.setblocking(False)
    try:
        client.send(b"x")
        while client.recv(1000):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_no_accepted_request(
    hub_variables: dict[str, str],
    tmp_path: Path,
    database_url: str,
    full: bool,
    seed: int,
    chance: random.Random,
    workers: int,
) -> None:
    """What was taken in is answered: nothing is stored of which its client does not know.

    A client may meet its idle connection just as that is closed; such calls were not taken in.
    """
    storm, ends = Storm(seed), 10 if full else 2
    options = (*STORMY, f"--NgShare.workers={workers}")
    for end in range(ends + 1):
        with managed(hub_variables, tmp_path, *options, database=database_url) as service:
            if end == 0:
                make_course(service.url)
            found = check(storm, service.url, database_url, everything=end == ends)
            assert found.unacknowledged == 0
            if end < ends:
                with storm.raging(service.url):
                    time.sleep(chance.uniform(0.5, 1.0))
                    assert service.stop(signal.SIGTERM) == 0
                assert "were not finished" not in service.log.read_text()
    assert {refusal.response.status_code for refusal in storm.refusals} <= {503}
    cut = [error for error in storm.broken if not is_refused(error)]
    assert len(cut) <= ends
    name = f"SIGTERM, {workers} workers, {database_url.partition(':')[0]}"
    tabulate(name, ends, storm, found)


def is_refused(error: requests.RequestException) -> bool:
    """Whether nobody listened any more."""
    return "Connection refused" in str(error)

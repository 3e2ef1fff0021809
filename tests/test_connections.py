"""Slow clients, idle connections and the end: over raw sockets, to real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tornado.testing import bind_unused_port

from ngshare import connections
from ngshare.app import NgShare
from ngshare.connections import Server, close_idle
from ngshare.database.engine import Database
from ngshare.service import make_application, make_authenticator
from tests.api import encode
from tests.fake_hub import FakeHub, LoopThread
from tests.test_app import Service, headers, hub_variables, managed, wait_for

__all__ = ["hub_variables"]

LIMIT = "--NgShare.slow_client_seconds=2"
LONG = {"a": random.Random(1).randbytes(24 << 20)}  # more than kernels keep for a socket


@pytest.fixture
def service(hub_variables: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with managed(hub_variables, tmp_path, LIMIT) as service:
        requests.post(service.url + "course/c", headers=headers("root"), timeout=5)
        yield service


def connect(service: Service, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect(("127.0.0.1", int(service.url.split(":")[2].split("/")[0])))
    return client


def head(verb: str, path: str, length: int = 0) -> bytes:
    return (
        f"{verb} /services/ngshare/{path} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {headers('root')['Authorization']}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def send_slowly(client: socket.socket, data: bytes, rate: int) -> float:
    """Seconds until the server closed the connection, or all was sent."""
    start = time.monotonic()
    step = max(1, rate // 10)
    pause = step / rate
    try:
        for position in range(0, len(data), step):
            client.sendall(data[position : position + step])
            time.sleep(pause)
    except OSError:
        pass
    return time.monotonic() - start


def open_files(service: Service) -> list[str]:
    """What a process has open that was deleted: spooled bodies."""
    folder = Path(f"/proc/{service.process.pid}/fd")
    targets = []
    for link in folder.iterdir():
        try:
            targets.append(os.readlink(link))
        except FileNotFoundError:
            continue
    return [target for target in targets if "(deleted)" in target]


def test_who_sends_a_byte_a_second_is_cut_and_what_was_kept_is_freed(service: Service) -> None:
    with connect(service) as client:
        client.sendall(head("POST", "assignment/c/a", 20 << 20) + b"files=" + b"x" * (2 << 20))
        time.sleep(1)
        assert len(open_files(service)) == 1
        assert send_slowly(client, b"x" * 20, 1) < 10
    wait_for(service.log, " 408 POST /services/ngshare/assignment/c/a user=root in=")
    assert service.log.read_text().count("POST /services/ngshare/assignment/c/a") == 1
    assert open_files(service) == []
    service.process.terminate()
    wait_for(service.log, "Stopping; 0 calls to finish")


def test_who_sends_slowly_but_steadily_is_heard(service: Service) -> None:
    body = b"instructors=" + b"%20" * 4_500 + b"[]"  # for more than twice the limit
    with connect(service) as client:
        client.sendall(head("POST", "course/steady", len(body)))
        assert send_slowly(client, body, 2600) > 5
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


def take_slowly(client: socket.socket, rate: int, seconds: float) -> bool:
    """Whether the server closes the connection before the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if not client.recv(max(1, rate // 10)):
                return True
        except ConnectionResetError:
            return True
        time.sleep(max(1, rate // 10) / rate)
    return False


def release_long(service: Service) -> None:
    url = service.url + "assignment/c/long"
    answer = requests.post(url, {"files": encode(LONG)}, headers=headers("root"), timeout=60)
    answer.raise_for_status()


def test_who_takes_a_byte_a_second_is_cut(service: Service) -> None:
    release_long(service)
    with connect(service, receive_buffer=4096) as client:
        client.sendall(head("GET", "assignment/c/long"))
        take_slowly(client, 1, 4)
        wait_for(service.log, " 499 GET /services/ngshare/assignment/c/long user=root")
    service.process.terminate()
    wait_for(service.log, "Stopping; 0 calls to finish")
    assert "Traceback" not in service.log.read_text()


def test_who_takes_an_answer_slowly_but_steadily_gets_it(service: Service) -> None:
    release_long(service)
    with connect(service, receive_buffer=4096) as client:
        client.sendall(head("GET", "assignment/c/long"))
        assert not take_slowly(client, 6000, 8)
        assert " 499 GET" not in service.log.read_text()


def test_an_answer_made_in_one_piece_and_not_taken_is_cut_too(service: Service) -> None:
    rows = [
        f'{{"username":"u{number}","first_name":"{"x" * 900}","last_name":"","email":""}}'
        for number in range(1000)
    ]
    for _ in range(2):
        requests.post(
            service.url + "students/c",
            {"students": f"[{','.join(rows)}]"},
            headers=headers("root"),
            timeout=30,
        ).raise_for_status()
    clients = [connect(service, receive_buffer=4096) for _ in range(3)]
    for client in clients:
        client.sendall(head("GET", "students/c") * 8)  # one answer may fit the kernel's buffers
    wait_for(service.log, " 499 GET /services/ngshare/students/c user=root")
    for client in clients:
        client.close()


def test_a_call_that_waits_for_the_hub_is_not_cut(
    hub: FakeHub, hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path, "--NgShare.slow_client_seconds=1") as service:
        hub.delay_seconds = 4
        answer = requests.get(service.url + "courses", headers=headers("kevin"), timeout=20)
        hub.delay_seconds = 0
        assert answer.status_code == 200


def test_who_sends_no_header_in_time_is_disconnected(
    hub: FakeHub,
    database: Database,
    loop_thread: LoopThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.5)
    options = NgShare()
    listening, port = bind_unused_port()

    def start() -> Server:
        application = make_application(options, "/p/", make_authenticator(options, "/p/"), database)
        server = Server(application)
        server.add_sockets([listening])
        watches.append(asyncio.ensure_future(close_idle(server, application.settings["calls"])))
        return server

    watches: list[asyncio.Future[None]] = []
    server = loop_thread.call(start)
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert send_slowly(client, b"GET /healthz HTTP/1.1\r\nHost: " + b"x" * 100, 10) < 3
    loop_thread.call(watches[0].cancel)
    loop_thread.call(server.stop)


def test_no_call_is_cut_whose_request_arrives_while_the_service_stops(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    """Many connections that are kept open call again and again until they're told to leave."""
    with managed(hub_variables, tmp_path) as service:
        requests.get(service.url + "courses", headers=headers("root"), timeout=5)
        cut: list[str] = []

        def call_on() -> None:
            with connect(service) as client:
                while True:
                    client.sendall(head("GET", "courses"))
                    answer = b""
                    while b'"courses"' not in answer:
                        part = client.recv(65536)
                        if not part:
                            cut.append(repr(answer))
                            return
                        answer += part
                    if b"Connection: close" in answer:
                        return

        callers = [threading.Thread(target=call_on) for _ in range(16)]
        for caller in callers:
            caller.start()
        time.sleep(0.5)
        assert service.stop() == 0
        for caller in callers:
            caller.join()
    assert cut == []


def test_a_late_request_on_a_kept_connection_and_a_long_answer_are_finished_at_the_end(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path) as service, contextlib.ExitStack() as stack:
        requests.post(service.url + "course/c", headers=headers("root"), timeout=5)
        release_long(service)
        idle, late = (stack.enter_context(connect(service)) for _ in range(2))
        reader = stack.enter_context(connect(service, receive_buffer=4096))
        for client in (idle, late):
            client.sendall(head("GET", "courses"))
            assert client.recv(1000)
        reader.sendall(head("GET", "assignment/c/long"))
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        wait_for(service.log, "Stopping; 1 calls to finish")
        late.sendall(head("POST", "course/late", 14) + b"instructors")
        time.sleep(1)  # the farewell is over
        assert idle.recv(100) == b""
        late.sendall(b"=[]")
        assert late.recv(1000).startswith(b"HTTP/1.1 200 OK")
        received = bytearray()
        while part := reader.recv(1 << 20):
            received += part
        assert received.endswith(b"]}\r\n0\r\n\r\n")
        assert service.process.wait(10) == 0
        assert re.search(r" 200 GET \S*/assignment/c/long ", service.log.read_text())


def test_a_download_that_meets_a_purge_breaks_off_and_is_no_failure_of_ours(
    service: Service,
) -> None:
    release_long(service)
    path = service.url + "assignment/c/long"
    with requests.get(path, headers=headers("root"), stream=True, timeout=20) as answer:
        pieces = answer.iter_content(1 << 20)
        next(pieces)
        purge = requests.delete(path, data={"purge": "true"}, headers=headers("root"), timeout=20)
        assert purge.status_code == 200
        with pytest.raises(requests.RequestException):
            list(pieces)
    wait_for(service.log, " 404 GET /services/ngshare/assignment/c/long")
    assert "Traceback" not in service.log.read_text()

"""What may be between a client and ngshare, or in its place: for tests of the users' side."""

from __future__ import annotations

import io
import re
import socket
import tarfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec

REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")


class Proxy:
    """Passes TCP connections on to a server, and breaks them on command.

    Attributes:
        url: in place of the server's.
        calls: what was called, for example `GET courses?detail=true`.
        is_silent: whether to pass no answers on.
        sent_bytes: how many bytes clients have sent so far.
        answered_bytes: how many bytes they got.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._prefix = parts.path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.calls: list[str] = []
        self.is_silent = False
        self.sent_bytes = self.answered_bytes = 0
        self._cuts: list[int | None] = []
        self._cuts_to = ""
        self._last_calls: dict[socket.socket, str] = {}
        self._answering: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()

    def cut_answers_after(self, *byte_counts: int | None, to: str = "") -> None:
        """Break the connection in each of the next answers after so many bytes; None: don't.

        Args:
            to: how the calls begin whose answers count, for example `GET submission/`.
        """
        self._cuts.extend(byte_counts)
        self._cuts_to = to

    @property
    def cuts_left(self) -> int:
        return len(self._cuts)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for work in (self._pass_up, self._pass_down):
                    thread = threading.Thread(target=work, args=(client, server))
                    self._threads.append(thread)
                    thread.start()

    def _pass_up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                self.sent_bytes += len(data)
                self._answering.discard(server)
                if match := REQUEST_LINE.match(data):
                    call = f"{match[1].decode()} {match[2].decode().removeprefix(self._prefix)}"
                    self.calls.append(call)
                    self._last_calls[server] = call
                server.sendall(data)
        self._end(client, server)

    def _pass_down(self, client: socket.socket, server: socket.socket) -> None:
        left = None
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if server not in self._answering:
                    self._answering.add(server)
                    counts = self._last_calls[server].startswith(self._cuts_to)
                    left = self._cuts.pop(0) if self._cuts and counts else None
                if self.is_silent:
                    continue
                if left is not None:
                    data, left = data[:left], max(0, left - len(data))
                client.sendall(data)
                self.answered_bytes += len(data)
                if left == 0:
                    break
        self._end(client, server)

    @staticmethod
    def _end(*sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._end(self._listener)
        self._listener.close()
        self._end(*self._sockets)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


@dataclass
class Reply:
    """What a Stranger answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def json_reply(status: int = 200, headers: dict[str, str] | None = None, **keys: Any) -> Reply:
    """An answer in ngshare's form; a success unless it has a message."""
    body = msgspec.json.encode({"success": "message" not in keys, **keys})
    return Reply(body, status, {"Content-Type": "application/json", **(headers or {})})


def html_reply(status: int = 200, **headers: str) -> Reply:
    return Reply(b"<html>Welcome!</html>", status, {"Content-Type": "text/html", **headers})


def tar_reply(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Reply:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return Reply(output.getvalue(), headers={"Content-Type": "application/x-tar"})


class Stranger:
    """An HTTP server that gives the same replies to whatever it is asked.

    Attributes:
        url: of it.
        calls: verb, path and headers of what it was asked.
        bodies: what came with them.
        replies: what it gives; the last one again and again. Or a function of verb and path.
    """

    def __init__(self, *replies: Reply, reply: Callable[[str, str], Reply] | None = None) -> None:
        self.replies = list(replies)
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self._reply = reply
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                stranger.calls.append((self.command, self.path, dict(self.headers)))
                length = int(self.headers.get("Content-Length", 0))
                stranger.bodies.append(self.rfile.read(length))
                reply = stranger.next_reply(self.command, self.path)
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/ngshare/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def next_reply(self, verb: str, path: str) -> Reply:
        if self._reply is not None:
            return self._reply(verb, path)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""A TCP proxy that counts calls, and can be slow, silent, or break off."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CALL = re.compile(rb"^(GET|POST|PUT|DELETE) (\S+) HTTP/1\.1\r\n")
BLOCK_BYTES = 1 << 16


class Proxy:
    """Stands before a server on a port of its own.

    Attributes:
        url: the server's URL, through this proxy.
        calls: those that were made, for example `GET courses?detail=true`.
        answered: how many bytes were answered.
        cut_after: break off a connection after so many bytes of answers.
        cuts: how many connections, from now on, are broken off.
        victim: only those on which a call begins like this.
        is_silent: whether to pass no answer on.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self.prefix = parts.path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.reset()
        self._is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        self.calls: list[str] = []
        self.answered = 0
        self.cut_after = 0
        self.cuts = 0
        self.is_silent = False
        self.victim = ""

    def close(self) -> None:
        self._is_open = False
        self._listener.close()

    @contextmanager
    def losing_answers_to(self, call: str, times: int = 1) -> Iterator[None]:
        """Break connections off on which such calls are made, when their answers come."""
        self.victim, self.cuts = call, times
        yield
        self.cuts = 0

    def _accept(self) -> None:
        while self._is_open:
            with suppress(OSError):
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                connection = _Connection(self, client, server)
                for target in (connection.pass_calls, connection.pass_answers):
                    threading.Thread(target=target, daemon=True).start()


class _Connection:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._call = ""

    def pass_calls(self) -> None:
        with suppress(OSError):
            while block := self._client.recv(BLOCK_BYTES):
                if match := CALL.match(block):
                    path = match[2].decode().removeprefix(self._proxy.prefix)
                    self._call = f"{match[1].decode()} {path}"
                    self._proxy.calls.append(self._call)
                self._server.sendall(block)
        self._close()

    def pass_answers(self) -> None:
        left = None
        with suppress(OSError):
            while block := self._server.recv(BLOCK_BYTES):
                self._proxy.answered += len(block)
                if left is None and self._proxy.cuts and self._call.startswith(self._proxy.victim):
                    left = self._proxy.cut_after
                    self._proxy.cuts -= 1
                if not self._proxy.is_silent:
                    self._client.sendall(block if left is None else block[:left])
                if left is not None:
                    left -= len(block)
                    if left <= 0:
                        break
        self._close()

    def _close(self) -> None:
        for each in (self._client, self._server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

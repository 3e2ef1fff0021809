"""Just enough of an HTTP client: it counts what arrives and keeps only the beginning.

Answers are read into one buffer that is used again and again: a client that kept and parsed a
1 MB answer would cost more than many a server needs to make it, and be what is measured.
"""

import asyncio
import re
from collections.abc import Iterable

HOST = "127.0.0.1"
FORM = "application/x-www-form-urlencoded"
KEPT = 256
SUCCESS = re.compile(rb'"success"\s*:\s*true')

Parts = Iterable[bytes | memoryview]


class LoadError(Exception):
    """The server broke off, or said what is not HTTP."""


def request_head(method: str, path: str, token: str = "", length: int = 0) -> bytes:
    """The head of a request, with the blank line."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: token {token}")
    if length:
        lines += [f"Content-Type: {FORM}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


class Answer:
    """One HTTP answer, counted while it arrives: its status, body's length and first bytes."""

    def __init__(self) -> None:
        self.status = 0
        self.length = 0
        self.opening = b""
        self._head = b""
        self._chunked = False
        self._missing = 0
        self._size_line = b""
        self._last = False

    @property
    def succeeded(self) -> bool:
        """Whether it is a 200 that says `"success": true` (near the beginning)."""
        return self.status == 200 and SUCCESS.search(self.opening) is not None

    def feed(self, data: memoryview) -> bool:
        """Count what arrived; return whether the answer is complete."""
        if not self.status:
            self._head += data
            head, blank, body = self._head.partition(b"\r\n\r\n")
            if not blank:
                return False
            self._read_head(head.decode("latin-1"))
            data = memoryview(body)
        if self._chunked:
            return self._feed_chunks(data)
        self._count(data)
        self._missing -= len(data)
        return self._missing <= 0

    def _read_head(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        try:
            self.status = int(first.split(" ", 2)[1])
        except (IndexError, ValueError):
            raise LoadError(f"not an HTTP answer: {first[:80]!r}") from None
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._missing = 0 if self._chunked else int(headers.get("content-length", 0))

    def _count(self, data: memoryview) -> None:
        if len(self.opening) < KEPT:
            self.opening += bytes(data[: KEPT - len(self.opening)])
        self.length += len(data)

    def _feed_chunks(self, data: memoryview) -> bool:
        position = 0
        while position < len(data):
            if self._missing:  # of this chunk, with the line break at its end
                piece = data[position : position + self._missing]
                self._count(piece[: max(0, self._missing - 2)])
                self._missing -= len(piece)
                position += len(piece)
                if self._last and not self._missing:
                    return True
                continue
            self._size_line += bytes(data[position : position + 1])
            position += 1
            if self._size_line.endswith(b"\r\n"):
                size = int(self._size_line.split(b";")[0], 16)
                self._size_line = b""
                self._last = size == 0
                self._missing = size + 2
        return False


class Connection(asyncio.BufferedProtocol):
    """A kept connection with one request under way at a time."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(1 << 18))
        self._answer = Answer()
        self._waiter: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        try:
            complete = self._answer.feed(self._buffer[:count])
        except (LoadError, ValueError) as error:
            self._fail(error)
            return
        if complete and self._waiter and not self._waiter.done():
            self._waiter.set_result(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(LoadError(f"the server closed the connection ({exc or 'no error'})"))

    def _fail(self, error: Exception) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(error)

    async def ask(self, parts: Parts) -> Answer:
        """Send a request and wait for its whole answer."""
        if self._transport is None:
            raise LoadError("the connection is closed")
        self._answer = Answer()
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.writelines(parts)
        return await self._waiter

    def close(self) -> None:
        if self._transport:
            self._transport.close()


async def connect(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection

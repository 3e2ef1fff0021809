"""A way to the Hub that can be closed, jammed, or full of noise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.fake_hub import LoopThread

NOISE = b"\x16\x03\x01 this is no HTTP\r\n" * 10
BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
PIECE_BYTES = 65536


class Gate:
    """Forwards a port of 127.0.0.1 to the Hub.

    Attributes:
        mode: `open`, `refusing` (nobody listens), `jammed` (accepts and says nothing), `noisy`
            (answers what is no HTTP), `breaking` (closes in the midst of an answer).
    """

    def __init__(self, thread: LoopThread, hub_api_url: str) -> None:
        self._thread = thread
        self._hub = urlsplit(hub_api_url)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.mode = "open"
        self.port = 0
        thread.call(self._listen)
        self.api_url = f"http://127.0.0.1:{self.port}{self._hub.path}"

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        """Stop listening, and break off all connections."""
        if self._server:
            self._server.close()
            self._server = None
            await asyncio.sleep(0.05)  # connections it has taken begin to be served
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def turn(self, mode: str) -> None:
        """Change the mode, for connections that are kept open too."""
        self._thread.call(self._stop)
        self.mode = mode
        if mode != "refusing":
            self._thread.call(self._listen)

    def close(self) -> None:
        self._thread.call(self._stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "open":
            await self._forward(reader, writer)
            return
        await reader.read(PIECE_BYTES)
        if self.mode == "jammed":
            await asyncio.sleep(3600)
        writer.write(NOISE if self.mode == "noisy" else BEGINNING)
        await writer.drain()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_hub, to_hub = await asyncio.open_connection(self._hub.hostname, self._hub.port)
        try:
            ways = [_copy(reader, to_hub), _copy(from_hub, writer)]
            await asyncio.wait(
                [asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            to_hub.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()


@contextlib.contextmanager
def gate_to(thread: LoopThread, hub_api_url: str) -> Iterator[Gate]:
    gate = Gate(thread, hub_api_url)
    try:
        yield gate
    finally:
        gate.close()

"""Connections to clients: how long they may idle, how slow they may be, and how they end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import sys
import termios
from collections.abc import Collection
from typing import TYPE_CHECKING
from weakref import WeakSet

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application

if TYPE_CHECKING:
    from ngshare.handlers.base import BaseHandler

log = logging.getLogger("ngshare")

READ_BYTES = 64 << 10  # what a stream makes room for when it reads
LONG_READ_BYTES = 256 << 10  # the same, for long bodies
# For a request's header, and between two calls. Proxies and clients keep unused connections for
# 60 to 90 seconds: who closes first should be they, lest a call meets a connection being closed.
IDLE_SECONDS = 120.0
SLOWEST_RATE = 1024  # bytes a second
LONGEST_PERIOD_SECONDS = 5.0
UNLIMITED = 1 << 62  # bytes of a body, for Tornado, whose own limit would break the connection
FAREWELL_SECONDS = 0.5  # for clients that are busy to hear that they should go elsewhere
STEP_SECONDS = 0.05


class Server(HTTPServer):
    """Tornado's server, which also tells the streams of its connections."""

    def initialize(self, application: Application) -> None:  # type: ignore[override]
        super().initialize(application, chunk_size=LONG_READ_BYTES)
        self.conn_params.header_timeout = None  # a timer for each call; see close_idle
        self.read_chunk_size = READ_BYTES
        self._streams: WeakSet[IOStream] = WeakSet()

    def handle_stream(self, stream: IOStream, address: tuple) -> None:
        self._streams.add(stream)
        # Once for all: Tornado would do so before and after each answer, by system calls.
        stream.set_nodelay(True)
        stream.set_nodelay = _leave  # type: ignore[method-assign]
        super().handle_stream(stream, address)

    @property
    def streams(self) -> list[IOStream]:
        return [stream for stream in self._streams if not stream.closed()]


def _leave(value: bool) -> None:
    pass


async def drain(server: Server, calls: Collection[BaseHandler], seconds: float) -> None:
    """Finish the calls, then close their connections; those without a call are closed at once."""
    log.info("Stopping; %d calls to finish", len(calls))
    server.stop()
    clock = asyncio.get_running_loop().time
    start = clock()
    while (calls or server.streams) and clock() < start + seconds:
        if clock() >= start + FAREWELL_SECONDS:
            _close_idle(server.streams, calls)
        await asyncio.sleep(STEP_SECONDS)
    if calls:
        log.warning("%d calls were not finished within %g s", len(calls), seconds)
    await server.close_all_connections()
    log.info("Stopped")


def _close_idle(streams: list[IOStream], calls: Collection[BaseHandler]) -> None:
    busy = {call.stream for call in calls}
    for stream in streams:
        # One that is not reading has read a header just now, and its call begins in a moment.
        if stream not in busy and stream.reading() and not _has_news(stream):
            stream.close()


def _has_news(stream: IOStream) -> bool:
    """Whether bytes have arrived that were not read yet."""
    try:
        return bool(stream.socket.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


async def cut_slow_clients(calls: Collection[BaseHandler], seconds: float) -> None:
    """Disconnect, for ever, clients that send or take less than SLOWEST_RATE over some seconds.

    Only the time counts in which it's the client's turn. All calls are looked at every few seconds,
    which costs less than a timer for each.
    """
    clock = asyncio.get_running_loop().time
    marks: dict[BaseHandler, tuple[float, int]] = {}  # when a call had moved how many bytes
    while True:
        await asyncio.sleep(min(seconds / 10, LONGEST_PERIOD_SECONDS))
        waiting = [call for call in calls if call.stream.reading() or call.stream.writing()]
        now, old_marks, marks = clock(), marks, {}
        for call in waiting:
            moved = call.received_bytes + _taken_bytes(call.stream)
            since, before = old_marks.get(call, (now, moved))
            if moved - before >= SLOWEST_RATE * seconds:
                since, before = now, moved
            if now - since >= seconds:
                call.cut()
            else:
                marks[call] = since, before


async def close_idle(server: Server, calls: Collection[BaseHandler]) -> None:
    """Close, for ever, connections on which no call has begun or ended for IDLE_SECONDS."""
    clock = asyncio.get_running_loop().time
    marks: dict[IOStream, tuple[float, int]] = {}  # since when it idles, having sent how much
    while True:
        await asyncio.sleep(IDLE_SECONDS / 10)
        busy = {call.stream for call in calls}
        now, old_marks, marks = clock(), marks, {}
        for stream in server.streams:
            sent = stream._total_write_done_index
            since, before = old_marks.get(stream, (now, sent))
            if stream in busy or sent != before:
                continue
            if now - since >= IDLE_SECONDS:
                stream.close()
            else:
                marks[stream] = since, before


def _taken_bytes(stream: IOStream) -> int:
    """How many bytes the client has taken of all that was ever written to the stream.

    Tornado's own counter moves in leaps when clients are slow, since the kernel takes nothing new
    before a third of its buffer, which may be megabytes, is empty. So we ask the kernel.
    """
    written = stream._total_write_done_index
    try:
        queued = fcntl.ioctl(stream.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:  # not every system tells this of a socket
        return written
    return written - int.from_bytes(queued, sys.byteorder)

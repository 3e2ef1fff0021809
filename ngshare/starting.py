"""Answers calls before the service can: while its database is upgraded, by us or by others.

Without an answer a Hub that starts ngshare ends, JupyterHub 6 after 30 seconds and 5 after 10.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, stream_request_body

from ngshare.connections import UNLIMITED
from ngshare.errors import DatabaseUnavailable

log = logging.getLogger("ngshare")

PATIENCE_SECONDS = 2.0  # so long callers wait; most starts are over by then
MESSAGE = "ngshare is starting, and prepares its database: try again in a few minutes"
PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="{DatabaseUnavailable.retry_after_seconds}">
<title>ngshare</title>
<h1>ngshare is starting</h1>
<p>It prepares its database, which may take minutes. Then this page shows your courses.</p>
</html>
"""
IDLE_SECONDS = 10


@contextmanager
def answering(sockets: Sequence[socket.socket], prefixes: Collection[str]) -> Iterator[None]:
    """Answer calls as long as the block goes on, from PATIENCE_SECONDS on, in a thread.

    Args:
        sockets: listen already, and still do afterwards.
        prefixes: of the service's URLs.
    """
    done: Future[None] = Future()
    serving = _serve(done, sockets, prefixes)
    thread = threading.Thread(target=asyncio.run, args=(serving,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set_result(None)
        thread.join()


async def _serve(
    done: Future[None], sockets: Sequence[socket.socket], prefixes: Collection[str]
) -> None:
    end = asyncio.wrap_future(done)
    await asyncio.wait([end], timeout=PATIENCE_SECONDS)
    if end.done():
        return
    log.info(
        "Preparing the database, which may take minutes if it must be upgraded; "
        "until that is done calls are answered by 503"
    )
    application = Application([(".*", _Handler, {"prefixes": prefixes})], log_function=_say_nothing)
    server = HTTPServer(
        application,
        no_keep_alive=True,  # the next call may be for the service
        idle_connection_timeout=IDLE_SECONDS,
        max_body_size=UNLIMITED,  # nothing of it is kept
    )
    server.add_sockets([each.dup() for each in sockets])  # it closes those that it has
    await end
    server.stop()
    await server.close_all_connections()


def _say_nothing(_: RequestHandler) -> None:
    """What was not worked on is no news, however often clients try."""


@stream_request_body
class _Handler(RequestHandler):
    """Alive, but not ready. The home page succeeds, which is what a Hub that starts looks at."""

    def initialize(self, prefixes: Collection[str]) -> None:
        self.prefixes = prefixes

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.clear_header("Server")

    def data_received(self, chunk: bytes) -> None:
        """Let it go: clients read an answer when all they have to say was taken."""

    def _probes(self, name: str) -> bool:
        return self.request.path in [f"{start}{name}" for start in ("/", *self.prefixes)]

    def get(self) -> None:
        if self._probes("healthz"):
            self.finish({"success": True})
            return
        is_home = self.request.path in self.prefixes
        if not is_home:
            self.set_status(503)
        self.set_header("Retry-After", str(DatabaseUnavailable.retry_after_seconds))
        if is_home or "text/html" in self.request.headers.get("Accept", ""):
            self.set_header("Content-Type", "text/html; charset=UTF-8")
            self.finish(PAGE)
        else:
            code = "not_ready" if self._probes("readyz") else DatabaseUnavailable(MESSAGE).code
            self.finish({"success": False, "message": MESSAGE, "code": code})

    head = post = put = patch = delete = options = get

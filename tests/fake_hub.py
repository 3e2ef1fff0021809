"""A Hub that knows a few tokens and fails on command: for unit tests and faults only."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

T = TypeVar("T")

SERVICE_TOKEN = "the-service-token-of-ngshare"


def token_of(name: str) -> str:
    return f"token-of-{name}"


class LoopThread:
    """An event loop in a thread of its own, for servers that synchronous tests call."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function, or await a coroutine function, in the loop's thread."""

        async def run() -> T:
            result = function(*args)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class RunningServer:
    """A Tornado application on a free port of 127.0.0.1."""

    def __init__(self, thread: LoopThread, application: Application, **options: Any) -> None:
        self._thread = thread
        socket, self.port = bind_unused_port()
        self.url = f"http://127.0.0.1:{self.port}"

        def start() -> None:
            self._server = HTTPServer(application, **options)
            self._server.add_sockets([socket])

        thread.call(start)

    def close(self) -> None:
        async def stop() -> None:
            self._server.stop()
            await self._server.close_all_connections()

        self._thread.call(stop)


class FakeHub:
    """Answers `GET /hub/api/user` for tokens made by token_of.

    Attributes:
        mode: `ok`, `silent` (never answers), `error` (500), `nonsense` (no JSON),
            `refuses` (knows no token, not even the service's own).
        asked: how often each token was asked about.
        scopes: what each token is said to hold.
        groups: those that users are in.
        services: names that are services and not users.
        revoked: tokens that are known no more.
    """

    def __init__(self, thread: LoopThread) -> None:
        self.reset()
        application = Application(
            [("/hub/api/user", _UserHandler), ("/hub/api/oauth2/token", _TokenHandler)], hub=self
        )
        self._server = RunningServer(thread, application)
        self.api_url = f"{self._server.url}/hub/api"

    def reset(self) -> None:
        self.mode = "ok"
        self.asked: Counter[str] = Counter()
        self.scopes: list[str] = []
        self.groups: dict[str, list[str]] = {}
        self.services: set[str] = set()
        self.revoked: set[str] = set()
        self.delay_seconds = 0.0

    def close(self) -> None:
        self._server.close()


class _HubHandler(RequestHandler):
    @property
    def hub(self) -> FakeHub:
        return self.settings["hub"]

    async def prepare(self) -> None:
        if self.hub.mode == "silent":
            await asyncio.sleep(3600)
        if self.hub.mode == "error":
            self.set_status(500)
            self.finish("the Hub is ill")
        if self.hub.mode == "nonsense":
            self.finish("<html>not a Hub</html>")

    def log_exception(self, *_: Any) -> None:
        pass


class _UserHandler(_HubHandler):
    async def get(self) -> None:
        token = self.request.headers["Authorization"].removeprefix("token ")
        self.hub.asked[token] += 1
        await asyncio.sleep(self.hub.delay_seconds)
        name = token.removeprefix("token-of-")
        known = token == SERVICE_TOKEN or name != token
        if self.hub.mode == "refuses" or not known or token in self.hub.revoked:
            self.set_status(403)
            self.finish({"message": "Missing or invalid credentials."})
            return
        is_service = token == SERVICE_TOKEN or name in self.hub.services
        self.finish(
            {
                "name": "ngshare" if token == SERVICE_TOKEN else name,
                "kind": "service" if is_service else "user",
                "admin": False,
                "groups": self.hub.groups.get(name, []),
                "scopes": self.hub.scopes,
            }
        )


class _TokenHandler(_HubHandler):
    async def post(self) -> None:
        if self.hub.mode == "refuses":
            self.set_status(401)
            self.finish({"error": "invalid_client"})
            return
        self.finish({"access_token": token_of(self.get_body_argument("code"))})

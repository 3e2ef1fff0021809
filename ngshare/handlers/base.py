"""What is the same for every call: who calls, the body, transactions, answers, errors, logs."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import msgspec
from jupyterhub.services.auth import HubOAuthenticated
from tornado.httputil import responses
from tornado.web import HTTPError, RequestHandler, stream_request_body

from ngshare import wire
from ngshare.auth import HubAuthenticator, StandAloneAuthenticator
from ngshare.database.engine import Database
from ngshare.errors import InvalidRequest, NgShareError, PermissionDenied, TooLarge, Unauthenticated
from ngshare.handlers.uploads import MEMORY_BYTES, Body
from ngshare.permissions import Identity

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("ngshare")
access_log = logging.getLogger("ngshare.access")

# A refused body is still read, up to this many times the limit, so that the client gets to read
# the answer: closing a connection that data arrives on makes most clients lose it.
DRAINED_LIMITS = 4


@stream_request_body
class BaseHandler(HubOAuthenticated, RequestHandler):
    """Closed by default: a handler that anybody may call says `public = True`."""

    public = False

    def initialize(self) -> None:
        self.body = Body()
        self.started = time.perf_counter()
        self.sent_bytes = 0
        self._refused = False
        self._identity: Identity | None = None
        self._fields: dict[str, bytes] | None = None

    # ---- the call ----

    async def prepare(self) -> None:
        self.settings["calls"].add(self)
        verb = self.request.method.lower()
        if verb not in self.allowed_verbs():
            self._refuse(HTTPError(405))
            return
        try:
            self._limit_body()
            if not self.public:
                await self._authenticate()
                for name in self.path_args:
                    wire.check_name(name)
        except NgShareError as error:
            if isinstance(error, Unauthenticated) and self._is_browser():
                self._divert(lambda *_: self.redirect(self.get_login_url()))
            else:
                self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        def refusal(*_: str) -> NoReturn:
            raise error

        self._divert(refusal)

    def _divert(self, verb: Callable[..., None]) -> None:
        """Call something else than the handler's verb; none of the body is kept.

        An answer before the whole request is read would make Tornado close the connection.
        """
        self._refused = True
        setattr(self, self.request.method.lower(), verb)

    def _limit_body(self) -> None:
        limit = self.settings["max_upload_bytes"]
        self.request.connection.set_max_body_size(DRAINED_LIMITS * limit)  # type: ignore
        length = self.request.headers.get("Content-Length", "0")
        if not length.isdecimal():
            raise InvalidRequest("The header Content-Length is no number")
        if int(length) > DRAINED_LIMITS * limit:
            raise HTTPError(413, self._over_limit())
        if int(length) > limit:
            raise TooLarge(self._over_limit())

    def _over_limit(self) -> str:
        limit = self.settings["max_upload_bytes"]
        return f"The request is over the limit max_upload_bytes = {limit:,} bytes"

    async def data_received(self, chunk: bytes) -> None:
        if self._refused:
            return
        size = self.body.size + len(chunk)
        if size > self.settings["max_upload_bytes"]:
            self._refuse(TooLarge(self._over_limit()))
        elif size > MEMORY_BYTES:
            await self.compute(self.body.append, chunk)
        else:
            self.body.append(chunk)

    def on_finish(self) -> None:
        self._end()

    def on_connection_close(self) -> None:
        self._end()

    def _end(self) -> None:
        self.body.close()
        self.settings["calls"].discard(self)

    async def head(self, *path: str) -> None:
        await self.get(*path)  # type: ignore[misc]

    @classmethod
    def allowed_verbs(cls) -> list[str]:
        verbs = [
            verb
            for verb in ("get", "post", "put", "delete")
            if getattr(cls, verb) is not getattr(RequestHandler, verb)
        ]
        return ["head", *verbs] if "get" in verbs else verbs

    # ---- who calls ----

    @property
    def hub_auth(self) -> HubAuthenticator:
        return self.settings["authenticator"]

    @property
    def stand_alone(self) -> bool:
        return isinstance(self.settings["authenticator"], StandAloneAuthenticator)

    async def _authenticate(self) -> None:
        if self.stand_alone:
            return  # the name may be in the body, see identity
        self._identity = await self.hub_auth.identify(self)
        if self._identity is None:
            raise Unauthenticated("Login required")

    @property
    def identity(self) -> Identity:
        """The caller."""
        if self._identity is None and self.stand_alone:
            self._identity = self.settings["authenticator"].identify(self.argument("user"))
        if self._identity is None:
            raise Unauthenticated("Login required")
        return self._identity

    def get_current_user(self) -> str | None:
        """For Tornado and jupyterhub's XSRF cookies; must not ask the Hub."""
        return str(self._identity) if self._identity else None

    def check_xsrf_cookie(self) -> None:
        """Called by jupyterhub for what a browser's cookie authenticates."""
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            raise PermissionDenied(
                "Calls by cookie that change something, or that scripts make, need the header "
                "X-XSRFToken with the value of the cookie _xsrf"
            ) from None

    def set_secure_cookie(  # type: ignore[override]
        self, name: str, value: str, expires_days: float | None = 30, **options: Any
    ) -> None:
        """Used by jupyterhub for tokens and login states: encrypted, not only signed."""
        self.set_cookie(name, self.hub_auth.encrypt(value), expires_days=expires_days, **options)

    def get_secure_cookie(self, name: str) -> bytes | None:  # type: ignore[override]
        cookie = self.get_cookie(name)
        text = self.hub_auth.decrypt(cookie) if cookie else None
        return text.encode() if text is not None else None

    def _is_browser(self) -> bool:
        """Whether a person is looking, who can be sent to the Hub's login."""
        return (
            self.request.method in ("GET", "HEAD")
            and "text/html" in self.request.headers.get("Accept", "")
            and not self.stand_alone
        )

    # ---- arguments ----

    def raw_argument(self, name: str) -> bytes | None:
        """A field of the form, or else an argument of the query; of several the last."""
        if self._fields is None:
            self.parse_body()
        assert self._fields is not None
        if name in self._fields:
            return self._fields[name]
        values = self.request.query_arguments.get(name)
        return values[-1] if values else None

    def parse_body(self) -> None:
        """Done on first use of an argument; await it by compute where the body may be long."""
        content_type = self.request.headers.get("Content-Type", "")
        self._fields = self.body.fields(content_type)

    def argument(self, name: str) -> str | None:
        """The same as text, trimmed.

        Raises:
            InvalidRequest: it is no UTF-8.
        """
        raw = self.raw_argument(name)
        try:
            return None if raw is None else wire.clean_text(raw.decode())
        except UnicodeDecodeError:
            raise InvalidRequest(f"The argument {name} is no UTF-8") from None

    def flag(self, name: str) -> bool:
        """Whether an argument is exactly `true`."""
        return self.argument(name) == "true"

    # ---- work in threads ----

    @property
    def database(self) -> Database:
        return self.settings["database"]

    async def read(
        self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await function(session, ...) in a thread and a transaction that changes nothing."""
        return await self._work(
            self.database.readers, lambda: self.database.read(function, *args, **kwargs)
        )

    async def transact(
        self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await function(session, ...) in a thread and a transaction; it is committed then."""
        return await self._work(
            self.database.writers, lambda: self.database.write(function, *args, **kwargs)
        )

    async def compute(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await function(...), which takes long, in a thread."""
        return await self._work(self.database.readers, lambda: function(*args, **kwargs))

    @staticmethod
    def _work(executor: Executor, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(executor, function)

    # ---- answers ----

    def set_default_headers(self) -> None:
        if not hasattr(self, "request_id"):
            self.request_id = secrets.token_hex(8)
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.clear_header("Server")

    def compute_etag(self) -> None:
        """None: Tornado would hash every answer."""

    def write(self, chunk: str | bytes | dict) -> None:
        self.sent_bytes += len(chunk)
        super().write(chunk)

    def answer(self, **keys: Any) -> None:
        """Send `{"success": true, ...}`."""
        self._send_json({"success": True, **keys})

    def _send_json(self, value: dict[str, Any]) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(value))

    # ---- errors and logs ----

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        body: dict[str, Any] = {"success": False}
        if isinstance(error, NgShareError):
            self.set_status(error.status)
            body["message"] = error.message
            if error.retry_after_seconds is not None:
                self.set_header("Retry-After", str(error.retry_after_seconds))
            if isinstance(error, Unauthenticated):
                self.set_header("WWW-Authenticate", 'Bearer realm="ngshare"')
        elif isinstance(error, HTTPError) and status_code < 500:
            body["message"] = error.log_message or responses.get(status_code, "Bad request")
        else:
            body["message"] = f"Internal server error; ngshare's log has it as {self.request_id}"
            body["request_id"] = self.request_id
        if status_code == 405:
            allowed = ", ".join(verb.upper() for verb in self.allowed_verbs())
            self.set_header("Allow", allowed)
            body["message"] = f"Method not allowed; this URL knows {allowed}"
        self._send_json(body)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, NgShareError):
            if value.status >= 500:
                log.error("%s: %s", self.request_id, value.message)
        elif isinstance(value, HTTPError) and value.status_code < 500:
            log.debug("%s: %s", self.request_id, value)
        else:
            log.error(
                "%s: %s %s failed",
                self.request_id,
                self.request.method,
                self.request.path,
                exc_info=(typ, value, tb),
            )


def log_request(handler: RequestHandler) -> None:
    """One line a call; never its arguments, headers or body, which may hold secrets."""
    assert isinstance(handler, BaseHandler)
    status = handler.get_status()
    access_log.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "%d %s %s user=%s in=%d out=%d %.1f ms %s",
        status,
        handler.request.method,
        handler.request.path,
        handler.get_current_user() or "-",
        handler.body.size,
        handler.sent_bytes,
        1000 * (time.perf_counter() - handler.started),
        handler.request_id,
    )

"""What is the same for every call: the body, arguments, transactions, answers, errors."""

from __future__ import annotations

import asyncio
import errno
import functools
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.httputil import responses
from tornado.iostream import IOStream
from tornado.web import HTTPError, RequestHandler, stream_request_body

from ngshare import wire
from ngshare.connections import LONG_READ_BYTES, READ_BYTES, UNLIMITED
from ngshare.database.engine import Database
from ngshare.errors import (
    InvalidRequest,
    MissingContent,
    NgShareError,
    StorageFull,
    TooLarge,
    Unauthenticated,
)
from ngshare.handlers.batches import Batches
from ngshare.handlers.bodies import MAX_VALUE_BYTES, MEMORY_BYTES, Body, Field
from ngshare.handlers.login import Login
from ngshare.handlers.logs import CLIENT_GONE, REQUEST_TIMEOUT, log_call, log_failure

if TYPE_CHECKING:
    from sqlalchemy import Connection

P = ParamSpec("P")
T = TypeVar("T")

# A refused body is still read, up to this many times the limit, so that the client gets to read
# the answer: closing a connection that data arrives on makes most clients lose it.
DRAINED_LIMITS = 4
SHORT_BODY_BYTES = 1 << 20  # the limit for calls that carry no files
MAX_ARGUMENT_BYTES = 16 << 10  # of text, which is decoded at once
SPOOLED_BYTES = 512 << 10  # of a long body, taken to the disk at once
JSON_CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# Decoding must not keep those waiting who read the database, nor long uploads short ones.
DECODERS = ThreadPoolExecutor(1, "ngshare-decoder")
LONG_DECODERS = ThreadPoolExecutor(2, "ngshare-long-decoder")


@stream_request_body
class BaseHandler(Login):
    """Closed by default: a handler that anybody may call says `public = True`."""

    public = False
    long_bodies = False  # whether what is posted may be as long as max_upload_bytes

    def initialize(self, route: str = "unknown") -> None:
        self.route = route
        self.body = Body()
        self.started = time.perf_counter()
        self.sent_bytes = 0
        self._connection.set_max_body_size(UNLIMITED)
        self.received_bytes = 0
        self._arrived = bytearray()
        self._refusal: Callable[[], None] | None = None
        self._running = False
        self._logged = False
        self.settings["calls"].add(self)
        self._undecodable = False
        self._fields: dict[str, Field] | None = None

    # ---- the call ----

    async def prepare(self) -> None:
        self._intercept()
        try:
            if self._undecodable:
                raise InvalidRequest("The URL is no UTF-8")
            if self.request.method.lower() not in self.allowed_verbs():
                raise HTTPError(405)
            self._limit_body()
            if not self.public:
                await self.authenticate()
                for name in self.path_args:
                    wire.check_name(name)
        except (NgShareError, HTTPError) as error:
            if isinstance(error, Unauthenticated) and self.is_browser():
                self._refusal = lambda: self.redirect(self.get_login_url())
            else:
                self._refuse(error)

    def _intercept(self) -> None:
        """Put _after_body before the verb, which Tornado looks up when the body has arrived.

        To answer before that, even to refuse, would make Tornado close the connection.
        """
        verb = self.request.method.lower()
        setattr(self, verb, functools.partial(self._after_body, getattr(self, verb)))

    async def _after_body(self, verb: Callable[..., Awaitable[None]], *path: str) -> None:
        self._running = True
        if self._arrived:
            await self._spool_arrived()
        if self._refusal is not None:
            self._refusal()
            return
        if self.body.size > MEMORY_BYTES:
            await self.compute(self.parse_body)
        await verb(*path)

    def _refuse(self, error: Exception) -> None:
        """Answer with an error when the body, of which nothing is kept, has arrived."""

        def refusal() -> NoReturn:
            raise error

        self._refusal = refusal

    def _limit_body(self) -> None:
        length = self.request.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise InvalidRequest("The header Content-Length is no number")
        if len(length) > 18 or int(length) > self._body_limit:
            raise self._too_large()
        if int(length) > LONG_READ_BYTES:
            self.stream.read_chunk_size = LONG_READ_BYTES

    @property
    def _connection(self) -> HTTP1Connection:
        assert isinstance(self.request.connection, HTTP1Connection)
        return self.request.connection

    @property
    def stream(self) -> IOStream:
        """The connection's bytes, down and up."""
        return self._connection.stream

    @property
    def _body_limit(self) -> int:
        limit = self.settings["max_upload_bytes"]
        takes_long = self.long_bodies and self.request.method in ("POST", "PUT")
        return limit if takes_long else min(limit, SHORT_BODY_BYTES)

    def _too_large(self) -> TooLarge:
        limit = self._body_limit
        is_option = limit == self.settings["max_upload_bytes"]
        name = "max_upload_bytes" if is_option else "for calls that carry no files"
        return TooLarge(f"The request is over the limit {name} = {limit:,} bytes")

    async def data_received(self, chunk: bytes) -> None:
        self.received_bytes += len(chunk)
        limit = self._body_limit
        if self.received_bytes > DRAINED_LIMITS * limit:
            error = self._too_large()
            self.send_error(error.status, exc_info=(TooLarge, error, None))
        elif self.public or self._refusal is not None:
            pass
        elif self.received_bytes > limit:
            self._refuse(self._too_large())
        elif self.received_bytes <= MEMORY_BYTES:
            self.body.spool.append(chunk)
        else:
            self._arrived += chunk
            if len(self._arrived) >= SPOOLED_BYTES:
                await self._spool_arrived()

    async def _spool_arrived(self) -> None:
        arrived, self._arrived = self._arrived, bytearray()
        try:
            await asyncio.to_thread(_report_full_disk, self.body.spool.append, arrived)
        except (StorageFull, OSError) as error:
            self._refuse(error)

    def on_finish(self) -> None:
        """The answer is made. The call ends when the client has taken it, or is gone."""
        self._close_body()
        self.stream.read_chunk_size = READ_BYTES
        if self.stream.writing():
            self.stream.write(b"").add_done_callback(self._on_taken)
        else:
            self._end()

    def _on_taken(self, taken: asyncio.Future[None]) -> None:
        self.log_once(CLIENT_GONE if taken.exception() else self.get_status())
        self._end()

    def on_connection_close(self) -> None:
        if not self._finished:
            self.log_once(CLIENT_GONE)
        if not self._running:  # nor ever will be
            self._end()
        super().on_connection_close()

    def cut(self) -> None:
        """Disconnect a client that is too slow."""
        self.log_once(CLIENT_GONE if self._running else REQUEST_TIMEOUT)
        self.stream.close()

    def _close_body(self) -> None:
        if self.body.size > MEMORY_BYTES:  # to free a long file takes a while
            asyncio.get_running_loop().run_in_executor(None, self.body.close)
        else:
            self.body.close()

    def _end(self) -> None:
        self._close_body()
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

    # ---- arguments ----

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """For Tornado, of the path's ids: what can't be decoded is refused in prepare."""
        try:
            return value.decode()
        except UnicodeDecodeError:
            self._undecodable = True
            return value.decode(errors="replace")

    def field(self, name: str) -> Field | None:
        """A field of the form; of several the last."""
        if self._fields is None:
            self.parse_body()
        assert self._fields is not None
        return self._fields.get(name)

    def raw_argument(self, name: str, limit: int = MAX_VALUE_BYTES) -> bytes | None:
        """The value of that field, or else of an argument of the query."""
        field = self.field(name)
        if field is not None:
            return field.value(limit)
        values = self.request.query_arguments.get(name)
        return values[-1] if values else None

    def parse_body(self) -> None:
        """Done on first use of an argument, or before the verb, in a thread, for a long body."""
        content_type = self.request.headers.get("Content-Type", "")
        self._fields = self.body.fields(content_type)

    def argument(self, name: str) -> str | None:
        """The same as text, trimmed.

        Raises:
            InvalidRequest: it is no UTF-8.
            TooLarge: it has more than MAX_ARGUMENT_BYTES.
        """
        raw = self.raw_argument(name, MAX_ARGUMENT_BYTES)
        try:
            return None if raw is None else wire.clean_text(raw.decode())
        except UnicodeDecodeError:
            raise InvalidRequest(f"The argument {name} is no UTF-8") from None

    def flag(self, name: str) -> bool:
        """Whether an argument is exactly `true`."""
        return self.raw_argument(name, MAX_ARGUMENT_BYTES) == b"true"

    # ---- work in threads ----

    @property
    def database(self) -> Database:
        return self.settings["database"]

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await function(connection, ...) in a thread and a transaction that changes nothing.

        Short reads share a transaction, so what takes long is for read_long.
        """
        batches: Batches = self.settings["read_batches"]
        return await batches.run(lambda connection: function(connection, *args, **kwargs))

    async def read_long(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what takes longer than a few milliseconds, in a thread of its own."""
        return await self.work(
            self.database.readers, lambda: self.database.read(function, *args, **kwargs)
        )

    async def transact(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await function(connection, ...) in a thread and a transaction; it is committed then.

        On SQLite those who wait for the one writer share the next transaction.
        """
        if not self.database.is_sqlite:
            return await self.work(
                self.database.writers, lambda: self.database.write(function, *args, **kwargs)
            )
        batches: Batches = self.settings["write_batches"]
        return await batches.run(lambda connection: function(connection, *args, **kwargs))

    async def compute(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await function(...), which takes long, in a thread.

        Raises:
            StorageFull: it found no room on the disk.
        """
        threads = LONG_DECODERS if self.body.size > MEMORY_BYTES else DECODERS
        return await self.work(threads, lambda: _report_full_disk(function, *args, **kwargs))

    @staticmethod
    def work(executor: Executor, function: Callable[[], T]) -> Awaitable[T]:
        """Await function() in one of these threads."""
        return asyncio.get_running_loop().run_in_executor(executor, function)

    # ---- answers ----

    def set_default_headers(self) -> None:
        if not hasattr(self, "request_id"):
            self.request_id = f"{random.getrandbits(64):016x}"
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        # On a Hub without subdomains other users' servers are of the same origin.
        self.set_header("Content-Security-Policy", JSON_CONTENT_SECURITY_POLICY)
        if self.settings["stopping"].is_set():
            self.set_header("Connection", "close")
        self.clear_header("Server")

    def set_etag_header(self) -> None:
        """Do nothing: Tornado would hash every answer."""

    def check_etag_header(self) -> bool:
        return False

    def write(self, chunk: str | bytes | dict) -> None:
        self.sent_bytes += len(chunk)
        super().write(chunk)

    def answer(self, **keys: Any) -> None:
        """Send `{"success": true, ...}`."""
        self._send_json({"success": True, **keys})

    def _send_json(self, value: dict[str, Any]) -> None:
        self.answer_encoded(msgspec.json.encode(value))

    def answer_encoded(self, text: bytes) -> None:
        """Send JSON that was encoded already."""
        self.set_header("Content-Type", "application/json")
        self.finish(text)

    # ---- errors and logs ----

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        if self._headers_written:  # an answer that breaks off must not look complete
            error = kwargs.get("exc_info", (None, None, None))[1]
            self.log_once(error.status if isinstance(error, NgShareError) else status_code)
            self._connection.close()
            self._finished = True
            self.on_finish()
            return
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        body: dict[str, Any] = {"success": False}
        if isinstance(error, NgShareError):
            self.set_status(error.status)
            body.update(message=error.message, code=error.code)
            if isinstance(error, MissingContent):
                body["missing"] = error.missing
            if error.retry_after_seconds is not None:
                self.set_header("Retry-After", str(error.retry_after_seconds))
            if isinstance(error, Unauthenticated):
                self.set_header("WWW-Authenticate", 'Bearer realm="ngshare"')
        elif isinstance(error, HTTPError) and status_code < 500:
            reason = responses.get(status_code, "Bad request")
            body["message"] = error.log_message or reason
            body["code"] = reason.lower().replace(" ", "_")
        else:
            body["message"] = f"Internal server error; ngshare's log has it as {self.request_id}"
            body["code"] = "internal_server_error"
        body["request_id"] = self.request_id
        if status_code == 405:
            allowed = ", ".join(verb.upper() for verb in self.allowed_verbs())
            self.set_header("Allow", allowed)
            body["message"] = f"Method not allowed; this URL knows {allowed}"
        self._send_json(body)

    def log_once(self, status: int) -> None:
        if not self._logged:
            self._logged = True
            log_call(self, status)

    def log_exception(self, *exc_info: Any) -> None:
        log_failure(self, exc_info)


def _report_full_disk(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """function(...), with the errors of a full disk as StorageFull."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StorageFull(
            f"The server has no room left in {tempfile.gettempdir()}, where uploads wait to be "
            "stored; nothing was changed"
        ) from error

"""What the log says of calls, and what it must not say."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from ngshare.errors import NgShareError

if TYPE_CHECKING:
    from ngshare.handlers.base import BaseHandler

log = logging.getLogger("ngshare")
access_log = logging.getLogger("ngshare.access")

# Of calls that got no answer.
REQUEST_TIMEOUT = 408  # the client sent its request too slowly, and was disconnected
CLIENT_GONE = 499  # nginx's number for it


def log_call(handler: BaseHandler, status: int) -> None:
    """Count a call, and log it: never its arguments, headers or body, which may hold secrets."""
    seconds = time.perf_counter() - handler.started
    request = handler.request
    method = request.method or "-"
    received = handler.body.size
    sent = 0 if method == "HEAD" else handler.sent_bytes
    metrics = handler.settings["metrics"]
    metrics.count_call(handler.route, method, status, seconds, received, sent)
    level = logging.WARNING if status >= 500 else logging.INFO
    if not access_log.isEnabledFor(level):
        return
    user = handler.get_current_user() or "-"
    milliseconds = 1000 * seconds
    line = (
        f"{status} {method} {request.path} user={user} in={received} out={sent} "
        f"{milliseconds:.1f} ms {handler.request_id}"
    )
    # Made here, because log() would search the stack for the caller, which takes longest of all.
    record = logging.LogRecord(access_log.name, level, __file__, 0, line, None, None)
    record.__dict__["call"] = {
        "status": status,
        "method": method,
        "route": handler.route,
        "path": request.path,
        "user": user,
        "in_bytes": received,
        "out_bytes": sent,
        "duration_ms": round(milliseconds, 1),
        "request_id": handler.request_id,
    }
    access_log.handle(record)


def log_finished_call(handler: RequestHandler) -> None:
    """For Tornado, when an answer is made; one that is yet to be sent is logged afterwards."""
    if not handler.stream.writing():  # type: ignore[attr-defined]
        handler.log_once(handler.get_status())  # type: ignore[attr-defined]


def log_failure(handler: BaseHandler, exc_info: Any) -> None:
    """What the answer's request id stands for: only our own failures have a traceback."""
    error = exc_info[1]
    if isinstance(error, StreamClosedError):
        return  # the client is gone, and has its access line
    if isinstance(error, NgShareError):
        if error.status >= 500:
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            log.error("%s: %s%s", handler.request_id, error.message, cause)
    elif not isinstance(error, HTTPError) or error.status_code >= 500:
        call = f"{handler.request.method} {handler.request.path}"
        log.error("%s: %s failed", handler.request_id, call, exc_info=exc_info)


class JupyterHubFilter(logging.Filter):
    """Leaves out what jupyterhub's login says that is secret, or no news to anybody."""

    LEFT_OUT = (
        "oauth state argument",  # with the state, and we say so without
        "Setting new xsrf cookie",  # with the id of the Hub's session
        "xsrf id mismatch",  # the same
        "Skipping XSRF check for insecure request",  # of every page on a Hub without TLS
        "No Hub user identified for request",  # the access log has the 401
    )

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(self.LEFT_OUT)

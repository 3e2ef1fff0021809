"""What the server's answers mean: JSON objects, or the errors that it raised."""

from __future__ import annotations

from typing import Any

import msgspec
import requests

from ngshare import errors
from ngshare.errors import ForeignAnswer, NgShareError, ServerUnreachable, TooLarge

BY_STATUS: dict[int, type[NgShareError]] = {
    kind.status: kind
    for kind in (
        errors.InvalidRequest,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.NotFound,
        errors.Conflict,
        errors.ContentLost,
        errors.TooLarge,
        errors.TooManyRequests,
        errors.StorageFull,
    )
}
BY_CODE: dict[str, type[NgShareError]] = {
    "database_unavailable": errors.DatabaseUnavailable,
    "hub_unavailable": errors.HubUnavailable,
    "missing_content": errors.MissingContent,
}


class Answer(dict[str, Any]):
    """The JSON object that a call ended with, without its key `success`."""

    def __missing__(self, key: str) -> Any:
        raise ForeignAnswer(
            f"The answer has no {key!r}: a server of ngshare 1.0 or newer is needed"
        )


def decode(response: requests.Response) -> Answer:
    """The JSON object in a response.

    Raises:
        ForeignAnswer: there is none.
        NgShareError: of the class that stands for a failure.
    """
    try:
        answer = Answer(msgspec.json.decode(response.content, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise foreign(response) from None
    success = answer.pop("success", None)
    if not isinstance(success, bool):
        raise foreign(response)
    if not success:
        raise _error(response, answer)
    return answer


def _error(response: requests.Response, answer: Answer) -> NgShareError:
    """What the server raised; its own classes' constructors are for the server."""
    status = response.status_code
    kind = BY_CODE.get(str(answer.get("code")), BY_STATUS.get(status, NgShareError))
    error = kind.__new__(kind)
    NgShareError.__init__(error, str(answer["message"]))
    error.status = status
    error.retry_after_seconds = _retry_after(response)
    if isinstance(error, errors.MissingContent):
        error.missing = [str(digest) for digest in answer["missing"]]
    return error


def foreign(response: requests.Response) -> NgShareError:
    """What an answer means that ngshare did not give."""
    status = response.status_code
    where, what = response.url.partition("?")[0], f"{status} {response.reason}"
    if status in (502, 503, 504):
        error = ServerUnreachable(
            f"{where} answers {what}: the proxy runs, but ngshare does not answer it", True
        )
        error.retry_after_seconds = _retry_after(response)
        return error
    if status == 413:
        return TooLarge("A proxy before ngshare refuses a request of this length")
    if "Location" in response.headers:
        target = response.headers["Location"]
        return ForeignAnswer(f"{where} is no ngshare: it redirects to {target}")
    kind = response.headers.get("Content-Type", "of no type")
    return ForeignAnswer(f"{where} is no ngshare: it answers {what}, {kind}")


def _retry_after(response: requests.Response) -> int | None:
    value = response.headers.get("Retry-After", "")
    return int(value) if value.isascii() and value.isdecimal() else None

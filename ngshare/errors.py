"""The conditions a call can end in; each knows its HTTP status.

The server raises them and turns them into answers in one place (handlers.base); a client turns
an answer's status back into the same class. Messages are part of the API's contract.
"""

from __future__ import annotations

import re

_CONTRACTS_WORDS = re.compile("[A-Za-z]+( [A-Za-z]+){1,5}")
_CAPITAL = re.compile("(?<!^)(?=[A-Z])")


class NgShareError(Exception):
    """A call ended in a condition that its caller should be told of.

    Attributes:
        message: what the caller reads, in full sentences or in the contract's words.
        status: the HTTP status that stands for the condition.
        retry_after_seconds: when trying again may help, else None.
    """

    status = 500
    retry_after_seconds: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        """The condition's name for programs: the contract's words or the class, as snake_case."""
        words = self.message if _CONTRACTS_WORDS.fullmatch(self.message) else ""
        return (words or _CAPITAL.sub(" ", type(self).__name__)).lower().replace(" ", "_")


class InvalidRequest(NgShareError):
    """The request can't be understood; it must be changed."""

    status = 400


class Unauthenticated(NgShareError):
    """Nobody, or a token that the Hub does not know."""

    status = 401


class PermissionDenied(NgShareError):
    """The caller is known and may not do this."""

    status = 403


class NotFound(NgShareError):
    """The thing named in the request does not exist."""

    status = 404


class Conflict(NgShareError):
    """What the request asks for contradicts what is there."""

    status = 409


class MissingContent(Conflict):
    """The call refers to contents that are not there, or not for the caller.

    Attributes:
        missing: their SHA-256, in hexadecimal, sorted.
    """

    def __init__(self, message: str, missing: list[str]) -> None:
        super().__init__(message)
        self.missing = missing


class ContentLost(NgShareError):
    """A file is known, but its bytes were lost by an earlier release."""

    status = 410


class TooLarge(NgShareError):
    """The body is over a limit; the message names it."""

    status = 413


class TooManyRequests(NgShareError):
    """The caller has done this too often; the message names the limit."""

    status = 429

    def __init__(self, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StorageFull(NgShareError):
    """The disk that the request needs room on is full; nothing was changed."""

    status = 507


class DamagedContent(NgShareError):
    """Bytes that come from the database are not those that were stored."""

    def __init__(self, digest: bytes) -> None:
        super().__init__(
            f"The content {digest.hex()} is damaged in the database: "
            "the admin should run `ngshare check` and restore a backup"
        )


class HubUnavailable(NgShareError):
    """The JupyterHub can't say who is calling.

    The status tells whose fault it is: 503 the Hub is down or slow, 502 it answered with an
    error, 500 it refuses ngshare's own token.
    """

    def __init__(self, message: str, status: int = 503) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = 5 if status in (502, 503) else None


class DatabaseUnavailable(NgShareError):
    """The database can't be reached, or was lost before it confirmed a change."""

    status = 503
    retry_after_seconds = 5


# What follows only clients know.


class NotConfigured(NgShareError):
    """The client has not been told where the server is, or was told something impossible."""


class ServerUnreachable(NgShareError):
    """Nothing answers at the server's address, or only a proxy that does not reach it.

    Attributes:
        may_have_arrived: whether the call may have been worked on all the same.
    """

    status = 503

    def __init__(self, message: str, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class ConnectionLost(NgShareError):
    """The call was sent, and no complete answer came back; it may have been worked on."""

    status = 502


class TimedOut(ConnectionLost):
    """The same, because the server was silent for too long."""

    status = 504


class ForeignAnswer(NgShareError):
    """Something answers that is no ngshare, or one too old or too new."""

    status = 502


class WrongContent(NgShareError):
    """Files that arrived are not those that the server announced, or must not be written."""

    status = 502


class LocalFileError(NgShareError):
    """A file on this side can't be read or written, or changed while it was read."""

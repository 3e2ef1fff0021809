"""One call over HTTP: how long it may take, what its end means, when it is repeated."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, ProxyError, SSLError
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from ngshare import __version__, wire
from ngshare.client.answers import Answer, decode, foreign
from ngshare.errors import (
    ConnectionLost,
    ForeignAnswer,
    NgShareError,
    NotConfigured,
    NotFound,
    ServerUnreachable,
    TimedOut,
    TooManyRequests,
)

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
FRAMING = {"content-length", "transfer-encoding"}  # one of them is in every answer


class LongBody(Protocol):
    """What can be sent block by block, again from the beginning for every try."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Transport:
    """Calls one server in one person's name; threads may share it.

    Attributes:
        url: with a slash at the end.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        user: str | None,
        timeouts: tuple[float, float],
        tries: int,
        connections: int,
    ) -> None:
        self.url = clean_url(url)
        self._user = user
        self._timeouts = timeouts
        self._tries = tries
        self._token = (token or "").strip()
        if not (self._token.isascii() and self._token.isprintable()):
            raise NotConfigured("The API token has characters that no token has")
        self._session = requests.Session()
        self._session.auth = self._authorize  # also keeps requests from looking into ~/.netrc
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"Accept": "application/json"})
        self._session.headers.update({"User-Agent": f"ngshare/{__version__}"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=max(10, connections)))

    def close(self) -> None:
        self._session.close()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"token {self._token}"
        return request

    def call(self, verb: str, *where: str, is_safe: bool = True, **options: Any) -> Answer:
        """The answer to a call, which is repeated if need be.

        Args:
            where: the segments of the URL, as people write them.
            is_safe: see repeat.
            options: see open.
        """
        was_lost = False

        def attempt() -> Answer:
            nonlocal was_lost
            try:
                return self.call_once(verb, *where, **options)
            except ConnectionLost:
                was_lost = True
                raise
            except NotFound:
                if was_lost and verb == "DELETE":  # so the one before succeeded
                    return Answer()
                raise

        return self.repeat(attempt, is_safe)

    def call_once(self, verb: str, *where: str, **options: Any) -> Answer:
        """The same without repeating it."""
        with self.open(verb, *where, **options) as response:
            return decode(response)

    def repeat(self, attempt: Callable[[], T], is_safe: bool = True) -> T:
        """The result of `attempt`, which may be tried again after failures that pass.

        These are: no connection, 429 that tells when to come back; and, where it `is_safe` to do
        twice what may have been done, lost connections, 502, 503, 504 and damaged contents. After
        a time-out there is a second try, no third. Waits double, with some chance in them, from
        half a second; a server's Retry-After is waited for, and ends the patience if it is more
        than 30 seconds.

        So with 5 tries a server that refuses connections is given up after 12 seconds; a host
        that does not answer after twice `connect_seconds` and one second (twice `read_seconds`
        for uploads); a silent server after twice `read_seconds` and one second.
        """
        timed_out = False
        for number in range(self._tries - 1):
            try:
                return attempt()
            except NgShareError as error:
                wait = error.retry_after_seconds or FIRST_WAIT_SECONDS * 2**number
                is_timeout = isinstance(error, TimedOut) or isinstance(
                    error.__cause__, requests.ConnectTimeout
                )
                is_enough = wait > LONGEST_WAIT_SECONDS or (is_timeout and timed_out)
                if is_enough or not _passes(error, is_safe):
                    raise
                timed_out = timed_out or is_timeout
                log.debug("%s; trying again in %.1f s", error, wait)
            time.sleep(wait * random.uniform(1, 1.5))
        return attempt()

    @contextmanager
    def open(
        self,
        verb: str,
        *where: str,
        query: Mapping[str, str | Iterable[str] | None] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: LongBody | None = None,
    ) -> Iterator[requests.Response]:
        """The response to a call that succeeded, whose body is read within the `with`."""
        for name in where:
            wire.check_name(name)
        url = self.url + "/".join(quote(name, safe="") for name in where)
        connect_seconds, read_seconds = self._timeouts
        if body is not None:  # while it is sent, urllib3 waits as long as for a connection
            connect_seconds = max(self._timeouts)
        try:
            with self._session.request(
                verb,
                url,
                params={**(query or {}), "user": self._user},
                headers=headers,
                data=form if body is None else body,
                timeout=(connect_seconds, read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.raw.version == 11 and not FRAMING & response.headers.keys():
                    # http.client takes what has arrived for all of the headers.
                    raise self._lost()
                if response.status_code != 200:
                    decode(response)
                    raise foreign(response)
                yield response
        except requests.RequestException as error:
            raise self._translate(error) from error

    def _translate(self, error: requests.RequestException) -> NgShareError:
        cause = error.args[0] if error.args else None
        if isinstance(error, (ValueError, InvalidHeader)):
            return NotConfigured(f"{self.url} can't be called: {error}")
        if isinstance(error, SSLError):
            return NotConfigured(
                f"{self.url} can't be trusted: {error}. The environment variable "
                "REQUESTS_CA_BUNDLE names a file of certificates to trust"
            )
        if isinstance(error, ProxyError):
            return ServerUnreachable(
                f"The proxy on the way to {self.url} fails; the environment variables HTTP_PROXY, "
                "HTTPS_PROXY and NO_PROXY tell when it is used"
            )
        if isinstance(error, requests.ConnectTimeout):
            return ServerUnreachable(f"Nothing answers at {self.url}")
        if isinstance(getattr(cause, "reason", None), NewConnectionError):
            return ServerUnreachable(f"Nothing listens at {self.url}")
        if isinstance(error, requests.ReadTimeout) or isinstance(cause, ReadTimeoutError):
            seconds = self._timeouts[1]
            return TimedOut(f"{self.url} was silent for {seconds:g} seconds in the midst of a call")
        return self._lost()

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"The connection to {self.url} broke off in the midst of a call")


def clean_url(url: str) -> str:
    """A base to which paths may be added.

    Raises:
        NotConfigured: it is no URL.
    """
    try:
        parts = urlsplit(url.strip())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment:
        raise NotConfigured(
            f"{url!r} is no URL of an ngshare; one is, for example, "
            "https://hub.example.org/services/ngshare/"
        )
    return parts.geturl().rstrip("/") + "/"


def _passes(error: NgShareError, is_safe: bool) -> bool:
    if isinstance(error, TooManyRequests):
        return error.retry_after_seconds is not None
    if isinstance(error, ServerUnreachable) and not error.may_have_arrived:
        return True
    return is_safe and error.status in (502, 503, 504) and not isinstance(error, ForeignAnswer)

"""Who is calling: asked of the JupyterHub, or, stand-alone, taken on trust."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from cachetools import TTLCache
from cryptography.fernet import Fernet, InvalidToken
from jupyterhub.services.auth import HubOAuth
from tornado.log import app_log
from tornado.web import HTTPError, RequestHandler
from traitlets import Float, Integer, default

from ngshare.errors import HubUnavailable, PermissionDenied
from ngshare.metrics import HubMetrics
from ngshare.permissions import Identity

MAX_CACHED_IDENTITIES = 50_000
REFUSAL_CACHE_SECONDS = 5
MAX_NEXT_URL = 1000  # the login's state is in a cookie, and browsers keep 4,096 bytes


def derive_key(service_token: str, purpose: str) -> bytes:
    """A 32-byte key that every replica and every restart of the service arrives at alike."""
    return hmac.digest(service_token.encode(), f"ngshare {purpose}".encode(), "sha256")


class HubAuthenticator(HubOAuth):
    """Identifies callers by their Hub API token, from the header or from the login's cookie.

    An answer of the Hub is remembered for `identity_cache_seconds`, a failure of the Hub never;
    concurrent calls with one token ask once. The state of a login travels encrypted with the
    browser, so that any replica can finish what another began.
    """

    identity_cache_seconds = Integer(60)
    hub_timeout_seconds = Float(10.0)

    def __init__(
        self,
        *,
        admins: Collection[str],
        admin_services: Collection[str],
        course_groups: bool = False,
        required_scopes: Collection[str] = (),
        **traits: Any,
    ) -> None:
        super().__init__(**traits)
        self._admins = frozenset(admins)
        self._admin_services = frozenset(admin_services)
        self._course_groups = course_groups
        self._required_scopes = set(required_scopes)
        self._secrets = {
            purpose: Fernet(urlsafe_b64encode(derive_key(self.api_token, purpose)))
            for purpose in ("cookies", "login states")
        }
        self._known: TTLCache[str, dict[str, Any]] = TTLCache(
            MAX_CACHED_IDENTITIES, self.identity_cache_seconds
        )
        self._unknown: TTLCache[str, None] = TTLCache(
            MAX_CACHED_IDENTITIES, min(REFUSAL_CACHE_SECONDS, self.identity_cache_seconds)
        )
        self.metrics = HubMetrics()
        self._asking: dict[str, asyncio.Task[dict[str, Any] | None]] = {}

    @default("access_scopes")
    def _no_default_scopes(self) -> set[str]:
        return set(self._required_scopes)

    async def identify(self, handler: RequestHandler) -> Identity | None:
        """The caller, or None for a missing or unknown token.

        Raises:
            PermissionDenied: the token lacks the required scope, or XSRF protection failed.
            HubUnavailable: the Hub can't tell.
        """
        model = await self.get_user(handler, sync=False)
        if model is None:
            return None
        if self._required_scopes and not self.check_scopes(self._required_scopes, model):
            raise PermissionDenied(
                "This token lacks the scope " + " or ".join(sorted(self._required_scopes))
            )
        is_service = model.get("kind") == "service"
        admins = self._admin_services if is_service else self._admins
        return Identity(
            model["name"],
            is_service,
            is_admin=model["name"] in admins,
            taught=self._courses("formgrade-", model),
            attended=self._courses("nbgrader-", model),
        )

    def _courses(self, prefix: str, model: dict[str, Any]) -> frozenset[str]:
        """The courses for which a user is in a group of the Hub; services are in none."""
        counts = self._course_groups and model.get("kind") != "service"
        groups = model.get("groups") or [] if counts else []
        return frozenset(each.removeprefix(prefix) for each in groups if each.startswith(prefix))

    async def user_for_token(
        self, token: str, use_cache: bool = True, session_id: str = "", *, sync: bool = False
    ) -> dict[str, Any] | None:
        """The Hub's model of a token's owner, or None for an unknown token.

        Called by jupyterhub's own code for header tokens, cookies and the end of a login.
        """
        key = hashlib.sha256(f"{session_id}:{token}".encode()).hexdigest()
        if use_cache:
            with suppress(KeyError):  # also if it expires just now
                known = self._known[key]
                self.metrics.cache_hits.inc()
                return known
            if key in self._unknown:
                self.metrics.cache_hits.inc()
                return None
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._ask_hub(token))
            task.add_done_callback(lambda _: self._asking.pop(key))
        model = await asyncio.shield(task)
        if model is None:
            self._unknown[key] = None
        else:
            self._known[key] = model
        return model

    async def _ask_hub(self, token: str) -> dict[str, Any] | None:
        started = time.perf_counter()
        outcome = "failed"
        try:
            model = await self._ask_hub_in_time(token)
            outcome = "known" if model else "unknown"
            return model
        finally:
            self.metrics.calls[outcome].observe(time.perf_counter() - started)

    async def _ask_hub_in_time(self, token: str) -> dict[str, Any] | None:
        question = super().user_for_token(token, use_cache=False, sync=False)
        try:
            return await asyncio.wait_for(question, self.hub_timeout_seconds)
        except asyncio.TimeoutError:
            app_log.error("%s did not answer within %s s", self.api_url, self.hub_timeout_seconds)
            raise HubUnavailable(
                f"The JupyterHub at {self.api_url} did not answer within "
                f"{self.hub_timeout_seconds:g} seconds"
            ) from None
        except HTTPError as error:
            # jupyterhub has logged the details: 502 is an error of the Hub, and any other one
            # stands for a connection that failed or for a URL that is no Hub.
            if error.status_code == 502:
                raise HubUnavailable(
                    f"The JupyterHub at {self.api_url} answered with an error", status=502
                ) from error
            raise HubUnavailable(f"The JupyterHub at {self.api_url} cannot be reached") from error
        except Exception as error:  # what they are depends on jupyterhub's HTTP client
            app_log.error("%s did not answer as a Hub: %s", self.api_url, error)
            raise HubUnavailable(
                f"The JupyterHub at {self.api_url} answered with an error", status=502
            ) from error

    async def token_for_code(self, code: str, **options: Any) -> str:
        """The user's token at the end of a login.

        Raises:
            HubUnavailable: the Hub is down, slow, or refuses ngshare's own token.
        """
        exchange = super().token_for_code(code, **options)
        try:
            return await asyncio.wait_for(exchange, self.hub_timeout_seconds)
        except Exception as error:
            await self.check_own_token()
            raise HubUnavailable(
                f"The JupyterHub at {self.api_url} did not complete the login; try again",
                status=502,
            ) from error

    async def check_own_token(self) -> None:
        """Ask the Hub for ourselves.

        Raises:
            HubUnavailable: the Hub is down or slow, or (500) does not know our token.
        """
        if await self._ask_hub(self.api_token) is None:
            raise HubUnavailable(
                f"The JupyterHub at {self.api_url} refuses ngshare's own API token: "
                "give the service the token that the Hub's configuration has for it",
                status=500,
            )

    # What jupyterhub keeps in this process's memory or in readable cookies, we encrypt.

    def encrypt(self, purpose: str, text: str) -> str:
        return self._secrets[purpose].encrypt(text.encode()).decode()

    def decrypt(self, purpose: str, text: str, max_age_seconds: int | None = None) -> str | None:
        """What encrypt was given, or None if it was not us, or too long ago."""
        try:
            return self._secrets[purpose].decrypt(text.encode(), max_age_seconds).decode()
        except InvalidToken:
            return None

    def generate_state(self, next_url: str | None = None, **extra_state: str) -> str:
        if next_url and len(next_url) > MAX_NEXT_URL:
            next_url = None
        return self.encrypt("login states", json.dumps({"next_url": next_url, **extra_state}))

    def _decode_state(self, state_id: str, /) -> dict[str, str]:
        state = self.decrypt("login states", state_id, self.oauth_state_max_age)
        return json.loads(state) if state else {}

    def clear_oauth_state(self, state_id: str) -> None:
        """Nothing to clear: the cookies were all there is."""


class StandAloneAuthenticator:
    """For trying and testing without a Hub: believes the parameter `user`."""

    def __init__(self, admins: Collection[str]) -> None:
        self._admins = frozenset(admins)

    def identify(self, name: str | None) -> Identity | None:
        return Identity(name, is_admin=name in self._admins) if name else None

"""Who calls: the Hub's login, its cookies, and the stand-alone mode's names."""

from __future__ import annotations

from typing import Any

from jupyterhub.services.auth import HubOAuthenticated
from jupyterhub.utils import get_browser_protocol
from tornado.web import HTTPError, RequestHandler

from ngshare.auth import HubAuthenticator, StandAloneAuthenticator
from ngshare.errors import PermissionDenied, Unauthenticated
from ngshare.permissions import Identity


class Login(HubOAuthenticated, RequestHandler):
    """What jupyterhub's login needs of every handler, without waiting for the Hub."""

    default_user: str | None = None  # who a call without a name is, stand-alone
    _identity: Identity | None = None

    @property
    def hub_auth(self) -> HubAuthenticator:
        return self.settings["authenticator"]

    @property
    def stand_alone(self) -> bool:
        return isinstance(self.settings["authenticator"], StandAloneAuthenticator)

    def argument(self, name: str) -> str | None:
        raise NotImplementedError

    async def authenticate(self) -> None:
        """Ask the Hub who is calling.

        Raises:
            Unauthenticated: nobody that it knows.
            NgShareError: see HubAuthenticator.identify.
        """
        if self.stand_alone:
            return  # the name may be in the body, see identity
        self._identity = await self.hub_auth.identify(self)
        if self._identity is None:
            raise Unauthenticated("Login required")

    @property
    def identity(self) -> Identity:
        """The caller."""
        if self._identity is None and self.stand_alone:
            name = self.argument("user") or self.default_user
            self._identity = self.settings["authenticator"].identify(name)
        if self._identity is None:
            raise Unauthenticated("Login required")
        return self._identity

    @property
    def browser_protocol(self) -> str:
        """What the browser speaks to the outermost proxy: http or https."""
        return get_browser_protocol(self.request)

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
        self.set_cookie(
            name, self.hub_auth.encrypt("cookies", value), expires_days=expires_days, **options
        )

    def get_secure_cookie(self, name: str) -> bytes | None:  # type: ignore[override]
        cookie = self.get_cookie(name)
        text = self.hub_auth.decrypt("cookies", cookie) if cookie else None
        return text.encode() if text is not None else None

    def is_browser(self) -> bool:
        """Whether a person is looking, who can be sent to the Hub's login."""
        return (
            self.request.method in ("GET", "HEAD")
            and "text/html" in self.request.headers.get("Accept", "")
            and not self.stand_alone
        )

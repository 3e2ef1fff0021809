"""/metrics: the service's numbers, for Prometheus."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from ngshare.errors import PermissionDenied
from ngshare.handlers.base import BaseHandler
from ngshare.metrics import CONTENT_TYPE

# A proxy on this machine connects from the loopback address too, for whoever calls it.
SIGNS_OF_A_PROXY = ("X-Forwarded-For", "X-Real-IP", "Forwarded")


class MetricsHandler(BaseHandler):
    """Public as far as the Hub's login goes: programs that collect numbers have no user."""

    public = True

    async def get(self) -> None:
        if not (self._is_local() or self._has_token()):
            await self.authenticate()
            if not self.identity.is_admin:
                raise PermissionDenied(
                    "The metrics are for admins, for calls with the metrics_token, and for direct "
                    "calls from this machine"
                )
        self.set_header("Content-Type", CONTENT_TYPE)
        # Prometheus would keep the connection, and with it to one of several processes.
        self.set_header("Connection", "close")
        # On the loop, because it must be told also while no thread is free.
        self.finish(self.settings["metrics"].render())

    def _is_local(self) -> bool:
        if any(header in self.request.headers for header in SIGNS_OF_A_PROXY):
            return False
        return ip_address(self.request.remote_ip or "0.0.0.0").is_loopback

    def _has_token(self) -> bool:
        token = self.settings["metrics_token"]
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        return (
            bool(token)
            and kind.lower() == "bearer"
            and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
        )

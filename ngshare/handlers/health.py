"""/healthz: this process is alive."""

from __future__ import annotations

from ngshare.handlers.base import BaseHandler


class HealthHandler(BaseHandler):
    public = True

    async def get(self) -> None:
        self.answer()

"""/healthz: this process is alive. /readyz: it can serve calls."""

from __future__ import annotations

import asyncio

from ngshare.handlers.base import BaseHandler
from ngshare.readiness import Readiness


class HealthHandler(BaseHandler):
    public = True

    async def get(self) -> None:
        self.answer()


class ReadyHandler(BaseHandler):
    public = True

    async def get(self) -> None:
        stopping: asyncio.Event = self.settings["stopping"]
        readiness: Readiness = self.settings["readiness"]
        reason = "ngshare is stopping" if stopping.is_set() else await readiness.obstacle()
        if reason is None:
            self.answer()
        else:
            self.set_status(503)
            answer = {"message": reason, "code": "not_ready", "request_id": self.request_id}
            self._send_json({"success": False, **answer})

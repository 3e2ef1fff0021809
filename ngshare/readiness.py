"""Whether the database can be worked with: asked at most once a second, however many ask."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress

from ngshare.database.engine import Database
from ngshare.database.upgrade import current_revision, head_revision, known_revisions
from ngshare.errors import DatabaseUnavailable

log = logging.getLogger("ngshare")

CACHE_SECONDS = 1
WAIT_SECONDS = 1.5  # probes of Kubernetes wait for 1 s unless told otherwise; the docs say 2


class Readiness:
    """Asks in a thread of its own: all others may be waiting for a database that hangs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._head = head_revision()
        self._known = known_revisions()
        self._answer: asyncio.Future[str | None] | None = None
        self._answered_at = 0.0

    async def obstacle(self) -> str | None:
        """Why the database can't be worked with, or None if it can; within WAIT_SECONDS."""
        loop = asyncio.get_running_loop()
        if self._answer is None or (
            self._answer.done() and loop.time() > self._answered_at + CACHE_SECONDS
        ):
            answer = loop.create_future()
            # A daemon, because a database that hangs must not keep the process from ending.
            threading.Thread(target=self._ask, args=(loop, answer), daemon=True).start()
            self._answer = answer
        try:
            return await asyncio.wait_for(asyncio.shield(self._answer), WAIT_SECONDS)
        except asyncio.TimeoutError:
            return "The database does not answer"

    def _ask(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[str | None]) -> None:
        result = self._look()

        def deliver() -> None:
            self._answered_at = loop.time()
            answer.set_result(result)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(deliver)

    def _look(self) -> str | None:
        try:
            self._database.check_file()
            revision = self._database.read(current_revision)
            # A newer release upgrades while replicas of this one go on, for which it has room.
            if revision != self._head and (revision is None or revision in self._known):
                return "The database does not have the schema of this release"
        except DatabaseUnavailable as error:
            return error.message.partition(";")[0]
        except Exception:
            log.exception("The database can't be asked for its schema")
            return "The database fails; ngshare's log has the cause"
        return None

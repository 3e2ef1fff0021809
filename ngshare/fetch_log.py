"""Writes down who has fetched what: a moment later, and many fetches at a time."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timezone
from itertools import islice

from ngshare.database.engine import Database
from ngshare.errors import NgShareError
from ngshare.fetches import Fetched, record_fetches

log = logging.getLogger("ngshare")

DELAY_SECONDS = 1.0
AT_ONCE = 1000  # in a transaction
MOST = 10_000  # that wait, and again so many that are known to be written


class FetchLog:
    """Fetches on their way to the database, so that none of them costs a transaction.

    Those of the last moment are lost with a process that is killed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[Fetched, datetime] = {}
        self._written: set[Fetched] = set()
        self._writing: asyncio.Task[None] | None = None
        self._is_failing = False

    def note(self, fetched: Fetched) -> None:
        """Let a fetch that happened now be written soon, unless it was lately."""
        if fetched in self._written or fetched in self._waiting or len(self._waiting) >= MOST:
            return
        self._waiting[fetched] = datetime.now(timezone.utc)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_soon())

    async def _write_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(DELAY_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what waits. What can't be written goes on waiting, and the log says why, once."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = dict(islice(self._waiting.items(), AT_ONCE))
            try:
                await loop.run_in_executor(
                    self._database.writers, self._database.write, record_fetches, batch
                )
            except Exception as error:
                self._complain(error)
                return
            for fetched in batch:
                self._waiting.pop(fetched, None)
            if len(self._written) >= MOST:
                self._written.clear()
            self._written.update(batch)
            self._is_failing = False

    def _complain(self, error: Exception) -> None:
        if self._is_failing:
            return
        self._is_failing = True
        log.warning(
            "It can't be written down who fetches assignments: %s. This is tried again and again, "
            "and up to %d fetches are kept meanwhile",
            error.message if isinstance(error, NgShareError) else error,
            MOST,
            exc_info=None if isinstance(error, NgShareError) else error,
        )

    async def close(self) -> None:
        """Write what waits, for the last time."""
        if self._writing is not None:
            self._writing.cancel()
        await self.write()
        if self._waiting:
            log.warning("%d fetches of assignments were not written down", len(self._waiting))

"""Short reads, taken to a thread and back together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ngshare.database.engine import Database

T = TypeVar("T")

Asked = tuple["asyncio.Future[Any]", "Callable[[Connection], Any]"]


class Batches:
    """Reads in a thread and a transaction: all that were asked for in one turn of the event loop.

    To hand one short function over to a thread and to get its result costs more than to run it,
    since both sides then compete for Python's lock; under load many share that cost here, and
    that of the transaction. While a batch is running the next one gathers.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[Asked] = []
        self._is_running = False

    def read(self, function: Callable[[Connection], T]) -> asyncio.Future[T]:
        """The future result of function(connection)."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if not self._waiting and not self._is_running:
            loop.call_soon(self._send, loop)
        self._waiting.append((future, function))
        return future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        self._is_running = True
        self._database.readers.submit(self._run, loop, batch)

    def _run(self, loop: asyncio.AbstractEventLoop, batch: list[Asked]) -> None:
        outcomes = self._database.read_together([function for _, function in batch])
        loop.call_soon_threadsafe(self._deliver, loop, batch, outcomes)

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[Asked],
        outcomes: list[tuple[Any, Exception | None]],
    ) -> None:
        self._is_running = False
        if self._waiting:
            self._send(loop)
        for (future, _), (result, error) in zip(batch, outcomes, strict=True):
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

"""Transactions, taken to a thread and back together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

from ngshare.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ngshare.database.engine import Functions, Outcome

T = TypeVar("T")

LARGEST = 128  # a batch, else those at its beginning wait long for those at its end


class Batches:
    """Transactions in a thread, each for all who asked in one turn of the event loop.

    To hand one short function over to a thread and to get its result costs more than to run it,
    since both sides then compete for Python's lock; under load many share that cost here, and
    that of the transaction. While batches are running the next one gathers.

    Args:
        run_together: Database.read_together or write_together.
        at_once: how many batches may run beside each other: more than one where they spend
            their time waiting for a server, though with each more the batches get smaller.
    """

    def __init__(
        self,
        executor: Executor,
        run_together: Callable[[Functions], list[Outcome]],
        at_once: int = 1,
    ) -> None:
        self._executor = executor
        self._run_together = run_together
        self._free = at_once
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[Connection], Any]]] = []

    def __len__(self) -> int:
        """How many wait for the next batch."""
        return len(self._waiting)

    def run(self, function: Callable[[Connection], T]) -> asyncio.Future[T]:
        """The future result of function(connection)."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if not self._waiting and self._free:
            loop.call_soon(self._send, loop)
        self._waiting.append((future, function))
        return future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and self._free:
            batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            futures, functions = zip(*batch, strict=True)
            try:
                self._executor.submit(self._run, loop, futures, functions)
            except RuntimeError as error:  # the service ends, or can't start a thread
                _fail(futures, error)
            else:
                self._free -= 1

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: Sequence[asyncio.Future[Any]],
        functions: Functions,
    ) -> None:
        if all(future.done() for future in futures):
            return  # they were told that there was no thread
        outcomes = self._run_together(functions)
        loop.call_soon_threadsafe(self._deliver, loop, futures, outcomes)

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: Sequence[asyncio.Future[Any]],
        outcomes: list[Outcome],
    ) -> None:
        self._free += 1
        self._send(loop)
        for future, (result, error) in zip(futures, outcomes, strict=True):
            if future.done():  # its caller is gone
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def _fail(futures: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            unavailable = DatabaseUnavailable("The server has no thread for this")
            unavailable.__cause__ = error
            future.set_exception(unavailable)

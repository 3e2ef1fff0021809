"""Short reads, taken to a thread and back together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Batches:
    """Runs functions in a thread: all that were asked for in one turn of the event loop at once.

    To hand one short function over to a thread and to get its result costs more than to run it,
    since both sides then compete for Python's lock; under load many share that cost here. While
    a batch is running the next one gathers.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self._is_running = False

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """The future result of function(), from a thread."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if not self._waiting and not self._is_running:
            loop.call_soon(self._send, loop)
        self._waiting.append((future, function))
        return future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        self._is_running = True
        self._executor.submit(self._run, loop, batch)

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[asyncio.Future[Any], Callable[[], Any]]],
    ) -> None:
        outcomes: list[Outcome] = []
        for future, function in batch:
            try:
                outcomes.append((future, function(), None))
            except BaseException as error:
                outcomes.append((future, None, error))
        loop.call_soon_threadsafe(self._deliver, loop, outcomes)

    def _deliver(self, loop: asyncio.AbstractEventLoop, outcomes: list[Outcome]) -> None:
        self._is_running = False
        if self._waiting:
            self._send(loop)
        for future, result, error in outcomes:
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

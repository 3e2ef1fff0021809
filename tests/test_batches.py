"""Short reads that go to a thread together: each caller gets what is his."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ngshare.handlers.batches import Batches


class Recorder(ThreadPoolExecutor):
    """One thread that counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(1)
        self.submitted = 0

    def submit(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.submitted += 1
        return super().submit(*args, **kwargs)


@pytest.fixture
def executor() -> Recorder:
    return Recorder()


def test_results_and_errors_reach_those_who_asked(executor: Recorder) -> None:
    async def ask() -> None:
        batches = Batches(executor)
        asked = [batches.run(lambda n=n: 10 // n) for n in (5, 0, 2)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert results[0] == 2
        assert isinstance(results[1], ZeroDivisionError)
        assert results[2] == 5
        assert executor.submitted == 1
        assert await batches.run(lambda: "next") == "next"

    asyncio.run(ask())
    executor.shutdown()


def test_what_is_asked_for_meanwhile_goes_together_next(executor: Recorder) -> None:
    async def ask() -> None:
        batches, may_end = Batches(executor), threading.Event()
        first = batches.run(lambda: may_end.wait(10))
        await asyncio.sleep(0.05)
        later = [batches.run(lambda n=n: n) for n in range(20)]
        await asyncio.sleep(0.05)
        assert executor.submitted == 1
        may_end.set()
        assert await asyncio.gather(*later) == list(range(20))
        assert await first is True
        assert executor.submitted == 2

    asyncio.run(ask())
    executor.shutdown()


def test_who_goes_away_does_not_disturb_the_others(executor: Recorder) -> None:
    async def ask() -> None:
        batches = Batches(executor)
        one, other = batches.run(lambda: 1), batches.run(lambda: 2)
        one.cancel()
        assert await other == 2
        assert await batches.run(lambda: 3) == 3

    asyncio.run(ask())
    executor.shutdown()

"""Short reads that go to a thread together: each caller gets what is his."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from ngshare import courses
from ngshare.database.engine import Database
from ngshare.errors import NotFound
from ngshare.handlers.batches import Batches
from ngshare.permissions import Identity

ROOT = Identity("root", is_service=False, is_admin=True)


@pytest.fixture
def begun(database: Database) -> Iterator[list[Connection]]:
    """The transactions that were begun."""
    connections: list[Connection] = []

    def begin(connection: Connection) -> None:
        connections.append(connection)

    event.listen(database.engine, "begin", begin)
    yield connections
    event.remove(database.engine, "begin", begin)


def number(connection: Connection) -> int:
    return connection.scalar(text("SELECT 42"))


def no_such_table(connection: Connection) -> None:
    connection.execute(text("SELECT * FROM nowhere"))


def not_found(connection: Connection) -> None:
    raise NotFound("Course not found")


def test_results_and_errors_reach_those_who_asked(
    database: Database, begun: list[Connection]
) -> None:
    async def ask() -> None:
        batches = Batches(database)
        asked = [batches.read(function) for function in (number, not_found, number)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results[1], NotFound)
        assert (results[0], results[2]) == (42, 42)
        assert len(begun) == 1
        assert await batches.read(number) == 42
        assert len(begun) == 2

    asyncio.run(ask())


def test_an_error_of_the_database_is_only_his_who_made_it(database: Database) -> None:
    async def ask() -> None:
        batches = Batches(database)
        asked = [batches.read(function) for function in (number, no_such_table, number)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results[1], DBAPIError)
        assert (results[0], results[2]) == (42, 42)
        assert await batches.read(number) == 42

    asyncio.run(ask())


def test_what_was_committed_before_one_asks_is_seen(database: Database) -> None:
    """Also by one who waits for a batch that began before the commit."""

    async def ask() -> None:
        batches, may_end, has_begun = Batches(database), threading.Event(), threading.Event()

        def wait(connection: Connection) -> list[str]:
            before = courses.list_courses(connection, ROOT)
            has_begun.set()
            may_end.wait(10)
            return before

        first = batches.read(wait)
        await asyncio.to_thread(has_begun.wait, 10)
        await asyncio.to_thread(database.write, courses.create_course, ROOT, "c", [])
        second = batches.read(lambda connection: courses.list_courses(connection, ROOT))
        may_end.set()
        assert await first == []
        assert await second == ["c"]

    asyncio.run(ask())


def test_what_is_asked_for_meanwhile_goes_together_next(
    database: Database, begun: list[Connection]
) -> None:
    async def ask() -> None:
        batches, may_end = Batches(database), threading.Event()
        first = batches.read(lambda _: may_end.wait(10))
        await asyncio.sleep(0.05)
        later = [batches.read(lambda _, n=n: n) for n in range(20)]
        await asyncio.sleep(0.05)
        may_end.set()
        assert await asyncio.gather(*later) == list(range(20))
        assert await first is True

    asyncio.run(ask())
    assert len(begun) <= 2


def test_who_goes_away_does_not_disturb_the_others(database: Database) -> None:
    async def ask() -> None:
        batches = Batches(database)
        one, other = batches.read(number), batches.read(number)
        one.cancel()
        assert await other == 42
        assert await batches.read(number) == 42

    asyncio.run(ask())

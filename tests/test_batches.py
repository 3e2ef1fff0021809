"""Short reads that go to a thread together: each caller gets what is his."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from ngshare import courses
from ngshare.database.engine import Database
from ngshare.errors import Conflict, DatabaseUnavailable, NotFound
from ngshare.handlers.batches import LARGEST, Batches
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


def reading(database: Database) -> Batches:
    return Batches(database.readers, database.read_together)


def writing(database: Database) -> Batches:
    return Batches(database.writers, database.write_together)


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
        batches = reading(database)
        asked = [batches.run(function) for function in (number, not_found, number)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results[1], NotFound)
        assert (results[0], results[2]) == (42, 42)
        assert len(begun) == 1
        assert await asyncio.gather(batches.run(number), batches.run(number)) == [42, 42]
        assert len(begun) == 2

    asyncio.run(ask())


def test_an_error_of_the_database_is_only_his_who_made_it(database: Database) -> None:
    async def ask() -> None:
        batches = reading(database)
        asked = [batches.run(function) for function in (number, no_such_table, number)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results[1], DBAPIError)
        assert (results[0], results[2]) == (42, 42)
        assert await batches.run(number) == 42

    asyncio.run(ask())


def test_what_was_committed_before_one_asks_is_seen(database: Database) -> None:
    """Also by one who waits for a batch that began before the commit."""

    async def ask() -> None:
        batches, may_end, has_begun = (
            reading(database),
            threading.Event(),
            threading.Event(),
        )

        def wait(connection: Connection) -> list[str]:
            before = courses.list_courses(connection, ROOT)
            has_begun.set()
            may_end.wait(10)
            return before

        first = batches.run(wait)
        await asyncio.to_thread(has_begun.wait, 10)
        await asyncio.to_thread(database.write, courses.create_course, ROOT, "c", [])
        second = batches.run(lambda connection: courses.list_courses(connection, ROOT))
        may_end.set()
        assert await first == []
        assert await second == ["c"]

    asyncio.run(ask())


def test_what_is_asked_for_meanwhile_goes_together_next(
    database: Database, begun: list[Connection]
) -> None:
    async def ask() -> None:
        batches, may_end = reading(database), threading.Event()
        first = batches.run(lambda _: may_end.wait(10))
        await asyncio.sleep(0.05)
        later = [batches.run(lambda _, n=n: n) for n in range(20)]
        await asyncio.sleep(0.05)
        may_end.set()
        assert await asyncio.gather(*later) == list(range(20))
        assert await first is True

    asyncio.run(ask())
    assert len(begun) <= 2


def test_who_goes_away_does_not_disturb_the_others(database: Database) -> None:
    async def ask() -> None:
        batches = reading(database)
        one, other = batches.run(number), batches.run(number)
        one.cancel()
        assert await other == 42
        assert await batches.run(number) == 42

    asyncio.run(ask())


def create(name: str) -> Callable[[Connection], None]:
    return lambda connection: courses.create_course(connection, ROOT, name, ["kevin"])


def test_writes_together_share_a_commit(database: Database, begun: list[Connection]) -> None:
    async def ask() -> None:
        batches = writing(database)
        await asyncio.gather(*(batches.run(create(name)) for name in "abc"))

    asyncio.run(ask())
    assert len(begun) == 1
    assert database.read(courses.list_courses, ROOT) == ["a", "b", "c"]


def test_of_a_write_that_fails_nothing_is_kept_and_the_others_are_done(database: Database) -> None:
    def half(connection: Connection) -> None:
        create("half")(connection)
        not_found(connection)

    async def ask() -> None:
        batches = writing(database)
        functions = (create("a"), half, create("a"), create("b"))
        asked = [batches.run(function) for function in functions]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), NotFound, Conflict, type(None)]

    asyncio.run(ask())
    assert database.read(courses.list_courses, ROOT) == ["a", "b"]


def test_a_batch_whose_commit_is_lost_is_not_repeated(database: Database) -> None:
    """It may have been done: each caller is told to look."""

    def lose(connection: Connection) -> None:
        raise DBAPIError("COMMIT", None, Exception("gone"), connection_invalidated=True)

    event.listen(database.engine, "commit", lose)
    tries: list[str] = []

    def write(connection: Connection, name: str) -> None:
        number(connection)
        tries.append(name)

    async def ask() -> None:
        batches = writing(database)
        asked = [batches.run(lambda c, name=name: write(c, name)) for name in "ab"]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(result, DatabaseUnavailable) for result in results)

    try:
        asyncio.run(ask())
    finally:
        event.remove(database.engine, "commit", lose)
    assert tries == ["a", "b"]


def test_a_refusal_before_any_change_undoes_nothing(
    database: Database, begun: list[Connection]
) -> None:
    if not database.is_sqlite:
        return  # which doesn't share commits

    async def ask() -> None:
        batches = writing(database)
        functions = (create("a"), create("a"), not_found, create("b"))
        asked = [batches.run(function) for function in functions]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Conflict, NotFound, type(None)]

    asyncio.run(ask())
    assert len(begun) == 1
    assert database.read(courses.list_courses, ROOT) == ["a", "b"]


def test_a_database_that_is_locked_is_waited_for_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        return

    def wait_shortly(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout=500")

    event.listen(database.engine, "checkout", wait_shortly)
    other = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def ask() -> None:
        batches = writing(database)
        asked = [batches.run(create(f"c{number}")) for number in range(6)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseUnavailable}
        assert "is locked by another program; nothing was changed" in results[0].message

    start = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - start < 1
    other.close()
    assert database.read(courses.list_courses, ROOT) == []


def test_without_a_thread_the_caller_is_told_and_later_calls_are_done(database: Database) -> None:
    class NoThread(ThreadPoolExecutor):
        fails = True

        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            if self.fails:
                raise RuntimeError("can't start new thread")
            return super().submit(*args, **kwargs)

    async def ask() -> None:
        executor = NoThread(1)
        batches = Batches(executor, database.read_together)
        with pytest.raises(DatabaseUnavailable, match="no thread"):
            await batches.run(number)
        executor.fails = False
        assert await batches.run(number) == 42
        executor.shutdown()

    asyncio.run(ask())


def test_a_long_queue_is_taken_in_several_batches(
    database: Database, begun: list[Connection]
) -> None:
    async def ask() -> None:
        batches = reading(database)
        asked = [batches.run(number) for _ in range(2 * LARGEST + 1)]
        assert await asyncio.gather(*asked) == [42] * (2 * LARGEST + 1)

    asyncio.run(ask())
    assert len(begun) == 3

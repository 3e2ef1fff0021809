"""Garbage: what nothing refers to goes, in time, and nothing else ever does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from ngshare import service
from ngshare.app import NgShare
from ngshare.database import blobs, garbage, snapshots
from ngshare.database.engine import Database
from ngshare.database.garbage import Removed
from ngshare.database.models import Blob
from tests.api import Api, encode
from tests.ports import reserve_port
from tests.tables import pack_directory, read_tables
from tests.test_app import Service, environment, run, wait_for
from tests.test_races import MANY_MEGABYTES, download_while

HOUR = 3600


def collect(database: Database, grace_seconds: float = HOUR) -> Removed:
    return sum(garbage.collect(database, grace_seconds), Removed())


def put_blobs(database: Database, *contents: bytes) -> None:
    database.write(blobs.put, [blobs.pack(content) for content in contents])


def marks(database: Database) -> list[datetime | None]:
    """The unused_since of all blobs."""
    return database.read(lambda c: list(c.scalars(select(Blob.unused_since))))


def age(database: Database, seconds: float) -> None:
    """Let all marks be older than they are."""

    def write(connection: Connection) -> None:
        for row in connection.execute(select(Blob).where(Blob.unused_since.is_not(None))).all():
            older = row.unused_since - timedelta(seconds=seconds)
            blob = update(Blob).where(Blob.digest == row.digest)
            connection.execute(blob.values(unused_since=older))

    database.write(write)


def give_feedback(course: Api, timestamp: str, files: dict[str, bytes]) -> None:
    path = "feedback/course1/challenge/lawrence"
    course.user("kevin").ok("POST", path, timestamp=timestamp, files=encode(files))


def test_replaced_feedback_goes_at_once_and_its_bytes_after_the_grace(
    course: Api, database: Database
) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
    give_feedback(course, timestamp, {"old": b"old", "both": b"both"})
    give_feedback(course, timestamp, {"new": b"new", "both": b"both"})
    assert collect(database) == Removed(snapshots=1)
    assert len(read_tables(database)["blobs"]) == 5
    age(database, HOUR - 10)
    assert collect(database) == Removed()
    age(database, 20)
    assert collect(database) == Removed(blobs=1, stored_bytes=3)
    tables = read_tables(database)
    assert (len(tables["blobs"]), len(tables["blob_chunks"])) == (4, 4)
    feedback = course.user("lawrence").files(
        "feedback/course1/challenge/lawrence", timestamp=timestamp
    )
    assert feedback == {"new": b"new", "both": b"both"}


def test_bytes_that_are_yet_to_be_referred_to_are_marked_first_whatever_the_grace(
    database: Database,
) -> None:
    put_blobs(database, b"just uploaded")
    before = datetime.now(timezone.utc)
    assert collect(database, 0) == Removed()
    [mark] = marks(database)
    assert mark
    assert before <= mark <= datetime.now(timezone.utc)
    assert collect(database, 0) == Removed(blobs=1, stored_bytes=13)
    assert marks(database) == []


def test_a_mark_does_not_grow_younger_from_run_to_run(database: Database) -> None:
    put_blobs(database, b"1")
    collect(database)
    first = marks(database)
    collect(database)
    assert marks(database) == first


def test_bytes_that_are_uploaded_again_have_the_whole_grace_again(database: Database) -> None:
    put_blobs(database, b"1")
    collect(database)
    age(database, 2 * HOUR)
    put_blobs(database, b"1")
    assert marks(database) == [None]
    assert collect(database) == Removed()
    assert len(marks(database)) == 1


def test_bytes_that_are_used_again_lose_their_mark(course: Api, database: Database) -> None:
    """Also if the previous release, which knows of no marks, referred to them."""
    database.write(
        lambda c: c.execute(update(Blob).values(unused_since=datetime.now(timezone.utc)))
    )
    age(database, 2 * HOUR)
    assert collect(database) == Removed()
    assert marks(database) == [None]


def test_bytes_in_use_until_now_have_the_whole_grace_in_spite_of_an_old_mark(
    database: Database,
) -> None:
    database.write(snapshots.put, pack_directory([("a", b"1")]))
    database.write(
        lambda c: c.execute(update(Blob).values(unused_since=datetime.now(timezone.utc)))
    )
    age(database, 2 * HOUR)
    assert collect(database) == Removed(snapshots=1)
    assert collect(database) == Removed()
    assert len(marks(database)) == 1


def test_a_slow_reader_gets_replaced_feedback_whole_while_garbage_is_collected(
    course: Api, database: Database
) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
    give_feedback(course, timestamp, MANY_MEGABYTES)

    def replace_and_collect() -> None:
        give_feedback(course, timestamp, {"new": b"2"})
        assert collect(database).snapshots == 1
        collect(database)

    path = "feedback/course1/challenge/lawrence?timestamp="
    answer = download_while(course, "lawrence", path, replace_and_collect)
    assert len(answer["files"]) == len(MANY_MEGABYTES)


def test_much_garbage_goes_in_many_short_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(connection: Connection) -> None:
        for number in range(700):
            snapshots.put(connection, pack_directory([("a", b"%d" % number)]))

    database.write(fill)
    steps = [step.snapshots for step in garbage.collect(database, 0) if step.snapshots]
    assert steps == [300, 300, 100]
    assert len(marks(database)) == 700
    monkeypatch.setattr(garbage, "BYTES_AT_ONCE", 200)
    steps = [step.stored_bytes for step in garbage.collect(database, 0)]
    assert sum(steps) == 10 + 90 * 2 + 600 * 3
    assert max(steps) <= 200 + 2
    assert marks(database) == []


# ---- by the command, and by the service ----


def test_the_command_says_what_it_removed_and_what_waits(
    database: Database, database_url: str
) -> None:
    database.write(snapshots.put, pack_directory([("a", b"12345")]))
    at_once_removed = run("collect-garbage", "--database", database_url)
    assert at_once_removed.returncode == 0
    assert at_once_removed.stdout == (
        "Removed 1 directories and 0 contents (0 bytes) that nothing referred to\n"
        "1 contents are unused, and go when they have been so for 3600 seconds and this is run "
        "again\n"
    )
    grace = "--NgShare.garbage_grace_seconds=0"
    later = run("collect-garbage", "--database", database_url, grace)
    assert (
        later.stdout == "Removed 0 directories and 1 contents (5 bytes) that nothing referred to\n"
    )


async def run_schedule(database: Database, until: Callable[[], bool], hours: float) -> None:
    """Run the service's schedule in some replicas until something is so, then stop it."""
    stopping = asyncio.Event()
    options = NgShare(garbage_interval_hours=hours, garbage_grace_seconds=0)
    tasks = [
        asyncio.create_task(service.collect_garbage(options, database, stopping)) for _ in range(3)
    ]
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    stopping.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)


def test_the_service_collects_on_a_schedule_and_goes_on_after_errors(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ngshare")
    database.write(snapshots.put, pack_directory([("a", b"12345")]))

    def rename(old: str, new: str) -> None:
        database.write(lambda c: c.execute(text(f"ALTER TABLE {old} RENAME TO {new}")))

    def failed_then_removed() -> bool:
        if renamed and "Not all garbage was removed" in caplog.text:
            rename("elsewhere", "snapshot_files")
            renamed.clear()
        return not renamed and "1 contents (5 bytes)" in caplog.text

    rename("snapshot_files", "elsewhere")
    renamed = [True]
    asyncio.run(run_schedule(database, failed_then_removed, hours=0.2 / HOUR))
    assert not any(read_tables(database).values())


def test_a_running_service_collects_and_can_be_stopped_meanwhile(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    for number in range(5):
        put_blobs(database, b"%d" % number)
    collect(database)
    age(database, 2 * HOUR)
    port = str(reserve_port())
    running = Service(
        f"http://127.0.0.1:{port}/api/",
        tmp_path / "log",
        *("--vngshare", "--port", port, "--database", database_url),
        f"--NgShare.garbage_interval_hours={0.01 / HOUR}",
        env=environment(),
    )
    wait_for(running.log, "Removed 0 directories and 5 contents (5 bytes) that nothing referred to")
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()
    assert marks(database) == []


def test_an_interval_of_zero_switches_the_schedule_off(database: Database) -> None:
    database.write(snapshots.put, pack_directory([("a", b"12345")]))
    options = NgShare(garbage_interval_hours=0)

    async def run_to_its_end() -> None:
        schedule = service.collect_garbage(options, database, asyncio.Event())
        await asyncio.wait_for(schedule, 5)

    asyncio.run(run_to_its_end())
    assert len(read_tables(database)["snapshots"]) == 1

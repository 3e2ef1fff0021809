"""Garbage is collected by several, while others store and refer to the same bytes."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import datetime, timezone

import pytest
from sqlalchemy import Connection, select

from ngshare.database import blobs, garbage, integrity, snapshots
from ngshare.database.engine import Database, make_engine
from ngshare.database.garbage import Removed
from ngshare.database.models import Assignment, Release, Snapshot
from tests.api import Api, at_once
from tests.tables import pack_directory, read_tables
from tests.test_garbage import collect, give_feedback, marks, put_blobs

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_replicas_that_collect_at_once_remove_everything_once(
    database: Database, database_url: str
) -> None:
    def fill(connection: Connection) -> None:
        for number in range(500):
            snapshots.put(connection, pack_directory([("a", b"%04d" % number)]))

    database.write(fill)
    others = [Database(make_engine(database_url)) for _ in range(3)]
    results = [step for _ in range(3) for step in at_once(lambda other: collect(other, 0), others)]
    for other in others:
        other.close()
    assert sum(results, Removed()) == Removed(500, 500, 2000)
    assert not any(read_tables(database).values())


@on_postgresql
def test_who_refers_to_a_content_that_is_just_removed_stores_it_anew(
    database: Database,
) -> None:
    put_blobs(database, b"wanted again")
    collect(database)
    digest = blobs.pack(b"wanted again").digest
    removed, may_commit = threading.Event(), threading.Event()

    def remove(connection: Connection) -> None:
        now = datetime.now(timezone.utc)
        assert garbage._sweep(connection, [digest], now).blobs == 1
        removed.set()
        assert may_commit.wait(10)

    remover = database.writers.submit(database.write, remove)
    assert removed.wait(10)
    uploader = database.writers.submit(put_blobs, database, b"wanted again")
    wait([uploader], timeout=0.2)
    assert not uploader.done()
    may_commit.set()
    remover.result(10)
    uploader.result(10)
    assert database.read(blobs.load, [digest]) == {digest: b"wanted again"}
    assert marks(database) == [None]


@on_postgresql
def test_what_somebody_is_just_referring_to_is_left_alone_without_waiting(
    course: Api, database: Database
) -> None:
    put_blobs(database, b"shared")
    collect(database)
    database.write(snapshots.put, pack_directory([("a", b"old")]))

    def use(connection: Connection) -> None:
        new = snapshots.put(connection, pack_directory([("b", b"shared")]))
        pk = connection.scalars(select(Assignment.pk)).one()
        row = {"assignment_pk": pk, "at": datetime.now(timezone.utc), "by": "kevin"}
        for version, snapshot_pk in enumerate([snapshot_of(connection, b"old"), new], start=2):
            values = {**row, "version": version, "snapshot_pk": snapshot_pk}
            connection.execute(Release.__table__.insert().values(values))
        stored.set()
        assert may_commit.wait(10)

    stored, may_commit = threading.Event(), threading.Event()
    user = database.writers.submit(database.write, use)
    assert stored.wait(10)
    assert collect(database, 0) == collect(database, 0) == Removed()
    assert not user.done()
    may_commit.set()
    user.result(10)
    assert list(integrity.check(database, lambda _: None)) == []


def snapshot_of(connection: Connection, content: bytes) -> int:
    packed = pack_directory([("a", content)])
    return connection.scalars(select(Snapshot.pk).where(Snapshot.digest == packed.digest)).one()


COLLECTOR = """
import sys
from ngshare.database import garbage
from ngshare.database.engine import Database, make_engine
database = Database(make_engine(sys.argv[1]))
while sys.stdin.readline() == "collect\\n":
    print(sum(garbage.collect(database, 0), garbage.Removed()).blobs, flush=True)
database.close()
"""


class CollectorProcess:
    """Collects with grace 0 as often as it is told, in a process of its own."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", COLLECTOR, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def collect(self) -> int:
        """Once; how many blobs it has removed."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("collect\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        _, complaints = self.process.communicate(timeout=60)
        assert (self.process.returncode, complaints) == (0, "")


def test_a_storm_of_equal_submissions_loses_nothing_while_garbage_is_collected(
    course: Api, database: Database, database_url: str
) -> None:
    """Everybody submits what was replaced as feedback a moment ago, and so is being removed."""
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"first"})
    students = [f"student{number}" for number in range(4)]
    for name in students:
        root = course.user("root")
        root.ok("POST", f"student/course1/{name}", first_name="", last_name="", email="")
    receipts: dict[str, dict[str, dict[str, bytes]]] = {name: {} for name in students}
    current, removed, ended = [0], [0], threading.Event()
    process = CollectorProcess(database_url)

    def directory(number: int, name: str) -> dict[str, bytes]:
        files = {"a": b"a%d" % number, "long": b"%d" % number * 1000}
        # Half of them are equal as a whole, the others have equal files.
        return files if name < "student2" else {**files, "name": name.encode()}

    def submit(name: str) -> None:
        dice = random.Random(name)
        while not ended.is_set():
            time.sleep(dice.uniform(0, 0.03))
            files = directory(current[0] - dice.choice([1, 1, 2]), name)
            receipts[name][course.user(name).submit("course1", "challenge", files)] = files

    def replace() -> None:
        while not ended.is_set():
            current[0] += 1
            give_feedback(course, timestamp, directory(current[0], ""))

    def repeat(collect_again: Callable[[], int]) -> None:
        while not ended.is_set():
            removed.append(collect_again())

    def is_enough() -> bool:
        return sum(removed) > 5 and current[0] > 20 and all(len(r) > 10 for r in receipts.values())

    with ThreadPoolExecutor(8) as threads:
        storm = [threads.submit(submit, name) for name in students]
        storm.append(threads.submit(replace))
        storm.append(threads.submit(repeat, lambda: collect(database, 0).blobs))
        storm.append(threads.submit(repeat, process.collect))
        checking = threads.submit(lambda: list(integrity.check(database, lambda _: None)))
        done, _ = wait(storm, timeout=3, return_when=FIRST_EXCEPTION)
        deadline = time.monotonic() + 60
        while not done and not is_enough() and time.monotonic() < deadline:
            done, _ = wait(storm, timeout=0.1, return_when=FIRST_EXCEPTION)
        ended.set()
    process.close()
    for thread in storm:
        thread.result()
    assert is_enough()
    assert checking.result() == []
    for name, files_by_time in receipts.items():
        for at, files in files_by_time.items():
            path = f"submission/course1/challenge/{name}"
            assert course.user("kevin").files(path, timestamp=at) == files
    assert list(integrity.check(database, lambda _: None)) == []
    collect(database, 0)
    collect(database, 0)
    assert database.read(integrity.survey).unused_blobs == 0

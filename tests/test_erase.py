"""Who is erased is found nowhere afterwards, and nobody else loses anything."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from ngshare import courses, erasures, mergers, people, rosters
from ngshare.database import blobs, integrity
from ngshare.database.engine import Database
from ngshare.database.models import AuditEntry, Blob, Release, Submission, User
from ngshare.erasures import ERASED
from ngshare.errors import NotFound
from ngshare.permissions import Identity
from tests.api import Api, at_once, described, encode, person
from tests.conftest import FetchLogs
from tests.tables import Tables, read_tables
from tests.test_app import complains, run
from tests.test_people import ROOT, TODAY, call_during

OWN = random.Random(1).randbytes(60_000)  # which does not shrink, so it is in the file as it is
EARLIER = random.Random(2).randbytes(60_000)
HIS = re.compile(r"\b(bob|robbie|bob2|Robert|Zimmermann|rz@example\.org)\b")
ROBERT = {"first_name": "Robert", "last_name": "Zimmermann", "email": "rz@example.org"}
BY = {"releases": "by", "feedback": "by", "removals": "by"}


def live(api: Api, database: Database, fetch_logs: FetchLogs) -> None:
    """Somebody who is in every table, as bob, robbie and bob2; and bobby, who is beside him."""
    kevin, root = api.user("kevin"), api.user("root")
    for name in ("robbie", "bob2", "bobby"):
        fields = person(name) if name == "bobby" else ROBERT
        kevin.ok("POST", f"student/course1/{name}", **fields)
    bob2, bobby = api.user("bob2"), api.user("bobby")
    bob2.submit("course1", "challenge", {"a": b"of bob2", "shared": b"what both have"})
    database.write(people.rename, ROOT, "robbie", "bob")
    database.write(mergers.merge, ROOT, "bob2", "bob")
    bob = api.user("bob")
    both = {"shared": b"what both have", "same": b"letter by letter"}
    for each in (bob, bobby):
        each.files("assignment/course1/challenge")
        each.submit("course1", "challenge", both)
        each.call("PUT", f"blob/course1/{described('', b'ahead')['sha256']}", data=b"ahead")
    fetch_logs.write()
    at = bob.submit("course1", "challenge", {"own": OWN, "shared": b"what both have"})
    for words in (EARLIER, b"for bob alone"):
        feedback = {"timestamp": at, "files": encode({"f.html": words})}
        kevin.ok("POST", "feedback/course1/challenge/bob", **feedback)
    removed = bob.submit("course1", "challenge", {"own": b"removed from sight"})
    kevin.ok("DELETE", "submission/course1/challenge/bob", timestamp=removed)
    database.write(courses.create_course, ROOT, "course3", ["kevin", "bob", "bobby"])
    bob.release("course3", "task", {"task": b"of course3"})
    at = bobby.submit("course3", "task", {"a": b"bobby's answer"})
    gone = bobby.submit("course3", "task", {"a": b"bobby's other answer"})
    bob.submit("course3", "task", {"a": b"in a deleted course"})
    feedback = {"timestamp": at, "files": encode({"f.html": b"well done"})}
    bob.ok("POST", "feedback/course3/task/bobby", **feedback)
    bob.ok("DELETE", "submission/course3/task/bobby", timestamp=gone)
    kevin.ok("DELETE", "assignment/course3/task")
    root.ok("DELETE", "course/course3")


def contents(database: Database) -> set[bytes]:
    digests = database.read(lambda c: list(c.scalars(select(Blob.digest))))
    return set(database.read(blobs.load, digests).values())


def texts_of(tables: Tables) -> list[str]:
    return [each for rows in tables.values() for row in rows for each in row if type(each) is str]


def without_name(tables: Tables) -> Tables:
    """As erasing must leave the rows that stay."""

    def blank(text: object) -> object:
        return HIS.sub(ERASED, text) if isinstance(text, str) else text

    return {table: [tuple(map(blank, row)) for row in rows] for table, rows in tables.items()}


def test_who_is_erased_is_found_nowhere_and_nobody_else_loses_anything(
    course: Api,
    database: Database,
    database_url: str,
    fetch_logs: FetchLogs,
) -> None:
    live(course, database, fetch_logs)
    before = read_tables(database)
    assert len(HIS.findall(" ".join(texts_of(before)))) > 20
    assert {OWN, EARLIER, b"ahead"} <= contents(database)
    told = run("erase-person", "bob", "--database", database_url)
    assert (told.returncode, told.stderr) == (0, "")
    assert read_tables(database) == before

    done = run("erase-person", "bob", "--yes", "--database", database_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert told.stdout.splitlines()[1:-1] == done.stdout.splitlines()[1:]
    for part in (
        "Erased bob:\n  courses: course1 (student), course3 (instructor, in a deleted course)\n",
        "submissions: 5, of which 1 were removed from sight; feedback on them: 1; 60,",
        "fetched: 1; contents sent ahead: 1\n",
        "entries of the audit log: ",
        "earlier names: bob2, robbie\n",
        "releases 1, feedback 1, removals of submissions 1\n",
    ):
        assert part in done.stdout

    after = read_tables(database)
    assert [text for text in texts_of(after) if HIS.search(text)] == []
    theirs = {b"of bob2", OWN, EARLIER, b"for bob alone", b"removed from sight"}
    left = contents(database)
    assert not (theirs | {b"in a deleted course"}) & left
    assert {b"what both have", b"letter by letter", b"ahead", b"well done"} <= left
    by, action = after["audit_log"].pop()[2:4]
    assert (by, action) == ("ngshare erase-person", "erase person")
    lost = {}
    for table, rows in without_name(before).items():
        assert set(after[table]) <= set(rows), table
        lost[table] = len(rows) - len(after[table])
    assert {table: count for table, count in lost.items() if count} == {
        "users": 1,
        "memberships": 2,
        "submissions": 5,
        "removals": 1,
        "feedback": 1,
        "fetches": 1,
        "uploads": 1,
        "snapshots": 6,
        "snapshot_files": 8,
        "blobs": 6,
        "blob_chunks": 6,
    }
    assert list(integrity.check(database, lambda _: None)) == []

    if database.is_sqlite:
        path = Path(database_url.removeprefix("sqlite:///"))
        kept = path.read_bytes() + path.with_name(f"{path.name}-wal").read_bytes()
        assert b"letter by letter" in kept
        for trace in (OWN[:500], OWN[-500:], EARLIER[:500], EARLIER[-500:], b"Zimmermann"):
            assert trace not in kept

    complains("nobody with the user name bob", "erase-person", "bob", "--database", database_url)
    bob = course.user("bob")  # who has a token of the Hub still
    assert bob.ok("GET", "courses")["courses"] == []
    bob.fails(403, "Permission denied", "GET", "assignments/course1")
    bobby = course.user("bobby")
    assert bobby.files("submission/course1/challenge/bobby")["same"] == b"letter by letter"

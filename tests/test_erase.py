"""Who is erased is found nowhere afterwards, and nobody else loses anything."""

from __future__ import annotations

import random
import re
from collections import deque
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from ngshare import assignments, courses, erasures, mergers, people
from ngshare.commands import ErasePerson
from ngshare.database import blobs, garbage, integrity, wiping
from ngshare.database.engine import Database
from ngshare.database.models import AuditEntry, Base, Blob, Release, User
from ngshare.erasures import ERASED
from ngshare.errors import NotFound
from ngshare.permissions import Identity
from ngshare.service import StartError
from tests.api import Api, at_once, described, encode, person
from tests.conftest import FetchLogs
from tests.tables import Tables, pack_directory, read_tables
from tests.test_app import run
from tests.test_people import ROOT, TODAY, call_during

OWN = random.Random(1).randbytes(60_000)  # which does not shrink, so it is in the file as it is
EARLIER = random.Random(2).randbytes(60_000)
HIS = re.compile(r"\b(bob|robbie|bob2|Robert|Zimmermann|rz@example\.org)\b")
ROBERT = {"first_name": "Robert", "last_name": "Zimmermann", "email": "rz@example.org"}


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
    bob.call("PUT", f"blob/course1/{described('', b'alone')['sha256']}", data=b"alone")
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
    deque(garbage.collect(database, 3600), maxlen=0)  # which leaves EARLIER, that nothing has
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
    pk = database.read(people.get_pk, "bob")
    for table in Base.metadata.sorted_tables:  # a new one must be in live(), too
        for number, column in enumerate(table.columns):
            if column.name in ("user_pk", "by", "username", "email", "detail"):
                values = [row[number] for row in before[table.name]]
                assert pk in values or HIS.search(" ".join(filter(None, values))), column
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
        "fetched: 1; contents sent ahead: 2\n",
        "entries of the audit log: ",
        "earlier names: bob2, robbie\n",
        "releases 1, feedback 1, removals of submissions 1\n",
    ):
        assert part in done.stdout

    after = read_tables(database)
    assert [text for text in texts_of(after) if HIS.search(text)] == []
    theirs = {b"of bob2", OWN, EARLIER, b"for bob alone", b"removed from sight"}
    left = contents(database)
    assert not (theirs | {b"in a deleted course", b"alone"}) & left
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
        "uploads": 2,
        "snapshots": 6,
        "snapshot_files": 8,
        "blobs": 7,
        "blob_chunks": 7,
    }
    assert list(integrity.check(database, lambda _: None)) == []

    if database.is_sqlite:
        path = Path(database_url.removeprefix("sqlite:///"))
        kept = path.read_bytes() + path.with_name(f"{path.name}-wal").read_bytes()
        assert b"letter by letter" in kept
        for trace in (OWN[:500], OWN[-500:], EARLIER[:500], EARLIER[-500:], b"Zimmermann"):
            assert trace not in kept

    with pytest.raises(NotFound, match="There is nobody with the user name bob"):
        database.read(erasures.survey, "bob")
    bob = course.user("bob")  # who has a token of the Hub still
    assert bob.ok("GET", "courses")["courses"] == []
    bob.fails(403, "Permission denied", "GET", "assignments/course1")
    bobby = course.user("bobby")
    assert bobby.files("submission/course1/challenge/bobby")["same"] == b"letter by letter"


def names_in_log(database: Database) -> list[tuple[str, str | None, str | None]]:
    query = select(AuditEntry.by, AuditEntry.username, AuditEntry.detail).order_by(AuditEntry.pk)
    return [tuple(row) for row in database.read(lambda c: c.execute(query).all())]


def test_of_two_people_who_had_one_name_the_log_forgets_the_one(
    course: Api, database: Database
) -> None:
    def submit_anew() -> None:
        course.user("kevin").ok("POST", "student/course1/lawrence", **person("lawrence"))
        course.user("lawrence").submit("course1", "challenge", {"a": b"1"})

    submit_anew()
    of_first = len(names_in_log(database))
    first = database.write(people.deactivate, ROOT, "lawrence")
    submit_anew()
    of_second = names_in_log(database)[of_first + 2 :]
    assert [entry[:2] for entry in of_second] == [("kevin", "lawrence"), ("lawrence", None)]

    erasures.erase(database, first)
    log = names_in_log(database)
    assert log[of_first + 2 : -1] == of_second
    assert not re.search("lawrence", str(log[: of_first + 2]))
    assert (ROOT.name, ERASED, f"now {ERASED}") in log
    submit = partial(course.user("lawrence").submit, "course1", "challenge")
    submit({"a": b"still here"})

    erasures.erase(database, "lawrence")
    assert "lawrence" not in str(read_tables(database)).lower()
    assert first == f"lawrence (deactivated {TODAY})"


def test_an_erasure_that_was_stopped_is_completed_by_the_next(
    course: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngshare.erasures.BYTES_AT_ONCE", 1)
    for number in range(3):
        course.user("lawrence").submit("course1", "challenge", {"a": b"%d" % number})
    for left in (2, 1):
        assert database.write(erasures._erase_part, "lawrence") is False
        assert len(read_tables(database)["submissions"]) == left
        assert list(integrity.check(database, lambda _: None)) == []
        assert database.read(people.get_person, ROOT, "lawrence").submissions == left
    traces = erasures.erase(database, "lawrence")
    assert traces.person.submissions == 1
    assert "lawrence" not in str(read_tables(database)).lower()
    with pytest.raises(NotFound, match="nobody with the user name lawrence"):
        erasures.erase(database, "lawrence")


def test_work_that_meets_the_erasure_is_erased_or_refused(course: Api, database: Database) -> None:
    def call(number: int) -> int:
        if number == 3:
            erasures.erase(database, "lawrence")
            return 200
        form = {"files": encode({"a": b"work %d" % number})}
        caller = course.user("lawrence")
        return caller.send("POST", "submission/course1/challenge", **form).status_code

    assert set(at_once(call, range(7))) <= {200, 403}
    tables = read_tables(database)
    assert tables["submissions"] == []
    assert "lawrence" not in str(tables).lower()
    assert contents(database) == {b"22222"}


def test_what_is_written_under_a_name_while_it_is_erased_has_no_name_or_is_refused(
    course: Api, database: Database
) -> None:
    def release(connection: Connection) -> None:
        directory = pack_directory([("task", b"1")])
        where = (Identity("abigail"), "course2", "new")
        assignments.release_assignment(connection, *where, directory)

    call_during(database, release, partial(erasures.erase, database, "abigail"))
    assert "abigail" not in str(read_tables(database))
    assert ERASED in database.read(lambda c: list(c.scalars(select(Release.by))))

    form = {"files": encode({"task": b"1"})}
    call = partial(course.user("kevin").send, "POST", "assignment/course1/new", **form)
    erase = partial(erasures._erase_part, name="kevin")
    assert call_during(database, erase, call).status_code == 403
    assert "kevin" not in str(read_tables(database))


def test_an_admin_who_was_in_no_course_is_erased_where_the_name_is(
    course: Api, database: Database
) -> None:
    course.user("root").release("course1", "new", {"a": b"1"})
    assert "root" not in database.read(lambda c: list(c.scalars(select(User.name))))
    erasures.erase(database, "root")
    assert "root" not in str(read_tables(database))
    assert ERASED in database.read(lambda c: list(c.scalars(select(Release.by))))
    with pytest.raises(StartError, match="Say whom: ngshare erase-person NAME"):
        ErasePerson().run()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_log_of_sqlite_is_emptied_unless_somebody_reads_from_it(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngshare.database.wiping.PATIENCE_MILLISECONDS", 1)
    log = Path(f"{database_url.removeprefix('sqlite:///')}-wal")
    database.write(courses.create_course, ROOT, "course1", [])
    with database.engine.connect() as reader:
        reader.scalar(select(User.pk))
        assert not wiping.empty_log(database)
        assert log.stat().st_size
    assert wiping.empty_log(database)
    assert not log.stat().st_size

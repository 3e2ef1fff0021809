"""Names that change hands: renaming, merging and deactivating people loses and shows nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from ngshare import mergers, people
from ngshare.database.engine import Database
from ngshare.database.models import (
    AuditEntry,
    Feedback,
    Membership,
    Release,
    Removal,
    Submission,
    Upload,
    User,
)
from ngshare.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ngshare.permissions import Identity
from ngshare.wire import is_legal_name
from tests.api import Api, at_once, described, encode, person
from tests.tables import read_tables

ROOT = Identity("root", is_admin=True)
TODAY = datetime.now(timezone.utc).date().isoformat()


def log_of(database: Database, action: str) -> list[tuple[str, str | None]]:
    """Whom an action was about, and its detail."""
    query = select(AuditEntry.username, AuditEntry.detail).where(AuditEntry.action == action)
    return [tuple(row) for row in database.read(lambda c: c.execute(query).all())]


def submit(api: Api, name: str, content: bytes, key: str | None = None) -> str:
    """The timestamp of a submission to course1's challenge."""
    response = api.user(name).call(
        "POST",
        "submission/course1/challenge",
        data={"files": encode({"a": content})},
        headers={"Idempotency-Key": key} if key else {},
    )
    assert response.status_code == 200, response.text
    return response.json()["timestamp"]


def timestamps(api: Api, name: str) -> list[str]:
    path = f"submissions/course1/challenge/{name}"
    return [each["timestamp"] for each in api.user("kevin").ok("GET", path)["submissions"]]


def files(api: Api, name: str, timestamp: str) -> dict[str, bytes]:
    path = f"submission/course1/challenge/{name}"
    return api.user("kevin").files(path, timestamp=timestamp)


# ---- renaming ----


def test_a_renamed_person_has_all_work_roles_and_feedback_under_the_new_name(
    course: Api, database: Database
) -> None:
    timestamp = submit(course, "lawrence", b"1")
    path = "feedback/course1/challenge/lawrence"
    feedback = {"timestamp": timestamp, "files": encode({"f": b"good"})}
    course.user("kevin").ok("POST", path, **feedback)
    database.write(people.rename, ROOT, "lawrence", "larry")
    larry = course.user("larry")
    assert larry.ok("GET", "courses")["courses"] == ["course1"]
    assert larry.files("submission/course1/challenge/larry") == {"a": b"1"}
    assert larry.files("feedback/course1/challenge/larry", timestamp=timestamp) == {"f": b"good"}
    assert larry.ok("GET", "student/course1/larry", timestamp="")["email"] == (
        "lawrence@example.org"
    )
    assert course.user("lawrence").ok("GET", "courses")["courses"] == []
    assert log_of(database, "rename person") == [("lawrence", "now larry")]


def test_what_a_renamed_instructor_did_bears_the_new_name(course: Api, database: Database) -> None:
    timestamp = submit(course, "lawrence", b"1")
    feedback = {"timestamp": timestamp, "files": encode({"f": b"good"})}
    course.user("kevin").ok("POST", "feedback/course1/challenge/lawrence", **feedback)
    path = "submission/course1/challenge/lawrence"
    course.user("kevin").ok("DELETE", path, timestamp=timestamp)
    database.write(people.rename, ROOT, "kevin", "kev")
    for table in (Release, Feedback, Removal):
        by = database.read(lambda c, table=table: list(c.scalars(select(table.by))))
        assert by == ["kev"]


def test_nobody_gets_a_name_that_another_person_has(course: Api, database: Database) -> None:
    before = read_tables(database)
    with pytest.raises(Conflict, match="merge them"):
        database.write(people.rename, ROOT, "lawrence", "eric")
    for name in ("..", "", "x" * 256):
        with pytest.raises(InvalidRequest):
            database.write(people.rename, ROOT, "lawrence", name)
    with pytest.raises(NotFound, match="nobody with the user name nobody"):
        database.write(people.rename, ROOT, "nobody", "somebody")
    assert read_tables(database) == before


# ---- deactivating ----


def test_a_new_person_of_the_same_name_sees_nothing_of_the_old_one(
    course: Api, database: Database
) -> None:
    old = submit(course, "lawrence", b"secret")
    name = database.write(people.deactivate, ROOT, "lawrence")
    assert name == f"lawrence (deactivated {TODAY})"
    lawrence = course.user("lawrence")
    assert lawrence.ok("GET", "courses")["courses"] == []
    path = "submission/course1/challenge/lawrence"
    lawrence.fails(404, "Student not found", "GET", path)
    course.user("kevin").ok("POST", "student/course1/lawrence", **person("lawrence"))
    lawrence.fails(404, "Submission not found", "GET", path)
    assert lawrence.ok("GET", "submissions")["submissions"] == []
    new = submit(course, "lawrence", b"mine")
    assert timestamps(course, "lawrence") == [new]
    assert files(course, name, old) == {"a": b"secret"}
    listed = course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"]
    assert [each["student_id"] for each in listed] == [name, "lawrence"]
    old_one = database.read(people.get_person, ROOT, name)
    assert [(role.course_id, role.active) for role in old_one.roles] == [("course1", False)]
    assert log_of(database, "deactivate person") == [("lawrence", f"now {name}")]
    assert log_of(database, "remove student") == [("lawrence", f"now {name}")]


def test_what_the_old_person_sent_ahead_is_not_the_new_ones(
    course: Api, database: Database
) -> None:
    sha256 = described("a", b"ahead")["sha256"]
    response = course.user("lawrence").call("PUT", f"blob/course1/{sha256}", data=b"ahead")
    assert response.status_code == 200
    database.write(people.deactivate, ROOT, "lawrence")
    course.user("kevin").ok("POST", "student/course1/lawrence", **person("lawrence"))
    response = course.user("lawrence").send(
        "POST",
        "submission/course1/challenge",
        files=f'[{{"path": "a", "sha256": "{sha256}"}}]',
    )
    assert (response.status_code, response.json()["code"]) == (409, "missing_content")


def test_names_of_people_who_left_are_free_legal_and_told_apart(
    course: Api, database: Database
) -> None:
    long = "ü" * 127
    names = []
    for _ in range(3):
        for name in ("lawrence", long):
            course.user("kevin").ok("POST", f"student/course1/{name}", **person("x"))
            names.append(database.write(people.deactivate, ROOT, name))
    assert names[::2] == [
        f"lawrence (deactivated {TODAY})",
        f"lawrence (deactivated {TODAY}, 2)",
        f"lawrence (deactivated {TODAY}, 3)",
    ]
    assert len(set(names)) == 6
    assert all(map(is_legal_name, names))


def test_who_was_deactivated_can_be_brought_back(course: Api, database: Database) -> None:
    timestamp = submit(course, "lawrence", b"1")
    name = database.write(people.deactivate, ROOT, "lawrence")
    database.write(people.rename, ROOT, name, "lawrence")
    course.user("kevin").ok("POST", "student/course1/lawrence", **person("lawrence"))
    assert timestamps(course, "lawrence") == [timestamp]


# ---- merging ----


def test_a_merger_moves_the_work_and_the_courses(course: Api, database: Database) -> None:
    first = submit(course, "lawrence", b"1", key="k1")
    second = submit(course, "eric", b"2", key="k2")
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    assert timestamps(course, "eric") == [first, second]
    assert [files(course, "eric", at)["a"] for at in (first, second)] == [b"1", b"2"]
    course.user("kevin").fails(
        404, "Student not found", "GET", "submissions/course1/challenge/lawrence"
    )
    assert course.user("eric").ok("GET", "courses")["courses"] == ["course1", "course2"]
    assert submit(course, "eric", b"1", key="k1") == first  # a receipt, asked for again
    assert log_of(database, "merge person") == [
        ("lawrence", "into eric"),
        ("lawrence", "into eric; courses: 1, submissions: 1"),
    ]


def test_the_log_of_each_course_that_somebody_was_in_or_worked_for_has_the_merger(
    course: Api, database: Database
) -> None:
    submit(course, "lawrence", b"1")

    def leave(connection: Connection) -> None:
        pk = select(User.pk).where(User.name == "lawrence").scalar_subquery()
        connection.execute(delete(Membership).where(Membership.user_pk == pk))

    database.write(leave)
    abigail = course.user("abigail")
    abigail.ok("POST", "student/course2/lawrence", **person("lawrence"))
    abigail.ok("DELETE", "student/course2/lawrence")
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    query = select(AuditEntry.course_id).where(AuditEntry.action == "merge person")
    found = database.read(lambda c: list(c.scalars(query.order_by(AuditEntry.pk))))
    assert found == ["course1", "course2", None]


def test_of_two_submissions_of_one_moment_and_one_key_both_stay(
    course: Api, database: Database
) -> None:
    submit(course, "lawrence", b"1", key="same")
    submit(course, "lawrence", b"next")
    submit(course, "eric", b"2", key="same")
    at = datetime(2020, 1, 1, tzinfo=timezone.utc)

    def make_equal(connection: Connection) -> None:
        rows = connection.scalars(select(Submission.pk).order_by(Submission.pk)).all()
        later = at + timedelta(microseconds=1)
        for pk, moment in zip(rows, (at, later, at), strict=True):
            connection.execute(update(Submission).where(Submission.pk == pk).values(at=moment))

    database.write(make_equal)
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    found = [files(course, "eric", at)["a"] for at in timestamps(course, "eric")]
    assert found == [b"2", b"next", b"1"]
    keys = database.read(
        lambda c: list(c.scalars(select(Submission.idempotency_key).order_by(Submission.at)))
    )
    assert keys == ["same", None, None]


# Of lawrence, of eric, and of eric afterwards: role and whether it is active.
ROLES = [
    (("student", True), ("student", True), ("student", True)),
    (("instructor", True), ("student", True), ("instructor", True)),
    (("student", True), ("instructor", True), ("instructor", True)),
    (("instructor", False), ("student", True), ("student", True)),
    (("instructor", True), ("student", False), ("instructor", True)),
    (("student", True), ("instructor", False), ("student", True)),
    (("instructor", False), ("student", False), ("student", False)),
]


@pytest.mark.parametrize(("one", "other", "merged"), ROLES)
def test_of_two_roles_in_a_course_the_better_active_one_is_kept_and_said_before(
    course: Api, database: Database, one: Any, other: Any, merged: Any
) -> None:
    def set_role(connection: Connection, name: str, role: str, active: bool) -> None:
        user_pk = select(User.pk).where(User.name == name).scalar_subquery()
        mine = update(Membership).where(Membership.user_pk == user_pk, Membership.course_pk == 1)
        connection.execute(mine.values(role=role, active=active, first_name=name))

    database.write(set_role, "lawrence", *one)
    database.write(set_role, "eric", *other)
    before = database.read(mergers.preview_merger, ROOT, "lawrence", "eric")
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    after = database.read(people.get_person, ROOT, "eric")
    assert after.roles == before.roles
    role = after.roles[0]
    assert (role.course_id, role.role, role.active) == ("course1", *merged)
    query = select(Membership.first_name).where(Membership.course_pk == 1)
    assert "eric" in database.read(lambda c: list(c.scalars(query)))
    assert "lawrence" not in database.read(lambda c: list(c.scalars(query)))


def test_what_both_sent_ahead_is_there_once_afterwards(course: Api, database: Database) -> None:
    for name, content in (("lawrence", b"x"), ("eric", b"x"), ("lawrence", b"y")):
        sha256 = described("a", content)["sha256"]
        course.user(name).call("PUT", f"blob/course1/{sha256}", data=content)
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    by = database.read(lambda c: list(c.scalars(select(Upload.by))))
    assert by == ["eric", "eric"]


def test_what_was_removed_stays_removed_when_it_moves(course: Api, database: Database) -> None:
    removed = submit(course, "lawrence", b"1")
    kept = submit(course, "lawrence", b"2")
    course.user("kevin").ok("DELETE", "submission/course1/challenge/lawrence", timestamp=removed)
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    assert timestamps(course, "eric") == [kept]
    assert database.read(people.get_person, ROOT, "eric").submissions == 2


def test_a_merger_of_one_name_or_with_nobody_is_refused(course: Api, database: Database) -> None:
    before = read_tables(database)
    with pytest.raises(InvalidRequest, match="a merger needs two"):
        database.write(mergers.merge, ROOT, "eric", "eric")
    for names in (("nobody", "eric"), ("eric", "nobody")):
        with pytest.raises(NotFound, match="nobody with the user name nobody"):
            database.write(mergers.merge, ROOT, *names)
        with pytest.raises(NotFound, match="nobody with the user name nobody"):
            database.read(mergers.preview_merger, ROOT, *names)
    assert read_tables(database) == before


# ---- who meets a change of names ----

Change = Callable[[Connection], Any]

CHANGES: dict[str, tuple[Change, str]] = {
    "rename": (lambda c: people.rename(c, ROOT, "lawrence", "larry"), "larry"),
    "deactivate": (
        lambda c: people.deactivate(c, ROOT, "lawrence"),
        f"lawrence (deactivated {TODAY})",
    ),
    "merge": (lambda c: mergers.merge(c, ROOT, "lawrence", "eric"), "eric"),
}


def call_during(database: Database, change: Change, call: Callable[[], Any]) -> Any:
    """What a call answers that begins while a change is not yet committed."""

    def hold(connection: Connection) -> Future[Any]:
        change(connection)
        waiting = threads.submit(call)
        wait([waiting], timeout=0.5)
        return waiting

    with ThreadPoolExecutor(1) as threads:
        return database.write(hold).result(20)


@pytest.mark.parametrize("change", CHANGES)
def test_a_submission_that_meets_a_change_of_its_name_is_the_old_persons_or_refused(
    course: Api, database: Database, change: str
) -> None:
    do, new_name = CHANGES[change]

    def call(number: int) -> int:
        if number == 3:
            time.sleep(0.02)
            database.write(do)
            return 200
        form = {"files": encode({"a": b"%d" % number})}
        return (
            course.user("lawrence").send("POST", "submission/course1/challenge", **form).status_code
        )

    statuses = at_once(call, range(7))
    assert set(statuses) <= {200, 403}
    accepted = statuses.count(200) - 1
    listed = course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"]
    assert [each["student_id"] for each in listed] == [new_name] * accepted


@pytest.mark.parametrize("change", CHANGES)
def test_a_submission_that_waits_for_a_change_of_its_name_is_refused(
    course: Api, database: Database, change: str
) -> None:
    form = {"files": encode({"a": b"1"})}
    call = partial(course.user("lawrence").send, "POST", "submission/course1/challenge", **form)
    response = call_during(database, CHANGES[change][0], call)
    assert (response.status_code, response.json()["message"]) == (403, "Permission denied")
    assert course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"] == []
    users = database.read(lambda c: list(c.scalars(select(User.name))))
    assert "lawrence" not in users


SHA256 = described("a", b"1")["sha256"]
UNDER_A_NAME = {
    "send ahead": ("lawrence", "PUT", f"blob/course1/{SHA256}", {"data": b"1"}),
    "release": ("kevin", "POST", "assignment/course1/new", {"data": {"files": encode({})}}),
    "give feedback": (
        "kevin",
        "POST",
        "feedback/course1/challenge/lawrence",
        {"data": {"files": encode({})}},
    ),
    "remove": ("kevin", "DELETE", "submission/course1/challenge/lawrence", {}),
}


@pytest.mark.parametrize("what", UNDER_A_NAME)
def test_what_is_written_under_a_name_while_it_is_set_aside_is_refused(
    course: Api, database: Database, what: str
) -> None:
    name, verb, path, options = UNDER_A_NAME[what]
    timestamp = submit(course, "lawrence", b"1")
    at = {"timestamp": timestamp} if path.endswith("/lawrence") else {}
    call = partial(course.user(name).call, verb, path, params=at, **options)
    response = call_during(database, lambda c: people.deactivate(c, ROOT, name), call)
    assert (response.status_code, response.json()["message"]) == (403, "Permission denied")
    for table in (Upload, Release, Feedback, Removal):
        query = select(table.by)
        assert name not in database.read(lambda c, query=query: list(c.scalars(query)))


@pytest.mark.parametrize("change", CHANGES)
def test_who_is_added_while_the_name_changes_hands_is_a_new_person(
    course: Api, database: Database, change: str
) -> None:
    call = partial(course.user("abigail").send, "POST", "student/course2/lawrence", **person("new"))
    assert call_during(database, CHANGES[change][0], call).status_code == 200
    new = database.read(people.get_person, ROOT, "lawrence")
    assert [(role.course_id, role.active) for role in new.roles] == [("course2", True)]
    old = database.read(people.get_person, ROOT, CHANGES[change][1])
    assert "course1" in [role.course_id for role in old.roles]


def test_mergers_that_meet_end_in_one_person(course: Api, database: Database) -> None:
    times = [submit(course, name, name.encode()) for name in ("lawrence", "eric")]

    def merge(names: tuple[str, str]) -> str:
        try:
            database.write(mergers.merge, ROOT, *names)
        except NotFound:
            return "gone"
        return names[1]

    outcomes = at_once(merge, [("lawrence", "eric"), ("eric", "lawrence")])
    assert outcomes.count("gone") == 1
    (stays,) = set(outcomes) - {"gone"}
    assert timestamps(course, stays) == times


# ---- for admins ----


@pytest.mark.parametrize("identity", [Identity("kevin"), Identity("root", is_service=True)])
def test_only_admins_see_people_and_change_names(
    course: Api, database: Database, identity: Identity
) -> None:
    before = read_tables(database)
    for function, names in (
        (people.get_person, ["lawrence"]),
        (people.rename, ["lawrence", "larry"]),
        (people.deactivate, ["lawrence"]),
        (mergers.preview_merger, ["lawrence", "eric"]),
        (mergers.merge, ["lawrence", "eric"]),
    ):
        with pytest.raises(PermissionDenied):
            database.write(function, identity, *names)  # type: ignore[arg-type]
    assert read_tables(database) == before

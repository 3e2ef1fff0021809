"""The audit log: every change has an entry, and what changes nothing has none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from ngshare.database.engine import Database
from ngshare.database.models import AuditEntry
from tests.api import Api, Caller, at_once, encode, person

FILES = {"files": encode({"a": b"1"})}
OTHERS = {"files": encode({"a": b"2"})}


def entries(database: Database) -> list[tuple[str | None, ...]]:
    """Who did what: by, action, course, assignment, whom, detail."""
    columns = (
        AuditEntry.by,
        AuditEntry.action,
        AuditEntry.course_id,
        AuditEntry.assignment_id,
        AuditEntry.username,
        AuditEntry.detail,
    )
    rows = database.read(lambda c: c.execute(select(*columns).order_by(AuditEntry.pk)).all())
    return [tuple(row) for row in rows]


@pytest.fixture
def log(course: Api, database: Database) -> Any:
    """What was noted since the course was made."""
    seen = len(entries(database))
    return lambda: entries(database)[seen:]


CHANGES = [
    (
        "root",
        ("POST", "course/new", {"instructors": json.dumps(["kevin", "eric"])}),
        ("create course", "new", None, None, "instructors: kevin, eric"),
    ),
    ("root", ("DELETE", "course/course1", {}), ("delete course", "course1", None, None, None)),
    (
        "root",
        ("DELETE", "course/course1", {"purge": "true"}),
        ("purge course", "course1", None, None, None),
    ),
    (
        "root",
        ("POST", "instructor/course1/eric", person("eric")),
        ("add instructor", "course1", None, "eric", None),
    ),
    (
        "kevin",
        ("POST", "instructor/course1/kevin", person("kevin")),
        ("edit instructor", "course1", None, "kevin", None),
    ),
    (
        "root",
        ("DELETE", "instructor/course1/kevin", {}),
        ("remove instructor", "course1", None, "kevin", None),
    ),
    (
        "kevin",
        ("POST", "student/course1/gina", person("gina")),
        ("add student", "course1", None, "gina", None),
    ),
    (
        "kevin",
        ("DELETE", "student/course1/lawrence", {}),
        ("remove student", "course1", None, "lawrence", None),
    ),
    (
        "kevin",
        ("POST", "assignment/course1/ps1", FILES),
        ("release assignment", "course1", "ps1", None, "version 1"),
    ),
    (
        "kevin",
        ("PUT", "assignment/course1/challenge", OTHERS),
        ("release assignment", "course1", "challenge", None, "version 2"),
    ),
    (
        "kevin",
        ("DELETE", "assignment/course1/challenge", {}),
        ("unrelease assignment", "course1", "challenge", None, None),
    ),
    (
        "kevin",
        ("DELETE", "assignment/course1/challenge", {"purge": "true"}),
        ("purge assignment", "course1", "challenge", None, None),
    ),
]


@pytest.mark.parametrize(("who", "call", "entry"), CHANGES, ids=[row[2][0] for row in CHANGES])
def test_a_change_is_noted_with_who_did_it(
    course: Api, log: Any, who: str, call: tuple[str, str, dict[str, str]], entry: tuple[str]
) -> None:
    verb, path, fields = call
    course.user(who).ok(verb, path, **fields)
    assert log() == [(who, *entry)]


def test_handing_in_and_feedback_are_noted(course: Api, log: Any) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
    path = "feedback/course1/challenge/lawrence"
    same_time = timestamp.removesuffix(" UTC").replace(" ", "  ")
    course.user("kevin").ok("POST", path, timestamp=same_time, **FILES)
    where = ("course1", "challenge")
    assert log() == [
        ("lawrence", "submit", *where, None, timestamp),
        ("kevin", "release feedback", *where, "lawrence", f"on the submission of {timestamp}"),
    ]


@pytest.mark.parametrize("purge", [False, True])
def test_removed_submissions_are_noted(course: Api, log: Any, purge: bool) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
    query = {"timestamp": timestamp, "purge": str(purge).lower()}
    course.user("kevin").ok("DELETE", "submission/course1/challenge/lawrence", **query)
    action = "purge submission" if purge else "remove submission"
    assert log()[1:] == [("kevin", action, "course1", "challenge", "lawrence", timestamp)]


def add(caller: Caller, *names: str) -> None:
    students = [{"username": name, **person(name)} for name in names]
    caller.ok("POST", "students/course1", students=json.dumps(students))


def test_of_a_roster_only_what_is_new_or_other_is_noted(course: Api, log: Any) -> None:
    kevin = course.user("kevin")
    add(kevin, "felix", "gina")
    add(kevin, "felix", "gina", "hugo")
    kevin.ok("POST", "student/course1/felix", **{**person("felix"), "email": "new@example.org"})
    assert [(action, name) for _, action, _, _, name, _ in log()] == [
        ("add student", "felix"),
        ("add student", "gina"),
        ("add student", "hugo"),
        ("edit student", "felix"),
    ]


def test_that_a_deleted_course_came_back_is_noted(course: Api, log: Any) -> None:
    root = course.user("root")
    root.ok("DELETE", "course/course1")
    root.ok("POST", "course/course1", instructors='["eric"]')
    detail = "again, with what was in it; instructors: eric"
    assert log()[1:] == [("root", "create course", "course1", None, None, detail)]


@pytest.mark.parametrize("purge", ["false", "true"])
@pytest.mark.parametrize("path", ["course/course1", "assignment/course1/challenge"])
def test_of_calls_that_meet_the_one_is_noted_that_does_it(
    course: Api, log: Any, path: str, purge: str
) -> None:
    def call(_: int) -> int:
        return course.user("root").send("DELETE", path, purge=purge).status_code

    assert sorted(at_once(call, range(6))) == [200, *[404] * 5]
    assert len(log()) == 1


def test_only_those_are_noted_as_appointed_who_were_not(course: Api, log: Any) -> None:
    form = {"action": "appoint", "instructors": "kevin, lawrence"}
    for _ in range(2):
        response = course.user("root").send("POST", "pages/admin/course/course1", **form)
        assert response.status_code == 303
    assert log() == [("root", "add instructor", "course1", None, "lawrence", None)]


def test_what_changes_nothing_or_is_refused_is_not_noted(course: Api, log: Any) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    kevin.fails(409, "Assignment already exists", "POST", "assignment/course1/challenge", **FILES)
    lawrence.fails(403, "Permission denied", "POST", "assignment/course1/ps1", **FILES)
    key = {"headers": {"Idempotency-Key": "k"}, "data": FILES}
    for _ in range(2):
        assert lawrence.call("POST", "submission/course1/challenge", **key).status_code == 200
    kevin.ok("PUT", "assignment/course1/ps1", **FILES)
    kevin.ok("PUT", "assignment/course1/ps1", **FILES)
    assert [action for _, action, *_ in log()] == ["submit", "release assignment"]

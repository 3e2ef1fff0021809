"""The policy as one table: every call of the API, made by everybody there can be.

The callers, by their column:

- anon, bad: without a token, and with one that the Hub does not know
- out: a user who is in no course
- stu, ex-stu, ins, ex-ins: of course1, now or formerly
- o-stu, o-ins: student and instructor of course2 alone
- admin: named in the option `admins`
- s-ins, s-adm: tokens of *services* that are named like course1's instructor, and like the admin
- a-svc: a service named in the option `admin_services`
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import Connection, update

from ngshare import assignments, courses, feedback, people, rosters, submissions
from ngshare.database.engine import Database
from ngshare.database.models import Submission
from ngshare.mergers import Merger
from ngshare.permissions import Identity
from ngshare.roster_plans import Plan
from ngshare.rosters import Person
from ngshare.routes import PAGES, ROUTES
from tests.api import Api, Caller, encode
from tests.fake_hub import FakeHub
from tests.tables import pack_directory, read_tables, restore_tables

NAMES = {
    "out": "mallory",
    "stu": "lawrence",
    "ex-stu": "felix",
    "ins": "kevin",
    "ex-ins": "carol",
    "o-stu": "eric",
    "o-ins": "abigail",
    "admin": "root",
    "s-ins": "kevin",
    "s-adm": "root",
    "a-svc": "grader",
}
SERVICES = {"s-ins", "s-adm", "a-svc"}

# C1 and A1 are course1 and its assignment; STU and INS another student and another instructor of
# it; SELF is the caller. The course NEW and the assignment GONE do not exist.
TABLE = """
                              anon bad  out  stu ex-stu ins ex-ins o-stu o-ins admin s-ins s-adm a-svc
GET                           401  401  200  200  200  200  200    200   200   200   200   200   200
GET pages/api                 401  401  200  200  200  200  200    200   200   200   200   200   200
GET pages/database            401  401  403  403  403  403  403    403   403   200   403   403   200
GET pages/database/users      401  401  403  403  403  403  403    403   403   200   403   403   200
GET favicon.ico               200  200  200  200  200  200  200    200   200   200   200   200   200
GET ngshare.css               200  200  200  200  200  200  200    200   200   200   200   200   200
GET healthz                   200  200  200  200  200  200  200    200   200   200   200   200   200
GET readyz                    200  200  200  200  200  200  200    200   200   200   200   200   200
GET metrics                   200  200  200  200  200  200  200    200   200   200   200   200   200
GET oauth_callback            403  403  403  403  403  403  403    403   403   403   403   403   403
GET openapi.json              401  401  200  200  200  200  200    200   200   200   200   200   200
GET whoami                    401  401  200  200  200  200  200    200   200   200   200   200   200
GET courses                   401  401  200  200  200  200  200    200   200   200   200   200   200
POST course/NEW               401  401  403  403  403  403  403    403   403   200   403   403   200
POST course/C1                401  401  403  403  403  403  403    403   403   409   403   403   409
DELETE course/C1              401  401  403  403  403  403  403    403   403   200   403   403   200
DELETE course/C1?purge        401  401  403  403  403  403  403    403   403   200   403   403   200
DELETE course/NEW             401  401  403  403  403  403  403    403   403   404   403   403   404
GET instructors/C1            401  401  403  200  403  200  403    403   403   200   403   403   200
GET instructors/NEW           401  401  404  404  404  404  404    404   404   404   404   404   404
GET instructor/C1/INS         401  401  403  200  403  200  403    403   403   200   403   403   200
POST instructor/C1/INS        401  401  403  403  403  403  403    403   403   200   403   403   200
POST instructor/C1/SELF       401  401  403  403  403  200  403    403   403   200   403   403   200
POST instructor/C1/STU        401  401  403  403  403  403  403    403   403   200   403   403   200
POST instructor/NEW/SELF      401  401  404  404  404  404  404    404   404   404   404   404   404
DELETE instructor/C1/INS      401  401  403  403  403  403  403    403   403   200   403   403   200
DELETE instructor/C1/kevin    401  401  403  403  403  403  403    403   403   200   403   403   200
GET students/C1               401  401  403  403  403  200  403    403   403   200   403   403   200
POST students/C1              401  401  403  403  403  200  403    403   403   200   403   403   200
POST students/NEW             401  401  404  404  404  404  404    404   404   404   404   404   404
GET student/C1/STU            401  401  403  403  403  200  403    403   403   200   403   403   200
GET student/C1/SELF           401  401  404  200  404  404  404    404   404   404   403   403   404
POST student/C1/STU           401  401  403  403  403  200  403    403   403   200   403   403   200
POST student/C1/lawrence      401  401  403  403  403  200  403    403   403   200   403   403   200
POST student/C1/INS           401  401  403  403  403  409  403    403   403   409   403   403   409
DELETE student/C1/STU         401  401  403  403  403  200  403    403   403   200   403   403   200
DELETE student/C1/lawrence    401  401  403  403  403  200  403    403   403   200   403   403   200
GET assignments               401  401  200  200  200  200  200    200   200   200   200   200   200
GET assignments/C1            401  401  403  200  403  200  403    403   403   200   403   403   200
GET assignment/C1/A1          401  401  403  200  403  200  403    403   403   200   403   403   200
GET assignment/C1/GONE        401  401  403  404  403  404  403    403   403   404   403   403   404
POST assignment/C1/NEW        401  401  403  403  403  200  403    403   403   200   403   403   200
POST assignment/C1/A1         401  401  403  403  403  409  403    403   403   409   403   403   409
PUT assignment/C1/NEW         401  401  403  403  403  200  403    403   403   200   403   403   200
PUT assignment/C1/A1          401  401  403  403  403  200  403    403   403   200   403   403   200
PUT assignment/NEW/A1         401  401  404  404  404  404  404    404   404   404   404   404   404
DELETE assignment/C1/A1       401  401  403  403  403  200  403    403   403   200   403   403   200
DELETE assignment/C1/A1?purge 401  401  403  403  403  200  403    403   403   200   403   403   200
POST submission/C1/A1         401  401  403  200  403  200  403    403   403   200   403   403   403
POST submission/C1/GONE       401  401  403  404  403  404  403    403   403   404   403   403   403
GET submissions               401  401  200  200  200  200  200    200   200   200   200   200   200
GET submissions/C1/A1         401  401  403  403  403  200  403    403   403   200   403   403   200
GET submissions/C1/A1/STU     401  401  403  403  403  200  403    403   403   200   403   403   200
GET submissions/C1/A1/SELF    401  401  404  200  200  200  200    404   404   404   403   403   404
GET submission/C1/A1/STU      401  401  403  403  403  200  403    403   403   200   403   403   200
GET submission/C1/A1/SELF     401  401  404  200  200  200  200    404   404   404   403   403   404
DELETE submission/C1/A1/STU  401  401  403  403  403  200  403    403   403   200   403   403   200
DELETE submission/C1/A1/STU?purge 401  401  403  403  403  200  403    403   403   200   403   403   200
DELETE submission/C1/A1/SELF 401  401  403  403  403  200  403    403   403   404   403   403   404
DELETE submission/C1/GONE/STU 401  401  403  403  403  404  403    403   403   404   403   403   404
POST feedback/C1/A1/STU       401  401  403  403  403  200  403    403   403   200   403   403   200
POST feedback/C1/A1/SELF      401  401  403  403  403  200  403    403   403   404   403   403   404
GET feedback/C1/A1/STU        401  401  403  403  403  200  403    403   403   200   403   403   200
GET feedback/C1/A1/SELF       401  401  404  200  200  200  200    404   404   404   403   403   404
PUT blob/C1/SHA256            401  401  403  200  403  200  403    403   403   200   403   403   200
PUT blob/NEW/SHA256           401  401  404  404  404  404  404    404   404   404   404   404   404
GET pages/course/C1           401  401  403  200  403  200  403    403   403   200   403   403   200
GET pages/course/NEW          401  401  404  404  404  404  404    404   404   404   404   404   404
GET pages/assignment/C1/A1    401  401  403  200  403  200  403    403   403   200   403   403   200
GET pages/assignment/C1/GONE  401  401  403  404  403  404  403    403   403   404   403   403   404
GET pages/assignment/C1/A1/download 401  401  403  200  403  200  403    403   403   200   403   403   200
GET pages/submit/C1/A1        401  401  403  200  403  200  403    403   403   200   403   403   200
POST pages/submit/C1/A1       401  401  403  303  403  303  403    403   403   303   403   403   403
POST pages/submit/C1/GONE     401  401  403  404  403  404  403    403   403   404   403   403   404
GET pages/submission/C1/A1/STU 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/submission/C1/A1/SELF 401  401  404  200  200  200  200    404   404   404   403   403   404
GET pages/submission/C1/A1/STU/download 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/submission/C1/A1/SELF/download 401  401  404  200  200  200  200    404   404   404   403   403   404
GET pages/feedback/C1/A1/STU  401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/feedback/C1/A1/SELF 401  401  404  200  200  200  200    404   404   404   403   403   404
GET pages/feedback/C1/A1/STU/download 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/feedback/C1/A1/SELF/download 401  401  404  200  200  200  200    404   404   404   403   403   404
GET pages/feedback/C1/A1/STU/view?path 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/feedback/C1/A1/SELF/view?path 401  401  404  200  200  200  200    404   404   404   403   403   404
GET pages/course/C1/people/add 401  401  403  403  403  200  403    403   403   200   403   403   200
POST pages/course/C1/people/add 401  401  403  403  403  303  403    403   403   303   403   403   303
POST pages/course/C1/people/add?instructor 401  401  403  403  403  403  403    403   403   303   403   403   303
GET pages/course/C1/people/preview 401  401  403  403  403  200  403    403   403   200   403   403   200
POST pages/course/C1/people/preview 401  401  403  403  403  303  403    403   403   303   403   403   303
GET pages/course/C1/people/roster.csv 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/course/C1/person/STU 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/course/NEW/person/STU 401  401  404  404  404  404  404    404   404   404   404   404   404
POST pages/course/C1/person/STU?save 401  401  403  403  403  303  403    403   403   303   403   403   303
POST pages/course/C1/person/STU?remove 401  401  403  403  403  303  403    403   403   303   403   403   303
POST pages/course/C1/person/INS?save-instructor 401  401  403  403  403  403  403    403   403   303   403   403   303
POST pages/course/C1/person/INS?remove-instructor 401  401  403  403  403  403  403    403   403   303   403   403   303
GET pages/assignment/C1/A1/versions 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/assignment/C1/GONE/versions 401  401  403  403  403  404  403    403   403   404   403   403   404
POST pages/assignment/C1/A1/versions?un-release 401  401  403  403  403  303  403    403   403   303   403   403   303
POST pages/assignment/C1/A1/versions?restore 401  401  403  403  403  409  403    403   403   409   403   403   409
POST pages/assignment/C1/GONE/versions?restore 401  401  403  403  403  404  403    403   403   404   403   403   404
GET pages/assignment/C1/A1/students.csv 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/assignment/C1/A1/submissions.zip 401  401  403  403  403  200  403    403   403   200   403   403   200
GET pages/admin               401  401  403  403  403    403  403    403    403   200   403   403   200
POST pages/admin?new          401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin?course1      401  401  403  403  403    403  403    403    403   409   403   403   409
GET pages/admin/course/C1     401  401  403  403  403    403  403    403    403   200   403   403   200
GET pages/admin/course/old    401  401  403  403  403    403  403    403    403   200   403   403   200
GET pages/admin/course/NEW    401  401  403  403  403    403  403    403    403   404   403   403   404
POST pages/admin/course/C1?appoint 401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin/course/C1?remove-ivan 401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin/course/C1?delete 401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin/course/old?restore 401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin/course/C1?restore 401  401  403  403  403    403  403    403    403   409   403   403   409
POST pages/admin/course/old?purge-old 401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin/course/C1?purge-form 401  401  403  403  403    403  403    403    403   409   403   403   409
GET pages/admin/people        401  401  403  403  403    403  403    403    403   200   403   403   200
GET pages/admin/people/STU    401  401  403  403  403    403  403    403    403   200   403   403   200
POST pages/admin/people/STU?rename 401  401  403  403  403    403  403    403    403   303   403   403   303
POST pages/admin/people/STU?deactivate 401  401  403  403  403    403  403    403    403   303   403   403   303
GET pages/admin/people/STU/merge?into 401  401  403  403  403    403  403    403    403   200   403   403   200
POST pages/admin/people/STU/merge?into 401  401  403  403  403    403  403    403    403   303   403   403   303
GET pages/admin/person?stella 401  401  403  403  403    403  403    403    403   200   403   403   200
POST pages/admin/person?stella 401  401  403  403  403    403  403    403    403   303   403   403   303
GET pages/admin/storage       401  401  403  403  403    403  403    403    403   200   403   403   200
GET pages/admin/health        401  401  403  403  403    403  403    403    403   200   403   403   200
GET pages/admin/audit         401  401  403  403  403    403  403    403    403   200   403   403   200
GET pages/admin/audit.csv     401  401  403  403  403    403  403    403    403   200   403   403   200
GET initialize-Data6ase?dump  401  401  403  403  403  403  403    403   403   200   403   403   200
GET initialize-Data6ase?init  401  401  403  403  403  403  403    403   403   403   403   403   403
GET initialize-Data6ase?clear 401  401  403  403  403  403  403    403   403   403   403   403   403
"""  # noqa: E501

COLUMNS, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
HOME = [["GET", "", *ROWS[0][1:]]]  # the one row whose path is nothing
CALLS = [(row[0], row[1], dict(zip(COLUMNS, row[2:], strict=True))) for row in HOME + ROWS[1:]]

TIMESTAMP = "2020-01-01 00:00:00.000000 UTC"
ARGUMENTS = {
    "?dump": {"action": "dump"},
    "?init": {"action": "init"},
    "?clear": {"action": "clear"},
    "?purge": {"purge": "true"},
    "?instructor": {"role": "instructor"},
    "?save": {"action": "save"},
    "?save-instructor": {"action": "save", "role": "instructor"},
    "?remove-instructor": {"action": "remove", "role": "instructor"},
    "?un-release": {"action": "un-release"},
    "?restore": {"action": "restore"},
    "?path": {"path": "p"},
    "?new": {"course_id": "new"},
    "?course1": {"course_id": "course1"},
    "?appoint": {"action": "appoint"},
    "?remove": {"action": "remove"},
    "?remove-ivan": {"action": "remove", "username": "ivan"},
    "?delete": {"action": "delete"},
    "?purge-form": {"action": "purge", "typed": "course1"},
    "?purge-old": {"action": "purge", "typed": "old"},
    "?rename": {"action": "rename", "new_name": "sarah"},
    "?deactivate": {"action": "deactivate"},
    "?stella": {"name": "stella", "new_name": "sarah"},
    "?into": {"into": "lawrence"},
}
STELLA = people.Person("stella", [people.Role("course1", "student", True, False)], [], {})
# All that any POST or PUT wants, and the field of the old client that must never be believed.
FORM = {
    "user": "root",
    "first_name": "F",
    "last_name": "L",
    "email": "e@example.org",
    "files": encode({"a.txt": b"changed"}),
    "instructors": '["kevin"]',
    "students": '[{"username": "new", "first_name": "", "last_name": "", "email": ""}]',
    "timestamp": TIMESTAMP,
    "username": "new",
    "roster": "student_id,first_name,last_name,email\nnew,,,\n",
    "plan": Plan([Person("new", "", "", "")], [], 0, []).digest,
    "digest": Merger(STELLA, replace(STELLA, username="lawrence"), []).digest,
}
SHA256 = hashlib.sha256(urlencode(FORM).encode()).hexdigest()


def build_world(connection: Connection) -> None:
    """course1 and course2 with the people of the table; everybody submitted who ever could,
    and has feedback."""
    root = Identity("root", is_admin=True)
    courses.create_course(connection, root, "course1", ["kevin", "ivan", "carol"])
    courses.create_course(connection, root, "course2", ["abigail"])
    courses.create_course(connection, root, "old", ["kevin"])
    courses.delete_course(connection, root, "old", purge=False)
    for course, student in (
        ("course1", "lawrence"),
        ("course1", "stella"),
        ("course1", "felix"),
        ("course2", "eric"),
    ):
        rosters.add_student(connection, root, course, Person(student, "First", "Last", "e@x.org"))
    assignments.release_assignment(connection, root, "course1", "a1", pack_directory([("p", b"1")]))
    for name in ("lawrence", "stella", "felix", "kevin", "carol"):
        submissions.submit(
            connection, Identity(name), "course1", "a1", pack_directory([("p", b"2")])
        )
    connection.execute(update(Submission).values(at=datetime(2020, 1, 1, tzinfo=timezone.utc)))
    for name in ("lawrence", "stella", "felix", "kevin", "carol"):
        feedback.release_feedback(
            connection, root, "course1", "a1", name, TIMESTAMP, pack_directory([("p", b"3")])
        )
    rosters.remove_student(connection, root, "course1", "felix")
    rosters.remove_instructor(connection, root, "course1", "carol")


def caller(api: Api, role: str) -> Caller:
    if role == "anon":
        return api.nobody
    if role == "bad":
        return Caller(api, {"Authorization": "token nonsense"})
    return api.user(NAMES[role])


def expected_message(path: str, status: int) -> str | None:
    """What a refusal says; None where the table's path does not tell."""
    if path.startswith("oauth_callback"):
        return None
    if status == 401:
        return "Login required"
    if status == 403:
        return "Debug mode is off" if path.startswith("initialize") else "Permission denied"
    if status == 404 and "/NEW" in path:
        return "Course not found"
    if status == 404 and "/GONE" in path:
        return "Assignment not found"
    return "Student not found" if status == 404 else None


@pytest.fixture
def world(serve: Any, database: Database) -> Api:
    """A server that asks the Hub about every call, so that a name can be user and service."""
    database.write(build_world)
    return serve(admin_services=["grader"], identity_cache_seconds=0)


def request_of(path: str, name: str) -> tuple[str, dict[str, str]]:
    """The URL and the query that a path of the table stands for, when `name` calls."""
    where, mark, argument = path.partition("?")
    stands_for = {"C1": "course1", "A1": "a1", "STU": "stella", "INS": "ivan", "SELF": name}
    stands_for["SHA256"] = SHA256
    segments = [stands_for.get(segment, segment) for segment in where.split("/")]
    query = {"user": "root", "timestamp": TIMESTAMP, **ARGUMENTS.get(mark + argument, {})}
    return "/".join(segments), query


@pytest.mark.parametrize(
    ("verb", "path", "expected"), CALLS, ids=[f"{verb} {path}" for verb, path, _ in CALLS]
)
def test_everybody_may_do_what_the_table_says_and_a_refusal_changes_nothing(
    world: Api, hub: FakeHub, database: Database, verb: str, path: str, expected: dict[str, str]
) -> None:
    before = read_tables(database)
    outcomes, heads, changed = {}, {}, []
    for role in COLUMNS:
        name = NAMES.get(role, "nobody")
        hub.services = {name} if role in SERVICES else set()
        where, query = request_of(path, name)
        form = FORM | query if verb in ("POST", "PUT") else None
        response = caller(world, role).call(verb, where, params=query, data=form)
        outcomes[role] = str(response.status_code)
        if response.status_code >= 400:
            answer = response.json()
            assert answer["success"] is False
            promised = expected_message(path, response.status_code)
            assert promised is None or answer["message"] == promised
        if verb == "GET":
            head = caller(world, role).call("HEAD", where, params=query)
            heads[role] = str(head.status_code)
        if read_tables(database) != before:
            changed.append(role)
            restore_tables(database, before)
    assert outcomes == expected
    if verb == "GET":
        assert heads == expected
        assert changed == []
    else:
        assert changed == [role for role in COLUMNS if expected[role] in ("200", "303")]


def test_the_table_has_every_route_and_every_verb() -> None:
    tabled = {(verb, path.partition("?")[0]) for verb, path, _ in CALLS}
    for pattern, handler in [*ROUTES, *PAGES]:
        for verb in handler.allowed_verbs():
            if verb != "head":  # called beside every GET
                assert any(
                    verb.upper() == tabled_verb and re.fullmatch(pattern, path)
                    for tabled_verb, path in tabled
                ), f"{verb.upper()} {pattern} is not in the table"


def test_the_table_has_a_column_for_everybody() -> None:
    assert ["anon", "bad", *NAMES] == COLUMNS


def test_rights_in_one_course_are_none_in_another(world: Api, database: Database) -> None:
    kevin, lawrence = world.user("kevin"), world.user("lawrence")
    for someone in (kevin, lawrence):
        someone.fails(403, "Permission denied", "GET", "assignments/course2")
        someone.fails(403, "Permission denied", "POST", "submission/course2/a1", **FORM)
    kevin.fails(403, "Permission denied", "GET", "students/course2")
    kevin.fails(403, "Permission denied", "POST", "students/course2", **FORM)
    assert world.user("abigail").ok("GET", "courses")["courses"] == ["course2"]
    assert kevin.ok("GET", "courses")["courses"] == ["course1"]


def test_the_lists_of_courses_are_as_wide_as_the_rights(world: Api, hub: FakeHub) -> None:
    seen = {}
    for role in NAMES:
        hub.services = {NAMES[role]} if role in SERVICES else set()
        seen[role] = caller(world, role).ok("GET", "courses")["courses"]
    assert seen == {
        "out": [],
        "stu": ["course1"],
        "ex-stu": [],
        "ins": ["course1"],
        "ex-ins": [],
        "o-stu": ["course2"],
        "o-ins": ["course2"],
        "admin": ["course1", "course2"],
        "s-ins": [],
        "s-adm": [],
        "a-svc": ["course1", "course2"],
    }


def test_an_instructor_who_was_removed_loses_his_rights_at_once(world: Api) -> None:
    kevin = world.user("kevin")
    kevin.ok("GET", "students/course1")
    world.user("root").ok("DELETE", "instructor/course1/kevin")
    kevin.fails(403, "Permission denied", "GET", "students/course1")
    kevin.fails(403, "Permission denied", "GET", "assignment/course1/a1")


def test_debug_mode_opens_the_database_page_to_users_and_to_nobody_else(
    serve: Any, database: Database
) -> None:
    database.write(build_world)
    before = read_tables(database)
    debugging = serve(debug=True)
    for action in ("dump", "init", "clear"):
        debugging.nobody.fails(401, "Login required", "GET", "initialize-Data6ase", action=action)
    assert read_tables(database) == before
    assert debugging.user("mallory").ok("GET", "initialize-Data6ase", action="dump")["users"]

"""How many SQL statements a call sends: as many for 200 rows as for one."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import Connection

from ngshare import assignments, courses, feedback, rosters, submissions, wire
from ngshare.database.engine import Database
from ngshare.handlers.browsers import StaticHandler
from ngshare.permissions import Identity
from ngshare.rosters import Person
from ngshare.routes import PAGES, ROUTES
from tests.api import Api, encode
from tests.tables import counted_statements, pack_directory

MANY = 200

# The call, who makes it, and its statements. Of those, one finds the caller's role in the course,
# one the assignment, one the person, one the submission; files cost one, and their contents
# another one a MiB, unless they were sent a moment ago, as those of the assignment are here.
READS = [
    ("GET courses", "root", 1),
    ("GET courses", "kevin", 1),
    ("GET ", "kevin", 4),
    ("GET whoami", "kevin", 0),
    ("GET courses?detail=true", "root", 1),
    ("GET courses?detail=true", "kevin", 1),
    ("GET assignments", "root", 3),
    ("GET assignments", "lawrence", 3),
    ("GET assignments/c1?detail=true", "lawrence", 5),
    ("GET submissions", "root", 6),
    ("GET submissions?latest=true&manifest=true", "kevin", 7),
    ("GET submissions", "lawrence", 6),
    ("GET submissions/c1/a1?detail=true", "kevin", 9),
    ("GET instructors/c1", "kevin", 2),
    ("GET instructor/c1/kevin", "kevin", 2),
    ("GET students/c1", "kevin", 2),
    ("GET student/c1/lawrence", "kevin", 2),
    ("GET assignments/c1", "lawrence", 2),
    ("GET assignment/c1/a1", "lawrence", 5),
    ("GET assignment/c1/a1?list_only=true", "lawrence", 4),
    ("GET submissions/c1/a1", "kevin", 3),
    ("GET submissions/c1/a1/lawrence", "lawrence", 4),
    ("GET submission/c1/a1/lawrence", "kevin", 5),
    ("GET submission/c1/a1/lawrence?list_only=true", "kevin", 5),
    ("GET feedback/c1/a1/lawrence?timestamp=", "lawrence", 6),
    ("GET feedback/c1/a1/lawrence?timestamp=&list_only=true", "lawrence", 6),
    ("GET pages/admin", "root", 2),
    ("GET pages/admin/course/c1", "root", 2),
    ("GET pages/admin/people", "root", 3),
    ("GET pages/admin/people/lawrence", "root", 4),
    ("GET pages/admin/people/lawrence/merge?into=kevin", "root", 8),
    ("GET pages/admin/person?name=lawrence", "root", 4),
    ("GET pages/admin/storage", "root", 8),
    ("GET pages/admin/audit", "root", 2),
    ("GET pages/admin/audit.csv?course=c1&search=nothing", "root", 1),
    ("GET ", "lawrence", 4),
    ("GET ", "root", 6),
    ("GET pages/course/c1", "lawrence", 5),
    ("GET pages/assignment/c1/a1", "lawrence", 9),
    ("GET pages/assignment/c1/a1/download", "lawrence", 5),
    ("GET pages/submit/c1/a1", "lawrence", 8),
    ("GET pages/submission/c1/a1/lawrence", "kevin", 6),
    ("GET pages/submission/c1/a1/lawrence/download", "kevin", 6),
    ("GET pages/feedback/c1/a1/lawrence?timestamp=", "lawrence", 7),
    ("GET pages/feedback/c1/a1/lawrence/download?timestamp=", "lawrence", 7),
    ("GET pages/feedback/c1/a1/lawrence/view?timestamp=&path=f0", "lawrence", 7),
    ("GET initialize-Data6ase?action=dump", "root", 10),
    ("GET initialize-Data6ase?action=dump&table=files", "root", 1),
    ("GET pages/api", "kevin", 0),
    ("GET pages/database", "root", 1),
    ("GET pages/database/users", "root", 2),
    ("GET pages/database/users?sort=name&after=1", "root", 3),
    ("GET pages/database/submissions?last=true", "root", 4),
    ("GET pages/database/submissions?format=csv", "root", 1),
    ("GET pages/database/users?row=1", "root", 2),
    ("GET pages/course/c1", "kevin", 6),
    ("GET pages/course/c1/people/add", "kevin", 1),
    ("GET pages/course/c1/people/preview", "kevin", 1),
    ("GET pages/course/c1/people/roster.csv", "kevin", 2),
    ("GET pages/course/c1/person/lawrence", "kevin", 2),
    ("GET pages/assignment/c1/a1", "kevin", 5),
    ("GET pages/assignment/c1/a1?search=l&show=submitted", "kevin", 5),
    ("GET pages/assignment/c1/a1?show=missing", "kevin", 6),
    ("GET pages/assignment/c1/a1/versions", "kevin", 3),
    ("GET pages/assignment/c1/a1/students.csv", "kevin", 3),
    ("GET pages/assignment/c1/a1/submissions.zip", "kevin", 5),
]

# Uploads of 1 and of 200 things that are new to the database. Rights are looked at twice: before
# the files are decoded, and in the transaction that stores them.
WRITES = [
    ("POST course/new", "instructors", "root", 9),
    ("POST students/c1", "students", "kevin", 10),
    ("POST assignment/c1/new", "files", "kevin", 14),
    ("POST submission/c1/a1", "files", "lawrence", 14),
    ("POST feedback/c1/a1/lawrence", "files", "kevin", 17),
]


def fill(connection: Connection, count: int) -> None:
    """`count` of everything: courses, people, assignments, submissions, feedback, files."""
    root = Identity("root", is_admin=True)
    courses.create_course(connection, root, "c1", ["kevin", *(f"i{n}" for n in range(1, count))])
    for number in range(2, count + 1):
        courses.create_course(connection, root, f"c{number}", ["kevin"])
    names = ["lawrence", *(f"s{n}" for n in range(1, count))]
    rosters.add_students(connection, root, "c1", [Person(name, "", "", "") for name in names])
    directory = pack_directory((f"f{n}", b"%d" % n) for n in range(count))
    for number in range(1, count + 1):
        assignments.release_assignment(connection, root, "c1", f"a{number}", directory)
        receipt = submissions.submit(connection, Identity("lawrence"), "c1", "a1", directory)
        timestamp = wire.format_timestamp(receipt.at)
        feedback.release_feedback(connection, root, "c1", "a1", "lawrence", timestamp, directory)


def upload(kind: str, count: int, label: str) -> dict[str, str]:
    """A form with `count` things that are stored nowhere yet if the label is new."""
    if kind == "files":
        return {"files": encode({f"f{n}": f"{label} {n}".encode() for n in range(count)})}
    names = [f"{kind}{n}" for n in range(count)]
    if kind == "instructors":
        return {"instructors": json.dumps(names)}
    rest = {"first_name": "", "last_name": "", "email": ""}
    return {"students": json.dumps([{"username": name, **rest} for name in names])}


@pytest.mark.parametrize("rows", [1, MANY])
def test_a_read_sends_as_many_statements_for_many_rows_as_for_one(
    api: Api, database: Database, rows: int
) -> None:
    database.write(fill, rows)
    counts = []
    for call, name, _ in READS:
        verb, _, path = call.partition(" ")
        with counted_statements(database) as statements:
            response = api.user(name).call(verb, path)
        assert response.status_code == 200, response.text
        counts.append((call, name, len(statements)))
    assert counts == READS


@pytest.mark.parametrize("rows", [1, MANY])
def test_an_upload_sends_as_many_statements_for_many_things_as_for_one(
    api: Api, database: Database, rows: int
) -> None:
    database.write(fill, 1)
    answer = api.user("kevin").ok("GET", "submission/c1/a1/lawrence")
    counts = []
    for call, kind, name, _ in WRITES:
        verb, _, path = call.partition(" ")
        form = {**upload(kind, rows, call), "timestamp": answer["timestamp"]}
        with counted_statements(database) as statements:
            api.user(name).ok(verb, path, **form)
        counts.append((call, kind, name, len(statements)))
    assert counts == WRITES


@pytest.mark.parametrize("rows", [1, MANY])
def test_purging_sends_as_many_statements_for_many_rows_as_for_one(
    api: Api, database: Database, rows: int
) -> None:
    database.write(fill, rows)
    with counted_statements(database) as statements:
        api.user("root").ok("DELETE", "course/c1", purge="true")
    assert len(statements) == 20


def test_every_get_of_the_api_is_counted() -> None:
    counted = {call.removeprefix("GET ").partition("?")[0] for call, _, _ in READS}
    # no database, or in a second one statement at most
    uncounted = {"healthz", "readyz", "metrics", "oauth_callback", r"openapi\.json"}
    uncounted.add("pages/admin/health")  # some statements about the database, none about its rows
    uncounted |= {pattern for pattern, handler in PAGES if handler is StaticHandler}
    for pattern, handler in [*ROUTES, *PAGES]:
        if "get" in handler.allowed_verbs() and pattern not in uncounted:
            assert any(re.fullmatch(pattern, path) for path in counted), pattern


def test_an_upload_of_what_is_stored_already_sends_no_contents(
    course: Api, database: Database
) -> None:
    files = {f"f{n}": b"%d" % n for n in range(20)}
    lawrence = course.user("lawrence")
    lawrence.submit("course1", "challenge", files)
    with counted_statements(database) as statements:
        lawrence.submit("course1", "challenge", files)
    inserted = [statement.split()[2] for statement in statements if statement.startswith("INSERT")]
    assert inserted == ["submissions", "audit_log"]

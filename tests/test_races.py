"""Calls that meet: each gets an answer that is whole, and nothing is half done."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from sqlalchemy import Connection

from ngshare import rosters
from ngshare.database.engine import Database
from ngshare.permissions import Identity
from ngshare.rosters import Person
from tests.api import Api, at_once, decode, encode
from tests.tables import read_tables

MANY_MEGABYTES = {f"file{n:02}": random.Random(n).randbytes(1 << 20) for n in range(12)}


def download_while(api: Api, name: str, path: str, meanwhile: Callable[[], object]) -> dict:
    """What a slow reader gets: something happens while most of the answer is yet to be sent."""
    response = api.user(name).call("GET", path, stream=True)
    assert response.status_code == 200
    beginning = response.raw.read(1000)
    meanwhile()
    return json.loads(beginning + response.raw.read())


def test_a_student_who_downloads_feedback_gets_it_whole_while_it_is_replaced(course: Api) -> None:
    kevin, path = course.user("kevin"), "feedback/course1/challenge/lawrence"
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
    kevin.ok("POST", path, timestamp=timestamp, files=encode(MANY_MEGABYTES))

    def replace() -> None:
        kevin.ok("POST", path, timestamp=timestamp, files=encode({"new": b"2"}))

    answer = download_while(course, "lawrence", f"{path}?timestamp=", replace)
    assert decode(answer["files"]) == MANY_MEGABYTES
    assert course.user("lawrence").files(path, timestamp=timestamp) == {"new": b"2"}


def test_a_student_who_fetches_an_assignment_gets_it_whole_while_it_is_unreleased(
    course: Api,
) -> None:
    kevin = course.user("kevin")
    kevin.release("course1", "long", MANY_MEGABYTES)
    answer = download_while(
        course,
        "lawrence",
        "assignment/course1/long",
        lambda: kevin.ok("DELETE", "assignment/course1/long"),
    )
    assert decode(answer["files"]) == MANY_MEGABYTES


def test_what_is_submitted_while_the_assignment_is_purged_is_stored_whole_or_refused(
    course: Api, database: Database
) -> None:
    files = {"a": b"shared by everybody", "b": b"too"}
    for _ in range(5):
        calls = [("lawrence", "POST", "submission"), ("eric", "POST", "submission")] * 3
        calls.insert(3, ("kevin", "DELETE", "assignment"))

        def call(who: tuple[str, str, str]) -> int:
            name, verb, kind = who
            path = f"{kind}/course1/challenge?purge=true"
            return course.user(name).send(verb, path, files=encode(files)).status_code

        statuses = at_once(call, calls)
        assert set(statuses) <= {200, 404}
        assert statuses[3] == 200
        assert course.user("kevin").ok("GET", "assignments/course1")["assignments"] == []
        tables = read_tables(database)
        assert {name for name, rows in tables.items() if rows} == {
            "audit_log",
            "courses",
            "memberships",
            "users",
        }
        course.user("kevin").release("course1", "challenge", {"file2": b"22222"})


@pytest.mark.parametrize("many", [False, True])
def test_who_is_just_being_appointed_is_not_enrolled_as_a_student(
    course: Api, database: Database, many: bool
) -> None:
    person = {"first_name": "", "last_name": "", "email": ""}
    students = json.dumps([{"username": "new", **person}])

    def enroll() -> object:
        if many:
            answer = course.user("kevin").ok("POST", "students/course1", students=students)
            return answer["status"][0]["success"]
        response = course.user("kevin").send("POST", "student/course1/new", **person)
        return response.status_code == 200

    def appoint(connection: Connection) -> Future[object]:
        root = Identity("root", is_admin=True)
        rosters.add_instructor(connection, root, "course1", Person("new", "", "", ""))
        enrolled = threads.submit(enroll)
        wait([enrolled], timeout=0.5)  # it can't end before this transaction does
        return enrolled

    with ThreadPoolExecutor(1) as threads:
        assert database.write(appoint).result(10) is False
    course.user("kevin").ok("GET", "instructor/course1/new")
    course.user("kevin").fails(404, "Student not found", "GET", "student/course1/new")


@pytest.mark.parametrize("size", [1, 3 << 20])
def test_the_same_content_submitted_by_many_at_once_is_stored_once(
    course: Api, database: Database, size: int
) -> None:
    content = random.Random(size).randbytes(size)
    students = [f"student{number}" for number in range(8)]
    rows = [{"username": name, "first_name": "", "last_name": "", "email": ""} for name in students]
    course.user("kevin").ok("POST", "students/course1", students=json.dumps(rows))
    at_once(lambda name: course.user(name).submit("course1", "challenge", {"a": content}), students)
    for name in students:
        assert course.user("kevin").files(f"submission/course1/challenge/{name}") == {"a": content}
    digests = [row[0] for row in read_tables(database)["blobs"]]
    assert sorted(digests) == sorted(
        hashlib.sha256(stored).digest() for stored in (content, b"22222")
    )

"""Courses: list, create, delete."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Connection, func, select

from ngshare.database.engine import Database
from ngshare.database.models import Base
from tests.api import Api, at_once, encode, person


def test_everybody_sees_the_own_courses_and_an_admin_sees_all(course: Api) -> None:
    for name, courses in (
        ("kevin", ["course1"]),
        ("abigail", ["course2"]),
        ("eric", ["course1", "course2"]),
        ("stranger", []),
        ("root", ["course1", "course2"]),
    ):
        assert course.user(name).ok("GET", "courses") == {"success": True, "courses": courses}


def test_courses_are_sorted_as_python_sorts(api: Api) -> None:
    names = ["b", "a", "B", "a b", "Z", "é", "_", "10", "9", "課"]
    for name in names:
        api.user("root").ok("POST", f"course/{name}", instructors='["kevin"]')
    assert api.user("root").ok("GET", "courses")["courses"] == sorted(names)
    assert api.user("kevin").ok("GET", "courses")["courses"] == sorted(names)


def test_an_admin_creates_a_course_with_its_instructors(api: Api) -> None:
    answer = api.user("root").ok("POST", "course/maths", instructors='["kevin", "abigail"]')
    assert answer == {"success": True}
    instructors = api.user("kevin").ok("GET", "instructors/maths")["instructors"]
    nothing_known = {"first_name": None, "last_name": None, "email": None}
    assert instructors == [
        {"username": "kevin", **nothing_known},
        {"username": "abigail", **nothing_known},
    ]


@pytest.mark.parametrize("fields", [{}, {"instructors": "[]"}])
def test_a_course_needs_no_instructors(api: Api, fields: dict[str, str]) -> None:
    api.user("root").ok("POST", "course/maths", **fields)
    assert api.user("root").ok("GET", "instructors/maths")["instructors"] == []


def test_an_instructor_named_twice_is_one_instructor(api: Api) -> None:
    api.user("root").ok("POST", "course/maths", instructors='["kevin", "kevin"]')
    instructors = api.user("root").ok("GET", "instructors/maths")["instructors"]
    assert [instructor["username"] for instructor in instructors] == ["kevin"]


def test_course_ids_are_case_sensitive(course: Api) -> None:
    root = course.user("root")
    root.fails(404, "Course not found", "GET", "assignments/Course1")
    root.ok("POST", "course/Course1")
    assert root.ok("GET", "assignments/Course1")["assignments"] == []
    assert root.ok("GET", "courses")["courses"] == ["Course1", "course1", "course2"]


def test_creating_a_course_checks_the_caller_then_the_course_then_the_instructors(
    course: Api,
) -> None:
    broken = {"instructors": "["}
    course.nobody.fails(401, "Login required", "POST", "course/course1", **broken)
    for name in ("kevin", "lawrence", "stranger"):
        for course_id in ("course1", "new"):
            course.user(name).fails(
                403, "Permission denied", "POST", f"course/{course_id}", **broken
            )
    root = course.user("root")
    root.fails(409, "Course already exists", "POST", "course/course1", **broken)
    root.fails(400, "Instructors cannot be JSON decoded", "POST", "course/new", **broken)
    assert root.ok("GET", "courses")["courses"] == ["course1", "course2"]


@pytest.mark.parametrize(
    "instructors",
    ["", "kevin", "{}", '"kevin"', "null", "[1]", '[["kevin"]]', '[""]', '["a\\u0000b"]'],
)
def test_instructors_that_are_no_list_of_names_are_refused(api: Api, instructors: str) -> None:
    root = api.user("root")
    message = "Instructors cannot be JSON decoded"
    root.fails(400, message, "POST", "course/new", instructors=instructors)
    assert root.ok("GET", "courses")["courses"] == []


def test_a_refused_creation_leaves_the_course_as_it_was(course: Api) -> None:
    root = course.user("root")
    again = {"instructors": '["stranger"]'}
    root.fails(409, "Course already exists", "POST", "course/course1", **again)
    instructors = root.ok("GET", "instructors/course1")["instructors"]
    assert [instructor["username"] for instructor in instructors] == ["kevin"]
    assert course.user("stranger").ok("GET", "courses")["courses"] == []


def test_of_concurrent_creations_of_one_course_one_succeeds(api: Api) -> None:
    root = api.user("root")
    teachers = [f"teacher{number}" for number in range(8)]

    def create(teacher: str) -> int:
        fields = {"instructors": json.dumps([teacher])}
        return root.send("POST", "course/maths", **fields).status_code

    statuses = at_once(create, teachers)
    assert sorted(statuses) == [200] + 7 * [409]
    instructors = root.ok("GET", "instructors/maths")["instructors"]
    assert [instructor["username"] for instructor in instructors] == [teachers[statuses.index(200)]]


def test_deleting_a_course_checks_the_caller_before_the_course(course: Api) -> None:
    course.nobody.fails(401, "Login required", "DELETE", "course/course1")
    for name in ("kevin", "lawrence", "stranger"):
        for course_id in ("course1", "nowhere"):
            course.user(name).fails(403, "Permission denied", "DELETE", f"course/{course_id}")
    course.user("root").fails(404, "Course not found", "DELETE", "course/nowhere")


def test_a_deleted_course_is_gone_for_every_call(course: Api) -> None:
    course.user("lawrence").submit("course1", "challenge", {})
    assert course.user("root").ok("DELETE", "course/course1") == {"success": True}
    assert course.user("eric").ok("GET", "courses")["courses"] == ["course2"]
    assert course.user("root").ok("GET", "courses")["courses"] == ["course2"]
    for verb, path in (
        ("GET", "assignments/course1"),
        ("GET", "assignment/course1/challenge"),
        ("POST", "assignment/course1/challenge"),
        ("DELETE", "assignment/course1/challenge"),
        ("GET", "submissions/course1/challenge"),
        ("GET", "submissions/course1/challenge/lawrence"),
        ("GET", "submission/course1/challenge/lawrence"),
        ("POST", "submission/course1/challenge"),
        ("GET", "feedback/course1/challenge/lawrence"),
        ("POST", "feedback/course1/challenge/lawrence"),
        ("GET", "instructors/course1"),
        ("GET", "instructor/course1/kevin"),
        ("GET", "students/course1"),
        ("GET", "student/course1/lawrence"),
        ("DELETE", "student/course1/lawrence"),
    ):
        for name in ("root", "kevin", "lawrence"):
            course.user(name).fails(404, "Course not found", verb, path)
    course.user("root").fails(404, "Course not found", "DELETE", "course/course1")


def test_a_deleted_course_keeps_its_work_for_when_it_is_created_again(course: Api) -> None:
    root = course.user("root")
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"my work"})
    root.ok("DELETE", "course/course1")
    root.ok("POST", "course/course1", instructors='["abigail"]')
    abigail = course.user("abigail")
    assert abigail.files("submission/course1/challenge/lawrence") == {"a": b"my work"}
    assert abigail.ok("GET", "submissions/course1/challenge")["submissions"] == [
        {"student_id": "lawrence", "timestamp": timestamp}
    ]
    course.user("kevin").fails(403, "Permission denied", "GET", "assignments/course1")


def test_purging_a_course_erases_it_with_all_its_work(course: Api, database: Database) -> None:
    root, kevin = course.user("root"), course.user("kevin")
    root.ok("DELETE", "course/course2", purge="true")
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"my work"})
    kevin.ok(
        "POST",
        "feedback/course1/challenge/lawrence",
        timestamp=timestamp,
        files=encode({"f": b"well done"}),
    )
    root.ok("DELETE", "course/course1", purge="true")

    def filled_tables(connection: Connection) -> set[str]:
        return {
            table.name
            for table in Base.metadata.sorted_tables
            if connection.scalar(select(func.count()).select_from(table))
        }

    assert database.read(filled_tables) == {"users", "audit_log"}
    root.ok("POST", "course/course1", instructors='["kevin"]')
    assert kevin.ok("GET", "assignments/course1")["assignments"] == []
    assert kevin.ok("GET", "students/course1")["students"] == []


def test_only_purge_equal_to_true_erases(course: Api) -> None:
    root = course.user("root")
    course.user("lawrence").submit("course1", "challenge", {"a": b"my work"})
    root.ok("DELETE", "course/course1", purge="yes")
    root.ok("POST", "course/course1")
    assert root.files("submission/course1/challenge/lawrence") == {"a": b"my work"}


def test_deleting_one_course_leaves_the_others(course: Api) -> None:
    root = course.user("root")
    root.ok("POST", "student/course2/lawrence", **person("lawrence"))
    course.user("abigail").release("course2", "challenge", {"file2": b"22222"})
    course.user("lawrence").submit("course2", "challenge", {"same": b"bytes"})
    course.user("lawrence").submit("course1", "challenge", {"same": b"bytes"})
    root.ok("DELETE", "course/course1", purge="true")
    abigail = course.user("abigail")
    assert abigail.files("assignment/course2/challenge") == {"file2": b"22222"}
    assert abigail.files("submission/course2/challenge/lawrence") == {"same": b"bytes"}

"""Rosters: the instructors and students of a course."""

from __future__ import annotations

import json
import time

import pytest

from tests.api import Api, Caller, at_once, person

NOBODY_KNOWS = {"first_name": None, "last_name": None, "email": None}
FIELDS = ["first_name", "last_name", "email"]


def names(caller: Caller, people: str, course_id: str = "course1") -> list[str]:
    answer = caller.ok("GET", f"{people}/{course_id}")
    return [row["username"] for row in answer[people]]


# ---- instructors ----


def test_an_admin_appoints_an_instructor(course: Api) -> None:
    answer = course.user("root").ok("POST", "instructor/course1/emma", **person("emma"))
    assert answer == {"success": True}
    answer = course.user("emma").ok("GET", "instructor/course1/emma")
    assert answer == {"success": True, "username": "emma", **person("emma")}


def test_members_see_the_instructors_in_the_order_of_being_added(course: Api) -> None:
    for name in ("zoe", "emma", "Anna"):
        course.user("root").ok("POST", f"instructor/course1/{name}", **person(name))
    course.user("root").ok("POST", "instructor/course1/zoe", **person("zoe"))
    for caller in ("root", "kevin", "lawrence"):
        answer = course.user(caller).ok("GET", "instructors/course1")
        assert answer == {
            "success": True,
            "instructors": [
                {"username": "kevin", **NOBODY_KNOWS},
                *({"username": name, **person(name)} for name in ("zoe", "emma", "Anna")),
            ],
        }


def test_a_member_sees_one_instructor_with_nulls_for_what_is_not_set(course: Api) -> None:
    answer = course.user("lawrence").ok("GET", "instructor/course1/kevin")
    assert answer == {"success": True, "username": "kevin", **NOBODY_KNOWS}


def test_an_instructor_describes_himself_and_nobody_else(course: Api) -> None:
    kevin = course.user("kevin")
    kevin.ok("POST", "instructor/course1/kevin", **person("kevin"))
    assert kevin.ok("GET", "instructor/course1/kevin")["email"] == "kevin@example.org"
    course.user("root").ok("POST", "instructor/course1/emma", **person("emma"))
    for name in ("emma", "lawrence", "stranger"):
        kevin.fails(403, "Permission denied", "POST", f"instructor/course1/{name}", **person("x"))
    assert kevin.ok("GET", "instructor/course1/emma")["first_name"] == "Emma"
    assert names(kevin, "students") == ["lawrence", "eric"]


def test_a_student_who_is_appointed_becomes_an_instructor(course: Api) -> None:
    course.user("root").ok("POST", "instructor/course1/lawrence", **person("lawrence"))
    lawrence = course.user("lawrence")
    assert names(lawrence, "students") == ["eric"]
    assert names(lawrence, "instructors") == ["kevin", "lawrence"]
    lawrence.fails(404, "Student not found", "GET", "student/course1/lawrence")


def test_a_removed_instructor_has_no_rights_left_and_his_submissions_stay(course: Api) -> None:
    course.user("kevin").submit("course1", "challenge", {"solution": b"42"})
    root = course.user("root")
    assert root.ok("DELETE", "instructor/course1/kevin") == {"success": True}
    assert names(root, "instructors") == []
    root.fails(404, "Instructor not found", "DELETE", "instructor/course1/kevin")
    course.user("kevin").fails(403, "Permission denied", "GET", "students/course1")
    assert course.user("kevin").ok("GET", "courses")["courses"] == []
    assert root.files("submission/course1/challenge/kevin") == {"solution": b"42"}


def test_appointing_checks_login_course_right_and_then_the_fields(course: Api) -> None:
    path = "instructor/course1/emma"
    course.nobody.fails(401, "Login required", "POST", path)
    course.user("root").fails(404, "Course not found", "POST", "instructor/nowhere/emma")
    for name in ("kevin", "lawrence", "abigail"):
        course.user(name).fails(403, "Permission denied", "POST", path)
    course.user("root").fails(400, "Please supply first name", "POST", path)


def test_reading_instructors_checks_login_course_right_and_then_the_person(course: Api) -> None:
    for path in ("instructor/course1/eric", "instructors/course1"):
        course.nobody.fails(401, "Login required", "GET", path)
        for name in ("abigail", "stranger"):
            course.user(name).fails(403, "Permission denied", "GET", path)
    for path in ("instructor/nowhere/kevin", "instructors/nowhere"):
        course.user("stranger").fails(404, "Course not found", "GET", path)
    for name in ("eric", "stranger", "Kevin"):
        path = f"instructor/course1/{name}"
        course.user("lawrence").fails(404, "Instructor not found", "GET", path)


def test_removing_an_instructor_checks_the_admin_before_the_course(course: Api) -> None:
    course.nobody.fails(401, "Login required", "DELETE", "instructor/course1/kevin")
    for path in ("instructor/course1/kevin", "instructor/nowhere/kevin"):
        for name in ("kevin", "lawrence", "stranger"):
            course.user(name).fails(403, "Permission denied", "DELETE", path)
    root = course.user("root")
    root.fails(404, "Course not found", "DELETE", "instructor/nowhere/kevin")
    root.fails(404, "Instructor not found", "DELETE", "instructor/course1/lawrence")
    assert names(root, "students") == ["lawrence", "eric"]


# ---- students, one by one ----


def test_an_instructor_adds_and_updates_a_student(course: Api) -> None:
    kevin = course.user("kevin")
    assert kevin.ok("POST", "student/course1/emma", **person("emma")) == {"success": True}
    kevin.ok("POST", "student/course1/emma", first_name="E.", last_name="X", email="")
    known = {"username": "emma", "first_name": "E.", "last_name": "X", "email": ""}
    for caller in (kevin, course.user("emma"), course.user("root")):
        assert caller.ok("GET", "student/course1/emma") == {"success": True, **known}


def test_an_instructor_sees_the_students_in_the_order_of_being_added(course: Api) -> None:
    kevin = course.user("kevin")
    kevin.ok("POST", "student/course1/Anna", **person("Anna"))
    for name in ("eric", "lawrence"):
        kevin.ok("POST", f"student/course1/{name}", **person(name))
    students = [{"username": name, **person(name)} for name in ("lawrence", "eric", "Anna")]
    assert kevin.ok("GET", "students/course1") == {"success": True, "students": students}


def test_an_instructor_is_not_added_as_a_student(course: Api) -> None:
    message = "Cannot add instructor as student"
    course.user("root").fails(409, message, "POST", "student/course1/kevin", **person("kevin"))
    assert names(course.user("kevin"), "students") == ["lawrence", "eric"]


def test_adding_a_student_checks_login_course_right_and_then_the_fields(course: Api) -> None:
    path = "student/course1/emma"
    course.nobody.fails(401, "Login required", "POST", path)
    course.user("kevin").fails(404, "Course not found", "POST", "student/nowhere/emma")
    for name in ("lawrence", "abigail", "emma"):
        course.user(name).fails(403, "Permission denied", "POST", path)
    course.user("kevin").fails(400, "Please supply first name", "POST", path)


@pytest.mark.parametrize("role", ["instructor", "student"])
def test_the_first_field_that_is_missing_is_named(course: Api, role: str) -> None:
    root, path = course.user("root"), f"{role}/course1/emma"
    for number, field in enumerate(FIELDS):
        fields = dict.fromkeys(FIELDS[:number], "")
        message = f"Please supply {field.replace('_', ' ')}"
        root.fails(400, message, "POST", path, **fields)
    assert "emma" not in names(root, f"{role}s")


@pytest.mark.parametrize("role", ["instructor", "student"])
def test_names_and_addresses_are_trimmed(course: Api, role: str) -> None:
    root, path = course.user("root"), f"{role}/course1/emma"
    root.ok("POST", path, first_name=" Emma\n", last_name="\tvan  Dam ", email=" e@x.org ")
    answer = root.ok("GET", path)
    assert [answer[field] for field in FIELDS] == ["Emma", "van  Dam", "e@x.org"]


def test_reading_students_checks_login_course_right_and_then_the_person(course: Api) -> None:
    for path in ("student/course1/lawrence", "students/course1"):
        course.nobody.fails(401, "Login required", "GET", path)
        for name in ("eric", "abigail", "stranger"):
            course.user(name).fails(403, "Permission denied", "GET", path)
    for path in ("student/nowhere/lawrence", "students/nowhere"):
        course.user("lawrence").fails(404, "Course not found", "GET", path)
    for name in ("kevin", "stranger", "Lawrence"):
        path = f"student/course1/{name}"
        course.user("kevin").fails(404, "Student not found", "GET", path)


def test_removing_a_student_checks_login_course_right_and_then_the_person(course: Api) -> None:
    path = "student/course1/lawrence"
    course.nobody.fails(401, "Login required", "DELETE", path)
    course.user("kevin").fails(404, "Course not found", "DELETE", "student/nowhere/lawrence")
    for name in ("lawrence", "abigail"):
        course.user(name).fails(403, "Permission denied", "DELETE", path)
    for name in ("stranger", "kevin"):
        path = f"student/course1/{name}"
        course.user("kevin").fails(404, "Student not found", "DELETE", path)


def test_a_removed_student_can_be_added_again(course: Api) -> None:
    kevin, path = course.user("kevin"), "student/course1/lawrence"
    assert kevin.ok("DELETE", path) == {"success": True}
    assert names(kevin, "students") == ["eric"]
    kevin.fails(404, "Student not found", "GET", path)
    kevin.fails(404, "Student not found", "DELETE", path)
    assert course.user("lawrence").ok("GET", "courses")["courses"] == []
    kevin.ok("POST", path, **person("lawrence"))
    assert course.user("lawrence").ok("GET", path)["last_name"] == "Example"


def test_user_ids_are_case_sensitive(course: Api) -> None:
    kevin = course.user("kevin")
    kevin.ok("POST", "student/course1/Lawrence", **person("other"))
    assert names(kevin, "students") == ["lawrence", "eric", "Lawrence"]
    assert kevin.ok("GET", "student/course1/lawrence")["first_name"] == "Lawrence"


# ---- many students at once ----


def test_many_students_are_added_and_each_is_answered(course: Api) -> None:
    kevin = course.user("kevin")
    rows = [{"username": name, **person(name)} for name in ("zoe", "kevin", "eric", "Anna")]
    answer = kevin.ok("POST", "students/course1", students=json.dumps(rows))
    assert answer == {
        "success": True,
        "status": [
            {"username": "zoe", "success": True},
            {
                "username": "kevin",
                "success": False,
                "message": "Cannot add instructor as student",
            },
            {"username": "eric", "success": True},
            {"username": "Anna", "success": True},
        ],
    }
    assert names(kevin, "students") == ["lawrence", "eric", "zoe", "Anna"]
    assert kevin.ok("GET", "student/course1/eric")["last_name"] == "Example"


def test_of_two_rows_for_one_student_the_last_counts(course: Api) -> None:
    kevin = course.user("kevin")
    rows = [{"username": "zoe", **person("zoe"), "email": email} for email in ("a@x", " b@x ")]
    kevin.ok("POST", "students/course1", students=json.dumps(rows))
    assert kevin.ok("GET", "student/course1/zoe")["email"] == "b@x"


def test_adding_many_students_checks_login_course_right_and_then_the_list(course: Api) -> None:
    path = "students/course1"
    course.nobody.fails(401, "Login required", "POST", path)
    course.user("kevin").fails(404, "Course not found", "POST", "students/nowhere")
    for name in ("lawrence", "abigail"):
        course.user(name).fails(403, "Permission denied", "POST", path, students="[")
    kevin = course.user("kevin")
    for students in ({}, {"students": ""}, {"students": "[]"}):
        kevin.fails(400, "Please supply students", "POST", path, **students)
    kevin.fails(400, "Students cannot be JSON decoded", "POST", path, students="[")
    assert names(kevin, "students") == ["lawrence", "eric"]


@pytest.mark.parametrize(
    "students",
    [
        {"username": "zoe", **person("zoe")},
        ["zoe"],
        [{"username": "zoe"}],
        [{"username": "zoe", **person("zoe")}, {"username": 7, **person("x")}],
        [{"username": "zoe", **person("zoe"), "email": None}],
        "zoe",
        7,
    ],
)
def test_one_malformed_row_refuses_the_whole_list(course: Api, students: object) -> None:
    kevin = course.user("kevin")
    message = "Incorrect request format"
    kevin.fails(400, message, "POST", "students/course1", students=json.dumps(students))
    assert names(kevin, "students") == ["lawrence", "eric"]


def test_two_thousand_students_are_added_within_a_second(course: Api) -> None:
    kevin = course.user("kevin")
    rows = [{"username": f"s{number:04}", **person("s")} for number in range(2000)]
    before = time.perf_counter()
    answer = kevin.ok("POST", "students/course1", students=json.dumps(rows))
    seconds = time.perf_counter() - before
    print(f"2,000 students: {seconds:.2f} s")
    assert all(row["success"] for row in answer["status"])
    assert names(kevin, "students")[2:] == [row["username"] for row in rows]
    assert seconds < 2  # the promise is 1; the rest is for a busy machine


def test_concurrent_rosters_with_the_same_new_people_all_succeed(course: Api) -> None:
    kevin = course.user("kevin")
    rows = [{"username": f"s{number}", **person("s")} for number in range(40)]

    def add(turned: bool) -> int:
        students = json.dumps(rows[::-1] if turned else rows)
        return kevin.send("POST", "students/course1", students=students).status_code

    assert at_once(add, [False, True] * 3) == [200] * 6
    assert sorted(names(kevin, "students")[2:]) == sorted(row["username"] for row in rows)


def test_concurrent_first_calls_of_unknown_people_all_succeed(course: Api) -> None:
    def look(number: int) -> int:
        return course.user(f"new{number % 3}").send("GET", "courses").status_code

    assert at_once(look, range(9)) == [200] * 9

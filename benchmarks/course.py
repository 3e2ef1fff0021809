"""The sample site: one class of students in twenty courses, and the assignments they work on."""

import base64
import json
import os
from urllib.parse import quote

from .hub import token_of
from .processes import BenchmarkError
from .servers import ADMIN, Server

MEGABYTE = 1_000_000
COURSES = [f"course{number:02}" for number in range(20)]
COURSE = COURSES[0]
TEACHER = "teacher"
STUDENTS = [f"student{number:02}" for number in range(16)]
RELEASED = "released"  # an assignment with one file of 1 MB
HANDED_IN = "handed in"  # an assignment that gets all submissions
CLASS = COURSES[2]  # a course of its own for a thousand students
CLASSMATES = [f"classmate{number:04}" for number in range(1000)]
USERS = [ADMIN, TEACHER, *STUDENTS, *CLASSMATES]
STUDENT_TOKENS = [token_of(student) for student in STUDENTS]


def url(*segments: str) -> str:
    """A path of the API, below the prefix."""
    return "/".join(quote(segment, safe="") for segment in segments)


def files_field(content: bytes) -> str:
    """The form field `files` with one file."""
    encoded = base64.b64encode(content).decode()
    return json.dumps([{"path": "data.bin", "content": encoded}])


def create(server: Server) -> None:
    """Fill an empty server through its API, as an administrator and a teacher would."""
    roster = [
        {"username": name, "first_name": "A", "last_name": name, "email": f"{name}@example.org"}
        for name in STUDENTS
    ]
    for course in COURSES:
        instructors = {"instructors": json.dumps([TEACHER])}
        server.call("POST", url("course", course), ADMIN, instructors)
        students = {"students": json.dumps(roster)}
        server.call("POST", url("students", course), TEACHER, students)
    release(server, RELEASED, os.urandom(MEGABYTE))
    release(server, HANDED_IN, b"write something")
    check_courses(server)


def release(server: Server, assignment: str, content: bytes) -> None:
    """Release an assignment of one file, and see that a student gets the same bytes."""
    path = url("assignment", COURSE, assignment)
    server.call("POST", path, TEACHER, {"files": files_field(content)})
    fetched = server.call("GET", path, STUDENTS[0])["files"]
    if base64.b64decode(fetched[0]["content"]) != content:
        raise BenchmarkError(f"the fetched file of {assignment!r} is not the released one")


def check_courses(server: Server) -> None:
    listed = server.call("GET", "courses", STUDENTS[0])["courses"]
    if listed != COURSES:
        raise BenchmarkError(f"GET courses of a student answered {listed!r}")


def count_submissions(server: Server) -> int:
    """How many submissions the teacher sees."""
    path = url("submissions", COURSE, HANDED_IN)
    return len(server.call("GET", path, TEACHER)["submissions"])

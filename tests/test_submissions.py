"""Submissions: submit, list, collect."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from sqlalchemy import update

from ngshare.database.engine import Database
from ngshare.database.models import Submission
from tests.api import Api, at_once, described, encode, manifest_digest, person

LIST = "submissions/course1/challenge"
ONES = "submission/course1/challenge/lawrence"


def collected(course: Api, path: str = LIST) -> list[tuple[str, str]]:
    """Who submitted and when, as kevin sees it."""
    rows = course.user("kevin").ok("GET", path)["submissions"]
    return [(row["student_id"], row["timestamp"]) for row in rows]


def test_a_submission_comes_back_byte_for_byte(course: Api) -> None:
    files = {"ps1.ipynb": b"{}", "data/ps1/x.csv": bytes(range(256)) * 99, "empty": b""}
    timestamp = course.user("lawrence").submit("course1", "challenge", files)
    answer = course.user("kevin").ok("GET", ONES)
    assert answer["timestamp"] == timestamp
    assert course.user("kevin").files(ONES) == files


def test_submitting_answers_the_time_of_the_servers_clock(course: Api) -> None:
    before = datetime.now(timezone.utc)
    answer = course.user("lawrence").ok("POST", "submission/course1/challenge", files="[]")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC", answer["timestamp"])
    at = datetime.strptime(answer["timestamp"], "%Y-%m-%d %H:%M:%S.%f %Z")
    assert before <= at.replace(tzinfo=timezone.utc) <= datetime.now(timezone.utc)


def test_a_client_cannot_choose_the_time(course: Api) -> None:
    fields = {"files": "[]", "timestamp": "2001-01-01 00:00:00.000000 UTC"}
    answer = course.user("lawrence").ok("POST", "submission/course1/challenge", **fields)
    assert not answer["timestamp"].startswith("2001")


def test_a_collected_submission_has_files_and_timestamp(course: Api) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"22222"})
    entry = described("a", b"22222")
    kevin = course.user("kevin")
    listed = kevin.ok("GET", ONES, list_only="true")
    assert listed == {
        "success": True,
        "timestamp": timestamp,
        "submission_id": listed["submission_id"],
        "sha256": manifest_digest({"a": b"22222"}),
        "files": [entry],
    }
    assert kevin.ok("GET", ONES) == {**listed, "files": [{**entry, "content": "MjIyMjI=\n"}]}


def test_every_call_has_the_same_text_for_one_submission(course: Api) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    timestamp = lawrence.submit("course1", "challenge", {})
    entry = {"student_id": "lawrence", "timestamp": timestamp}
    assert kevin.ok("GET", LIST)["submissions"] == [entry]
    assert kevin.ok("GET", f"{LIST}/lawrence")["submissions"] == [entry]
    assert lawrence.ok("GET", f"{LIST}/lawrence")["submissions"] == [entry]
    for path in (ONES, ONES.replace("submission", "feedback")):
        for caller in (kevin, lawrence):
            assert caller.ok("GET", path, timestamp=timestamp)["timestamp"] == timestamp


@pytest.mark.parametrize("form", ["{} UTC", "{} UTC ", "{}", "{} ", " {}"])
def test_a_timestamp_is_taken_with_and_without_the_zone(course: Api, form: str) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    first = lawrence.submit("course1", "challenge", {"a": b"first"})
    lawrence.submit("course1", "challenge", {"a": b"second"})
    text = form.format(first.removesuffix(" UTC"))
    answer = kevin.ok("GET", ONES, timestamp=text, list_only="true")
    assert answer["timestamp"] == first
    assert kevin.files(ONES, timestamp=text) == {"a": b"first"}
    path = "feedback/course1/challenge/lawrence"
    kevin.ok("POST", path, timestamp=text, files=encode({"f": b"fine"}))
    assert lawrence.files(path, timestamp=text) == {"f": b"fine"}
    assert lawrence.ok("GET", path, timestamp=text)["timestamp"] == first


@pytest.mark.parametrize("fields", [{}, {"timestamp": ""}])
def test_without_a_timestamp_the_latest_submission_is_meant(
    course: Api, fields: dict[str, str]
) -> None:
    for content in (b"first", b"second", b"third"):
        timestamp = course.user("lawrence").submit("course1", "challenge", {"a": content})
    assert course.user("kevin").files(ONES, **fields) == {"a": b"third"}
    assert course.user("kevin").ok("GET", ONES, **fields)["timestamp"] == timestamp


def test_submissions_are_listed_in_the_order_of_time(course: Api) -> None:
    submitted = []
    for name in ("lawrence", "eric", "kevin", "lawrence", "eric"):
        submitted.append((name, course.user(name).submit("course1", "challenge", {})))
    assert collected(course) == submitted
    of_eric = [entry for entry in submitted if entry[0] == "eric"]
    assert collected(course, f"{LIST}/eric") == of_eric
    answer = course.user("kevin").ok("GET", LIST)
    assert set(answer) == {"success", "submissions"}
    assert all(set(entry) == {"student_id", "timestamp"} for entry in answer["submissions"])


def test_equal_submissions_are_separate_submissions(course: Api) -> None:
    lawrence = course.user("lawrence")
    times = [lawrence.submit("course1", "challenge", {"a": b"same"}) for _ in range(3)]
    assert collected(course) == [("lawrence", time) for time in times]
    assert times == sorted(set(times))
    for time in times:
        assert course.user("kevin").files(ONES, timestamp=time) == {"a": b"same"}


def test_times_of_concurrent_submissions_are_distinct_and_grow(course: Api) -> None:
    lawrence = course.user("lawrence")

    def submit_five(number: int) -> list[str]:
        files = {"a": b"%d" % number}
        return [lawrence.submit("course1", "challenge", files) for _ in range(5)]

    times = at_once(submit_five, range(8))
    assert all(ones == sorted(ones) for ones in times)
    everything = sorted(time for ones in times for time in ones)
    assert len(set(everything)) == 40
    assert collected(course) == [("lawrence", time) for time in everything]
    for number, ones in enumerate(times):
        assert course.user("kevin").files(ONES, timestamp=ones[0]) == {"a": b"%d" % number}


def test_times_grow_even_if_the_clock_went_back(course: Api, database: Database) -> None:
    course.user("lawrence").submit("course1", "challenge", {"a": b"first"})
    ahead = datetime(2100, 1, 1, 0, 0, 0, 999999, tzinfo=timezone.utc)
    database.write(lambda connection: connection.execute(update(Submission).values(at=ahead)))
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"second"})
    assert timestamp == "2100-01-01 00:00:01.000000 UTC"
    assert course.user("kevin").files(ONES) == {"a": b"second"}


def test_concurrent_first_submissions_of_all_students_are_all_kept(course: Api) -> None:
    kevin = course.user("kevin")
    students = [f"student{number}" for number in range(8)]
    for name in students:
        kevin.ok("POST", f"student/course1/{name}", **person(name))
    files = {f"file{number}": b"the same for all %d" % number for number in range(20)}
    times = at_once(lambda name: course.user(name).submit("course1", "challenge", files), students)
    assert sorted(collected(course)) == sorted(zip(students, times, strict=True))


def test_a_submission_needs_not_match_the_released_files_and_may_be_empty(course: Api) -> None:
    lawrence = course.user("lawrence")
    lawrence.submit("course1", "challenge", {"something/else": b"x"})
    assert lawrence.files(ONES) == {"something/else": b"x"}
    timestamp = lawrence.submit("course1", "challenge", {})
    answer = course.user("kevin").ok("GET", ONES)
    assert (answer["timestamp"], answer["files"]) == (timestamp, [])


def test_instructors_and_admins_may_submit(course: Api) -> None:
    for name in ("kevin", "root"):
        course.user(name).submit("course1", "challenge", {"by": name.encode()})
        path = f"submission/course1/challenge/{name}"
        assert course.user("kevin").files(path) == {"by": name.encode()}
    assert [name for name, _ in collected(course)] == ["kevin", "root"]


def test_an_instructor_keeps_the_submissions_of_student_days(course: Api) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"as student"})
    course.user("root").ok("POST", "instructor/course1/lawrence", **person("lawrence"))
    assert course.user("lawrence").files(ONES) == {"a": b"as student"}
    assert collected(course, f"{LIST}/lawrence") == [("lawrence", timestamp)]


def test_a_removed_students_work_stays_for_instructors(course: Api) -> None:
    kevin, path = course.user("kevin"), "feedback/course1/challenge/lawrence"
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"work"})
    feedback = {"timestamp": timestamp, "files": encode({"f": b"good"})}
    kevin.ok("POST", path, **feedback)
    kevin.ok("DELETE", "student/course1/lawrence")
    assert collected(course) == [("lawrence", timestamp)]
    assert collected(course, f"{LIST}/lawrence") == [("lawrence", timestamp)]
    assert kevin.files(ONES) == {"a": b"work"}
    assert kevin.files(path, timestamp=timestamp) == {"f": b"good"}
    kevin.ok("POST", path, **feedback)
    lawrence = course.user("lawrence")
    lawrence.fails(403, "Permission denied", "POST", "submission/course1/challenge", files="[]")


def test_a_removed_student_without_work_is_still_found(course: Api) -> None:
    kevin = course.user("kevin")
    kevin.ok("DELETE", "student/course1/eric")
    assert collected(course, f"{LIST}/eric") == []
    kevin.fails(404, "Submission not found", "GET", "submission/course1/challenge/eric")


def test_a_student_reads_the_own_submissions_and_nobody_elses(course: Api) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"mine"})
    assert course.user("lawrence").files(ONES, timestamp=timestamp) == {"a": b"mine"}
    for path in (LIST, f"{LIST}/lawrence", ONES):
        course.user("eric").fails(403, "Permission denied", "GET", path)
    course.user("lawrence").fails(403, "Permission denied", "GET", LIST)


def test_submitting_checks_login_course_right_assignment_and_then_the_files(course: Api) -> None:
    path, broken = "submission/course1/challenge", {"files": "["}
    course.nobody.fails(401, "Login required", "POST", path, **broken)
    lawrence = course.user("lawrence")
    lawrence.fails(404, "Course not found", "POST", "submission/nowhere/challenge", **broken)
    for name in ("abigail", "stranger"):
        for assignment in ("challenge", "nothing"):
            where = f"submission/course1/{assignment}"
            course.user(name).fails(403, "Permission denied", "POST", where, **broken)
    lawrence.fails(404, "Assignment not found", "POST", "submission/course1/nothing", **broken)
    lawrence.fails(400, "Please supply files", "POST", path)
    lawrence.fails(400, "Files cannot be JSON decoded", "POST", path, **broken)
    assert collected(course) == []


@pytest.mark.parametrize("assignment", ["challenge", "nothing"])
def test_listing_checks_login_course_right_assignment_and_then_the_student(
    course: Api, assignment: str
) -> None:
    kevin = course.user("kevin")
    for end in ("", "/stranger"):
        path = f"submissions/course1/{assignment}{end}"
        course.nobody.fails(401, "Login required", "GET", path)
        for name in ("eric", "abigail"):
            course.user(name).fails(403, "Permission denied", "GET", path)
        path = f"submissions/nowhere/{assignment}{end}"
        course.user("abigail").fails(404, "Course not found", "GET", path)
    kevin.fails(404, "Assignment not found", "GET", "submissions/course1/nothing/stranger")
    kevin.fails(404, "Assignment not found", "GET", "submissions/course1/nothing")
    kevin.fails(404, "Student not found", "GET", f"{LIST}/stranger")
    assert kevin.ok("GET", f"{LIST}/lawrence") == {"success": True, "submissions": []}


def test_collecting_checks_one_thing_after_the_other(course: Api) -> None:
    """Login, course, right, assignment, student, timestamp, submission."""
    wrong = {"timestamp": "yesterday"}
    course.nobody.fails(401, "Login required", "GET", ONES, **wrong)
    kevin = course.user("kevin")
    path = "submission/nowhere/nothing/stranger"
    course.user("eric").fails(404, "Course not found", "GET", path, **wrong)
    path = "submission/course1/nothing/stranger"
    course.user("eric").fails(403, "Permission denied", "GET", path, **wrong)
    kevin.fails(404, "Assignment not found", "GET", path, **wrong)
    path = "submission/course1/challenge/stranger"
    kevin.fails(404, "Student not found", "GET", path, **wrong)
    kevin.fails(400, "Time format incorrect", "GET", ONES, **wrong)
    kevin.fails(404, "Submission not found", "GET", ONES)
    course.user("lawrence").submit("course1", "challenge", {})
    missed = "2020-01-01 00:00:00.000000 UTC"
    kevin.fails(404, "Submission not found", "GET", ONES, timestamp=missed)


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "2020-01-01", "2020-01-01 00:00:00", "2020-01-01T00:00:00.000000Z"),
        *("2020-02-30 00:00:00.000000 UTC", "2020-01-01 00:00:00.000000 UTC UTC", "0", "null"),
    ],
)
def test_a_timestamp_in_another_form_is_refused(course: Api, text: str) -> None:
    course.user("lawrence").submit("course1", "challenge", {})
    course.user("kevin").fails(400, "Time format incorrect", "GET", ONES, timestamp=text)


def test_a_refused_submission_leaves_the_others(course: Api) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"work"})
    files = '[{"path": "a", "content": "Zm9v"}, {"path": "../b", "content": ""}]'
    path = "submission/course1/challenge"
    course.user("lawrence").fails(400, "Illegal path", "POST", path, files=files)
    assert collected(course) == [("lawrence", timestamp)]
    assert course.user("kevin").files(ONES) == {"a": b"work"}

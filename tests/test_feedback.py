"""Feedback on submissions: release, replace, fetch."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import Connection, select

from ngshare.database.engine import Database
from ngshare.database.models import Blob
from tests.api import Api, Caller, at_once, described, encode, manifest_digest

PATH = "feedback/course1/challenge/lawrence"
NEVER = "2020-01-01 00:00:00.000000 UTC"


def give(caller: Caller, timestamp: str, files: dict[str, bytes]) -> None:
    caller.ok("POST", PATH, timestamp=timestamp, files=encode(files))


@pytest.fixture
def timestamp(course: Api) -> str:
    """Of the one submission that lawrence made."""
    return course.user("lawrence").submit("course1", "challenge", {"a": b"work"})


def test_feedback_comes_back_byte_for_byte(course: Api, timestamp: str) -> None:
    files = {"ps1.html": b"<html>", "ps1/extra.bin": bytes(range(256)), "empty": b""}
    fields = {"timestamp": timestamp, "files": encode(files)}
    assert course.user("kevin").ok("POST", PATH, **fields) == {"success": True}
    for name in ("lawrence", "kevin", "root"):
        assert course.user(name).files(PATH, timestamp=timestamp) == files


def test_feedback_has_files_and_the_submissions_timestamp(course: Api, timestamp: str) -> None:
    give(course.user("kevin"), timestamp, {"f": b"22222"})
    entry = described("f", b"22222")
    lawrence = course.user("lawrence")
    listed = lawrence.ok("GET", PATH, timestamp=timestamp, list_only="true")
    assert listed == {
        "success": True,
        "timestamp": timestamp,
        "sha256": manifest_digest({"f": b"22222"}),
        "files": [entry],
    }
    whole = lawrence.ok("GET", PATH, timestamp=timestamp)
    assert whole == {**listed, "files": [{**entry, "content": "MjIyMjI=\n"}]}


def test_feedback_is_empty_while_there_is_none(course: Api, timestamp: str) -> None:
    answer = course.user("lawrence").ok("GET", PATH, timestamp=timestamp)
    assert answer == {
        "success": True,
        "timestamp": timestamp,
        "sha256": manifest_digest({}),
        "files": [],
    }


def test_feedback_replaces_what_was_given_before(course: Api, timestamp: str) -> None:
    kevin = course.user("kevin")
    give(kevin, timestamp, {"one": b"1", "two": b"2"})
    give(kevin, timestamp, {"two": b"better"})
    assert kevin.files(PATH, timestamp=timestamp) == {"two": b"better"}
    give(kevin, timestamp, {})
    assert kevin.ok("GET", PATH, timestamp=timestamp)["files"] == []


def test_replaced_feedback_takes_no_bytes_away(
    course: Api, timestamp: str, database: Database
) -> None:
    kevin = course.user("kevin")
    give(kevin, timestamp, {"f": b"work", "g": b"old"})
    give(kevin, timestamp, {"f": b"new"})

    def digests(connection: Connection) -> set[bytes]:
        return set(connection.scalars(select(Blob.digest)))

    contents = (b"22222", b"work", b"old", b"new")  # somebody may still be fetching the old one
    assert database.read(digests) == {hashlib.sha256(content).digest() for content in contents}
    assert kevin.files("submission/course1/challenge/lawrence") == {"a": b"work"}
    give(kevin, timestamp, {"f": b"new"})
    assert kevin.files(PATH, timestamp=timestamp) == {"f": b"new"}


def test_each_submission_has_feedback_of_its_own(course: Api, timestamp: str) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    equal = lawrence.submit("course1", "challenge", {"a": b"work"})
    give(kevin, timestamp, {"f": b"of the first"})
    assert lawrence.ok("GET", PATH, timestamp=equal)["files"] == []
    give(kevin, equal, {"f": b"of the second"})
    assert lawrence.files(PATH, timestamp=timestamp) == {"f": b"of the first"}
    assert lawrence.files(PATH, timestamp=equal) == {"f": b"of the second"}


def test_an_empty_timestamp_fetches_the_feedback_on_the_latest(course: Api, timestamp: str) -> None:
    latest = course.user("lawrence").submit("course1", "challenge", {})
    give(course.user("kevin"), timestamp, {"f": b"first"})
    give(course.user("kevin"), latest, {"f": b"latest"})
    lawrence = course.user("lawrence")
    assert lawrence.files(PATH, timestamp="") == {"f": b"latest"}
    assert lawrence.ok("GET", PATH, timestamp="")["timestamp"] == latest


def test_feedback_is_never_released_without_a_timestamp(course: Api, timestamp: str) -> None:
    kevin = course.user("kevin")
    kevin.fails(400, "Please supply timestamp", "POST", PATH, files=encode({"f": b"x"}))
    empty = kevin.send("POST", PATH, timestamp="", files=encode({"f": b"x"}))
    assert empty.status_code == 400
    assert kevin.ok("GET", PATH, timestamp=timestamp)["files"] == []


def test_students_read_their_own_feedback_only(course: Api, timestamp: str) -> None:
    give(course.user("kevin"), timestamp, {"f": b"private"})
    for name in ("eric", "abigail", "stranger"):
        course.user(name).fails(403, "Permission denied", "GET", PATH, timestamp=timestamp)


def test_an_instructor_gets_feedback_too(course: Api) -> None:
    timestamp = course.user("kevin").submit("course1", "challenge", {})
    path = "feedback/course1/challenge/kevin"
    fields = {"timestamp": timestamp, "files": encode({"f": b"x"})}
    course.user("root").ok("POST", path, **fields)
    assert course.user("kevin").files(path, timestamp=timestamp) == {"f": b"x"}


def test_releasing_feedback_checks_one_thing_after_the_other(course: Api) -> None:
    """Login, course, right, assignment, student, timestamp, submission, files."""
    kevin, wrong = course.user("kevin"), {"timestamp": "now", "files": "["}
    course.nobody.fails(401, "Login required", "POST", PATH, **wrong)
    path = "feedback/nowhere/nothing/stranger"
    course.user("lawrence").fails(404, "Course not found", "POST", path, **wrong)
    path = "feedback/course1/nothing/stranger"
    for name in ("lawrence", "abigail"):
        course.user(name).fails(403, "Permission denied", "POST", path, **wrong)
    kevin.fails(404, "Assignment not found", "POST", path, **wrong)
    path = "feedback/course1/challenge/stranger"
    kevin.fails(404, "Student not found", "POST", path, **wrong)
    kevin.fails(400, "Please supply timestamp", "POST", PATH, files="[")
    kevin.fails(400, "Time format incorrect", "POST", PATH, **wrong)
    kevin.fails(404, "Submission not found", "POST", PATH, timestamp=NEVER, files="[")
    timestamp = course.user("lawrence").submit("course1", "challenge", {})
    kevin.fails(400, "Please supply files", "POST", PATH, timestamp=timestamp)
    message = "Files cannot be JSON decoded"
    kevin.fails(400, message, "POST", PATH, timestamp=timestamp, files="[")


def test_fetching_feedback_checks_one_thing_after_the_other(course: Api) -> None:
    """Login, course, right, assignment, student, timestamp, submission."""
    kevin, wrong = course.user("kevin"), {"timestamp": "now"}
    course.nobody.fails(401, "Login required", "GET", PATH, **wrong)
    path = "feedback/nowhere/nothing/stranger"
    course.user("eric").fails(404, "Course not found", "GET", path, **wrong)
    path = "feedback/course1/nothing/stranger"
    course.user("eric").fails(403, "Permission denied", "GET", path, **wrong)
    kevin.fails(404, "Assignment not found", "GET", path, **wrong)
    path = "feedback/course1/challenge/stranger"
    kevin.fails(404, "Student not found", "GET", path, **wrong)
    for name in ("kevin", "lawrence"):
        course.user(name).fails(400, "Please supply timestamp", "GET", PATH)
        course.user(name).fails(400, "Time format incorrect", "GET", PATH, **wrong)
        course.user(name).fails(404, "Submission not found", "GET", PATH, timestamp=NEVER)


def test_refused_feedback_leaves_what_was_there(course: Api, timestamp: str) -> None:
    kevin = course.user("kevin")
    give(kevin, timestamp, {"f": b"good"})
    for files, message in (
        ("[", "Files cannot be JSON decoded"),
        ('[{"path": "/f", "content": ""}]', "Illegal path"),
        ('[{"path": "f", "content": "%"}]', "Content cannot be base64 decoded"),
    ):
        kevin.fails(400, message, "POST", PATH, timestamp=timestamp, files=files)
    kevin.fails(400, "Please supply files", "POST", PATH, timestamp=timestamp)
    assert kevin.files(PATH, timestamp=timestamp) == {"f": b"good"}


def test_of_concurrent_feedback_one_remains_whole(course: Api, timestamp: str) -> None:
    kevin = course.user("kevin")
    versions = [{"f": b"%d" % number, "g": b"%d" % number} for number in range(8)]

    def post(files: dict[str, bytes]) -> int:
        fields = {"timestamp": timestamp, "files": encode(files)}
        return kevin.send("POST", PATH, **fields).status_code

    assert at_once(post, versions) == [200] * 8
    assert kevin.files(PATH, timestamp=timestamp) in versions


def test_a_purge_leaves_nothing_of_feedback_that_was_replaced(
    course: Api, timestamp: str, database: Database
) -> None:
    kevin = course.user("kevin")
    give(kevin, timestamp, {"f": b"old"})
    give(kevin, timestamp, {"f": b"new"})
    kevin.ok("DELETE", "assignment/course1/challenge", purge="true")
    assert database.read(lambda connection: list(connection.scalars(select(Blob.digest)))) == []

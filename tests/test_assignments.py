"""Assignments: release, fetch, list, un-release, purge."""

from __future__ import annotations

import hashlib
import os

import pytest
from sqlalchemy import Connection, select

from ngshare.database.engine import Database
from ngshare.database.models import (
    Assignment,
    Blob,
    BlobChunk,
    Feedback,
    Release,
    Snapshot,
    SnapshotFile,
    Submission,
)
from tests.api import Api, at_once, described, encode, manifest_digest

FILES = {
    "ps1.ipynb": b'{"cells": []}',
    "data/x.csv": b"1,2\r\n",
    "data/ä/🎓.bin": bytes(range(256)),
}


def listed(course: Api, course_id: str = "course1") -> list[str]:
    return course.user("root").ok("GET", f"assignments/{course_id}")["assignments"]


def stored_contents(database: Database) -> set[bytes]:
    """The SHA-256 of everything in the blob tables."""

    def read(connection: Connection) -> tuple[set[bytes], set[bytes]]:
        blobs = set(connection.scalars(select(Blob.digest)))
        return blobs, set(connection.scalars(select(BlobChunk.digest)))

    blobs, chunks = database.read(read)
    assert chunks <= blobs
    return blobs


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def test_what_is_released_is_fetched_byte_for_byte(course: Api) -> None:
    answer = course.user("kevin").ok("POST", "assignment/course1/ps1", files=encode(FILES))
    del answer["released_at"]  # see test_listings
    assert answer == {"success": True, "version": 1, "sha256": manifest_digest(FILES)}
    for name in ("lawrence", "kevin", "root"):
        assert course.user(name).files("assignment/course1/ps1") == FILES


def test_each_file_has_path_checksums_size_and_content(course: Api) -> None:
    answer = course.user("lawrence").ok("GET", "assignment/course1/challenge")
    assert answer["files"] == [{**described("file2", b"22222"), "content": "MjIyMjI=\n"}]
    assert set(answer) == {"success", "files", "version", "released_at", "sha256"}


def test_list_only_leaves_the_contents_out(course: Api) -> None:
    lawrence = course.user("lawrence")
    whole = lawrence.ok("GET", "assignment/course1/challenge")
    answer = lawrence.ok("GET", "assignment/course1/challenge", list_only="true")
    assert answer == {**whole, "files": [described("file2", b"22222")]}


@pytest.mark.parametrize("list_only", ["", "false", "True", "TRUE", "1", "yes", "truetrue"])
def test_list_only_is_on_for_exactly_true(course: Api, list_only: str) -> None:
    path = "assignment/course1/challenge"
    answer = course.user("lawrence").ok("GET", path, list_only=list_only)
    assert "content" in answer["files"][0]


def test_an_assignment_may_have_no_files(course: Api) -> None:
    course.user("kevin").release("course1", "empty", {})
    assert course.user("lawrence").ok("GET", "assignment/course1/empty")["files"] == []


def test_a_directory_of_many_megabytes_comes_back_whole(course: Api) -> None:
    files = {f"{number}.bin": os.urandom(700_000) for number in range(6)}
    files |= {"large.bin": os.urandom(3_000_000), "zeros.bin": bytes(3_000_000)}
    course.user("kevin").release("course1", "large", files)
    assert course.user("lawrence").files("assignment/course1/large") == files


def test_assignments_are_listed_in_the_order_of_release(course: Api) -> None:
    for name in ("z", "a", "M"):
        course.user("kevin").release("course1", name, {})
    for caller in ("root", "kevin", "lawrence"):
        answer = course.user(caller).ok("GET", "assignments/course1")
        assert answer == {"success": True, "assignments": ["challenge", "z", "a", "M"]}
    assert listed(course, "course2") == []


def test_assignment_ids_are_case_sensitive(course: Api) -> None:
    course.user("kevin").release("course1", "Challenge", {"other": b"x"})
    lawrence = course.user("lawrence")
    assert lawrence.files("assignment/course1/challenge") == {"file2": b"22222"}
    assert lawrence.files("assignment/course1/Challenge") == {"other": b"x"}
    lawrence.fails(404, "Assignment not found", "GET", "assignment/course1/CHALLENGE")


def test_reading_checks_login_course_right_and_then_the_assignment(course: Api) -> None:
    for path in ("assignment/course1/nothing", "assignments/course1"):
        course.nobody.fails(401, "Login required", "GET", path)
        for name in ("abigail", "stranger"):
            course.user(name).fails(403, "Permission denied", "GET", path)
    for path in ("assignment/nowhere/challenge", "assignments/nowhere"):
        course.user("stranger").fails(404, "Course not found", "GET", path)
    course.user("eric").fails(404, "Assignment not found", "GET", "assignment/course2/challenge")


def test_releasing_checks_login_course_right_assignment_and_then_the_files(course: Api) -> None:
    path, broken = "assignment/course1/challenge", {"files": "["}
    course.nobody.fails(401, "Login required", "POST", path, **broken)
    kevin = course.user("kevin")
    kevin.fails(404, "Course not found", "POST", "assignment/nowhere/challenge", **broken)
    for name in ("lawrence", "abigail", "stranger"):
        course.user(name).fails(403, "Permission denied", "POST", path, **broken)
    kevin.fails(409, "Assignment already exists", "POST", path, **broken)
    kevin.fails(409, "Assignment already exists", "POST", path)
    kevin.fails(400, "Please supply files", "POST", "assignment/course1/new")
    kevin.fails(400, "Files cannot be JSON decoded", "POST", "assignment/course1/new", **broken)
    assert listed(course) == ["challenge"]


def test_a_refused_release_leaves_the_assignment_as_it_was(course: Api) -> None:
    fields = {"files": encode({"file2": b"changed"})}
    path = "assignment/course1/challenge"
    course.user("kevin").fails(409, "Assignment already exists", "POST", path, **fields)
    assert course.user("lawrence").files(path) == {"file2": b"22222"}


def test_of_concurrent_releases_of_one_assignment_one_succeeds(course: Api) -> None:
    kevin = course.user("kevin")
    contents = [f"version {number}".encode() for number in range(8)]

    def release(content: bytes) -> int:
        files = encode({"same": b"for all", "file": content})
        return kevin.send("POST", "assignment/course1/ps1", files=files).status_code

    statuses = at_once(release, contents)
    assert sorted(statuses) == [200] + 7 * [409]
    files = course.user("lawrence").files("assignment/course1/ps1")
    assert files["file"] == contents[statuses.index(200)]
    assert listed(course) == ["challenge", "ps1"]


def test_unreleasing_checks_login_course_right_and_then_the_assignment(course: Api) -> None:
    for fields in ({}, {"purge": "true"}):
        path = "assignment/course1/nothing"
        course.nobody.fails(401, "Login required", "DELETE", path, **fields)
        for name in ("lawrence", "abigail", "stranger"):
            course.user(name).fails(403, "Permission denied", "DELETE", path, **fields)
        kevin = course.user("kevin")
        kevin.fails(404, "Assignment not found", "DELETE", path, **fields)
        path = "assignment/nowhere/challenge"
        kevin.fails(404, "Course not found", "DELETE", path, **fields)
    assert listed(course) == ["challenge"]


def test_an_unreleased_assignment_is_gone_for_every_call(course: Api) -> None:
    timestamp = course.user("lawrence").submit("course1", "challenge", {})
    answer = course.user("kevin").ok("DELETE", "assignment/course1/challenge")
    assert answer == {"success": True}
    assert listed(course) == []
    for verb, path in (
        ("GET", "assignment/course1/challenge"),
        ("DELETE", "assignment/course1/challenge"),
        ("POST", "submission/course1/challenge"),
        ("GET", "submission/course1/challenge/lawrence"),
        ("GET", "submissions/course1/challenge"),
        ("GET", "submissions/course1/challenge/lawrence"),
        ("GET", "feedback/course1/challenge/lawrence"),
        ("POST", "feedback/course1/challenge/lawrence"),
    ):
        fields = {"timestamp": timestamp, "files": "[]"}
        course.user("kevin").fails(404, "Assignment not found", verb, path, **fields)


def test_submissions_and_feedback_come_back_when_it_is_released_again(course: Api) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    kevin.release("course1", "other", {})
    timestamp = lawrence.submit("course1", "challenge", {"answer": b"42"})
    feedback = {"timestamp": timestamp, "files": encode({"f.html": b"right"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **feedback)
    kevin.ok("DELETE", "assignment/course1/challenge")
    kevin.release("course1", "challenge", {"file2": b"version two"})
    assert lawrence.files("assignment/course1/challenge") == {"file2": b"version two"}
    assert listed(course) == ["other", "challenge"]
    assert kevin.ok("GET", "submissions/course1/challenge")["submissions"] == [
        {"student_id": "lawrence", "timestamp": timestamp}
    ]
    assert kevin.files("submission/course1/challenge/lawrence") == {"answer": b"42"}
    path = "feedback/course1/challenge/lawrence"
    assert lawrence.files(path, timestamp=timestamp) == {"f.html": b"right"}


def test_of_concurrent_releases_of_an_unreleased_assignment_one_succeeds(course: Api) -> None:
    kevin = course.user("kevin")
    kevin.ok("DELETE", "assignment/course1/challenge")

    def release(number: int) -> int:
        files = encode({"file": b"%d" % number})
        return kevin.send("POST", "assignment/course1/challenge", files=files).status_code

    statuses = at_once(release, range(8))
    assert sorted(statuses) == [200] + 7 * [409]
    content = course.user("lawrence").files("assignment/course1/challenge")["file"]
    assert content == b"%d" % statuses.index(200)


def test_purging_erases_the_assignment_with_everything_handed_in(
    course: Api, database: Database
) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    timestamp = lawrence.submit("course1", "challenge", {"answer": b"42"})
    feedback = {"timestamp": timestamp, "files": encode({"f.html": b"right"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **feedback)
    assert stored_contents(database) == {sha256(b"22222"), sha256(b"42"), sha256(b"right")}
    kevin.ok("DELETE", "assignment/course1/challenge", purge="true")

    def rows(connection: Connection) -> list[object]:
        tables = (Assignment, Release, Submission, Feedback, Snapshot, SnapshotFile)
        return [row for table in tables for row in connection.scalars(select(table))]

    assert database.read(rows) == []
    assert stored_contents(database) == set()
    kevin.release("course1", "challenge", {"file2": b"22222"})
    assert kevin.ok("GET", "submissions/course1/challenge")["submissions"] == []
    assert lawrence.files("assignment/course1/challenge") == {"file2": b"22222"}


def test_purging_keeps_the_bytes_that_something_else_uses(course: Api, database: Database) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    kevin.release("course1", "other", {"shared": b"in both", "file2": b"22222"})
    lawrence.submit("course1", "challenge", {"equal": b"directory"})
    lawrence.submit("course1", "challenge", {"alone": b"only here", "shared": b"in both"})
    timestamp = lawrence.submit("course1", "other", {"equal": b"directory"})
    kevin.ok("DELETE", "assignment/course1/challenge", purge="true")
    contents = (b"in both", b"22222", b"directory")
    assert stored_contents(database) == {sha256(content) for content in contents}
    assert lawrence.files("assignment/course1/other") == {"shared": b"in both", "file2": b"22222"}
    path = "submission/course1/other/lawrence"
    assert kevin.files(path, timestamp=timestamp) == {"equal": b"directory"}


def test_an_unreleased_assignment_can_be_purged(course: Api, database: Database) -> None:
    kevin = course.user("kevin")
    course.user("lawrence").submit("course1", "challenge", {"answer": b"42"})
    kevin.ok("DELETE", "assignment/course1/challenge")
    kevin.ok("DELETE", "assignment/course1/challenge", purge="true")
    assert stored_contents(database) == set()
    path = "assignment/course1/challenge"
    kevin.fails(404, "Assignment not found", "DELETE", path, purge="true")


@pytest.mark.parametrize("purge", ["", "false", "True", "1", "yes"])
def test_only_purge_equal_to_true_erases(course: Api, purge: str) -> None:
    course.user("lawrence").submit("course1", "challenge", {"answer": b"42"})
    kevin = course.user("kevin")
    kevin.ok("DELETE", "assignment/course1/challenge", purge=purge)
    kevin.release("course1", "challenge", {})
    assert kevin.files("submission/course1/challenge/lawrence") == {"answer": b"42"}

"""Contents that calls refer to instead of bringing them, and those that are sent ahead."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select, update

from ngshare.database import garbage
from ngshare.database.engine import Database
from ngshare.database.models import Blob, Upload
from tests.api import Api, Caller, described, encode, manifest_digest
from tests.tables import read_tables

PATH = "submission/course1/challenge"
BIG = os.urandom(3 << 20)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refer(**files: bytes) -> str:
    """The field `files` of a directory that is only referred to."""
    return json.dumps([{"path": path, "sha256": sha256(files[path])} for path in files])


def send(caller: Caller, content: bytes, course: str = "course1") -> dict[str, Any]:
    response = caller.call("PUT", f"blob/{course}/{sha256(content)}", data=content)
    assert response.status_code == 200, response.text
    return response.json()


def missing(caller: Caller, path: str, files: str, **fields: str) -> list[str]:
    """What a call that must be refused says has to be sent first."""
    response = caller.send("POST", path, files=files, **fields)
    answer = response.json()
    assert (response.status_code, answer["code"]) == (409, "missing_content")
    return answer["missing"]


@pytest.mark.parametrize("content", [b"", b"short", BIG], ids=["empty", "short", "long"])
def test_what_was_sent_ahead_can_be_referred_to(course: Api, content: bytes) -> None:
    lawrence = course.user("lawrence")
    assert missing(lawrence, PATH, refer(a=content)) == [sha256(content)]
    assert send(lawrence, content) == {"success": True, "size": len(content)}
    answer = lawrence.ok("POST", PATH, files=refer(a=content))
    assert answer["sha256"] == manifest_digest({"a": content})
    assert course.user("kevin").files(f"{PATH}/lawrence") == {"a": content}


def test_a_directory_may_bring_some_files_and_refer_to_others(course: Api) -> None:
    lawrence = course.user("lawrence")
    send(lawrence, b"data")
    entries = json.loads(encode({"a": b"new"})) + json.loads(refer(b=b"data", c=b"new"))
    lawrence.ok("POST", PATH, files=json.dumps(entries))
    assert lawrence.files(f"{PATH}/lawrence") == {"a": b"new", "b": b"data", "c": b"new"}


def test_what_one_may_fetch_can_be_referred_to(course: Api) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    timestamp = lawrence.submit("course1", "challenge", {"a": b"mine"})
    where = f"feedback/course1/challenge/lawrence?timestamp={timestamp}"
    kevin.ok("POST", where, files=encode({"f": b"feedback"}))
    # released (see `course`), submitted, and given as feedback
    files = {"a": b"22222", "b": b"mine", "c": b"feedback"}
    lawrence.ok("POST", PATH, files=refer(**files))
    assert lawrence.files(f"{PATH}/lawrence") == files
    kevin.ok("POST", "assignment/course1/next", files=refer(**files))
    assert lawrence.files("assignment/course1/next") == files


def test_nobody_learns_what_others_have(course: Api, database: Database) -> None:
    secret, unknown = b"what lawrence wrote", b"what nobody wrote"
    lawrence, eric, kevin = (course.user(name) for name in ("lawrence", "eric", "kevin"))
    lawrence.submit("course1", "challenge", {"a": secret})
    send(lawrence, b"sent ahead by lawrence")
    course.user("root").ok("PUT", "assignment/course2/other", files=encode({"x": b"elsewhere"}))
    kevin.release("course1", "withdrawn", {"x": b"solution"})
    kevin.ok("DELETE", "assignment/course1/withdrawn")
    kevin.release("course1", "twice", {"x": b"first version"})
    kevin.ok("PUT", "assignment/course1/twice", files=encode({"x": b"second version"}))
    before = read_tables(database)
    for content in (
        secret,
        unknown,
        b"sent ahead by lawrence",
        b"elsewhere",
        b"solution",
        b"first version",
    ):
        assert missing(eric, PATH, refer(a=content)) == [sha256(content)]
    assert read_tables(database) == before
    # and what he sends is taken alike, whether it is there or not
    assert [list(send(eric, content)) for content in (secret, unknown)] == 2 * [["success", "size"]]


def test_all_that_is_missing_is_named_at_once_and_nothing_is_stored(
    course: Api, database: Database
) -> None:
    before = read_tables(database)
    files = {f"f{number:04}": b"%d" % number for number in range(1200)}
    assert missing(course.user("eric"), PATH, refer(**files)) == sorted(map(sha256, files.values()))
    assert read_tables(database) == before


def test_assignments_and_feedback_take_references_too(course: Api) -> None:
    kevin = course.user("kevin")
    timestamp = course.user("eric").submit("course1", "challenge", {})
    where = "feedback/course1/challenge/eric"
    for path, verb in (("assignment/course1/new", "PUT"), (where, "POST")):
        content = path.encode()
        arguments = {"files": refer(a=content), "timestamp": timestamp}
        assert kevin.send(verb, path, **arguments).json()["missing"] == [sha256(content)]
        send(kevin, content)
        kevin.ok(verb, path, **arguments)
        assert kevin.files(path, timestamp=timestamp) == {"a": content}


@pytest.mark.parametrize("digest", ["", "00", "z" * 64, sha256(b"").upper(), sha256(b"") + "\n"])
def test_what_is_no_sha256_is_refused(course: Api, digest: str) -> None:
    eric = course.user("eric")
    message = "a: a SHA-256 has 64 small hexadecimal digits"
    eric.fails(400, message, "POST", PATH, files=json.dumps([{"path": "a", "sha256": digest}]))


def test_a_content_that_is_not_what_its_sha256_says_is_refused(course: Api) -> None:
    eric = course.user("eric")
    for content in (b"short", BIG):
        entries = json.loads(encode({"a": content}))
        entries[0]["sha256"] = sha256(b"other")
        message = "a: the content does not have this SHA-256"
        eric.fails(400, message, "POST", PATH, files=json.dumps(entries))
        entries[0]["sha256"] = sha256(content)
        eric.ok("POST", PATH, files=json.dumps(entries))


def test_bytes_that_were_damaged_on_their_way_are_refused(course: Api, database: Database) -> None:
    before = read_tables(database)
    path = f"blob/course1/{sha256(b'right')}"
    response = course.user("eric").call("PUT", path, data=b"wrong")
    assert response.status_code == 400
    assert sha256(b"wrong") in response.json()["message"]
    response = course.user("eric").call("PUT", "blob/course1/nonsense", data=b"wrong")
    assert response.status_code == 400
    assert read_tables(database) == before


def test_limits_hold_for_what_is_sent_ahead_and_for_what_is_referred_to(
    serve: Callable[..., Api], database: Database
) -> None:
    api = serve(max_file_bytes=100, max_submission_bytes=150)
    api.user("root").ok("POST", "course/course1", instructors='["kevin"]')
    kevin = api.user("kevin")
    response = kevin.call("PUT", f"blob/course1/{sha256(bytes(101))}", data=bytes(101))
    assert response.status_code == 413
    assert "max_file_bytes = 100" in response.json()["message"]
    send(kevin, bytes(100))
    response = kevin.send("PUT", "assignment/course1/a", files=refer(a=bytes(100), b=bytes(100)))
    assert response.status_code == 413
    assert "max_submission_bytes = 150" in response.json()["message"]
    # the newest of what was sent ahead is kept, as much as one directory may have
    send(kevin, b"x" * 90)
    assert missing(kevin, "assignment/course1/a", refer(a=bytes(100))) == [sha256(bytes(100))]
    kevin.ok("PUT", "assignment/course1/a", files=refer(a=b"x" * 90))
    strict = serve(max_file_bytes=50).user("kevin")
    response = strict.send("PUT", "assignment/course1/b", files=refer(a=b"x" * 90))
    assert response.status_code == 413
    assert response.json()["message"].startswith("a is over the limit max_file_bytes = 50")


def test_what_was_sent_ahead_is_forgotten_after_a_day_and_not_before(
    course: Api, database: Database
) -> None:
    eric = course.user("eric")

    def collect() -> None:
        for _ in range(2):
            list(garbage.collect(database, grace_seconds=-1))

    def is_stored() -> bool:
        digest = hashlib.sha256(b"ahead").digest()
        return bool(database.read(lambda c: c.scalar(select(Blob).where(Blob.digest == digest))))

    def age(hours: int) -> None:
        at = datetime.now(timezone.utc) - timedelta(hours=hours)
        database.write(lambda connection: connection.execute(update(Upload).values(at=at)))

    send(eric, b"ahead")
    age(23)
    collect()
    assert is_stored()
    send(eric, b"ahead")  # again: another day
    collect()
    age(25)
    collect()
    assert not is_stored()
    assert missing(eric, PATH, refer(a=b"ahead")) == [sha256(b"ahead")]


def test_what_a_submission_refers_to_stays_when_the_upload_is_forgotten(
    course: Api, database: Database
) -> None:
    eric = course.user("eric")
    send(eric, b"ahead")
    eric.ok("POST", PATH, files=refer(a=b"ahead"))
    old = datetime.now(timezone.utc) - timedelta(days=2)
    database.write(lambda connection: connection.execute(update(Upload).values(at=old)))
    for _ in range(3):
        list(garbage.collect(database, grace_seconds=-1))
    assert eric.files(f"{PATH}/eric") == {"a": b"ahead"}


def test_answers_tell_what_to_refer_to(course: Api) -> None:
    lawrence = course.user("lawrence")
    listed = lawrence.ok("GET", "assignment/course1/challenge", list_only="true")
    assert listed["files"] == [described("file2", b"22222")]
    lawrence.ok("POST", PATH, files=json.dumps(listed["files"]))
    assert lawrence.files(f"{PATH}/lawrence") == {"file2": b"22222"}


def test_a_course_with_uploads_can_be_purged(course: Api, database: Database) -> None:
    send(course.user("eric"), b"ahead")
    course.user("root").ok("DELETE", "course/course1", purge="true")
    assert read_tables(database)["uploads"] == []

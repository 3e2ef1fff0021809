"""The limits: each refusal names what it is, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from ngshare.app import NgShare
from ngshare.database.engine import Database
from ngshare.database.models import Submission
from tests.api import Api, Caller, encode
from tests.tables import read_tables

UPLOADS = {
    "assignment": "assignment/course1/new",
    "submission": "submission/course1/ps1",
    "feedback": "feedback/course1/ps1/lawrence",
}


def fill(api: Api) -> None:
    """course1 of kevin with lawrence and eric, and an assignment without files."""
    api.user("root").ok("POST", "course/course1", instructors='["kevin"]')
    for student in ("lawrence", "eric"):
        fields = {"first_name": "", "last_name": "", "email": ""}
        api.user("kevin").ok("POST", f"student/course1/{student}", **fields)
    api.user("kevin").release("course1", "ps1", {})


def refused(
    database: Database,
    caller: Caller,
    status: int,
    path: str,
    files: dict[str, bytes],
    **fields: str,
) -> str:
    """The message of an upload that must be refused and change nothing."""
    before = read_tables(database)
    response = caller.send("POST", path, files=encode(files), **fields)
    assert response.status_code == status, response.text
    assert response.json()["success"] is False
    assert read_tables(database) == before
    return response.json()["message"]


@pytest.mark.parametrize("kind", list(UPLOADS))
@pytest.mark.parametrize("long", [1000, 3_000_000])
def test_a_file_over_the_limit_is_refused_by_name(
    serve: Callable[..., Api], database: Database, kind: str, long: int
) -> None:
    """Whether or not the JSON has the path before the content."""
    api = serve(max_file_bytes=long)
    fill(api)
    kevin = api.user("kevin")
    kevin.submit("course1", "ps1", {})
    timestamp = api.user("lawrence").submit("course1", "ps1", {"a": bytes(long)})
    files = {"ok": b"1", "dir/long.bin": bytes(long + 1)}
    message = refused(database, kevin, 413, UPLOADS[kind], files, timestamp=timestamp)
    assert message == f"dir/long.bin: The file is over the limit max_file_bytes = {long:,}"
    turned = [dict(reversed(entry.items())) for entry in json.loads(encode(files))]
    fields = {"files": json.dumps(turned), "timestamp": timestamp}
    assert kevin.send("POST", UPLOADS[kind], **fields).json()["message"] == message


def test_files_over_the_limit_together_are_refused(
    serve: Callable[..., Api], database: Database
) -> None:
    api = serve(max_submission_bytes=5000)
    fill(api)
    lawrence = api.user("lawrence")
    lawrence.submit("course1", "ps1", {"a": bytes(2500), "b": bytes(2500)})
    files = {"a": bytes(2500), "b": bytes(2501)}
    message = refused(database, lawrence, 413, UPLOADS["submission"], files)
    assert message == (
        "These files have 5,001 bytes together, over the limit max_submission_bytes = 5,000"
    )


def test_too_many_files_are_refused(serve: Callable[..., Api], database: Database) -> None:
    api = serve(max_files=3)
    fill(api)
    lawrence = api.user("lawrence")
    lawrence.submit("course1", "ps1", dict.fromkeys("abc", b""))
    message = refused(database, lawrence, 413, UPLOADS["submission"], dict.fromkeys("abcd", b"1"))
    assert message == "These are 4 files, over the limit max_files = 3"


@pytest.mark.parametrize("kind", ["assignment", "submission"])
def test_a_course_keeps_to_its_quota(
    serve: Callable[..., Api], database: Database, kind: str
) -> None:
    """Which counts equal directories once, and those of other courses not at all."""
    api = serve(max_course_bytes=1000)
    fill(api)
    api.user("root").ok("POST", "course/course2", instructors='["kevin"]')
    kevin, lawrence = api.user("kevin"), api.user("lawrence")
    kevin.release("course2", "big", {"a": bytes(900)})
    timestamp = lawrence.submit("course1", "ps1", {"a": b"x" * 600})
    lawrence.submit("course1", "ps1", {"a": b"x" * 600})
    kevin.ok("POST", UPLOADS["feedback"], timestamp=timestamp, files=encode({"f": b"y" * 400}))
    message = refused(database, kevin, 413, UPLOADS[kind], {"new": b"z"})
    assert message == (
        "The course would have 1,001 bytes then, over its quota max_course_bytes = 1,000"
    )


def test_feedback_may_replace_feedback_within_the_quota(
    serve: Callable[..., Api], database: Database
) -> None:
    api = serve(max_course_bytes=1000)
    fill(api)
    kevin = api.user("kevin")
    timestamp = api.user("lawrence").submit("course1", "ps1", {"a": b"x" * 600})
    for letter in (b"y", b"z"):
        files = encode({"f": letter * 400})
        kevin.ok("POST", UPLOADS["feedback"], timestamp=timestamp, files=files)
    message = refused(
        database, kevin, 413, UPLOADS["feedback"], {"f": b"w" * 401}, timestamp=timestamp
    )
    assert "1,001 bytes then, over its quota max_course_bytes = 1,000" in message


def test_who_has_submitted_too_often_is_told_so(
    serve: Callable[..., Api], database: Database
) -> None:
    api = serve(max_submissions=2)
    fill(api)
    lawrence = api.user("lawrence")
    for number in range(2):
        lawrence.submit("course1", "ps1", {"a": b"%d" % number})
    message = refused(database, lawrence, 429, UPLOADS["submission"], {"a": b"2"})
    assert message.startswith("You have 2 submissions to this assignment, the limit max_sub")
    api.user("eric").submit("course1", "ps1", {})
    api.user("kevin").release("course1", "ps2", {})
    lawrence.submit("course1", "ps2", {})


def test_who_submits_too_fast_waits_a_minute(serve: Callable[..., Api], database: Database) -> None:
    api, other = (serve(max_submissions_per_minute=3) for _ in range(2))
    fill(api)
    lawrence = api.user("lawrence")
    for number in range(3):
        lawrence.submit("course1", "ps1", {"a": b"%d" % number})
    for server in (api, other):
        message = refused(
            database, server.user("lawrence"), 429, UPLOADS["submission"], {"a": b"3"}
        )
        assert message.startswith(
            "You have submitted 3 times within a minute, the limit max_submissions_per_minute = 3"
        )
    response = lawrence.send("POST", UPLOADS["submission"], files="[]")
    assert response.headers["Retry-After"] == "60"
    api.user("eric").submit("course1", "ps1", {})
    first = database.read(lambda c: c.execute(select(Submission.pk, Submission.at)).first())
    assert first is not None
    earlier = update(Submission).where(Submission.pk == first.pk)
    database.write(lambda c: c.execute(earlier.values(at=first.at - timedelta(minutes=1))))
    lawrence.submit("course1", "ps1", {"a": b"3"})


def test_zero_is_no_limit(serve: Callable[..., Api]) -> None:
    names = [name for name in NgShare.class_trait_names() if name.startswith("max_")]
    limits = dict.fromkeys(set(names) - {"max_upload_bytes", "max_arguments"}, 0)
    assert len(limits) == 6
    api = serve(**limits)
    fill(api)
    for _ in range(40):
        api.user("lawrence").submit("course1", "ps1", {"a": bytes(200_000)})


def test_the_limits_are_there_without_being_asked_for() -> None:
    options = NgShare()
    assert options.max_file_bytes <= options.max_submission_bytes < options.max_upload_bytes
    assert options.max_files == 10_000
    assert options.max_submissions == 1000
    assert options.max_submissions_per_minute == 30

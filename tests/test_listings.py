"""Lists over all courses, new versions of assignments, receipts, and who one is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from ngshare import __version__
from ngshare.database.engine import Database
from ngshare.database.models import Release, Submission
from tests.api import Api, Caller, at_once, described, encode, manifest_digest

FILES = {"ps1.ipynb": b"{}", "data/other.ipynb": b"{}", "B.IPYNB": b"", "a b.ipynb": b"{}"}
SUBMISSION = "submission/course1/challenge"


@pytest.fixture
def term(course: Api) -> Api:
    """Assignments in two courses; lawrence and eric submitted twice, kevin once, felix left."""
    course.user("kevin").release("course1", "ps1", FILES)
    course.user("abigail").release("course2", "ps1", {"x.ipynb": b"{}"})
    kevin = course.user("kevin")
    fields = {"first_name": "", "last_name": "", "email": ""}
    kevin.ok("POST", "student/course1/felix", **fields)
    for name in ("lawrence", "eric", "felix", "kevin", "lawrence", "eric"):
        course.user(name).submit("course1", "ps1", {"ps1.ipynb": name.encode()})
    course.user("eric").submit("course2", "ps1", {})
    kevin.ok("DELETE", "student/course1/felix")
    return course


def names(caller: Caller, **fields: Any) -> list[tuple[str, str]]:
    """The course and the student of every submission listed."""
    listed = caller.ok("GET", "submissions", **fields)["submissions"]
    return [(entry["course_id"], entry["student_id"]) for entry in listed]


def test_everybody_sees_the_assignments_of_his_courses(term: Api) -> None:
    seen = {
        name: [
            f"{entry['course_id']}/{entry['assignment_id']}"
            for entry in term.user(name).ok("GET", "assignments")["assignments"]
        ]
        for name in ("kevin", "lawrence", "eric", "abigail", "root", "felix", "mallory")
    }
    one, two = ["course1/challenge", "course1/ps1"], ["course2/ps1"]
    assert seen == {
        "kevin": one,
        "lawrence": one,
        "eric": one + two,
        "abigail": two,
        "root": one + two,
        "felix": [],
        "mallory": [],
    }


def test_an_assignment_of_a_list_has_all_that_is_to_know(term: Api) -> None:
    lawrence = term.user("lawrence")
    fetched = lawrence.ok("GET", "assignment/course1/ps1", list_only="true")
    expected = {
        "course_id": "course1",
        "assignment_id": "ps1",
        "version": 1,
        "released_at": fetched["released_at"],
        "sha256": manifest_digest(FILES),
        "size": 6,
        "file_count": 4,
        "notebooks": ["a b", "ps1"],
    }
    assert lawrence.ok("GET", "assignments")["assignments"][1] == expected
    detailed = lawrence.ok("GET", "assignments/course1", detail="true")
    assert detailed["assignments"] == ["challenge", "ps1"]
    assert detailed["details"][1] == expected
    assert [entry["assignment_id"] for entry in detailed["details"]] == ["challenge", "ps1"]


def test_details_are_in_the_order_of_release(term: Api) -> None:
    kevin = term.user("kevin")
    kevin.ok("DELETE", "assignment/course1/challenge")
    assert len(kevin.ok("GET", "assignments", course_id="course1")["assignments"]) == 1
    kevin.release("course1", "challenge", {})
    detailed = kevin.ok("GET", "assignments/course1", detail="true")
    assert detailed["assignments"] == ["ps1", "challenge"]
    assert [entry["assignment_id"] for entry in detailed["details"]] == ["ps1", "challenge"]
    assert [entry["version"] for entry in detailed["details"]] == [1, 2]


def test_courses_with_details_tell_what_one_is_in_them(term: Api) -> None:
    term.user("root").ok("POST", "course/course3", instructors='["root", "kevin"]')
    roles = {
        name: {
            entry["course_id"]: entry["role"]
            for entry in term.user(name).ok("GET", "courses", detail="true")["details"]
        }
        for name in ("kevin", "eric", "root", "felix")
    }
    assert roles == {
        "kevin": {"course1": "instructor", "course3": "instructor"},
        "eric": {"course1": "student", "course2": "student"},
        "root": {"course1": "admin", "course2": "admin", "course3": "instructor"},
        "felix": {},
    }


def test_everybody_sees_his_own_submissions_and_those_of_the_courses_he_teaches(term: Api) -> None:
    one = [("course1", n) for n in ("lawrence", "eric", "felix", "kevin", "lawrence", "eric")]
    two = [("course2", "eric")]
    assert names(term.user("kevin")) == one
    assert names(term.user("abigail")) == two
    assert names(term.user("root")) == one + two
    assert names(term.user("lawrence")) == [entry for entry in one if entry[1] == "lawrence"]
    assert names(term.user("eric")) == [entry for entry in one + two if entry[1] == "eric"]
    assert names(term.user("felix")) == [("course1", "felix")]
    assert names(term.user("mallory")) == []


def test_a_service_named_like_an_instructor_sees_nothing(
    serve: Callable[..., Api], hub: Any
) -> None:
    api = serve(identity_cache_seconds=0)
    api.user("root").ok("POST", "course/course1", instructors='["kevin"]')
    api.user("kevin").release("course1", "ps1", {})
    api.user("kevin").submit("course1", "ps1", {})
    hub.services = {"kevin"}
    assert names(api.user("kevin")) == []
    assert api.user("kevin").ok("GET", "assignments")["assignments"] == []
    assert api.user("kevin").ok("GET", "whoami")["is_service"] is True


def test_what_is_out_of_sight_is_in_no_list(term: Api) -> None:
    term.user("kevin").ok("DELETE", "assignment/course1/ps1")
    assert names(term.user("eric")) == [("course2", "eric")]
    term.user("root").ok("DELETE", "course/course2")
    for name in ("eric", "root"):
        assert names(term.user(name)) == []
        listed = term.user(name).ok("GET", "assignments")["assignments"]
        assert [entry["assignment_id"] for entry in listed] == ["challenge"]


def test_arguments_narrow_the_list(term: Api) -> None:
    kevin, eric = term.user("kevin"), term.user("eric")
    assert names(kevin, student_id="eric") == 2 * [("course1", "eric")]
    assert names(eric, course_id="course2") == [("course2", "eric")]
    assert names(eric, course_id="course2", assignment_id="nothing") == []
    assert names(eric, student_id="lawrence") == []
    assert names(kevin, mine="true") == [("course1", "kevin")]
    assert names(kevin, mine="true", student_id="eric") == []
    assert names(term.user("root"), mine="true") == []
    latest = kevin.ok("GET", "submissions", latest="true")["submissions"]
    assert [entry["student_id"] for entry in latest] == ["felix", "kevin", "lawrence", "eric"]
    first = kevin.ok("GET", "submissions", student_id="eric")["submissions"][0]
    [at_that_time] = kevin.ok(
        "GET", "submissions", student_id="eric", before=first["timestamp"], latest="true"
    )["submissions"]
    assert at_that_time == first
    kevin.fails(400, "Time format incorrect", "GET", "submissions", before="yesterday")


def test_a_submission_of_a_list_has_all_that_is_to_know(term: Api) -> None:
    kevin, lawrence = term.user("kevin"), term.user("lawrence")
    first, second = lawrence.ok("GET", "submissions", manifest="true")["submissions"]
    content = b"lawrence"
    assert first == {
        "course_id": "course1",
        "assignment_id": "ps1",
        "student_id": "lawrence",
        "submission_id": first["submission_id"],
        "timestamp": lawrence.ok("GET", "submissions/course1/ps1/lawrence")["submissions"][0][
            "timestamp"
        ],
        "sha256": manifest_digest({"ps1.ipynb": content}),
        "size": len(content),
        "file_count": 1,
        "notebooks": ["ps1"],
        "feedback": None,
        "files": [described("ps1.ipynb", content)],
    }
    page = {"timestamp": second["timestamp"], "files": encode({"ps1.html": b"<p>"})}
    kevin.ok("POST", "feedback/course1/ps1/lawrence", **page)
    feedback = kevin.ok("GET", "submissions", student_id="lawrence")["submissions"][1]["feedback"]
    assert feedback == {
        "released_at": feedback["released_at"],
        "sha256": manifest_digest({"ps1.html": b"<p>"}),
        "files": [described("ps1.html", b"<p>")],
    }
    assert feedback["released_at"] > second["timestamp"]
    plain = kevin.ok("GET", "submissions/course1/ps1")["submissions"]
    detailed = kevin.ok("GET", "submissions/course1/ps1", detail="true")
    assert detailed["submissions"] == plain
    for entry, detail in zip(plain, detailed["details"], strict=True):
        assert {key: detail[key] for key in entry} == entry
    own = lawrence.ok("GET", "submissions/course1/ps1/lawrence", detail="true")["details"]
    assert [entry["feedback"] is None for entry in own] == [True, False]


def test_a_long_list_comes_in_parts(term: Api) -> None:
    root = term.user("root")
    for kind in ("submissions", "assignments"):
        whole = root.ok("GET", kind)
        assert whole["next_cursor"] is None
        for limit in (1, 2, 3, 100):
            found, cursor = [], ""
            while cursor is not None:
                part = root.ok("GET", kind, limit=limit, cursor=cursor)
                assert len(part[kind]) <= limit
                found += part[kind]
                cursor = part["next_cursor"]
            assert found == whole[kind]
    for bad in ({"limit": "many"}, {"cursor": "-1"}, {"limit": "9" * 30}, {"cursor": "²"}):
        assert root.send("GET", "submissions", **bad).status_code == 400


def test_whoami_tells_who_calls_and_what_the_limits_are(
    course: Api, serve: Callable[..., Api]
) -> None:
    answer = course.user("kevin").ok("GET", "whoami")
    assert (answer["username"], answer["is_admin"], answer["is_service"]) == ("kevin", False, False)
    assert answer["version"] == __version__
    assert answer["time"].endswith(" UTC")
    assert course.user("root").ok("GET", "whoami")["is_admin"] is True
    limits = serve(max_files=7).user("kevin").ok("GET", "whoami")["limits"]
    assert limits["max_files"] == 7
    assert limits["max_upload_bytes"] == 512 << 20


# ---- new versions ----


def test_a_new_version_replaces_the_files_and_keeps_the_work(term: Api, database: Database) -> None:
    kevin, lawrence = term.user("kevin"), term.user("lawrence")
    before = lawrence.ok("GET", "submissions")
    order = kevin.ok("GET", "assignments/course1")
    first = kevin.ok("GET", "assignment/course1/challenge", list_only="true")
    answer = kevin.ok("PUT", "assignment/course1/challenge", files=encode({"new": b"1"}))
    assert (answer["version"], answer["sha256"]) == (2, manifest_digest({"new": b"1"}))
    assert answer["released_at"] > first["released_at"]
    assert lawrence.files("assignment/course1/challenge") == {"new": b"1"}
    assert lawrence.ok("GET", "submissions") == before
    assert kevin.ok("GET", "assignments/course1") == order
    again = kevin.ok("PUT", "assignment/course1/challenge", files=encode({"new": b"1"}))
    assert again == answer
    assert len(database.read(lambda c: c.execute(select(Release)).all())) == 4


def test_put_releases_what_was_not_released_or_was_taken_back(course: Api) -> None:
    kevin = course.user("kevin")
    assert kevin.ok("PUT", "assignment/course1/new", files=encode({"a": b"1"}))["version"] == 1
    course.user("eric").submit("course1", "new", {"a": b"work"})
    kevin.ok("DELETE", "assignment/course1/new")
    kevin.ok("PUT", "assignment/course1/new", files=encode({"a": b"2"}))
    assert course.user("eric").files("assignment/course1/new") == {"a": b"2"}
    assert course.user("eric").files("submission/course1/new/eric") == {"a": b"work"}


def test_versions_that_race_are_numbered_one_by_one(course: Api, database: Database) -> None:
    def replace(number: int) -> int:
        files = encode({"a": b"%d" % number})
        answer = course.user("kevin").ok("PUT", "assignment/course1/challenge", files=files)
        return answer["version"]

    assert sorted(at_once(replace, range(8))) == list(range(2, 10))


# ---- receipts ----


def submit(caller: Caller, files: dict[str, bytes], key: str | None = None) -> dict[str, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    response = caller.call("POST", SUBMISSION, data={"files": encode(files)}, headers=headers)
    return {"status": response.status_code, **response.json()}


def test_a_receipt_tells_what_was_recorded(course: Api) -> None:
    eric = course.user("eric")
    first = submit(eric, {"a": b"1"})
    assert first["sha256"] == manifest_digest({"a": b"1"})
    listed = eric.ok("GET", f"{SUBMISSION}/eric", list_only="true")
    assert listed["submission_id"] == first["submission_id"]
    receipts = [first, *(submit(eric, {"a": content}) for content in (b"1", b"2", b"1"))]
    assert [receipt["duplicate"] for receipt in receipts] == [False, True, False, False]
    assert len({receipt["submission_id"] for receipt in receipts}) == 4
    assert submit(course.user("lawrence"), {"a": b"1"})["duplicate"] is False


def test_a_call_with_the_same_key_submits_once(course: Api, database: Database) -> None:
    eric = course.user("eric")
    submit(eric, {"a": b"1"})
    first = submit(eric, {"a": b"1"}, "key")
    assert first["duplicate"] is True
    submit(eric, {"a": b"2"}, "another-key")
    assert submit(eric, {"a": b"1"}, "key") == first
    assert len(database.read(lambda c: c.execute(select(Submission)).all())) == 3
    refused = submit(eric, {"a": b"other"}, "key")
    assert (refused["status"], "other files" in refused["message"]) == (409, True)
    # of another student, and to another assignment, it is another key
    assert submit(course.user("lawrence"), {"a": b"1"}, "key")["submission_id"] not in (
        first["submission_id"],
    )
    course.user("kevin").release("course1", "next", {})
    response = eric.call(
        "POST",
        "submission/course1/next",
        data={"files": encode({"a": b"other"})},
        headers={"Idempotency-Key": "key"},
    )
    assert response.status_code == 200


def test_calls_with_the_same_key_at_once_submit_once(course: Api, database: Database) -> None:
    receipts = at_once(lambda _: submit(course.user("eric"), {"a": b"1"}, "key"), range(8))
    assert {receipt["status"] for receipt in receipts} == {200}
    assert len({receipt["submission_id"] for receipt in receipts}) == 1
    assert len(database.read(lambda c: c.execute(select(Submission)).all())) == 1


def test_a_repeated_call_is_answered_though_the_limit_is_reached(
    serve: Callable[..., Api],
) -> None:
    api = serve(max_submissions=1)
    api.user("root").ok("POST", "course/course1", instructors='["eric"]')
    api.user("eric").release("course1", "challenge", {})
    first = submit(api.user("eric"), {"a": b"1"}, "key")
    assert submit(api.user("eric"), {"a": b"1"}, "key") == first
    assert submit(api.user("eric"), {"a": b"1"})["status"] == 429


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_that_is_none_is_refused(course: Api, key: str) -> None:
    refused = submit(course.user("eric"), {}, key.encode().decode("latin-1"))
    assert (refused["status"], "255 visible" in refused["message"]) == (400, True)


def test_what_happens_meanwhile_is_in_the_list_or_not_but_whole(course: Api) -> None:
    """A list is of one moment: no part of it is newer than another."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            submit(course.user("eric"), {"a": b"%d" % number})

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        for _ in range(30):
            course.user("kevin").ok("GET", "submissions", manifest="true")
        stop.set()
        writing.result()

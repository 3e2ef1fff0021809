"""Submissions that an instructor removes: out of sight for all, and erased by `purge` alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from sqlalchemy import delete, update

from ngshare.database.engine import Database
from ngshare.database.models import Removal, Submission
from tests.api import Api, at_once, encode, person
from tests.tables import counted_statements, read_tables
from tests.test_assignments import sha256, stored_contents
from tests.test_limits import UPLOADS, fill, refused
from tests.test_listings import submit
from tests.test_references import missing, refer

LIST = "submissions/course1/challenge"
ONES = "submission/course1/challenge/lawrence"
FEEDBACK = "feedback/course1/challenge/lawrence"
PURGE = {"purge": "true"}


def hand_in(course: Api, *contents: bytes) -> list[str]:
    """The timestamps of submissions of lawrence's, each with feedback."""
    times = []
    for content in contents:
        times.append(course.user("lawrence").submit("course1", "challenge", {"a": content}))
        fields = {"timestamp": times[-1], "files": encode({"f": b"on " + content})}
        course.user("kevin").ok("POST", FEEDBACK, **fields)
    return times


def remove(course: Api, timestamp: str, **fields: str) -> None:
    answer = course.user("kevin").ok("DELETE", ONES, timestamp=timestamp, **fields)
    assert answer == {"success": True}


# ---- out of sight ----


def test_what_was_removed_is_in_no_list(course: Api) -> None:
    first, second = hand_in(course, b"1", b"2")
    remove(course, second)
    for name in ("kevin", "lawrence", "root"):
        someone = course.user(name)
        detailed = someone.ok("GET", f"{LIST}/lawrence", detail="true")
        everything = someone.ok("GET", "submissions", manifest="true")["submissions"]
        latest = someone.ok("GET", "submissions", latest="true")["submissions"]
        for listed in (detailed["submissions"], detailed["details"], everything, latest):
            assert [entry["timestamp"] for entry in listed] == [first]
    detailed = course.user("kevin").ok("GET", LIST, detail="true")
    for listed in (detailed["submissions"], detailed["details"]):
        assert [entry["timestamp"] for entry in listed] == [first]


def test_what_was_removed_can_neither_be_fetched_nor_get_feedback(course: Api) -> None:
    first, second = hand_in(course, b"1", b"2")
    remove(course, second)
    for name in ("kevin", "lawrence"):
        someone = course.user(name)
        for path in (ONES, FEEDBACK):
            someone.fails(404, "Submission not found", "GET", path, timestamp=second)
            assert someone.ok("GET", path, timestamp="")["timestamp"] == first
        assert someone.files(ONES) == {"a": b"1"}
        assert someone.files(FEEDBACK, timestamp="") == {"f": b"on 1"}
    fields = {"timestamp": second, "files": "[]"}
    course.user("kevin").fails(404, "Submission not found", "POST", FEEDBACK, **fields)


def test_without_the_only_submission_there_is_none(course: Api) -> None:
    [only] = hand_in(course, b"1")
    remove(course, only)
    kevin = course.user("kevin")
    assert kevin.ok("GET", f"{LIST}/lawrence")["submissions"] == []
    kevin.fails(404, "Submission not found", "GET", ONES)


def test_what_was_removed_is_as_unknown_as_what_never_was(course: Api) -> None:
    [only] = hand_in(course, b"1")
    remove(course, only)
    for timestamp in (only, "2020-01-01 00:00:00.000000 UTC"):
        kevin = course.user("kevin")
        kevin.fails(404, "Submission not found", "DELETE", ONES, timestamp=timestamp)


def test_it_stays_out_of_sight_when_the_assignment_is_released_again(course: Api) -> None:
    [only] = hand_in(course, b"1")
    remove(course, only)
    kevin = course.user("kevin")
    kevin.ok("DELETE", "assignment/course1/challenge")
    kevin.release("course1", "challenge", {})
    assert kevin.ok("GET", LIST)["submissions"] == []


def test_the_database_page_shows_what_is_in_sight(course: Api) -> None:
    _, second = hand_in(course, b"1", b"2")
    remove(course, second)
    dump = course.user("root").ok("GET", "initialize-Data6ase", action="dump")
    [row] = dump["submissions"]
    for table in ("submission_files_assoc_table", "feedback_files_assoc_table"):
        assert [entry["left_id"] for entry in dump[table]] == [row["_id"]]


def test_its_contents_can_no_longer_be_referred_to(course: Api) -> None:
    [only] = hand_in(course, b"work")
    remove(course, only)
    files = {"a": b"work", "f": b"on work"}
    for name in ("kevin", "lawrence"):
        path = "submission/course1/challenge"
        lacking = missing(course.user(name), path, refer(**files))
        assert lacking == sorted(sha256(content).hex() for content in files.values())


# ---- what removing keeps ----


def test_removing_erases_nothing(course: Api, database: Database) -> None:
    [only] = hand_in(course, b"1")
    before = read_tables(database, but="audit_log")
    remove(course, only)
    after = read_tables(database, but="audit_log")
    [(_, _, by)] = after.pop("removals")
    assert by == "kevin"
    assert before.pop("removals") == []
    assert after == before


def test_an_administrator_of_the_database_brings_it_back(course: Api, database: Database) -> None:
    [only] = hand_in(course, b"1")
    remove(course, only)
    database.write(lambda connection: connection.execute(delete(Removal)))
    assert course.user("kevin").files(ONES, timestamp=only) == {"a": b"1"}
    assert course.user("lawrence").files(FEEDBACK, timestamp=only) == {"f": b"on 1"}


def test_times_grow_beyond_what_was_removed(course: Api, database: Database) -> None:
    hand_in(course, b"1")
    ahead = datetime(2100, 1, 1, tzinfo=timezone.utc)
    database.write(lambda connection: connection.execute(update(Submission).values(at=ahead)))
    remove(course, "2100-01-01 00:00:00.000000 UTC")
    assert hand_in(course, b"2") == ["2100-01-01 00:00:00.000001 UTC"]


# ---- purge ----


@pytest.mark.parametrize("first_out_of_sight", [False, True])
def test_purging_erases_it_at_once_with_its_feedback(
    course: Api, database: Database, first_out_of_sight: bool
) -> None:
    before = read_tables(database, but="audit_log")
    [only] = hand_in(course, b"1")
    if first_out_of_sight:
        remove(course, only)
    remove(course, only, **PURGE)
    assert read_tables(database, but="audit_log") == before
    course.user("kevin").fails(404, "Submission not found", "DELETE", ONES, timestamp=only, **PURGE)


def test_purging_keeps_the_bytes_that_something_else_uses(course: Api, database: Database) -> None:
    first, second, third = hand_in(course, b"equal", b"equal", b"22222")
    for timestamp in (first, third):
        remove(course, timestamp, **PURGE)
    contents = (b"equal", b"on equal", b"22222")  # the last is in the assignment
    assert stored_contents(database) == {sha256(content) for content in contents}
    assert course.user("lawrence").files(ONES, timestamp=second) == {"a": b"equal"}
    assert course.user("lawrence").files(FEEDBACK, timestamp=second) == {"f": b"on equal"}


@pytest.mark.parametrize("purge", ["", "false", "True", "1", "yes"])
def test_only_purge_equal_to_true_erases(course: Api, database: Database, purge: str) -> None:
    [only] = hand_in(course, b"1")
    remove(course, only, purge=purge)
    assert len(read_tables(database)["submissions"]) == 1


def test_an_assignment_can_be_purged_with_what_was_removed(course: Api, database: Database) -> None:
    first, _ = hand_in(course, b"1", b"2")
    remove(course, first)
    course.user("kevin").ok("DELETE", "assignment/course1/challenge", **PURGE)
    tables = read_tables(database)
    assert [tables["removals"], tables["submissions"], tables["blobs"]] == [[], [], []]


def test_the_work_of_an_admin_who_was_never_in_the_course_can_be_purged(
    course: Api, database: Database
) -> None:
    timestamp = course.user("root").submit("course1", "challenge", {"a": b"tried"})
    kevin, path = course.user("kevin"), "submission/course1/challenge/root"
    kevin.ok("DELETE", path, timestamp=timestamp)
    kevin.ok("DELETE", path, timestamp=timestamp, **PURGE)
    assert read_tables(database)["submissions"] == []


# ---- who and which ----


@pytest.mark.parametrize("fields", [{}, {"timestamp": ""}, {"timestamp": " "}])
@pytest.mark.parametrize("purge", [{}, PURGE])
def test_no_timestamp_does_not_mean_the_latest_here(
    course: Api, database: Database, fields: dict[str, str], purge: dict[str, str]
) -> None:
    hand_in(course, b"1")
    before = read_tables(database)
    kevin = course.user("kevin")
    kevin.fails(400, "Please supply timestamp", "DELETE", ONES, **fields, **purge)
    assert read_tables(database) == before


@pytest.mark.parametrize("purge", [{}, PURGE])
def test_removing_checks_one_thing_after_the_other(course: Api, purge: dict[str, str]) -> None:
    """Login, course, right, assignment, student, timestamp, submission."""
    [only] = hand_in(course, b"1")
    wrong = {"timestamp": "yesterday", **purge}
    course.nobody.fails(401, "Login required", "DELETE", ONES, **wrong)
    path = "submission/nowhere/nothing/stranger"
    course.user("eric").fails(404, "Course not found", "DELETE", path, **wrong)
    path = "submission/course1/nothing/stranger"
    for name in ("lawrence", "abigail", "stranger"):
        course.user(name).fails(403, "Permission denied", "DELETE", path, **wrong)
    kevin = course.user("kevin")
    kevin.fails(404, "Assignment not found", "DELETE", path, **wrong)
    path = "submission/course1/challenge/stranger"
    kevin.fails(404, "Student not found", "DELETE", path, **wrong)
    kevin.fails(400, "Time format incorrect", "DELETE", ONES, **wrong)
    of_eric = "submission/course1/challenge/eric"
    kevin.fails(404, "Submission not found", "DELETE", of_eric, timestamp=only, **purge)
    assert course.user("lawrence").files(ONES) == {"a": b"1"}


def test_a_student_cannot_remove_the_own_work(course: Api, database: Database) -> None:
    [only] = hand_in(course, b"1")
    before = read_tables(database)
    for purge in ({}, PURGE):
        lawrence = course.user("lawrence")
        lawrence.fails(403, "Permission denied", "DELETE", ONES, timestamp=only, **purge)
    assert read_tables(database) == before


def test_the_work_of_who_has_left_can_be_removed(course: Api) -> None:
    [only] = hand_in(course, b"1")
    course.user("kevin").ok("DELETE", "student/course1/lawrence")
    remove(course, only)
    assert course.user("kevin").ok("GET", LIST)["submissions"] == []


@pytest.mark.parametrize("purge", [{}, PURGE])
def test_of_those_who_remove_it_at_once_one_does(course: Api, purge: dict[str, str]) -> None:
    [only] = hand_in(course, b"1")

    def try_it(_: int) -> int:
        return course.user("kevin").send("DELETE", ONES, timestamp=only, **purge).status_code

    assert sorted(at_once(try_it, range(4))) == [200, 404, 404, 404]


def test_feedback_on_what_is_purged_just_now_is_stored_before_it_or_refused(
    course: Api, database: Database
) -> None:
    before = read_tables(database, but="audit_log")
    for _ in range(5):
        timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
        fields = {"timestamp": timestamp, "files": encode({"f": b"1", "g": b"fine"})}

        def call(who: tuple[str, str, dict[str, str]]) -> int:
            verb, path, arguments = who
            return course.user("kevin").send(verb, path, **arguments).status_code

        calls = [("POST", FEEDBACK, fields)] * 3
        calls.insert(2, ("DELETE", ONES, {"timestamp": timestamp, **PURGE}))
        statuses = at_once(call, calls)
        assert set(statuses) <= {200, 404}
        assert statuses[2] == 200
        assert read_tables(database, but="audit_log") == before


# ---- handing in again ----


def test_the_key_of_what_was_removed_neither_gets_the_receipt_nor_submits_again(
    course: Api, database: Database
) -> None:
    lawrence = course.user("lawrence")
    receipt = submit(lawrence, {"a": b"1"}, "key")
    remove(course, receipt["timestamp"])
    for content in (b"1", b"other"):
        answer = submit(lawrence, {"a": content}, "key")
        assert (answer["status"], answer["code"]) == (409, "conflict")
        assert answer["message"] == (
            "An instructor has removed this submission; hand it in anew if you like"
        )
    assert len(read_tables(database)["submissions"]) == 1
    again = submit(lawrence, {"a": b"1"}, "new-key")
    assert (again["status"], again["duplicate"]) == (200, False)
    assert course.user("kevin").files(ONES) == {"a": b"1"}


def test_the_key_of_what_was_purged_is_new_again(course: Api) -> None:
    lawrence = course.user("lawrence")
    receipt = submit(lawrence, {"a": b"1"}, "key")
    remove(course, receipt["timestamp"], **PURGE)
    assert submit(lawrence, {"a": b"2"}, "key")["status"] == 200


def test_a_repeated_receipt_does_not_tell_of_what_was_removed(course: Api) -> None:
    lawrence = course.user("lawrence")
    first = submit(lawrence, {"a": b"1"})
    assert submit(lawrence, {"a": b"1"}, "key")["duplicate"] is True
    remove(course, first["timestamp"])
    assert submit(lawrence, {"a": b"1"}, "key")["duplicate"] is False


# ---- limits ----


@pytest.mark.parametrize("purge", [{}, PURGE])
def test_an_instructor_makes_room_for_who_has_submitted_too_often(
    serve: Callable[..., Api], database: Database, purge: dict[str, str]
) -> None:
    api = serve(max_submissions=1)
    fill(api)
    lawrence = api.user("lawrence")
    timestamp = lawrence.submit("course1", "ps1", {"a": b"1"})
    message = refused(database, lawrence, 429, UPLOADS["submission"], {"a": b"2"})
    assert "your instructor can help" in message
    path = "submission/course1/ps1/lawrence"
    api.user("kevin").ok("DELETE", path, timestamp=timestamp, **purge)
    lawrence.submit("course1", "ps1", {"a": b"2"})
    refused(database, lawrence, 429, UPLOADS["submission"], {"a": b"3"})


def test_removing_makes_nobody_faster(serve: Callable[..., Api], database: Database) -> None:
    api = serve(max_submissions_per_minute=1)
    fill(api)
    lawrence = api.user("lawrence")
    timestamp = lawrence.submit("course1", "ps1", {"a": b"1"})
    path = "submission/course1/ps1/lawrence"
    api.user("kevin").ok("DELETE", path, timestamp=timestamp)
    message = refused(database, lawrence, 429, UPLOADS["submission"], {"a": b"2"})
    assert "within a minute" in message


def test_what_was_removed_counts_for_the_quota_until_it_is_purged(
    serve: Callable[..., Api], database: Database
) -> None:
    api = serve(max_course_bytes=1000)
    fill(api)
    lawrence = api.user("lawrence")
    fields = {"timestamp": lawrence.submit("course1", "ps1", {"a": b"x" * 900})}
    path = "submission/course1/ps1/lawrence"
    api.user("kevin").ok("DELETE", path, **fields)
    refused(database, lawrence, 413, UPLOADS["submission"], {"a": b"y" * 900})
    api.user("kevin").ok("DELETE", path, **fields, **PURGE)
    lawrence.submit("course1", "ps1", {"a": b"y" * 900})


# ---- how much it costs ----


@pytest.mark.parametrize(("purge", "count"), [({}, 7), (PURGE, 17)])
@pytest.mark.parametrize("rows", [1, 50])
def test_removing_sends_as_many_statements_for_many_rows_as_for_one(
    course: Api, database: Database, rows: int, purge: dict[str, str], count: int
) -> None:
    files = {f"f{number}": b"%d" % number for number in range(rows)}
    for number in range(rows):
        course.user("kevin").ok("POST", f"student/course1/s{number}", **person("s"))
    timestamp = course.user("lawrence").submit("course1", "challenge", files)
    with counted_statements(database) as statements:
        remove(course, timestamp, **purge)
    assert len(statements) == count


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_list_is_still_found_in_an_index_alone(course: Api, database: Database) -> None:
    """A list of 20,000 would take a fifth longer if it looked into each row."""
    with counted_statements(database) as statements:
        course.user("kevin").ok("GET", LIST)
    [query] = [each for each in statements if "FROM users JOIN submissions" in each]
    with database.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (1,)).all()
    assert any("submissions USING COVERING INDEX" in step[-1] for step in plan), plan

"""Who has fetched what: noted by the service, written down later, shown to instructors."""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests
from sqlalchemy import select, text

from ngshare import mergers, people, wire
from ngshare.database.engine import Database, make_engine
from ngshare.database.models import Assignment, Course, Fetch, User
from ngshare.permissions import Identity
from tests.api import Api, Caller, encode, person
from tests.conftest import FetchLogs
from tests.tables import counted_statements
from tests.test_app import headers, hub_variables, managed
from tests.test_pages_instructors import CHALLENGE, page, plain, table

__all__ = ["hub_variables"]

FETCH = "assignment/course1/challenge"
ZIP = {"Accept": "application/zip"}
ROOT = Identity("root", is_admin=True)

Noted = dict[tuple[str, str, str, int], datetime]


def read_fetches(database: Database) -> Noted:
    """When who had fetched what, by course, assignment, user and version."""
    query = (
        select(Course.name, Assignment.name, User.name, Fetch.version, Fetch.at)
        .join(Assignment, Assignment.pk == Fetch.assignment_pk)
        .join(Course, Course.pk == Assignment.course_pk)
        .join(User, User.pk == Fetch.user_pk)
    )
    return {
        (course, assignment, name, version): at
        for course, assignment, name, version, at in database.read(lambda c: c.execute(query).all())
    }


@pytest.fixture
def noted(database: Database, fetch_logs: FetchLogs) -> Callable[[], Noted]:
    """Has what was noted so far written down, and reads it."""

    def write_and_read() -> Noted:
        fetch_logs.write()
        return read_fetches(database)

    return write_and_read


def release_again(course: Api) -> None:
    course.user("kevin").ok("PUT", FETCH, files=encode({"new": b"version"}))


def shown(caller: Caller, query: str = "") -> dict[str, str]:
    """What the page of the assignment says under Fetched, by user name."""
    rows = table(page(caller, f"{CHALLENGE}?sort=name&{query}"), "Students")
    cells = {row[1]: row[2] for row in rows}
    assert len(cells) == len(rows)
    return cells


# ---- what counts ----


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (FETCH, {}),
        (FETCH, {"Accept": "application/x-tar"}),
        (f"{FETCH}?path=file2", {"Accept": "application/x-tar"}),
        (f"{CHALLENGE}/download", {"Accept": "text/html"}),
    ],
    ids=["JSON", "archive", "a part", "page"],
)
def test_who_gets_files_has_fetched(
    course: Api, noted: Callable[[], Noted], path: str, accept: dict[str, str]
) -> None:
    before = datetime.now(timezone.utc)
    assert course.user("lawrence").call("GET", path, headers=accept).status_code == 200
    [(key, at)] = noted().items()
    assert key == ("course1", "challenge", "lawrence", 1)
    assert before <= at <= datetime.now(timezone.utc)


def test_who_has_the_archive_already_has_fetched(course: Api, noted: Callable[[], Noted]) -> None:
    etag = course.user("kevin").call("GET", FETCH, headers=ZIP).headers["ETag"]
    again = {**ZIP, "If-None-Match": etag}
    assert course.user("lawrence").call("GET", FETCH, headers=again).status_code == 304
    assert ("course1", "challenge", "lawrence", 1) in noted()


def test_who_only_looks_or_is_refused_has_not_fetched(
    course: Api, noted: Callable[[], Noted]
) -> None:
    lawrence = course.user("lawrence")
    lawrence.ok("GET", FETCH, list_only="true")
    lawrence.ok("GET", "assignments")
    assert lawrence.call("HEAD", FETCH).status_code == 200
    assert lawrence.call("HEAD", FETCH, headers=ZIP).status_code == 200
    lawrence.fails(404, "File not found", "GET", f"{FETCH}?path=nothing")
    lawrence.submit("course1", "challenge", {"a": b"1"})
    page(lawrence, CHALLENGE)
    course.user("abigail").fails(403, "Permission denied", "GET", FETCH)
    course.user("root").ok("GET", FETCH)  # an admin who is in no course
    assert noted() == {}


def test_fetching_again_leaves_the_first_time_and_sends_nothing_to_the_database(
    course: Api,
    database: Database,
    noted: Callable[[], Noted],
    serve: Callable[..., Api],
    fetch_logs: FetchLogs,
) -> None:
    course.user("lawrence").ok("GET", FETCH)
    first = noted()
    course.user("lawrence").ok("GET", FETCH)
    with counted_statements(database) as statements:
        fetch_logs.write()
    assert statements == []
    serve().user("lawrence").ok("GET", FETCH)  # another process, which does not know it
    assert noted() == first


# ---- how it gets into the database ----


def test_a_fetch_is_written_soon(
    course: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngshare.fetch_log.DELAY_SECONDS", 0.01)
    for name in ("lawrence", "eric"):
        course.user(name).ok("GET", FETCH)
        deadline = time.monotonic() + 10
        while ("course1", "challenge", name, 1) not in read_fetches(database):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_service_that_is_told_to_stop_writes_what_it_has_noted(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path) as service:

        def call(name: str, verb: str, path: str, **fields: str) -> None:
            url = service.url + path
            response = requests.request(verb, url, headers=headers(name), data=fields, timeout=10)
            assert response.status_code == 200, response.text

        call("root", "POST", "course/course1", instructors='["kevin"]')
        call("kevin", "POST", "assignment/course1/challenge", files=encode({"a": b"1"}))
        call("kevin", "GET", "assignment/course1/challenge")
        assert service.stop() == 0
    database = Database(make_engine(f"sqlite:///{tmp_path}/ngshare.db"))
    assert list(read_fetches(database)) == [("course1", "challenge", "kevin", 1)]
    database.close()


def rename(database: Database, old: str, new: str) -> None:
    database.write(
        lambda connection: connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
    )


def test_while_the_database_fails_nothing_is_lost_and_the_log_says_so_once(
    course: Api,
    database: Database,
    noted: Callable[[], Noted],
    fetch_logs: FetchLogs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rename(database, "fetches", "elsewhere")
    with caplog.at_level(logging.WARNING, "ngshare"):
        for name in ("lawrence", "eric"):
            course.user(name).ok("GET", FETCH)
            fetch_logs.write()
    [warning] = caplog.messages
    assert warning.startswith("It can't be written down who fetches assignments: ")
    rename(database, "elsewhere", "fetches")
    written = noted()
    assert {name for _, _, name, _ in written} == {"lawrence", "eric"}
    assert (
        written["course1", "challenge", "lawrence", 1]
        < (written["course1", "challenge", "eric", 1])
    )


def test_what_waits_and_what_is_remembered_has_a_bound(
    course: Api,
    database: Database,
    noted: Callable[[], Noted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ngshare.fetch_log.MOST", 1)
    for name in ("lawrence", "eric", "kevin"):
        course.user(name).ok("GET", FETCH)
    assert [name for _, _, name, _ in noted()] == ["lawrence"]
    course.user("eric").ok("GET", FETCH)
    assert {name for _, _, name, _ in noted()} == {"lawrence", "eric"}
    course.user("lawrence").ok("GET", FETCH)  # long ago
    with counted_statements(database) as statements:
        assert len(noted()) == 2
    assert any(statement.startswith("INSERT") for statement in statements)


def test_what_was_purged_or_merged_meanwhile_is_left_out(
    course: Api, database: Database, noted: Callable[[], Noted]
) -> None:
    kevin = course.user("kevin")
    kevin.release("course1", "other", {"a": b"1"})
    for name in ("kevin", "lawrence", "eric"):
        course.user(name).ok("GET", FETCH)
        course.user(name).ok("GET", "assignment/course1/other")
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    kevin.ok("DELETE", "assignment/course1/other", purge="true")
    kevin.release("course1", "other", {"a": b"2"})  # on SQLite with the same primary key
    assert set(noted()) == {
        ("course1", "challenge", "kevin", 1),
        ("course1", "challenge", "eric", 1),
    }
    course.user("eric").ok("GET", "assignment/course1/other")
    assert ("course1", "other", "eric", 1) in noted()


# ---- what becomes of it ----


def test_purging_removes_the_fetches_and_un_releasing_keeps_them(
    course: Api, noted: Callable[[], Noted]
) -> None:
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    lawrence.ok("GET", FETCH)
    written = noted()
    kevin.ok("DELETE", FETCH)
    assert noted() == written
    kevin.ok("DELETE", FETCH, purge="true")
    assert noted() == {}
    kevin.release("course1", "challenge", {"file2": b"22222"})
    assert shown(kevin)["lawrence"] == "not fetched"
    lawrence.ok("GET", FETCH)
    assert set(noted()) == set(written)
    course.user("root").ok("DELETE", "course/course1", purge="true")
    assert noted() == {}


def test_merging_people_keeps_the_first_fetch_of_each_version(
    course: Api, database: Database, noted: Callable[[], Noted]
) -> None:
    course.user("eric").ok("GET", FETCH)
    course.user("lawrence").ok("GET", FETCH)
    release_again(course)
    course.user("lawrence").ok("GET", FETCH)
    before = noted()
    database.write(mergers.merge, ROOT, "lawrence", "eric")
    assert noted() == {
        ("course1", "challenge", "eric", 1): before["course1", "challenge", "eric", 1],
        ("course1", "challenge", "eric", 2): before["course1", "challenge", "lawrence", 2],
    }
    database.write(people.rename, ROOT, "eric", "erik")
    assert {name for _, _, name, _ in noted()} == {"erik"}
    course.user("kevin").ok("GET", FETCH)
    database.write(mergers.merge, ROOT, "erik", "kevin")
    first = before["course1", "challenge", "eric", 1]
    assert noted()["course1", "challenge", "kevin", 1] == first


# ---- what instructors see ----


def test_instructors_see_when_and_which_version_was_fetched(
    course: Api, fetch_logs: FetchLogs, database: Database
) -> None:
    kevin = course.user("kevin")
    kevin.ok("POST", "student/course1/mia", **person("mia"))
    for name in ("lawrence", "eric"):
        course.user(name).ok("GET", FETCH)
    course.user("eric").ok("GET", "assignments/course2")
    fetch_logs.write()
    minute = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    cells = shown(kevin)
    assert cells["mia"] == "not fetched"
    assert cells["eric"].startswith(minute)
    assert cells["eric"].endswith("UTC")
    release_again(course)
    course.user("eric").ok("GET", FETCH)
    fetch_logs.write()
    cells = shown(kevin)
    assert cells["lawrence"].endswith("UTC version 1 of 2")
    assert cells["eric"].endswith("UTC")
    times = read_fetches(database)
    response = kevin.call("GET", f"{CHALLENGE}/students.csv")
    rows = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    found = {row["student_id"]: (row["fetched_version"], row["fetched"]) for row in rows}
    assert found == {
        "eric": ("2", wire.format_timestamp(times["course1", "challenge", "eric", 2])),
        "lawrence": ("1", wire.format_timestamp(times["course1", "challenge", "lawrence", 1])),
        "mia": ("", ""),
    }


def test_fetches_of_another_course_or_assignment_are_not_shown(
    course: Api, fetch_logs: FetchLogs
) -> None:
    kevin = course.user("kevin")
    course.user("abigail").release("course2", "challenge", {"a": b"b"})
    kevin.release("course1", "other", {"a": b"b"})
    course.user("eric").ok("GET", "assignment/course2/challenge")
    course.user("eric").ok("GET", "assignment/course1/other")
    kevin.ok("GET", FETCH)  # an instructor's own, who is no row of the table
    fetch_logs.write()
    assert shown(kevin) == {"eric": "not fetched", "lawrence": "not fetched"}


def test_who_has_not_even_fetched_is_filtered_and_can_be_written_to(
    course: Api, fetch_logs: FetchLogs
) -> None:
    kevin = course.user("kevin")
    students = [{"username": f"s{n}", **person(f"s{n}")} for n in range(3)]
    students[0]["email"] = ""
    kevin.ok("POST", "students/course1", students=json.dumps(students))
    course.user("lawrence").submit("course1", "challenge", {"a": b"1"})
    course.user("eric").ok("GET", FETCH)
    fetch_logs.write()
    text = page(kevin, f"{CHALLENGE}?show=not-fetched&sort=name")
    assert [row[1] for row in table(text, "Students")] == ["s0", "s1", "s2"]
    said = plain(text)
    assert "All (5) Not fetched (3) Missing (4) Submitted (1)" in said
    assert "E-mail addresses of all 3 who have not fetched it" in said
    assert "s1@example.org, s2@example.org" in said
    assert "Of 1 the roster has no address." in said
    assert shown(kevin, "show=not-fetched&search=S2") == {"s2": "not fetched"}
    assert shown(kevin)["lawrence"] == "no record"
    for name in ("s0", "s1", "s2"):
        course.user(name).ok("GET", FETCH)
    fetch_logs.write()
    said = plain(page(kevin, f"{CHALLENGE}?show=not-fetched"))
    assert "all students have fetched or submitted it" in said


def test_the_table_is_sorted_by_the_time_of_the_fetch(course: Api, fetch_logs: FetchLogs) -> None:
    kevin = course.user("kevin")
    kevin.ok("POST", "student/course1/mia", **person("mia"))
    for name in ("lawrence", "eric"):
        course.user(name).ok("GET", FETCH)
    fetch_logs.write()
    for order, names in (("", ["lawrence", "eric", "mia"]), ("desc", ["eric", "lawrence", "mia"])):
        text = page(kevin, f"{CHALLENGE}?sort=fetched&order={order}")
        assert [row[1] for row in table(text, "Students")] == names

"""The database page: every table, sorted, filtered, paged, followed and downloaded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from sqlalchemy import Connection, LargeBinary, insert, select

from ngshare import raw_tables
from ngshare.database.engine import Database
from ngshare.database.models import Assignment, Base, Blob, BlobChunk, Snapshot, Submission, User
from ngshare.pages import database as database_pages
from ngshare.raw_rows import ROWS_A_PAGE
from tests.api import Api, Caller, encode, person
from tests.html_pages import Element, read_page
from tests.tables import read_csv, read_tables

DATABASE = "pages/database"
HUMAN = "initialize-Data6ase?action=dump&human-readable=true"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def page(caller: Caller, path: str) -> Element:
    """What a browser shows."""
    response = caller.call("GET", path, headers={"Accept": "text/html"})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    return read_page(response.text).one("main")


def table(name: str, **query: Any) -> str:
    return f"{DATABASE}/{name}?{urlencode(query, doseq=True)}"


def filtered(name: str, column: str, test: str, value: str = "", **query: Any) -> str:
    return table(name, column=column, test=test, value=value, **query)


def follow(caller: Caller, shown: Element, words: str) -> Element:
    """The page behind a link."""
    url = shown.links()[words]
    return page(caller, url.removeprefix("/services/ngshare/"))


def column(shown: Element, name: str) -> list[str]:
    """The words in a column of the table."""
    names = [heading.text.rstrip(" ↑↓") for heading in shown.one("thead").all("th")]
    return [cells[names.index(name)].text for cells in shown.one("tbody").rows()]


def refusal(caller: Caller, path: str) -> tuple[int, str]:
    response = caller.call("GET", path)
    return response.status_code, response.json()["message"]


@pytest.fixture
def filled(course: Api) -> Api:
    """A course with something in most tables."""
    kevin, lawrence = course.user("kevin"), course.user("lawrence")
    timestamp = lawrence.submit("course1", "challenge", {"a/b.txt": b"secret words", "c": b"2"})
    fields = {"timestamp": timestamp, "files": encode({"f.html": b"well done"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **fields)
    return course


def add_submissions(connection: Connection, count: int) -> None:
    """Of one user to one assignment; a second apart, and every third one with a key."""
    of = {
        "assignment_pk": connection.scalar(select(Assignment.pk)),
        "user_pk": connection.scalar(select(User.pk).where(User.name == "eric")),
        "snapshot_pk": connection.scalar(select(Snapshot.pk).limit(1)),
    }
    rows = [
        {
            **of,
            "at": START + timedelta(seconds=number),
            "idempotency_key": None if number % 3 else f"{number * 7919 % 1_000_003:07}",
        }
        for number in range(count)
    ]
    for first in range(0, count, 10_000):
        connection.execute(insert(Submission), rows[first : first + 10_000])


# ---- what is shown ----


def test_the_overview_has_every_table_its_rows_and_what_it_is_for(
    filled: Api, database: Database
) -> None:
    shown = page(filled.user("root"), DATABASE).rows()
    counts = {name: f"{len(rows):,}" for name, rows in read_tables(database).items()}
    assert {name.text: count.text for name, count, _ in shown} == counts
    assert all(purpose.text.endswith(".") for _, _, purpose in shown)


def test_every_table_and_column_of_the_models_is_shown(filled: Api, database: Database) -> None:
    root = filled.user("root")
    for name, rows in read_tables(database).items():
        shown = page(root, table(name))
        assert shown.one("h1").text == name
        if rows:
            headings = [heading.text.rstrip(" ↑↓") for heading in shown.one("thead").all("th")]
            assert headings == ["Row", *Base.metadata.tables[name].columns.keys()]
            assert len(shown.one("tbody").rows()) == min(len(rows), ROWS_A_PAGE)
        else:
            assert "The table is empty." in shown.text


def test_bytes_are_shown_as_their_number_and_hashes_in_hexadecimal(
    filled: Api, database: Database
) -> None:
    root = filled.user("root")
    with database.engine.connect() as connection:
        contents = connection.execute(select(BlobChunk.data, BlobChunk.digest)).all()
        checksums = [value.hex() for value in connection.scalars(select(Blob.checksum))]
    shown = page(root, table("blob_chunks"))
    sizes = {f"{len(data):,} bytes" for data, _ in contents}
    assert set(column(shown, "data")) == sizes
    assert set(column(shown, "digest")) == {digest.hex() for _, digest in contents}
    assert set(column(page(root, table("blobs")), "checksum")) == set(checksums)
    for form in ("csv", "json"):
        text = root.call("GET", table("blob_chunks", format=form)).text
        assert "secret" not in text
        assert contents[0].digest.hex() in text


def test_only_what_is_named_as_a_hash_shows_its_bytes() -> None:
    shown = {
        column.name
        for of in Base.metadata.tables.values()
        for column in of.columns
        if isinstance(column.type, LargeBinary)
        and not raw_tables.TABLES[of.name].columns[column.name].is_size
    }
    assert shown == {"digest", "checksum"}


def test_the_names_of_what_a_row_refers_to_are_beside_its_numbers(filled: Api) -> None:
    shown = page(filled.user("root"), table("submissions"))
    [user], [assignment] = column(shown, "user_pk"), column(shown, "assignment_pk")
    assert user.endswith(" lawrence")
    assert assignment.endswith(" challenge")


def test_times_are_for_the_reader_and_a_rows_own_page_has_them_exactly(filled: Api) -> None:
    root = filled.user("root")
    [submission] = root.ok("GET", "submissions")["submissions"]
    shown = page(root, table("submissions"))
    [moment] = shown.all("time")
    day, clock, _ = submission["timestamp"].split()
    assert moment.attributes["datetime"] == f"{day}T{clock}Z"
    row = follow(root, shown, f"Open row {submission['submission_id']}")
    assert submission["timestamp"] in row.text


def test_values_with_markup_in_them_are_harmless(course: Api) -> None:
    script = "<script>alert('x')</script>"
    fields = {"first_name": script, "last_name": '"><img src=x>', "email": "&amp;"}
    course.user("kevin").ok("POST", "student/course1/lawrence", **fields)
    root = course.user("root")
    for path in (
        table("memberships"),
        filtered("memberships", "first_name", "is", script),
        filtered("memberships", "last_name", "contains", fields["last_name"]),
    ):
        shown = page(root, path)
        assert not shown.all("script")
        assert not shown.all("img")
        assert script in column(shown, "first_name")
        assert fields["email"] in column(shown, "email")


# ---- following references ----


def test_a_click_on_a_reference_leads_to_the_row_and_from_it_back(filled: Api) -> None:
    root = filled.user("root")
    shown = page(root, table("submissions"))
    [cells] = shown.one("tbody").rows()
    [number] = [cell.one("a").text for cell in cells if cell.text.endswith(" lawrence")]
    user = follow(root, cells[3], number)
    assert user.one("h1").text == f"Row {number} of users"
    assert {row[0].text: row[1].text for row in user.rows()} == {"pk": number, "name": "lawrence"}
    assert "submissions, by user_pk: 1" in user.text
    back = follow(root, user, "submissions, by user_pk")
    assert [value.split()[0] for value in column(back, "user_pk")] == [number]


def test_every_foreign_key_can_be_followed_both_ways(filled: Api, database: Database) -> None:
    root = filled.user("root")
    followed = set()
    rows = read_tables(database)
    for name, of in raw_tables.TABLES.items():
        if not rows[name]:
            continue
        shown = page(root, table(name))
        row = page(root, shown.one("tbody").rows()[0][0].one("a").attributes["href"][18:])
        for cells in row.one("tbody").rows():
            target = of.columns[cells[0].text].refers_to
            if target is None:
                assert not cells[1].all("a")
                continue
            words = cells[1].one("a").text
            referred = follow(root, cells[1], words)
            assert referred.one("h1").text == f"Row {words} of {target}"
            back = follow(root, referred, f"{name}, by {cells[0].text}")
            assert words in {value.split()[0] for value in column(back, cells[0].text)}
            followed.add((name, cells[0].text))
    keys = {
        (of.name, column.name)
        for of in Base.metadata.tables.values()
        for column in of.columns
        if column.foreign_keys and rows[of.name]
    }
    assert followed == keys


def test_every_foreign_key_leads_to_its_table() -> None:
    for of in Base.metadata.tables.values():
        for column in of.columns:
            targets = [key.column.table.name for key in column.foreign_keys]
            leads_to = raw_tables.TABLES[of.name].columns[column.name].refers_to
            assert ([leads_to] if leads_to else []) == targets, f"{of.name}.{column.name}"
            for target in targets:
                assert (of.name, column.name) in raw_tables.TABLES[target].referred_by


def test_rows_that_are_named_by_two_columns_have_their_page(filled: Api) -> None:
    root = filled.user("root")
    shown = page(root, table("releases"))
    [link] = [cells[0].one("a") for cells in shown.one("tbody").rows()]
    row = page(root, link.attributes["href"].removeprefix("/services/ngshare/"))
    assert row.one("h1").text == f"Row {link.text.removeprefix('Open row ')} of releases"


# ---- filters ----


@pytest.mark.parametrize(
    ("name", "condition", "found"),
    [
        ("users", ("name", "is", "kevin"), ["kevin"]),
        ("users", ("name", "is", "kev"), []),
        ("users", ("name", "contains", "E"), ["kevin", "lawrence", "eric"]),
        ("users", ("name", "contains", "%"), []),
        ("users", ("name", "contains", "_"), []),
        ("users", ("name", "is empty", ""), []),
        ("courses", ("deleted_at", "is empty", ""), ["course1", "course2"]),
        ("assignments", ("released_at", "contains", "20"), ["challenge"]),
        ("assignments", ("released_at", "contains", "1066-"), []),
        ("assignments", ("released_at", "is", "2020-01-01 00:00:00.0"), []),
    ],
)
def test_rows_are_filtered_by_a_column(
    course: Api, name: str, condition: tuple[str, str, str], found: list[str]
) -> None:
    shown = page(course.user("root"), filtered(name, *condition))
    assert sorted(column(shown, "name") if found else []) == sorted(found)
    assert ("No row is like that." in shown.text) is not bool(found)


def test_hashes_numbers_and_truths_are_filtered_as_they_are_shown(filled: Api) -> None:
    root = filled.user("root")
    digest = column(page(root, table("blobs")), "digest")[0]
    for test, value in (("is", digest), ("contains", digest[5:20].upper())):
        assert column(page(root, filtered("blobs", "digest", test, value)), "digest") == [digest]
    everybody = column(page(root, table("memberships")), "pk")
    for test, value in (("is", "true"), ("contains", "tru")):
        shown = page(root, filtered("memberships", "active", test, value))
        assert column(shown, "pk") == everybody
    assert "No row" in page(root, filtered("memberships", "active", "is", "false")).text
    ones = [pk for pk in everybody if "1" in pk]
    assert column(page(root, filtered("memberships", "pk", "contains", "1")), "pk") == ones
    size = column(page(root, table("blob_chunks")), "data")[0].split()[0]
    shown = page(root, filtered("blob_chunks", "data", "is", size))
    assert size in {value.split()[0] for value in column(shown, "data")}


def test_a_time_is_filtered_exactly_and_by_its_beginning(filled: Api) -> None:
    root = filled.user("root")
    [submission] = root.ok("GET", "submissions")["submissions"]
    timestamp = submission["timestamp"]
    for test, value in (("is", timestamp), ("contains", timestamp[:16])):
        assert len(page(root, filtered("submissions", "at", test, value)).rows()) == 1


def test_an_empty_text_is_as_empty_as_none(course: Api) -> None:
    fields = {"first_name": "", "last_name": "L", "email": "e@example.org"}
    course.user("kevin").ok("POST", "student/course1/lawrence", **fields)
    shown = page(course.user("root"), filtered("memberships", "first_name", "is empty"))
    # instructors come without names
    users = {value.split()[-1] for value in column(shown, "user_pk")}
    assert users == {"kevin", "abigail", "lawrence"}


def test_filters_add_up_and_each_can_be_taken_away(course: Api) -> None:
    root = course.user("root")
    shown = page(
        root,
        table(
            "memberships",
            column=["role", "first_name"],
            test=["is", "contains"],
            value=["student", "eri"],
        ),
    )
    assert column(shown, "first_name") == ["Eric", "Eric"]
    form = shown.one("form")
    kept = [field.attributes["value"] for field in form.all("input", type="hidden")]
    assert kept == ["pk", "role", "is", "student", "first_name", "contains", "eri"]
    shown = follow(root, shown, "Remove the filter on first_name")
    assert column(shown, "first_name") == ["Lawrence", "Eric", "Eric"]
    assert len(column(follow(root, shown, "Remove the filter on role"), "pk")) == 5


def test_a_number_may_be_longer_than_the_column_has_room_for(course: Api) -> None:
    root = course.user("root")
    for path in (
        filtered("releases", "version", "is", "9" * 18),
        filtered("blob_chunks", "data", "is", "9" * 18),
        table("releases", after=["1", "9" * 18]),
    ):
        assert page(root, path).all("tbody") == []


def test_a_form_sent_without_a_column_filters_nothing(course: Api) -> None:
    shown = page(course.user("root"), filtered("users", "", "is", "x"))
    assert len(shown.one("tbody").rows()) == 4


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (table("nothing"), 404, "There is no table nothing; there are users, courses, "),
        (table("users", sort="no"), 400, "users has no column no; it has pk, name"),
        (filtered("users", "no", "is", "x"), 400, "users has no column no; it has pk, name"),
        (filtered("users", "pk", "is", "x"), 400, "pk is a number"),
        (filtered("users", "pk", "is", "9" * 30), 400, "pk is a number"),
        (filtered("blobs", "digest", "is", "x"), 400, "digest is a hash, in hexadecimal"),
        (filtered("memberships", "active", "is", "1"), 400, "active is true or false"),
        (filtered("courses", "deleted_at", "is", "1"), 400, "Time format incorrect"),
        (filtered("users", "pk", "like", "1"), 400, "A filter is one of: is, contains, is empty"),
        (table("users", column="pk"), 400, "Every filter is a column, a test and a value"),
        (table("users", row="999"), 404, "There is no row 999 in users"),
        (table("users", row=["1", "2"]), 400, "A row of users is named by pk"),
        (table("users", after="x"), 400, "pk is a number"),
        (table("users", sort="name", after="999"), 404, "The row at which this page begins is "),
        (table("users", format="xml"), 400, "There is no format xml; there are csv, json"),
        (table("releases", row=["1", "9" * 18]), 404, f"There is no row 1, {'9' * 18} in releases"),
        (f"{DATABASE}/users?value=%ff", 400, "The argument value is no UTF-8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    course: Api, path: str, status: int, message: str
) -> None:
    got = refusal(course.user("root"), path)
    assert got[0] == status
    assert got[1].startswith(message)


# ---- order and pages ----


def walk(caller: Caller, path: str, words: str) -> Iterator[list[str]]:
    """The keys of the rows on this page, and on those that a link leads to."""
    while True:
        shown = page(caller, path)
        yield column(shown, "pk")
        if words not in shown.links():
            return
        path = shown.links()[words].removeprefix("/services/ngshare/")


@pytest.mark.parametrize("sort", ["pk", "at", "idempotency_key", "user_pk"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_row_is_on_one_page_there_and_back(
    course: Api, database: Database, sort: str, order: str
) -> None:
    database.write(add_submissions, 170)
    root = course.user("root")
    with database.engine.connect() as connection:
        rows = connection.execute(select(Submission.pk, getattr(Submission, sort))).all()
    filled = sorted((row for row in rows if row[1] is not None), key=lambda row: (row[1], row[0]))
    empty = sorted(row for row in rows if row[1] is None)
    if order == "desc":
        filled, empty = filled[::-1], empty[::-1]
    expected = [str(row[0]) for row in filled + empty]
    there = list(walk(root, table("submissions", sort=sort, order=order), "Next"))
    assert list(chain(*there)) == expected
    assert [len(keys) for keys in there] == [50, 50, 50, 20]
    last = table("submissions", sort=sort, order=order, last="true")
    back = list(walk(root, last, "Previous"))
    assert list(chain(*reversed(back))) == expected
    assert [len(keys) for keys in back] == [50, 50, 50, 20]


def test_a_heading_sorts_and_a_second_click_turns_it(course: Api) -> None:
    root = course.user("root")
    shown = follow(root, page(root, table("users")), "name")
    assert column(shown, "name") == ["abigail", "eric", "kevin", "lawrence"]
    assert shown.one("th", aria_sort="ascending").text == "name ↑"
    shown = follow(root, shown, "name ↑")
    assert column(shown, "name") == ["lawrence", "kevin", "eric", "abigail"]
    assert shown.one("th", aria_sort="descending").text == "name ↓"


def test_pages_and_order_keep_the_filter(course: Api, database: Database) -> None:
    database.write(add_submissions, 170)
    root = course.user("root")
    path = filtered("submissions", "idempotency_key", "is empty", sort="at", order="desc")
    found = list(chain(*walk(root, path, "Next")))
    assert len(found) == 113
    assert found == sorted(found, key=int, reverse=True)
    assert "113 rows" in page(root, path).text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_200_000_rows_are_shown_in_a_tenth_of_a_second(course: Api, database: Database) -> None:
    database.write(add_submissions, 200_000)
    root = course.user("root")
    for path in (
        table("submissions"),
        table("submissions", after="150000"),
        table("submissions", last="true"),
    ):
        seconds = []
        for _ in range(5):
            start = time.process_time()  # others may be busy on this machine
            assert "200,000 rows" in page(root, path).text
            seconds.append(time.process_time() - start)
        assert min(seconds) < 0.1, path


# ---- files ----


def test_a_filtered_table_is_downloaded_as_csv_and_as_json(course: Api) -> None:
    root = course.user("root")
    shown = page(root, filtered("memberships", "role", "is", "student"))
    answers = {
        form: root.call("GET", shown.links()[f"Download as {form}"][len("/services/ngshare/") :])
        for form in ("CSV", "JSON")
    }
    for form, answer in answers.items():
        name = f"memberships.{form.lower()}"
        assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{name}"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    rows = answers["JSON"].json()
    assert [row["first_name"] for row in rows] == ["Lawrence", "Eric", "Eric"]
    assert all(row["active"] is True for row in rows)
    table_of = read_csv(answers["CSV"].content)
    assert table_of == [{name: str(value) for name, value in row.items()} for row in rows]
    assert answers["CSV"].headers["Content-Type"] == "text/csv; charset=UTF-8"


@pytest.mark.parametrize("count", [0, 3, 6, 7])
def test_a_download_has_every_row_once_however_it_is_cut(
    course: Api, database: Database, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(database_pages, "EXPORTED_AT_ONCE", 3)
    database.write(add_submissions, count)
    root = course.user("root")
    with database.engine.connect() as connection:
        pks = sorted(connection.scalars(select(Submission.pk)))
    assert len(pks) == count
    as_json = root.call("GET", table("submissions", format="json")).json()
    assert [row["pk"] for row in as_json] == pks
    content = root.call("GET", table("submissions", format="csv", sort="at", order="desc")).content
    assert [int(row["pk"]) for row in read_csv(content)] == pks
    for name in ("releases", "blobs", "blob_chunks"):  # whose keys are no numbers, or two
        rows = root.call("GET", table(name, format="json")).json()
        assert len(rows) == len(read_tables(database)[name])


def test_a_spreadsheet_runs_nothing_that_somebody_wrote(course: Api) -> None:
    fields = {**person("lawrence"), "last_name": "=HYPERLINK(1)", "first_name": "-1+1"}
    course.user("kevin").ok("POST", "student/course1/lawrence", **fields)
    root = course.user("root")
    content = root.call("GET", table("memberships", format="csv")).content
    [row] = [row for row in read_csv(content) if "HYPER" in row["last_name"]]
    assert (row["last_name"], row["first_name"]) == ("'=HYPERLINK(1)", "'-1+1")
    exact = root.call("GET", table("memberships", format="json")).json()
    assert "=HYPERLINK(1)" in {row["last_name"] for row in exact}


# ---- who may, and the old URL ----


def test_only_admins_see_the_tables(course: Api) -> None:
    for path in (DATABASE, table("users"), table("users", row="1"), table("users", format="csv")):
        course.nobody.fails(401, "Login required", "GET", path)
        for name in ("kevin", "lawrence", "stranger"):
            course.user(name).fails(403, "Permission denied", "GET", path)


def test_where_ngshare_is_only_tried_everybody_sees_them(serve: Callable[..., Api]) -> None:
    debugging, alone = serve(debug=True), serve(stand_alone=True)
    debugging.nobody.fails(401, "Login required", "GET", DATABASE)
    for caller in (debugging.user("stranger"), alone.nobody):
        assert page(caller, DATABASE).one("h1").text == "Database"
        assert page(caller, table("users")).one("h1").text == "users"


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("", "pages/database"),
        ("&table=users", "pages/database/users"),
        ("&table=files", "pages/database/snapshot_files"),
        (
            "&table=student_assoc_table",
            "pages/database/memberships?column=role&test=is&value=student",
        ),
        ("&table=submission_files_assoc_table", "pages/database"),
    ],
)
def test_the_old_url_for_people_leads_to_the_pages(course: Api, name: str, where: str) -> None:
    root = course.user("root")
    response = root.call("GET", HUMAN + name)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/services/ngshare/{where}"
    page(root, where)


def test_the_old_url_leads_to_a_page_of_the_same_user_stand_alone(
    serve: Callable[..., Api],
) -> None:
    api = serve(stand_alone=True)
    for path in (HUMAN + "&user=root", HUMAN + "&table=student_assoc_table&user=root"):
        response = requests.get(api.url + path, headers={"Accept": "text/html"}, timeout=30)
        assert response.status_code == 200
        assert "root (admin)" in response.text


def test_the_old_url_for_people_knows_the_old_tables_only(course: Api) -> None:
    status, message = refusal(course.user("root"), HUMAN + "&table=blobs")
    assert status == 404
    assert message.startswith("Table not found; there are users, courses")


@pytest.mark.parametrize("flag", ["", "false", "True", "1", "yes"])
def test_the_dump_is_for_people_for_exactly_true(api: Api, flag: str) -> None:
    fields = {"action": "dump", "human-readable": flag}
    assert api.user("root").ok("GET", "initialize-Data6ase", **fields)["users"] == []


def test_json_lines_of_a_download_are_objects(course: Api) -> None:
    text = course.user("root").call("GET", table("users", format="json")).text
    first, *lines, last = text.splitlines()
    assert (first, last) == ("[", "]")
    assert [set(json.loads(line.rstrip(","))) for line in lines] == [{"pk", "name"}] * 4

"""Instructors' pages: a course's roster and assignments, and who has submitted what."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import logging
import random
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
import requests
from sqlalchemy import Connection, event, select, update

from ngshare.database.engine import Database
from ngshare.database.models import AuditEntry, BlobChunk, Submission, User
from ngshare.pages import assignment_files
from ngshare.permissions import Identity
from ngshare.progress import load_progress
from ngshare.spreadsheets import encode_rows, from_cell
from ngshare.tables import View
from tests.api import Api, Caller, encode, person, segment
from tests.tables import read_tables
from tests.test_auth import BROWSER, come_back, follow_to_hub

COURSE = "pages/course/course1"
PEOPLE = f"{COURSE}/people"
CHALLENGE = "pages/assignment/course1/challenge"
SCRIPT = "<script>alert(1)</script>"
HEADER = "student_id,first_name,last_name,email\n"


def page(caller: Caller, path: str, status: int = 200, **options: object) -> str:
    verb = "POST" if options else "GET"
    response = caller.call(verb, path, headers={"Accept": "text/html"}, **options)
    assert response.status_code == status, response.text
    assert "style=" not in response.text
    assert "<script>" not in response.text
    return response.text


def plain(text: str) -> str:
    """What a page says, without tags and with single spaces."""
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", " ", text))).strip()


def table(text: str, label: str) -> list[list[str]]:
    """The rows of the table in the region of this name, without the headings."""
    region = re.search(f'aria-label="{label}">(.*?)</table>', text, re.DOTALL)
    body = region[1].partition("<tbody>")[2] if region else ""
    rows = re.findall("<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [plain(cell) for cell in re.findall("<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows
    ]


def post(caller: Caller, path: str, **fields: str) -> str:
    """Send a form that does something; what the next page says was done."""
    sent = caller.call("POST", path, data=fields, headers={"Accept": "text/html"})
    assert sent.status_code == 303, sent.text
    path = sent.headers["Location"].removeprefix("/services/ngshare/")
    cookies = {"ngshare-notice": sent.cookies["ngshare-notice"]}
    response = caller.call("GET", path, headers={"Accept": "text/html"}, cookies=cookies)
    notice = re.search('role="status">(.*?)</div>', response.text)
    assert notice
    return html.unescape(notice[1])


def usernames(caller: Caller) -> list[str]:
    return [row["username"] for row in caller.ok("GET", "students/course1")["students"]]


@pytest.fixture
def kevin(course: Api) -> Caller:
    return course.user("kevin")


# ---- the course ----


def test_the_course_shows_its_assignments_with_what_came_of_them(
    course: Api, kevin: Caller
) -> None:
    lawrence = course.user("lawrence")
    lawrence.submit("course1", "challenge", {"a": b"1"})
    timestamp = lawrence.submit("course1", "challenge", {"a": b"2"})
    course.user("eric").submit("course1", "challenge", {"a": b"3"})
    feedback = {"timestamp": timestamp, "files": encode({"f": b"good"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **feedback)
    kevin.ok("PUT", "assignment/course1/challenge", files=encode({"new": b"version"}))
    kevin.release("course1", "gone", {"a": b"b"})
    kevin.ok("DELETE", "assignment/course1/gone")
    released, gone = table(page(kevin, COURSE), "Assignments")
    assert released[0] == "challenge"
    assert released[1:4] == ["2", "3", "1"]
    assert released[4].startswith("2 of ")
    assert gone[0] == "gone un-released"
    assert gone[1:4] == ["0", "0", "0"]


def test_students_of_the_course_see_another_page_and_strangers_none(course: Api) -> None:
    assert "eric@example.org" not in page(course.user("lawrence"), COURSE)
    assert "eric@example.org" not in page(course.user("lawrence"), CHALLENGE)
    assert "Permission denied" in page(course.user("abigail"), COURSE, 403)
    assert "eric@example.org" in page(course.user("root"), COURSE)


def test_the_roster_is_searched_sorted_and_cut_into_pages(course: Api, kevin: Caller) -> None:
    names = [f"s{number:03}" for number in range(120)]
    students = [{"username": name, **person(name)} for name in names]
    kevin.ok("POST", "students/course1", students=json.dumps(students))

    def shown(query: str) -> list[str]:
        return [row[2] for row in table(page(kevin, f"{COURSE}?{query}"), "People")]

    assert shown("sort=name") == ["eric", "kevin", "lawrence", *names[:47]]
    assert shown("sort=name&page=3") == names[97:]
    assert shown("sort=name&order=desc")[:2] == ["s119", "s118"]
    assert shown("search=S11&sort=name") == names[110:]
    assert shown("search=%25") == []
    names = {"first_name": "Zoë", "last_name": "Øster", "email": ""}
    kevin.ok("POST", "student/course1/zoe", **names)
    assert shown("search=øst") == shown("search=ØST") == shown("search=ZOË") == ["zoe"]
    assert shown("sort=role")[0] == "kevin"
    assert "Nobody here has “%”" in plain(page(kevin, f"{COURSE}?search=%25"))
    assert "There is no column x" in page(kevin, f"{COURSE}?sort=x", 400)


# ---- one person ----


def test_a_person_is_added_changed_and_removed(kevin: Caller) -> None:
    notice = post(kevin, f"{PEOPLE}/add", username="mia", **person("mia"))
    assert notice == "mia is a student of course1 now."
    mia = {"username": "mia", **person("mia")}
    assert kevin.ok("GET", "student/course1/mia") == {"success": True, **mia}
    form = page(kevin, f"{COURSE}/person/mia")
    assert 'value="mia@example.org"' in form
    fields = {"first_name": "Mia", "last_name": "Changed", "email": ""}
    assert "mia" in post(kevin, f"{COURSE}/person/mia", action="save", **fields)
    assert kevin.ok("GET", "student/course1/mia")["last_name"] == "Changed"
    notice = post(kevin, f"{COURSE}/person/mia", action="remove")
    assert notice == "mia is no longer in course1; the work done so far stays."
    assert usernames(kevin) == ["lawrence", "eric"]
    assert "Person not found" in page(kevin, f"{COURSE}/person/mia", 404)


def test_adding_overwrites_nobody_and_keeps_what_was_typed(kevin: Caller, course: Api) -> None:
    form = {"username": "lawrence", "first_name": "L", "last_name": "'\"", "email": "x"}
    text = page(kevin, f"{PEOPLE}/add", 409, data=form)
    assert "lawrence is a student of this course already. Nobody was added." in text
    assert 'value="&#39;&#34;"' in text
    form["username"] = "kevin"
    assert "Cannot add instructor as student" in page(kevin, f"{PEOPLE}/add", 409, data=form)
    again = {**form, "role": "instructor"}
    text = page(course.user("root"), f"{PEOPLE}/add", 409, data=again)
    assert "kevin is an instructor of this course already" in text
    form["username"] = ""
    assert "A user name is needed" in page(kevin, f"{PEOPLE}/add", 400, data=form)
    form["username"] = ".."
    assert "Illegal name" in html.unescape(page(kevin, f"{PEOPLE}/add", 400, data=form))
    assert kevin.ok("GET", "student/course1/lawrence")["first_name"] == "Lawrence"


def test_what_is_left_blank_when_somebody_gets_another_role_or_comes_back_stays(
    course: Api, kevin: Caller
) -> None:
    kevin.ok("DELETE", "student/course1/eric")
    post(kevin, f"{PEOPLE}/add", username="eric", last_name="New")
    eric = kevin.ok("GET", "student/course1/eric")
    assert (eric["first_name"], eric["last_name"]) == ("Eric", "New")
    post(course.user("root"), f"{PEOPLE}/add", username="lawrence", role="instructor")
    lawrence = kevin.ok("GET", "instructor/course1/lawrence")
    assert lawrence["email"] == "lawrence@example.org"


def test_a_form_that_was_open_while_the_role_changed_does_not_change_it_back(
    course: Api, kevin: Caller
) -> None:
    root = course.user("root")
    root.ok("POST", "instructor/course1/eric", **person("eric"))
    form = {"action": "save", "role": "student", "first_name": "E"}
    post(root, f"{COURSE}/person/eric", **form)
    assert kevin.ok("GET", "instructor/course1/eric")["first_name"] == "E"
    root.ok("DELETE", "instructor/course1/eric")
    kevin.ok("POST", "student/course1/eric", **person("eric"))
    post(root, f"{COURSE}/person/eric", **{**form, "role": "instructor"})
    assert usernames(kevin) == ["lawrence", "eric"]


def test_a_name_with_capitals_is_added_with_a_warning(kevin: Caller) -> None:
    notice = post(kevin, f"{PEOPLE}/add", username="Mia", **person("mia"))
    assert "usually has names in lower case, unlike Mia" in notice


def test_only_admins_are_offered_to_appoint_and_to_remove_instructors(course: Api) -> None:
    kevin, root = course.user("kevin"), course.user("root")
    root.ok("POST", "instructor/course1/ivan", **person("ivan"))
    assert 'name="role"' not in page(kevin, f"{PEOPLE}/add")
    assert 'name="role"' in page(root, f"{PEOPLE}/add")
    assert "<form" not in page(kevin, f"{COURSE}/person/ivan")
    assert "Remove kevin" not in page(kevin, f"{COURSE}/person/kevin")
    assert "Remove ivan" in page(root, f"{COURSE}/person/ivan")
    notice = post(root, f"{PEOPLE}/add", username="lawrence", role="instructor", **person("l"))
    assert notice == "lawrence is an instructor of course1 now."
    assert usernames(kevin) == ["eric"]


def test_the_form_of_a_person_does_only_what_it_offers(kevin: Caller) -> None:
    response = kevin.send("POST", f"{COURSE}/person/eric", action="explode")
    assert (response.status_code, response.json()["message"]) == (
        400,
        "action should be save or remove",
    )


# ---- many people ----


def upload(caller: Caller, text: str | bytes, status: int = 200) -> str:
    return page(caller, f"{PEOPLE}/preview", status, files={"file": ("r.csv", text)})


def confirmation(text: str) -> dict[str, str]:
    """The form of a preview, as a browser would send it."""
    plan = re.search('name="plan" value="(.*?)"', text)
    roster = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", text, re.DOTALL)
    assert plan
    assert roster
    return {"plan": plan[1], "roster": html.unescape(roster[1]).replace("\n", "\r\n")}


FILE = f"""email,last_name,student_id,first_name,section
mia@example.org,"Müller
Meier",mia,Mia,1
eric@example.org,New,eric,Eric,1
lawrence@example.org,Student,lawrence,Lawrence,2
k@example.org,K,kevin,Kevin,2
x,,,Nameless,2
x,x,mia,Twice,2
x,x,short
x,x,{SCRIPT},=1+1,3
"""


def test_a_roster_is_previewed_and_nothing_changes_before_it_is_confirmed(
    kevin: Caller, database: Database
) -> None:
    before = read_tables(database)
    text = upload(kevin, FILE)
    assert read_tables(database) == before
    said = plain(text)
    assert "2 to add 1 to change 1 as before 4 refused" in said
    assert "Add 2 students and change 1 student" in said
    assert "eric : last name from Student to New" in said
    for refusal in (
        "Line 6: kevin: Cannot add instructor as student",
        "Line 7: there is no student_id",
        "Line 8: mia is there already",
        "Line 9: it has not as many columns as the first line",
    ):
        assert refusal in said
    assert post(kevin, f"{PEOPLE}/preview", **confirmation(text)) == (
        "Added 2 students and changed 1 student of course1."
    )
    assert usernames(kevin) == ["lawrence", "eric", "mia", SCRIPT]
    assert kevin.ok("GET", "student/course1/mia")["last_name"] == "Müller Meier"
    assert kevin.ok("GET", "student/course1/eric")["last_name"] == "New"
    assert kevin.ok("GET", f"student/course1/{segment(SCRIPT)}")["first_name"] == "=1+1"


def test_what_changed_since_the_preview_is_told_and_nothing_is_done(
    kevin: Caller, database: Database
) -> None:
    form = confirmation(upload(kevin, HEADER + "mia,Mia,M,\neric,Eric,New,e\n"))
    kevin.ok("POST", "student/course1/eric", **person("somebody"))
    before = read_tables(database)
    text = page(kevin, f"{PEOPLE}/preview", 200, data=form)
    assert read_tables(database) == before
    assert "Nothing was changed: in the meantime somebody else has changed" in plain(text)
    assert "last name from Example to New" in plain(text)
    post(kevin, f"{PEOPLE}/preview", **confirmation(text))
    assert kevin.ok("GET", "student/course1/eric")["last_name"] == "New"


def test_a_plan_that_the_form_made_up_is_not_done(kevin: Caller) -> None:
    form = confirmation(upload(kevin, HEADER + "mia,Mia,M,\n"))
    form["roster"] = HEADER + "nina,Nina,N,\n"
    assert "Nothing was changed" in plain(page(kevin, f"{PEOPLE}/preview", 200, data=form))
    assert usernames(kevin) == ["lawrence", "eric"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "there is no column student_id"),
        (b"name;mail\n", "r.csv, line 1: there is no column"),
        (HEADER.encode() + b"a,M\xfcller,b,c\n", "r.csv, line 2: the file is not in UTF-8"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_with_its_line(
    kevin: Caller, content: bytes, problem: str
) -> None:
    text = plain(upload(kevin, content, 400))
    assert problem in text
    assert "Nothing was changed." in text


def test_a_spreadsheets_semicolons_are_as_good_as_commas(kevin: Caller) -> None:
    content = 'student_id;first_name;last_name;email\r\nmia;Mia;"M, jr.";m@example.org\r\n'
    post(kevin, f"{PEOPLE}/preview", **confirmation(upload(kevin, content)))
    assert kevin.ok("GET", "student/course1/mia")["last_name"] == "M, jr."


def test_what_comes_back_with_the_confirmation_may_be_longer_by_the_ends_of_its_lines(
    kevin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = HEADER + "mia,M\0ia,M,\n" + "\n" * 100
    monkeypatch.setattr("ngshare.pages.people.MAX_FILE_BYTES", len(content))
    text = upload(kevin, content)
    assert "\0" not in text  # of which browsers make another character
    form = {name: (None, value) for name, value in confirmation(text).items()}
    assert kevin.call("POST", f"{PEOPLE}/preview", files=form).status_code == 303
    assert usernames(kevin) == ["lawrence", "eric", "mia"]


def test_a_form_without_a_file_asks_for_one(kevin: Caller) -> None:
    text = page(kevin, f"{PEOPLE}/preview", 400, files={"file": ("", b"")})
    assert "Choose a CSV file first" in text


def test_a_roster_that_says_nothing_new_leaves_nothing_to_confirm(kevin: Caller) -> None:
    text = upload(kevin, HEADER + "eric,Eric,Student,eric@example.org\n")
    assert "There is nothing to do." in text
    assert 'name="plan"' not in text


def test_thousands_of_students_are_uploaded_and_the_preview_stays_short(kevin: Caller) -> None:
    lines = [f"s{number:05},First,Last,s{number}@example.org\n" for number in range(5000)]
    text = upload(kevin, HEADER + "".join(lines))
    assert "5,000 to add" in plain(text)
    assert "… and 4,800 more." in text
    form = confirmation(text)
    sent = kevin.call("POST", f"{PEOPLE}/preview", files={n: (None, v) for n, v in form.items()})
    assert sent.status_code == 303
    assert len(usernames(kevin)) == 5002


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("'=1+1", "''=1+1"),
        ("a;=cmd|x!A0;b", "a;'=cmd|x!A0;b"),
        ("\uff1d1", "'\uff1d1"),
        ("a=1; b=2", "a=1; b=2"),
        ("'s-Gravenhage; 't Hooft", "'s-Gravenhage; 't Hooft"),
        ("--", "'--"),
    ],
)
def test_no_cell_is_a_formula_wherever_it_is_cut_and_it_is_read_back_as_it_was(
    text: str, cell: str
) -> None:
    assert encode_rows([[text]]).decode() == f"{cell}\r\n"
    assert from_cell(cell) == text


def test_the_downloaded_roster_is_one_to_upload_and_holds_no_formula(kevin: Caller) -> None:
    texts = {"first_name": "=HYPERLINK(1)", "last_name": "-x", "email": '"a", b'}
    kevin.ok("POST", f"student/course1/{segment('@sum')}", **texts)
    response = kevin.call("GET", f"{PEOPLE}/roster.csv")
    assert response.headers["Content-Type"] == "text/csv; charset=UTF-8"
    assert response.headers["Content-Disposition"].startswith("attachment;")
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows[0] == ["student_id", "first_name", "last_name", "email"]
    assert rows[-1] == ["'@sum", "'=HYPERLINK(1)", "'-x", '"a", b']
    assert "0 to add 0 to change 3 as before 0 refused" in plain(upload(kevin, response.content))


# ---- versions ----


def test_an_assignment_is_un_released_and_restored_after_the_page_said_what_happens(
    course: Api, kevin: Caller, database: Database
) -> None:
    lawrence = course.user("lawrence")
    lawrence.submit("course1", "challenge", {"a": b"1"})
    said = plain(page(kevin, f"{CHALLENGE}/versions"))
    assert "1 submission of 1 person and 0 pieces of feedback are kept" in said
    notice = post(kevin, f"{CHALLENGE}/versions", action="un-release")
    assert notice.startswith("challenge is un-released")
    lawrence.fails(404, "Assignment not found", "GET", "assignment/course1/challenge")
    assert "Assignment not found" in page(kevin, CHALLENGE, 404)
    said = plain(page(kevin, f"{CHALLENGE}/versions"))
    assert "Its 1 submission of 1 person and 0 pieces of feedback are back with it" in said
    notice = post(kevin, f"{CHALLENGE}/versions", action="restore")
    assert notice.startswith("challenge is released again")
    answer = lawrence.ok("GET", "assignment/course1/challenge")
    assert answer["version"] == 1
    assert len(kevin.ok("GET", "submissions/course1/challenge")["submissions"]) == 1
    noted = database.read(lambda connection: connection.scalars(select(AuditEntry.action)).all())
    assert noted[-2:] == ["unrelease assignment", "restore assignment"]
    response = kevin.send("POST", f"{CHALLENGE}/versions", action="restore")
    assert (response.status_code, response.json()["message"]) == (
        409,
        "Assignment is released already",
    )


# ---- who has submitted what ----


@pytest.fixture
def work(course: Api, kevin: Caller) -> Api:
    """lawrence submitted twice and has feedback on the first; felix submitted and was removed."""
    kevin.ok("POST", "student/course1/felix", **person("felix"))
    lawrence = course.user("lawrence")
    first = lawrence.submit("course1", "challenge", {"a.txt": b"first"})
    lawrence.submit("course1", "challenge", {"a.txt": b"second", "d/b.txt": b"2"})
    course.user("felix").submit("course1", "challenge", {"a.txt": b"felix"})
    kevin.ok("DELETE", "student/course1/felix")
    feedback = {"timestamp": first, "files": encode({"f": b"good"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **feedback)
    return course


def test_an_assignment_has_a_row_for_every_student_and_everybody_who_submitted(
    work: Api, kevin: Caller
) -> None:
    text = page(kevin, f"{CHALLENGE}?sort=name")
    eric, felix, lawrence = table(text, "Students")
    assert eric[:6] == ["Student, Eric", "eric", "not fetched", "missing", "0", ""]
    assert felix[0] == "Example, Felix not in the roster"
    assert felix[4:6] == ["1 submission of felix", "not yet"]
    assert lawrence[4] == "2 submissions of lawrence"
    assert lawrence[5].endswith("UTC on an earlier one")
    assert "1 of 2 students has submitted, 3 times in all; 0 have feedback on the latest" in plain(
        text
    )
    assert "All (3) Not fetched (1) Missing (1) Submitted (2) Without feedback (2)" in plain(text)


def test_the_filters_show_what_they_say(work: Api, kevin: Caller) -> None:
    def shown(query: str) -> list[str]:
        return [row[1] for row in table(page(kevin, f"{CHALLENGE}?sort=name&{query}"), "Students")]

    assert shown("show=missing") == ["eric"]
    assert shown("show=submitted") == ["felix", "lawrence"]
    latest = kevin.ok("GET", "submission/course1/challenge/lawrence")["timestamp"]
    feedback = {"timestamp": latest, "files": encode({"f": b"good"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **feedback)
    assert shown("show=without-feedback") == ["felix"]
    assert shown("show=submitted&search=LAW") == ["lawrence"]
    assert shown("show=missing&search=law") == []
    assert "1 in all" in plain(page(kevin, f"{CHALLENGE}?show=submitted&search=LAW"))
    assert "show can be not-fetched, missing, submitted" in page(kevin, f"{CHALLENGE}?show=x", 400)


ALL = (Identity("kevin"), "course1", "challenge", View("", "name", False, 1, {"show": None}))


def test_a_submission_that_was_removed_counts_nowhere(
    work: Api, kevin: Caller, database: Database
) -> None:
    for name in ("lawrence", "felix"):
        path = f"submission/course1/challenge/{name}"
        kevin.ok("DELETE", path, timestamp=kevin.ok("GET", path)["timestamp"])
    text = page(kevin, f"{CHALLENGE}?sort=name")
    _, lawrence = table(text, "Students")
    assert lawrence[4] == "1 submission of lawrence"
    assert lawrence[5].endswith("UTC")
    assert "1 of 2 students has submitted, 1 time in all; 1 has feedback" in plain(text)
    timeline = database.read(load_progress, *ALL).timeline
    assert timeline
    assert sum(timeline.counts) == 1
    assert table(page(kevin, COURSE), "Assignments")[0][1:4] == ["1", "1", "1"]
    response = kevin.call("GET", f"{CHALLENGE}/submissions.zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "lawrence/a.txt": b"first"
        }


def test_sorting_and_searching_keep_the_filter(work: Api, kevin: Caller) -> None:
    text = page(kevin, f"{CHALLENGE}?show=submitted")
    assert '<input type="hidden" name="show" value="submitted">' in text
    assert "show=submitted&amp;" in text or "&amp;show=submitted" in text


def test_the_addresses_of_those_who_miss_can_be_copied(work: Api, kevin: Caller) -> None:
    students = [{"username": f"s{n}", **person(f"s{n}")} for n in range(60)]
    students[0]["email"] = ""
    kevin.ok("POST", "students/course1", students=json.dumps(students))
    text = page(kevin, f"{CHALLENGE}?show=missing")
    field = re.search(r"<textarea[^>]*>(.*?)</textarea>", text)
    assert field
    addresses = sorted(["eric@example.org", *(f"s{n}@example.org" for n in range(1, 60))])
    assert field[1].split(", ") == addresses  # not only of those on this page
    assert "Of 1 the roster has no address." in plain(text)
    assert 'href="mailto:?bcc=eric%40example.org,s10%40example.org' in text
    assert "<textarea" not in page(kevin, CHALLENGE)


def test_the_latest_submissions_of_all_come_as_one_zip_with_a_folder_each(
    work: Api, kevin: Caller
) -> None:
    odd = "a/b\\c:%"
    kevin.ok("POST", f"student/course1/{segment(odd)}", **person("odd"))
    work.user(odd).submit("course1", "challenge", {"a.txt": b"odd"})
    response = kevin.call("GET", f"{CHALLENGE}/submissions.zip")
    assert response.headers["Content-Type"] == "application/zip"
    assert "course1-challenge.zip" in response.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files == {
        "a%2Fb%5Cc%3A%25/a.txt": b"odd",
        "felix/a.txt": b"felix",
        "lawrence/a.txt": b"second",
        "lawrence/d/b.txt": b"2",
    }


def test_no_name_that_older_releases_took_leads_out_of_the_zip(
    work: Api, kevin: Caller, database: Database
) -> None:
    for name, old in (("felix", ".."), ("lawrence", "\n.")):
        statement = update(User).where(User.name == name).values(name=old)
        database.write(lambda c, statement=statement: c.execute(statement))
    response = kevin.call("GET", f"{CHALLENGE}/submissions.zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["%0A./a.txt", "%0A./d/b.txt", "%2E./a.txt"]


def unzip(kevin: Caller) -> dict[str, bytes]:
    response = kevin.call("GET", f"{CHALLENGE}/submissions.zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_is_lost_is_left_out_of_the_zip_which_says_so(
    work: Api, kevin: Caller, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    long = random.Random(1).randbytes(3 << 20)
    work.user("eric").submit("course1", "challenge", {"a.txt": b"felix", "b.txt": b"whole"})
    work.user("lawrence").submit("course1", "challenge", {"long": long, "a.txt": b"third"})
    for content, chunk in ((b"felix", 0), (long, 2)):
        where = (BlobChunk.digest == hashlib.sha256(content).digest(), BlobChunk.seq == chunk)
        damage = update(BlobChunk).where(*where).values(data=b"damaged")
        database.write(lambda c, damage=damage: c.execute(damage))
    with caplog.at_level(logging.ERROR, "ngshare"):
        files = unzip(kevin)
    losses = [
        "The file a.txt that eric has submitted is lost or damaged in the database.",
        "The file a.txt that felix has submitted is lost or damaged in the database.",
        "The file long that lawrence has submitted is lost or damaged in the database.",
    ]
    *lines, advice = files.pop("MISSING.txt").decode().splitlines()
    assert lines == losses
    assert "ngshare check" in advice
    assert files == {"eric/b.txt": b"whole", "lawrence/a.txt": b"third"}
    assert f"course1/challenge lacks: {' '.join(losses)}" in caplog.text


def test_the_zip_has_what_was_there_when_it_was_asked_for(
    work: Api, kevin: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assignment_files, "FILES_AT_ONCE", 1)
    path = "submission/course1/challenge/lawrence"
    parts = 0

    def change(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        nonlocal parts
        if "snapshots.digest IN" not in statement:
            return
        parts += 1
        if parts == 1:
            work.user("eric").submit("course1", "challenge", {"a.txt": b"late"})
            at = kevin.ok("GET", path)["timestamp"]
            kevin.ok("DELETE", path, timestamp=at)
            kevin.ok("DELETE", path, timestamp=at, purge="true")

    event.listen(database.engine, "before_cursor_execute", change)
    try:
        files = unzip(kevin)
    finally:
        event.remove(database.engine, "before_cursor_execute", change)
    assert parts == 2
    assert files.pop("MISSING.txt").startswith(b"The submission of lawrence was erased before")
    assert files == {"felix/a.txt": b"felix"}


def test_there_is_no_zip_of_nothing(kevin: Caller) -> None:
    text = page(kevin, f"{CHALLENGE}/submissions.zip", 404)
    assert "Nobody has submitted anything yet" in text
    assert "submissions.zip" not in page(kevin, CHALLENGE)


def test_the_table_comes_as_csv(work: Api, kevin: Caller) -> None:
    response = kevin.call("GET", f"{CHALLENGE}/students.csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    found = {row["student_id"]: row for row in rows}
    assert list(found) == ["eric", "felix", "lawrence"]
    assert found["eric"]["versions"] == "0"
    assert found["eric"]["last_submission"] == ""
    assert found["felix"]["role"] == ""
    latest = kevin.ok("GET", "submission/course1/challenge/lawrence")["timestamp"]
    assert found["lawrence"]["last_submission"] == latest
    assert found["lawrence"]["first_submission"] < latest
    assert found["lawrence"]["feedback_on_last"] == "no"
    assert found["lawrence"]["feedback_released"] != ""


def test_an_assignment_that_nobody_can_submit_to_says_what_to_do(course: Api) -> None:
    root = course.user("root")
    root.ok("POST", "course/empty", instructors='["kevin"]')
    kevin = course.user("kevin")
    assert "nbgrader release_assignment" in page(kevin, "pages/course/empty")
    kevin.release("empty", "a", {"x": b"y"})
    assert "The course has no students yet" in page(kevin, "pages/assignment/empty/a")


# ---- the chart ----

START = datetime(2026, 3, 2, 9, 30, tzinfo=timezone.utc)


def spread(connection: Connection, hours: list[float]) -> None:
    """Give the submissions these times after START."""
    pks = connection.scalars(select(Submission.pk).order_by(Submission.pk)).all()
    for pk, hour in zip(pks, hours, strict=True):
        at = START + timedelta(hours=hour)
        connection.execute(update(Submission).where(Submission.pk == pk).values(at=at))


@pytest.mark.parametrize(
    ("hours", "step", "counts"),
    [
        ([0, 0.1, 0.5], timedelta(minutes=10), [2, 0, 0, 1]),
        ([0, 0.6, 12], timedelta(hours=1), [1, 1, *[0] * 10, 1]),
        ([0, 14.4, 14.6], timedelta(hours=1), [1, *[0] * 13, 1, 1]),
        ([0, 24 * 40, 24 * 40 + 14.4], timedelta(days=1), [1, *[0] * 39, 2]),
        ([0, 24 * 7 * 200, 24 * 7 * 200], timedelta(days=28), [1, *[0] * 49, 2]),
    ],
)
def test_the_chart_counts_every_submission_in_its_time(
    work: Api, database: Database, hours: list[float], step: timedelta, counts: list[int]
) -> None:
    database.write(spread, hours)
    timeline = database.read(load_progress, *ALL).timeline
    assert timeline
    assert timeline.step == step
    assert timeline.start <= START < timeline.start + step
    assert timeline.counts == counts


def test_the_chart_is_drawn_and_told_in_words(work: Api, kevin: Caller, database: Database) -> None:
    database.write(spread, [0, 0.1, 0.5])
    text = page(kevin, CHALLENGE)
    bars = re.findall('<rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)">', text)
    assert [(float(y), float(height)) for _, y, _, height in bars] == [(0, 120), (60, 60)]
    assert 0 <= float(bars[0][0]) < float(bars[1][0]) < 600
    description = re.search("<desc.*?>(.*?)</desc>", text)
    assert description
    assert description[1] == (
        "3 submissions from 2026-03-02 09:30 UTC to 2026-03-02 10:00 UTC; the most, 2 per 10 "
        "minutes, came from 2026-03-02 09:30 UTC on."
    )


def test_one_bar_is_no_chart(work: Api, kevin: Caller, database: Database) -> None:
    database.write(spread, [0, 0.1, 0.11])
    assert "<figure" not in page(kevin, CHALLENGE)
    assert "3 times in all" in page(kevin, CHALLENGE)


# ---- safety ----


def test_names_like_scripts_are_harmless_on_every_page(course: Api) -> None:
    root = course.user("root")
    root.ok("POST", f"course/{segment(SCRIPT)}", instructors='["kevin"]')
    kevin = course.user("kevin")
    name = segment(SCRIPT)
    fields = {"first_name": SCRIPT, "last_name": '"><img src=x>', "email": SCRIPT}
    kevin.ok("POST", f"student/{name}/{name}", **fields)
    kevin.release(SCRIPT.replace("/", "%2F"), name, {"a": b"b"})
    course.user(SCRIPT).submit(name, name, {"a": b"b"})
    for path in (
        f"pages/course/{name}",
        f"pages/course/{name}?search={name}",
        f"pages/course/{name}/people/add",
        f"pages/course/{name}/people/preview",
        f"pages/course/{name}/person/{name}",
        f"pages/assignment/{name}/{name}",
        f"pages/assignment/{name}/{name}?show=submitted&search={name}",
        f"pages/assignment/{name}/{name}/versions",
    ):
        text = page(kevin, path)
        assert "<img" not in text
        assert html.escape(SCRIPT) in text


@pytest.fixture
def browser(course: Api) -> Iterator[requests.Session]:
    """kevin's, logged in."""
    with requests.Session() as session:
        session.trust_env = False
        come_back(course, session, follow_to_hub(course, session)["state"], "kevin")
        yield session


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"{PEOPLE}/add", {"username": "mia"}),
        (f"{COURSE}/person/eric", {"action": "remove", "role": "student"}),
        (f"{CHALLENGE}/versions", {"action": "un-release"}),
    ],
)
def test_a_form_counts_only_with_the_token_of_its_page(
    course: Api, browser: requests.Session, database: Database, path: str, fields: dict[str, str]
) -> None:
    before = read_tables(database)
    url = course.url + path
    assert browser.post(url, data=fields, headers=BROWSER, timeout=5).status_code == 403
    assert read_tables(database) == before
    text = browser.get(url, headers=BROWSER, timeout=5).text
    token = re.search('name="_xsrf" value="(.+?)"', text)
    assert token
    sent = browser.post(
        url,
        data={**fields, "_xsrf": token[1]},
        headers=BROWSER,
        allow_redirects=False,
        timeout=5,
    )
    assert sent.status_code == 303
    assert read_tables(database) != before


def test_an_upload_of_a_browser_counts_only_with_the_token_of_its_page(
    course: Api, browser: requests.Session
) -> None:
    url = f"{course.url}{PEOPLE}/preview"
    files = {"file": ("r.csv", HEADER + "mia,Mia,M,\n")}
    assert browser.post(url, files=files, headers=BROWSER, timeout=5).status_code == 403
    text = browser.get(url, headers=BROWSER, timeout=5).text
    token = re.search('name="_xsrf" value="(.+?)"', text)
    assert token
    shown = browser.post(url, files=files, data={"_xsrf": token[1]}, headers=BROWSER, timeout=5)
    assert "1 to add" in plain(shown.text)

"""What students see: their courses, what is released, handing in, submissions, feedback."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from ngshare.database.blobs import CHUNK_BYTES
from ngshare.database.engine import Database
from tests.api import Api, Caller, encode, manifest_digest, segment
from tests.fake_hub import FakeHub
from tests.tables import read_tables
from tests.test_auth import BROWSER, come_back, follow_to_hub

Serve = Callable[..., Api]
SCRIPT = "<script>alert(1)</script>"
PREFIX = "/services/ngshare/"
VOID = {"input", "link", "meta", "br", "img", "hr"}
NOTEBOOKS = {"p1.ipynb": b"{}", "p2.ipynb": b"{ }", "data/d.csv": b"1,2"}


@dataclass
class Page(HTMLParser):
    """A page as a browser reads it.

    Attributes:
        texts: what is in each kind of element, tidied, in the order of the page.
        links: href by text.
        fields: the named inputs of all forms, each with its attributes.
        rows: the cells of each row of every table.
    """

    text: str
    texts: dict[str, list[str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, str | None]] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and "name" in given:
            self.fields[str(given["name"])] = given
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self._open.append((tag, given, []))

    def handle_data(self, data: str) -> None:
        for _, _, parts in self._open:
            parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        opened, given, parts = self._open.pop()
        assert opened == tag, f"{opened} is closed by {tag}"
        text = " ".join("".join(parts).split())
        self.texts.setdefault(tag, []).append(text)
        if tag == "a":
            self.links[text] = str(given["href"])
        if tag in ("td", "th"):
            self.rows[-1].append(text)


def open_page(caller: Caller, path: str) -> Page:
    """The page behind a path, or behind a link of another page."""
    response = caller.call("GET", path.removeprefix(PREFIX), headers={"Accept": "text/html"})
    assert response.status_code == 200, response.text
    assert "<script>alert" not in response.text
    return Page(response.text)


def refusal(response: requests.Response, status: int) -> str:
    """What a page of an error says."""
    assert response.status_code == status, response.text
    return Page(response.text).texts["p"][0]


def hand_in(caller: Caller, files: list[tuple[str, bytes]], **fields: str) -> requests.Response:
    """Send the form of course1's challenge, as a browser does."""
    return caller.call(
        "POST",
        "pages/submit/course1/challenge",
        data=fields,
        files=[("files", file) for file in files] or [("files", ("", b""))],
        headers={"Accept": "text/html"},
    )


def notice(caller: Caller, response: requests.Response) -> str:
    """What the page after a form says was done."""
    assert response.status_code == 303, response.text
    path = response.headers["Location"].removeprefix(PREFIX)
    headers = {"Cookie": response.headers["Set-Cookie"].partition(";")[0], "Accept": "text/html"}
    text = caller.call("GET", path, headers=headers).text
    [said] = re.findall(r'role="status">(.*?)</div>', text)
    return html.unescape(said)


def count_submissions(caller: Caller) -> int:
    return len(caller.ok("GET", "submissions/course1/challenge/lawrence")["submissions"])


@pytest.fixture
def lawrence(course: Api) -> Caller:
    return course.user("lawrence")


@pytest.fixture
def kevin(course: Api) -> Caller:
    return course.user("kevin")


# ---- home ----


def test_a_student_sees_at_once_what_is_released_submitted_and_answered(
    kevin: Caller, lawrence: Caller
) -> None:
    kevin.release("course1", "late", {"a": b"1"})
    kevin.release("course1", "new", {"a": b"1"})
    for assignment in ("challenge", "late"):
        lawrence.submit("course1", assignment, {"a": b"2"})
    timestamp = lawrence.submit("course1", "challenge", {"a": b"3"})
    path = "feedback/course1/challenge/lawrence"
    kevin.ok("POST", path, timestamp=timestamp, files=encode({"f": b"4"}))
    page = open_page(lawrence, "")
    assert page.texts["h2"] == ["course1"]
    _, new, late, challenge = page.rows
    assert (new[0], new[2], new[3]) == ("new", "not yet", "none yet")
    assert late[0] == "late"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", late[2])
    assert late[3] == "none yet"
    assert challenge[2].endswith("UTC 2 times")
    assert challenge[3].startswith("Feedback on challenge ")
    assert (
        "f (opens in a new tab)" in open_page(lawrence, page.links["Feedback on challenge"]).links
    )
    assert open_page(lawrence, page.links["new"]).texts["h1"] == ["new"]


def test_a_student_does_not_see_the_work_of_others_at_home(course: Api, kevin: Caller) -> None:
    course.user("eric").submit("course1", "challenge", {"a": b"1"})
    assert open_page(course.user("lawrence"), "").rows[1][2] == "not yet"


def test_what_was_unreleased_is_not_at_home(kevin: Caller, lawrence: Caller) -> None:
    lawrence.submit("course1", "challenge", {"a": b"1"})
    kevin.ok("DELETE", "assignment/course1/challenge")
    page = open_page(lawrence, "")
    assert page.rows == []
    assert "Nothing is released yet" in page.text


def test_what_was_removed_is_on_no_page(kevin: Caller, lawrence: Caller) -> None:
    kept = lawrence.submit("course1", "challenge", {"a": b"1"})
    removed = lawrence.submit("course1", "challenge", {"a": b"2"})
    path = "submission/course1/challenge/lawrence"
    kevin.ok("DELETE", f"{path}?timestamp={segment(removed)}")
    assert "times" not in open_page(lawrence, "").rows[1][2]
    assert open_page(kevin, "").rows[1][4] == "1"
    for reader, where in (
        (lawrence, "pages/assignment/course1/challenge"),
        (kevin, f"pages/{path}"),
    ):
        text = open_page(reader, where).text
        assert kept in text
        assert removed not in text


def test_a_student_who_left_finds_his_submissions_at_home(kevin: Caller, lawrence: Caller) -> None:
    lawrence.submit("course1", "challenge", {"a": b"1"})
    kevin.ok("DELETE", "student/course1/lawrence")
    page = open_page(lawrence, "")
    assert page.texts["h2"] == ["Submitted elsewhere"]
    own = open_page(lawrence, page.links["course1, challenge"])
    [download] = [url for text, url in own.links.items() if text.startswith("Download")]
    assert unzip(lawrence, download) == {"a": b"1"}


def test_an_instructor_sees_the_numbers_of_the_courses_taught(
    course: Api, kevin: Caller, lawrence: Caller
) -> None:
    lawrence.submit("course1", "challenge", {"a": b"1"})
    course.user("eric").submit("course1", "challenge", {"a": b"1"})
    page = open_page(kevin, "")
    assert page.texts["h2"] == ["Courses I teach"]
    headings, row = page.rows
    assert headings[0].startswith("Course")
    assert row[:5] == ["course1", "2", "1", "2", "1"]
    assert page.links["course1"] == f"{PREFIX}pages/course/course1"


def test_numbers_leave_out_who_left_and_what_was_unreleased(
    kevin: Caller, lawrence: Caller
) -> None:
    lawrence.submit("course1", "challenge", {"a": b"1"})
    kevin.ok("DELETE", "student/course1/lawrence")
    kevin.ok("DELETE", "assignment/course1/challenge")
    assert open_page(kevin, "").rows[1] == ["course1", "1", "0", "0", "1", ""]


def test_an_admin_in_no_course_searches_and_pages_through_all(course: Api) -> None:
    root = course.user("root")
    for number in range(60):
        root.ok("POST", f"course/x{number:02}")
    page = open_page(root, "")
    assert page.texts["h1"] == ["All courses"]
    assert len(page.rows) == 51
    assert [row[0] for row in open_page(root, page.links["Next"]).rows[1:]] == [
        f"x{number}" for number in range(48, 60)
    ]
    found = open_page(root, "?search=SE2").rows
    assert [row[0] for row in found[1:]] == ["course2"]
    assert "No course is called that" in open_page(root, "?search=nothing").text


def test_an_admin_who_teaches_sees_these_courses_apart(course: Api) -> None:
    root = course.user("root")
    root.ok("POST", "course/mine", instructors='["root"]')
    page = open_page(root, "?search=course")
    assert page.texts["h2"] == ["Courses I teach", "All courses"]
    assert [row[0] for row in page.rows if row[0].isalnum()] == ["mine", "course1", "course2"]


def test_roles_that_the_hub_gives_count_at_home(serve: Serve, course: Api, hub: FakeHub) -> None:
    hub.groups = {"hubert": ["nbgrader-course1", "formgrade-course2"]}
    page = open_page(serve(course_groups=True).user("hubert"), "")
    assert page.texts["h2"] == ["course1", "Courses I teach"]
    assert page.rows[1][0] == "challenge"
    assert page.rows[3][0] == "course2"


def test_who_is_in_no_course_is_told_what_to_do(course: Api) -> None:
    page = open_page(course.user("mallory"), "")
    assert page.rows == []
    assert "under your user name, mallory" in page.texts["p"][1]


# ---- a course ----


def test_a_students_page_of_a_course_names_assignments_and_instructors(
    kevin: Caller, lawrence: Caller
) -> None:
    names = {"first_name": "Kevin", "last_name": SCRIPT, "email": "k@example.org"}
    kevin.ok("POST", "instructor/course1/kevin", **names)
    page = open_page(lawrence, "pages/course/course1")
    assert [row[0] for row in page.rows] == ["Assignment", "challenge"]
    assert page.texts["li"][-1] == f"Kevin {SCRIPT}, k@example.org"


# ---- an assignment ----


def test_the_released_files_are_listed_and_downloaded(kevin: Caller, lawrence: Caller) -> None:
    kevin.ok("PUT", "assignment/course1/challenge", files=encode(NOTEBOOKS))
    page = open_page(lawrence, "pages/assignment/course1/challenge")
    assert "version 2" in page.texts["p"][0]
    assert page.rows[1:] == [
        ["data/d.csv", "3 bytes"],
        ["p1.ipynb", "2 bytes"],
        ["p2.ipynb", "3 bytes"],
    ]
    assert unzip(lawrence, page.links["Download as zip"]) == NOTEBOOKS
    [row] = open_page(lawrence, "pages/course/course1").rows[1:]
    assert row[1].endswith("version 2")


def test_of_very_many_released_files_a_part_is_listed(kevin: Caller, lawrence: Caller) -> None:
    files = {f"f{number:03}": b"" for number in range(203)}
    kevin.ok("PUT", "assignment/course1/challenge", files=encode(files))
    page = open_page(lawrence, "pages/assignment/course1/challenge")
    assert len(page.rows) == 201
    assert "and 3 more" in page.texts["p"]


def test_a_file_is_handed_in_and_the_receipt_shown(kevin: Caller, lawrence: Caller) -> None:
    files = {"a b.ipynb": b"{}", "ü.txt": b"\x00\xff" * 1_000_000}
    response = hand_in(lawrence, list(files.items()))
    said = notice(lawrence, response)
    answer = lawrence.ok("GET", "submission/course1/challenge/lawrence")
    assert lawrence.files("submission/course1/challenge/lawrence") == files
    assert said == (
        f"Submitted challenge at {answer['timestamp']}: 2 files, SHA-256 {manifest_digest(files)}."
    )
    page = open_page(lawrence, response.headers["Location"])
    receipt = page.texts["details"][0]
    for part in (answer["timestamp"], manifest_digest(files), str(answer["submission_id"])):
        assert part in receipt
    [download] = [url for text, url in page.links.items() if text.startswith("Download the")]
    assert unzip(lawrence, download) == files


def test_each_submission_is_downloaded_for_itself(lawrence: Caller) -> None:
    for content in (b"1", b"2"):
        lawrence.submit("course1", "challenge", {"a": content})
    page = open_page(lawrence, "pages/assignment/course1/challenge")
    downloads = [url for text, url in page.links.items() if text.startswith("Download the")]
    assert [unzip(lawrence, url) for url in downloads] == [{"a": b"2"}, {"a": b"1"}]


def test_a_form_that_is_sent_twice_submits_once(lawrence: Caller) -> None:
    page = open_page(lawrence, "pages/assignment/course1/challenge")
    key = page.fields["key"]["value"]
    assert key
    first, second = (hand_in(lawrence, [("a", b"1")], key=key) for _ in range(2))
    assert notice(lawrence, first) == notice(lawrence, second)
    assert count_submissions(lawrence) == 1


def test_a_form_of_its_own_submits_again(lawrence: Caller) -> None:
    path = "pages/assignment/course1/challenge"
    keys = [str(open_page(lawrence, path).fields["key"]["value"]) for _ in range(2)]
    said = [notice(lawrence, hand_in(lawrence, [("a", b"1")], key=key)) for key in keys]
    assert count_submissions(lawrence) == 2
    assert "They are the same as those before" in said[1]


def test_a_form_that_was_used_is_refused_for_other_files(lawrence: Caller) -> None:
    hand_in(lawrence, [("a", b"1")], key="k")
    said = refusal(hand_in(lawrence, [("a", b"2")], key="k"), 409)
    assert said == (
        "You have submitted other files by this form already. Nothing was submitted. "
        "Open the assignment's page again and submit from there."
    )
    assert count_submissions(lawrence) == 1


def test_notebooks_that_were_forgotten_are_named(kevin: Caller, lawrence: Caller) -> None:
    kevin.ok("PUT", "assignment/course1/challenge", files=encode(NOTEBOOKS))
    said = notice(lawrence, hand_in(lawrence, [("p1.ipynb", b"1")]))
    assert said.endswith("Not among them, but part of the assignment: p2.ipynb.")


def test_limits_are_told_before(serve: Serve, course: Api) -> None:
    limited = serve(max_files=2, max_file_bytes=1 << 20, max_submissions=9).user("lawrence")
    limited.submit("course1", "challenge", {"a": b"1"})
    [help_text] = [
        text
        for text in open_page(limited, "pages/assignment/course1/challenge").texts["p"]
        if text.startswith("At most")
    ]
    assert help_text == (
        "At most 2 files, 1 MiB each, 256 MiB together. You can submit 9 times, and have done so "
        "once."
    )


@pytest.mark.parametrize(
    ("options", "files", "status", "said"),
    [
        ({}, [], 400, "Choose the files to submit first"),
        ({}, [("a:b", b"")], 400, "Rename the file 'a:b'"),
        ({}, [("../a", b"")], 400, "Rename the file '../a'"),
        ({}, [("a", b"1"), ("a", b"2")], 400, "Two of the files have the same name"),
        ({"max_files": 1}, [("a", b""), ("b", b"")], 413, "over the limit max_files = 1"),
        ({"max_file_bytes": 9}, [("a", bytes(10))], 413, "a is over the limit max_file_bytes = 9"),
        ({"max_submission_bytes": 9}, [("a", bytes(10))], 413, "limit max_submission_bytes = 9"),
        ({"max_upload_bytes": 2000}, [("a", bytes(3000))], 413, "limit max_upload_bytes = 2,000"),
        ({"max_submissions": 1}, [("a", b"1")], 429, "limit max_submissions = 1"),
    ],
)
def test_a_refused_upload_says_why_and_stores_nothing(
    serve: Serve,
    course: Api,
    database: Database,
    options: dict[str, int],
    files: list[tuple[str, bytes]],
    status: int,
    said: str,
) -> None:
    course.user("lawrence").submit("course1", "challenge", {"old": b"1"})
    before = read_tables(database)
    response = hand_in(serve(**options).user("lawrence"), files)
    text = refusal(response, status)
    assert said in text
    assert "Nothing was submitted." in text
    assert ("Submit fewer or smaller files" in text) == (status == 413)
    assert Page(response.text).links["Back"] == f"{PREFIX}pages/submit/course1/challenge"
    assert read_tables(database) == before


def test_submissions_beyond_a_page_are_on_the_next(lawrence: Caller) -> None:
    times = [lawrence.submit("course1", "challenge", {"a": b"%d" % n}) for n in range(52)]
    page = open_page(lawrence, "pages/assignment/course1/challenge")
    assert times[-1] in page.text
    assert times[0] not in page.text
    assert times[0] in open_page(lawrence, page.links["Next"]).text


def test_a_browsers_form_needs_its_token(course: Api) -> None:
    with requests.Session() as browser:
        browser.trust_env = False
        come_back(course, browser, follow_to_hub(course, browser)["state"], "lawrence")
        url = f"{course.url}pages/submit/course1/challenge"
        form = Page(browser.get(url, headers=BROWSER, timeout=5).text).fields
        files = {"files": ("a", b"1")}
        for token, status in (("", 403), ("wrong", 403), (str(form["_xsrf"]["value"]), 200)):
            fields = {"_xsrf": token, "key": str(form["key"]["value"])}
            response = browser.post(url, data=fields, files=files, headers=BROWSER, timeout=5)
            assert response.status_code == status
            assert ("This form is out of date" in response.text) == (status == 403)
        assert "Submitted challenge at" in response.text
    assert count_submissions(course.user("lawrence")) == 1


# ---- submissions and feedback ----


def unzip(caller: Caller, path: str) -> dict[str, bytes]:
    """The files of an archive that is downloaded."""
    response = caller.call("GET", path.removeprefix(PREFIX), headers={"Accept": "text/html"})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/zip"
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


FEEDBACK = {
    "p1.html": b"<script>alert(1)</script>Well done",
    "notes.txt": b"<b>",
    "plot.pdf": b"%PDF",
    "odd.svg": b"<svg/>",
    SCRIPT.replace("/", "") + ".HTM": b"",
    "sub/long.png": bytes(CHUNK_BYTES + 1),
}


@pytest.fixture
def feedback(kevin: Caller, lawrence: Caller) -> str:
    """The path of the page of feedback on lawrence's submission."""
    timestamp = lawrence.submit("course1", "challenge", {"a": b"1"})
    path = "feedback/course1/challenge/lawrence"
    kevin.ok("POST", path, timestamp=timestamp, files=encode(FEEDBACK))
    return f"pages/{path}?timestamp={segment(timestamp)}"


@pytest.mark.parametrize("name", ["lawrence", "kevin"])
def test_feedback_is_listed_and_downloaded(course: Api, feedback: str, name: str) -> None:
    reader = course.user(name)
    page = open_page(reader, feedback)
    assert len(page.rows) == 1 + len(FEEDBACK)
    assert unzip(reader, page.links["Download as zip"]) == FEEDBACK


@pytest.mark.parametrize("path", FEEDBACK)
def test_feedback_is_shown_where_it_can_do_nothing_or_saved(
    lawrence: Caller, feedback: str, path: str
) -> None:
    page = open_page(lawrence, feedback)
    url = page.links[f"{path} (opens in a new tab)"]
    response = lawrence.call("GET", url.removeprefix(PREFIX), headers={"Accept": "text/html"})
    assert response.status_code == 200
    assert response.content == FEEDBACK[path]
    directives = response.headers["Content-Security-Policy"].split("; ")
    assert directives[:2] == ["sandbox", "default-src 'none'"]
    assert not [given for given in directives if "script" in given or "allow-" in given]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    is_shown = path.lower().endswith((".html", ".htm", ".txt", ".png"))
    assert ("Content-Disposition" not in response.headers) == is_shown
    assert (response.headers["Content-Type"] != "application/octet-stream") == is_shown


def test_a_path_that_is_not_in_the_feedback_is_not_found(lawrence: Caller, feedback: str) -> None:
    where, _, query = feedback.partition("?")
    for path in ("nothing", "", "../p1.html", "sub"):
        response = lawrence.call("GET", f"{where}/view?{query}&path={segment(path)}")
        assert response.status_code == 404


def test_no_link_leads_who_has_left_to_a_page_of_members(
    kevin: Caller, lawrence: Caller, feedback: str
) -> None:
    paths = ["pages/submission/course1/challenge/lawrence", feedback]

    def linked() -> set[str]:
        found = [url for path in paths for url in open_page(lawrence, path).links.values()]
        return {url.removeprefix(PREFIX) for url in found if url.startswith(f"{PREFIX}pages/")}

    assert {"pages/course/course1", "pages/assignment/course1/challenge"} < linked()
    kevin.ok("DELETE", "student/course1/lawrence")
    for path in linked():
        assert lawrence.call("GET", path, headers={"Accept": "text/html"}).ok, path


def test_no_feedback_yet_is_said_so(lawrence: Caller) -> None:
    lawrence.submit("course1", "challenge", {"a": b"1"})
    page = open_page(lawrence, "pages/feedback/course1/challenge/lawrence?timestamp=")
    assert "There is no feedback on this submission yet" in page.text


def test_each_feedback_is_that_of_its_submission(kevin: Caller, lawrence: Caller) -> None:
    kevin.api.user("eric").submit("course1", "challenge", {"a": b"0"})
    for content in (b"1", b"2"):
        timestamp = lawrence.submit("course1", "challenge", {"a": content})
        fields = {"timestamp": timestamp, "files": encode({"f": content})}
        kevin.ok("POST", "feedback/course1/challenge/lawrence", **fields)
    page = open_page(kevin, "pages/submission/course1/challenge/lawrence")
    assert len(page.rows) == 3
    links = [url for text, url in page.links.items() if text.startswith("Feedback on")]
    shown = [open_page(kevin, link).links["Download as zip"] for link in links]
    assert [unzip(kevin, url) for url in shown] == [{"f": b"2"}, {"f": b"1"}]
    assert len({str(parse_qs(urlsplit(link).query)) for link in links}) == 2


# ---- odd names ----


def test_odd_names_are_harmless_on_every_page(course: Api) -> None:
    root, student = course.user("root"), course.user(SCRIPT)
    name, file = segment(SCRIPT), SCRIPT.replace("/", "") + " ü&?#.html"
    root.ok("POST", f"course/{name}", instructors=json.dumps([SCRIPT]))
    names = {"first_name": SCRIPT, "last_name": "", "email": ""}
    root.ok("POST", f"student/course1/{name}", **names)
    root.release("course1", name, {file: b"1"})
    timestamp = student.submit("course1", name, {file: b"2"})
    path = f"course1/{name}/{name}"
    root.ok("POST", f"feedback/{path}", timestamp=timestamp, files=encode({file: b"3"}))
    assert open_page(student, "").texts["h2"] == ["course1", "Courses I teach"]
    for where in (f"pages/course/{name}", f"pages/assignment/course1/{name}"):
        assert open_page(student, where).texts["h1"] == [SCRIPT]
    page = open_page(student, f"pages/assignment/course1/{name}")
    assert unzip(student, page.links["Download as zip"]) == {file: b"1"}
    page = open_page(student, f"pages/feedback/{path}?timestamp=")
    url = page.links[f"{file} (opens in a new tab)"]
    assert student.call("GET", url.removeprefix(PREFIX)).content == b"3"

"""ngshare's own pages in a browser, reached through the login of a real JupyterHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Browser, expect

from ngshare.database.models import Base
from tests.api import encode, person
from tests.browser.visitors import Visitor
from tests.integration.hub import ADMIN, Hub

COURSE = "calculus"
ODD = "<script>alert(1)</script>"
INSTRUCTOR, STUDENT = "grace", "alice"
STUDENTS = [STUDENT, "bob", ODD]

Visit = Callable[[str], Visitor]


@dataclass
class Caller:
    """Somebody who calls the API through the Hub's proxy."""

    hub: Hub
    token: str

    def ok(self, verb: str, path: str, **fields: Any) -> dict[str, Any]:
        url = f"{self.hub.ngshare_url}/{path}"
        headers = {"Authorization": f"token {self.token}"}
        response = requests.request(verb, url, data=fields, headers=headers, timeout=30)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with a course: released, submitted to, answered; one student has an odd name."""
    folder = tmp_path_factory.mktemp("hub")
    with Hub(folder, f"sqlite:///{folder}/ngshare.db") as hub:
        names = [ADMIN, INSTRUCTOR, STUDENT, "bob"]
        callers = {name: Caller(hub, hub.new_user(name)) for name in names}
        root, grace, alice = callers[ADMIN], callers[INSTRUCTOR], callers[STUDENT]
        root.ok("POST", f"course/{COURSE}", instructors=json.dumps([INSTRUCTOR]))
        root.ok("POST", f"course/{quote(ODD, safe='')}", instructors=json.dumps([INSTRUCTOR]))
        students = [{"username": name, **person(name)} for name in STUDENTS]
        grace.ok("POST", f"students/{COURSE}", students=json.dumps(students))
        for assignment in ("ps1", quote(ODD, safe="")):
            files = encode({"notebook.ipynb": b"{}", f"data/{ODD.replace('/', '')}.csv": b"1,2"})
            grace.ok("POST", f"assignment/{COURSE}/{assignment}", files=files)
        where = f"{COURSE}/ps1"
        answer = alice.ok("POST", f"submission/{where}", files=encode({"notebook.ipynb": b"{ }"}))
        page = encode({"notebook.html": b"<script>document.title = 'mine'</script>Well done"})
        path = f"feedback/{where}/{STUDENT}"
        grace.ok("POST", path, timestamp=answer["timestamp"], files=page)
        yield hub


@pytest.fixture(scope="module")
def visit(hub: Hub, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """Somebody in front of a browser; the same one for the same name."""
    pictures = tmp_path_factory.mktemp("pictures")
    visitors: dict[str, Visitor] = {}

    def visit(name: str) -> Visitor:
        if name not in visitors:
            visitors[name] = Visitor(browser, hub, name, pictures)
        visitors[name].problems.clear()
        return visitors[name]

    yield visit
    for visitor in visitors.values():
        visitor.close()


# Who opens which page, and its heading.
PAGES = [
    (STUDENT, "", "My courses"),
    (INSTRUCTOR, "", "My courses"),
    (ADMIN, "", "All courses"),
    ("nobody", "", "My courses"),
    (STUDENT, f"pages/course/{COURSE}", COURSE),
    (STUDENT, f"pages/assignment/{COURSE}/ps1", "ps1"),
    (STUDENT, f"pages/assignment/{COURSE}/{quote(ODD, safe='')}", ODD),
    (STUDENT, f"pages/feedback/{COURSE}/ps1/{STUDENT}?timestamp=", "Feedback on ps1"),
    (INSTRUCTOR, f"pages/submission/{COURSE}/ps1/{STUDENT}", f"Submissions of {STUDENT} to ps1"),
    (ADMIN, "pages/database", "Database"),
    *((ADMIN, f"pages/database/{name}", name) for name in Base.metadata.tables),
    (ADMIN, "pages/database/users?row=1", "Row 1 of users"),
    (ADMIN, "pages/database/memberships?column=role&test=is&value=student", "memberships"),
    (STUDENT, "pages/api", "API"),
    (ADMIN, "pages/admin", "Admin"),
    (ADMIN, f"pages/admin/course/{COURSE}", COURSE),
    (ADMIN, f"pages/admin/course/{quote(ODD, safe='')}", ODD),
    (ADMIN, "pages/admin/people", "Admin"),
    (ADMIN, f"pages/admin/people/{STUDENT}", STUDENT),
    (ADMIN, f"pages/admin/people/{STUDENT}/merge?into=bob", f"Merge {STUDENT} into bob"),
    (ADMIN, "pages/admin/storage", "Admin"),
    (ADMIN, "pages/admin/health", "Admin"),
    (ADMIN, "pages/admin/audit", "Admin"),
]


@pytest.mark.parametrize(("name", "path", "heading"), PAGES)
def test_a_page_pleases(visit: Visit, name: str, path: str, heading: str) -> None:
    visitor = visit(name)
    visitor.open(path)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(heading)
    visitor.inspect(f"{path.replace('/', '-') or 'home'}-{name}")


def test_an_unknown_page_says_so(visit: Visit) -> None:
    visitor = visit(STUDENT)
    visitor.open("pages/nothing")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("That does not work")
    [problem] = visitor.problems
    assert "404" in problem
    visitor.problems.clear()
    visitor.inspect("not-found")


def test_light_and_dark_are_chosen_by_a_button_and_kept(visit: Visit) -> None:
    visitor = visit(STUDENT)
    visitor.open()
    html = visitor.page.locator("html")
    expect(html).to_have_attribute("data-bs-theme", "light")
    visitor.page.get_by_role("button", name="Light or dark").click()
    expect(html).to_have_attribute("data-bs-theme", "dark")
    visitor.open()
    expect(html).to_have_attribute("data-bs-theme", "dark")
    visitor.page.get_by_role("button", name="Light or dark").click()
    expect(html).to_have_attribute("data-bs-theme", "light")
    visitor.page.evaluate("localStorage.clear()")
    assert visitor.problems == []


def test_a_student_hands_in_once_however_often_the_button_is_clicked(visit: Visit) -> None:
    visitor = visit("bob")
    visitor.open(f"pages/assignment/{COURSE}/ps1")
    page = visitor.page
    files = {"name": "notebook.ipynb", "mimeType": "", "buffer": b"{}"}
    page.get_by_label("Files", exact=True).set_input_files([files])  # type: ignore[list-item]
    page.get_by_role("button", name="Hand in").dblclick()
    expect(page.get_by_role("status")).to_contain_text("Handed in ps1")
    expect(page.locator("#submissions tbody tr")).to_have_count(1)
    page.get_by_text("Receipt").click()
    expect(page.get_by_text("SHA-256").last).to_be_visible()
    visitor.inspect("handed-in")


def test_feedback_opens_in_a_tab_of_its_own_and_runs_no_script(visit: Visit) -> None:
    visitor = visit(STUDENT)
    visitor.open(f"pages/assignment/{COURSE}/ps1")
    visitor.page.get_by_role("link", name="Feedback").click()
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("link", name="notebook.html").click()
    expect(opened.value.locator("body")).to_contain_text("Well done")
    assert opened.value.title() != "mine"
    assert opened.value.evaluate("origin") == "null"
    opened.value.close()
    assert visitor.problems == []


def test_a_call_is_tried_with_the_rights_of_whoever_looks(visit: Visit) -> None:
    visitor = visit(INSTRUCTOR)
    visitor.open("pages/api")
    call = visitor.page.locator("#call-listStudents")
    call.locator("summary").click()
    call.get_by_label("course_id").fill(COURSE)
    call.get_by_role("button", name="Try it").click()
    answer = visitor.page.get_by_label("The answer")
    expect(answer).to_contain_text(f'"username": "{STUDENT}"')
    expect(call.locator(".status")).to_have_text("200 OK")
    visitor.inspect("tried")

    visitor = visit(STUDENT)
    visitor.open(f"pages/api?call=listStudents&course_id={COURSE}")
    expect(visitor.page.get_by_label("The answer")).to_contain_text("Permission denied")
    [problem] = visitor.problems
    assert "403" in problem
    visitor.problems.clear()
    visitor.page.get_by_role("link", name="Open the answer").click()
    expect(visitor.page.locator("body")).to_contain_text("permission_denied")
    visitor.problems.clear()

"""A course in JupyterLab on a real JupyterHub, as `make demo` has it, from login to feedback."""

from __future__ import annotations

import re
import subprocess

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LogIn
from tests.browser.people import Person
from tests.browser.site import Site
from tests.integration.hub import ROOT, wait_until
from tools.demo import COURSE, INSTRUCTOR, STUDENTS

pytestmark = pytest.mark.story

NOTEBOOK = "derivatives"
STUB = '# YOUR CODE HERE\\n",\n    "    raise NotImplementedError()'
OUTAGE = "ngshare can't be reached, try again in a few minutes"
SOLUTION = "return (f(x + h) - f(x - h)) / (2 * h)"


@pytest.fixture(scope="module")
def grace(log_in: LogIn) -> Person:
    """The instructor."""
    return log_in("grace")


@pytest.fixture(scope="module")
def alice(log_in: LogIn) -> Person:
    """A student."""
    return log_in("alice")


def released(site: Site) -> list[str]:
    with site.admin() as ngshare:
        return [each["assignment_id"] for each in ngshare.list_assignments(COURSE)]


def students(site: Site) -> list[str]:
    with site.admin() as ngshare:
        return [each["username"] for each in ngshare.list_students(COURSE)]


def test_the_demo_tells_who_may_log_in(site: Site) -> None:
    for name in (INSTRUCTOR, *STUDENTS):
        assert name in site.printed
    assert site.password in site.printed


def test_another_demo_beside_it_says_what_is_in_its_way(site: Site) -> None:
    done = subprocess.run(site.command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(
        r"make demo: JupyterHub can't have the port \d+ \(Address already in use\): "
        r"stop what listens there, perhaps another `make demo`\n",
        done.stderr,
    )


def test_grace_generates_and_releases_an_assignment(site: Site, grace: Person) -> None:
    grace.choose("Formgrader")
    expect(grace.assignment("status")).to_have_text("draft")
    grace.photograph("formgrader")
    grace.press("assign")
    said = grace.press("release")
    assert f"Released as: {COURSE} ps1 (version 1)" in said
    expect(grace.assignment("status")).to_have_text("released")
    assert released(site) == ["ps1"]


def test_alice_fetches_solves_and_submits_it(site: Site, alice: Person) -> None:
    alice.choose("Assignment List")
    row = alice.assignments("released").locator(".list_item")
    expect(row).to_have_text(re.compile(f"ps1.*{COURSE}"))
    alice.photograph("released")
    row.get_by_role("button", name="Fetch").click()
    row = alice.assignments("fetched").locator(".list_item").first
    expect(row).to_contain_text("ps1")
    alice.photograph("fetched")
    notebook = site.home("alice") / "ps1" / f"{NOTEBOOK}.ipynb"
    text = notebook.read_text()
    assert STUB in text
    notebook.write_text(text.replace(STUB, SOLUTION))
    row.get_by_role("button", name="Submit").click()
    expect(alice.assignments("submitted")).to_contain_text("ps1")
    alice.photograph("submitted")
    with site.admin() as ngshare:
        [submission] = ngshare.list_submissions(COURSE)
    expect(alice.assignments("submitted")).to_contain_text(submission["timestamp"])


def test_grace_collects_autogrades_and_releases_feedback(grace: Person) -> None:
    assert "Collecting submission: alice ps1" in grace.press("collect")
    grace.assignment("num-submissions").get_by_role("link", name="1").click()
    expect(grace.assignment("status")).to_have_text("needs autograding")
    grace.photograph("submissions")
    grace.press("autograde")
    expect(grace.assignment("status")).to_have_text("graded")
    grace.press("generate-feedback")
    assert f"Feedback released: {COURSE} alice ps1" in grace.press("release-feedback")
    grace.photograph("graded")


def test_alice_sees_the_feedback(alice: Person) -> None:
    alice.refresh()
    submitted = alice.assignments("submitted")
    expect(submitted).to_contain_text("feedback available to fetch")
    alice.photograph("feedback-available")
    submitted.get_by_role("button", name="Fetch Feedback").click()
    submitted.get_by_text("(view feedback)").click()
    page = alice.page.get_by_role("listitem", name=re.compile(f"{NOTEBOOK}.html"))
    expect(page).to_be_visible()
    alice.photograph("feedback-folder")
    page.dblclick()
    shown = alice.page.frame_locator(".jp-HTMLViewer iframe")
    expect(shown.get_by_role("heading", name=f"{NOTEBOOK} (Score: 2.0 / 3.0)")).to_be_visible()
    alice.photograph("feedback")


def test_an_assignment_that_is_taken_back_can_be_released_again(
    site: Site, grace: Person, alice: Person
) -> None:
    grace.visit("Manage Assignments")
    grace.press("release")
    expect(grace.assignment("status")).to_have_text("draft")
    assert released(site) == []
    alice.choose("Assignment List")
    alice.refresh()
    expect(alice.assignments("fetched")).to_contain_text("There are no downloaded assignments.")
    expect(alice.assignments("submitted")).to_contain_text("(view feedback)")
    alice.photograph("taken-back")
    assert "(version 2)" in grace.press("release")
    alice.refresh()
    expect(alice.assignments("fetched")).to_contain_text("ps1")
    alice.photograph("released-again")


def test_grace_adds_and_removes_a_student(site: Site, grace: Person) -> None:
    grace.visit("Manage Students")
    table = grace.formgrader.locator("#main-table")
    expect(table).to_contain_text("Adams, Alice")
    grace.formgrader.get_by_text("Add new student...").click()
    dialog = grace.formgrader.locator(".modal-dialog")
    dialog.locator("input.id").fill("carol")
    dialog.locator("input.first-name").fill("Carol")
    grace.photograph("new-student")
    dialog.get_by_role("button", name="Save").click()
    expect(table.locator("tr", has_text="Carol")).to_contain_text("0 / 3")
    grace.photograph("students")
    assert students(site) == ["alice", "bob", "carol"]
    # No page of formgrader removes students.
    grace.type_in_terminal(f"ngshare-course-management remove_students {COURSE} carol")
    wait_until(lambda: students(site) == ["alice", "bob"], "carol to be removed")
    grace.photograph("terminal")
    grace.choose("Formgrader")
    grace.visit("Manage Students")
    expect(table).to_contain_text("Adams, Alice")
    expect(table).not_to_contain_text("Carol")


def test_the_course_list_leads_to_the_courses_formgrader(grace: Person) -> None:
    tab = grace.page.get_by_role("tab", name="Formgrader")
    tab.locator(".lm-TabBar-tabCloseIcon").click()
    grace.choose("Course List")
    course = grace.page.locator("#formgrader_list").get_by_role("link", name=COURSE)
    expect(course).to_be_visible()
    grace.photograph("courses")
    course.click()
    expect(grace.assignment("status")).to_have_text("released")


def test_an_outage_is_told_and_work_goes_on_afterwards(
    site: Site, grace: Person, alice: Person
) -> None:
    submit = alice.assignments("fetched").get_by_role("button", name="Submit")
    with site.without_ngshare():
        submit.click()
        assert OUTAGE in grace.press("collect", "error")
        dialog = alice.page.locator(".nbgrader-ErrorDialog")
        expect(dialog).to_contain_text(OUTAGE)
        expect(dialog).not_to_contain_text("Traceback")
        alice.photograph("submit-error")
        dialog.get_by_role("button", name="Ok").click()
        alice.refresh()
        expect(alice.assignments("submitted")).to_contain_text(OUTAGE)
        alice.photograph("outage")
        grace.visit("Manage Assignments")
        warning = grace.formgrader.locator("#warning-exchange")
        expect(warning).to_contain_text(f"{site.url}services/ngshare/ does not exist")
        grace.photograph("outage")

    def is_over() -> bool:  # answers, and failures, are remembered for a second
        grace.visit("Manage Assignments")
        return warning.count() == 0

    wait_until(is_over, "the end of the outage")
    alice.refresh()
    submit.click()
    submissions = alice.assignments("submitted").locator(".nested_list_item")
    expect(submissions).to_have_count(2)
    alice.photograph("submitted-again")
    assert "Updating submission: alice ps1" in grace.press("collect")


def test_a_second_start_goes_on_where_the_first_ended(
    site: Site, people: list[Person], log_in: LogIn
) -> None:
    while people:
        people.pop().close()
    site.stop()
    site.start()
    alice = log_in("alice")
    # JupyterLab remembers the assignment list too.
    submissions = alice.assignments("submitted").locator(".nested_list_item")
    expect(submissions).to_have_count(2)
    expect(submissions.first).to_contain_text("(view feedback)")
    alice.photograph("second-start")

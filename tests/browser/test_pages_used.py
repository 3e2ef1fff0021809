"""What people do with ngshare's own pages in a browser, by mouse and by keyboard."""

from __future__ import annotations

import zipfile

from playwright.sync_api import Locator, Page, expect

from tests.browser import world
from tests.browser.conftest import Visit
from tests.browser.visitors import a_file
from tests.browser.world import COURSE, FRIEND, INSTRUCTOR, ODD, STUDENT
from tests.integration.hub import ADMIN

PS1, NEW = world.ASSIGNMENTS[0], world.NEW
ASSIGNMENT = f"pages/assignment/{COURSE}/{PS1}"


def notice(page: Page) -> Locator:
    """What was done."""
    return page.get_by_role("status")


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


def test_a_student_submits_once_however_often_the_button_is_clicked(visit: Visit) -> None:
    visitor = visit(FRIEND)
    visitor.open(f"pages/assignment/{COURSE}/{world.EMPTY_ASSIGNMENT}")
    page = visitor.page
    page.get_by_label("Files", exact=True).set_input_files(a_file("notebook.ipynb", "{}"))
    page.get_by_role("button", name="Submit").dblclick()
    expect(notice(page)).to_contain_text(f"Submitted {world.EMPTY_ASSIGNMENT}")
    expect(page.locator("#submissions tbody tr")).to_have_count(1)
    page.get_by_text("Receipt").click()
    expect(page.get_by_text("SHA-256").last).to_be_visible()
    visitor.inspect()


def test_feedback_opens_in_a_tab_of_its_own_and_runs_no_script(visit: Visit) -> None:
    visitor = visit(STUDENT)
    visitor.open(ASSIGNMENT)
    visitor.page.get_by_role("link", name="Feedback").first.click()
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("link", name=f"{PS1}.html").click()
    expect(opened.value.locator("h1")).to_have_text(PS1)
    assert opened.value.title() != "mine"
    assert opened.value.evaluate("origin") == "null"
    opened.value.close()
    assert visitor.problems == []


def test_everybody_s_latest_submission_comes_as_a_zip(visit: Visit) -> None:
    visitor = visit(INSTRUCTOR)
    visitor.open(ASSIGNMENT)
    with visitor.page.expect_download() as started:
        visitor.page.get_by_role("link", name="Download the latest submissions").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        assert f"{STUDENT}/{PS1}.ipynb" in archive.namelist()
    assert visitor.problems == []


def test_addresses_of_those_who_have_not_submitted_are_copied(visit: Visit) -> None:
    visitor = visit(INSTRUCTOR)
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open(ASSIGNMENT)
    page = visitor.page
    page.get_by_role("link", name="Missing").click()
    page.get_by_text("E-mail addresses of all").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    addresses = page.evaluate("navigator.clipboard.readText()").split(", ")
    assert "inilsen@example.edu" in addresses
    assert f"{STUDENT}@example.edu" not in addresses
    visitor.inspect()


def test_a_file_of_students_is_shown_before_it_is_stored(visit: Visit) -> None:
    visitor = visit(INSTRUCTOR)
    visitor.open(f"pages/course/{world.EMPTY}")
    page = visitor.page
    page.get_by_role("link", name="Upload students").click()
    roster = f"student_id,first_name,last_name,email\nnew,{ODD},Newton,new@example.edu\n,A,B,C\n"
    page.get_by_label("CSV file").set_input_files(a_file("roster.csv", roster))
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What would change")
    expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    visitor.inspect()
    page.get_by_role("button", name="Add 1 student").click()
    expect(notice(page)).to_have_text(f"Added 1 student of {world.EMPTY}.")
    expect(page.get_by_role("row", name="Newton")).to_contain_text(ODD)
    page.get_by_role("link", name="Edit or remove new").click()
    page.get_by_text(f"Remove new from {world.EMPTY}").click()
    visitor.inspect()
    page.get_by_role("button", name="Remove new").click()
    expect(notice(page)).to_contain_text(f"new is no longer in {world.EMPTY}")


def test_an_assignment_is_unreleased_and_restored(visit: Visit) -> None:
    visitor = visit(INSTRUCTOR)
    visitor.open(f"pages/course/{COURSE}")
    page = visitor.page
    row = page.get_by_role("row", name=NEW)
    row.get_by_role("link", name="Un-release").click()
    page.get_by_role("button", name=f"Un-release {NEW}").click()
    expect(notice(page)).to_contain_text(f"{NEW} is un-released")
    expect(row).to_contain_text("un-released")
    visitor.inspect()
    row.get_by_role("link", name="Restore").click()
    page.get_by_role("button", name=f"Restore {NEW}").click()
    expect(notice(page)).to_contain_text(f"{NEW} is released again")
    expect(row).not_to_contain_text("un-released")


def test_two_names_of_one_person_are_merged(visit: Visit) -> None:
    visitor = visit(ADMIN)
    visitor.open(f"pages/admin/people/{world.LONG_NAME}")
    page = visitor.page
    for words in ("Rename:", "Deactivate:", "Merge:"):
        page.get_by_text(words).click()
    visitor.inspect()
    page.get_by_label("The user name that stays").fill(FRIEND)
    page.get_by_role("button", name="Look what a merger would do").click()
    page.get_by_role("button", name=f"Merge {world.LONG_NAME} into {FRIEND}").click()
    expect(notice(page)).to_have_text(f"{world.LONG_NAME} was merged into {FRIEND}.")
    page.get_by_role("link", name="Audit log of this name").click()
    expect(page.get_by_role("row", name="merge").first).to_contain_text(world.LONG_NAME)
    assert visitor.problems == []


def test_a_long_table_is_sorted_and_turned_over_by_keyboard(visit: Visit) -> None:
    visitor = visit(ADMIN)
    visitor.open("pages/admin/audit")
    page = visitor.page
    visitor.tab_to("Who")
    page.keyboard.press("Enter")
    heading = page.get_by_role("columnheader", name="Who", exact=True)
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("tbody tr").first.locator("td").nth(1)).to_have_text(ODD)
    visitor.tab_to("Next", backwards=True)
    page.keyboard.press("Enter")
    expect(page.get_by_text("51 to 100 of")).to_be_visible()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert visitor.problems == []


def test_rows_of_the_database_are_filtered_and_followed(visit: Visit) -> None:
    visitor = visit(ADMIN)
    visitor.open("pages/database/memberships")
    page = visitor.page
    page.get_by_label("Column").select_option("role")
    page.get_by_label("Value").fill("instructor")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("Only rows where")).to_contain_text("role is instructor")
    visitor.inspect()
    page.locator("tbody tr").first.get_by_role("link").nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("of courses")
    page.get_by_role("link", name="memberships, by course_pk").click()
    expect(page.get_by_text("Only rows where")).to_contain_text("course_pk is")
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
    visitor.inspect("#call-listStudents")

    visitor = visit(STUDENT)
    visitor.open(f"pages/api?call=listStudents&course_id={COURSE}")
    expect(visitor.page.get_by_label("The answer")).to_contain_text("Permission denied")
    [problem] = visitor.problems
    assert "403" in problem
    visitor.problems.clear()
    visitor.page.get_by_role("link", name="Open the answer").click()
    expect(visitor.page.locator("body")).to_contain_text("permission_denied")
    visitor.problems.clear()

"""ngshare's own pages in a browser, reached through the login of a real JupyterHub."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from ngshare.handlers.browsers import StaticHandler
from ngshare.routes import PAGES
from tests.browser import world
from tests.browser.conftest import Visit
from tests.browser.world import COURSE, INSTRUCTOR, ODD, STUDENT
from tests.integration.hub import ADMIN, Hub

SEGMENT = quote(ODD, safe="")
OUTSIDER = "nobody"
PS1 = world.ASSIGNMENTS[0]
ROLES = (STUDENT, INSTRUCTOR, ADMIN)
ASSIGNMENT = f"pages/assignment/{COURSE}/{PS1}"
SUBMISSION = f"pages/submission/{COURSE}/{PS1}/{STUDENT}"
FEEDBACK = f"pages/feedback/{COURSE}/{PS1}/{STUDENT}"
ODD_ONE = f"{SEGMENT}/{SEGMENT}/{STUDENT}"

# Who opens which page, and its heading.
VISITS = [
    (STUDENT, "", "My courses"),
    (OUTSIDER, "", "My courses"),
    (STUDENT, f"pages/course/{COURSE}", COURSE),
    (STUDENT, ASSIGNMENT, PS1),
    (STUDENT, f"pages/assignment/{COURSE}/{world.EMPTY_ASSIGNMENT}", world.EMPTY_ASSIGNMENT),
    (STUDENT, f"pages/submit/{COURSE}/{PS1}", PS1),
    (STUDENT, SUBMISSION, f"Submissions of {STUDENT} to {PS1}"),
    (STUDENT, f"{FEEDBACK}?timestamp=", f"Feedback on {PS1}"),
    (STUDENT, "pages/api", "API"),
    (STUDENT, f"pages/course/{SEGMENT}", ODD),
    (STUDENT, f"pages/assignment/{SEGMENT}/{SEGMENT}", ODD),
    (STUDENT, f"pages/feedback/{ODD_ONE}?timestamp=", f"Feedback on {ODD}"),
    (INSTRUCTOR, "", "My courses"),
    (INSTRUCTOR, f"pages/course/{COURSE}", COURSE),
    (INSTRUCTOR, f"pages/course/{COURSE}?search=zz", COURSE),
    (INSTRUCTOR, f"pages/course/{world.EMPTY}", world.EMPTY),
    (INSTRUCTOR, f"pages/course/{SEGMENT}", ODD),
    (INSTRUCTOR, f"pages/course/{COURSE}/people/add", "Add a person"),
    (INSTRUCTOR, f"pages/course/{COURSE}/people/preview", "Upload students"),
    (INSTRUCTOR, f"pages/course/{COURSE}/person/{STUDENT}", STUDENT),
    (INSTRUCTOR, f"pages/course/{COURSE}/person/alan", "alan"),
    (INSTRUCTOR, f"pages/course/{SEGMENT}/person/{SEGMENT}", ODD),
    (INSTRUCTOR, ASSIGNMENT, PS1),
    (INSTRUCTOR, f"{ASSIGNMENT}?show=missing", PS1),
    (INSTRUCTOR, f"pages/assignment/{COURSE}/{world.EMPTY_ASSIGNMENT}", world.EMPTY_ASSIGNMENT),
    (INSTRUCTOR, f"pages/assignment/{SEGMENT}/{SEGMENT}", ODD),
    (INSTRUCTOR, f"{ASSIGNMENT}/versions", PS1),
    (INSTRUCTOR, f"pages/assignment/{COURSE}/{world.UNRELEASED}/versions", world.UNRELEASED),
    (INSTRUCTOR, f"pages/submit/{COURSE}/{PS1}", PS1),
    (INSTRUCTOR, SUBMISSION, f"Submissions of {STUDENT} to {PS1}"),
    (INSTRUCTOR, f"pages/submission/{ODD_ONE}", f"Submissions of {STUDENT} to {ODD}"),
    (INSTRUCTOR, f"{FEEDBACK}?timestamp=", f"Feedback on {PS1}"),
    (ADMIN, "", "All courses"),
    (ADMIN, f"pages/course/{COURSE}", COURSE),
    (ADMIN, f"pages/course/{COURSE}/people/add", "Add a person"),
    (ADMIN, f"pages/course/{COURSE}/people/preview", "Upload students"),
    (ADMIN, f"pages/course/{COURSE}/person/alan", "alan"),
    (ADMIN, ASSIGNMENT, PS1),
    (ADMIN, f"{ASSIGNMENT}/versions", PS1),
    (ADMIN, f"pages/submit/{COURSE}/{PS1}", PS1),
    (ADMIN, SUBMISSION, f"Submissions of {STUDENT} to {PS1}"),
    (ADMIN, f"{FEEDBACK}?timestamp=", f"Feedback on {PS1}"),
    (ADMIN, "pages/database", "Database"),
    *((ADMIN, f"pages/database/{name}", name) for name in ("memberships", "blobs", "removals")),
    (ADMIN, "pages/database/users?row=1", "Row 1 of users"),
    (ADMIN, "pages/database/memberships?column=role&test=is&value=nobody", "memberships"),
    (ADMIN, "pages/admin", "Admin"),
    (ADMIN, f"pages/admin/course/{COURSE}", COURSE),
    (ADMIN, f"pages/admin/course/{world.DELETED}", f"{world.DELETED} deleted"),
    (ADMIN, f"pages/admin/course/{SEGMENT}", ODD),
    (ADMIN, "pages/admin/people", "Admin"),
    (ADMIN, f"pages/admin/people/{STUDENT}", STUDENT),
    (ADMIN, f"pages/admin/people/{SEGMENT}", ODD),
    (ADMIN, f"pages/admin/people/{SEGMENT}/merge?into={STUDENT}", f"Merge {ODD} into {STUDENT}"),
    (ADMIN, "pages/admin/person?name=old/name", world.OLD_NAME),
    (ADMIN, "pages/admin/storage", "Admin"),
    (ADMIN, "pages/admin/health", "Admin"),
    (ADMIN, "pages/admin/audit", "Admin"),
    (ADMIN, "pages/admin/audit?search=nothing-like-this", "Admin"),
]

# Who saves what, and how it is called.
DOWNLOADS = [
    (STUDENT, f"{ASSIGNMENT}/download", f"{PS1}.zip"),
    (STUDENT, f"{SUBMISSION}/download", f"{PS1}-{STUDENT}-.*.zip"),
    (STUDENT, f"{FEEDBACK}/download?timestamp=", f"{PS1}-{STUDENT}-.*-feedback.zip"),
    (INSTRUCTOR, f"pages/course/{COURSE}/people/roster.csv", f"{COURSE}-roster.csv"),
    (INSTRUCTOR, f"{ASSIGNMENT}/students.csv", f"{COURSE}-{PS1}.csv"),
    (INSTRUCTOR, f"{ASSIGNMENT}/submissions.zip", f"{COURSE}-{PS1}.zip"),
    (ADMIN, "pages/admin/audit.csv", "ngshare-audit-log.csv"),
]


@pytest.mark.parametrize(("name", "path", "heading"), VISITS)
def test_a_page_pleases(visit: Visit, name: str, path: str, heading: str) -> None:
    visitor = visit(name)
    visitor.open(path)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(heading)
    visitor.inspect()


@pytest.mark.parametrize(("name", "path", "file"), DOWNLOADS)
def test_a_file_is_saved_rather_than_shown(
    visit: Visit, hub: Hub, name: str, path: str, file: str
) -> None:
    answer = visit(name).page.request.get(f"{hub.ngshare_url}/{path}")
    assert answer.status == 200
    assert re.fullmatch(f".*UTF-8''{file}", answer.headers["content-disposition"])
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_looked_at_by_all_who_may(role: str, visit: Visit, hub: Hub) -> None:
    visitor = visit(role)
    visitor.open()
    shown = [(name, path) for name, path, _ in [*VISITS, *DOWNLOADS]]
    shown += [(name, f"{FEEDBACK}/view") for name in ROLES]  # see below
    shown += [(name, "pages/api") for name in ROLES]  # the same for everybody
    missing = []
    for pattern, handler in PAGES:
        visits = [(who, path) for who, path in shown if re.fullmatch(pattern, path.split("?")[0])]
        if handler is StaticHandler or role in [who for who, _ in visits]:
            continue
        assert visits, pattern
        answer = visitor.page.request.get(f"{hub.ngshare_url}/{visits[0][1]}")
        if answer.status == 200 and "content-disposition" not in answer.headers:
            missing.append(pattern)
    assert missing == []


def test_pages_that_can_t_be_had_say_so(visit: Visit) -> None:
    visitor = visit(STUDENT)
    for path, status in (
        ("pages/nothing", 404),
        (f"pages/course/{world.EMPTY}", 403),
        ("pages/admin", 403),
    ):
        visitor.refused(path, status)
        heading = visitor.page.get_by_role("heading", level=1)
        expect(heading).to_have_text("That does not work")
        visitor.inspect()

"""`make screenshots`: the pictures of the manual's page on pages, in docs/images."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser import world
from tests.browser.visitors import WIDTHS, Visitor, a_file
from tests.browser.world import COURSE, INSTRUCTOR, STUDENT
from tests.integration.hub import ADMIN, Hub

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PS1 = world.ASSIGNMENTS[0]


def nothing(page: Page) -> None:
    pass


def open_services(page: Page) -> None:
    page.get_by_role("link", name="JupyterHub").click()
    page.get_by_role("button", name="Services").click()


def open_addresses(page: Page) -> None:
    page.get_by_text("E-mail addresses of all").click()


def upload_students(page: Page) -> None:
    roster = (
        "student_id,first_name,last_name,email\n"
        "bob,Robert,Brown,bob@example.edu\n"
        "grace,Grace,Hopper,grace.hopper@example.edu\n"
        "mgarcia,Marta,García,mgarcia@example.edu\n"
        "tlee,Thomas,Lee,tlee@example.edu\n"
    )
    page.get_by_label("CSV file").set_input_files(a_file("roster.csv", roster))
    page.get_by_role("button", name="Show what would change").click()


# How it is called, who looks at what, how wide and high in pixels, in which theme, what is done.
PICTURES: list[tuple[str, str, str, str, int, str, Callable[[Page], None]]] = [
    ("services", STUDENT, "", "wide", 200, "light", open_services),
    ("home", STUDENT, "", "wide", 620, "light", nothing),
    ("submit", STUDENT, f"pages/assignment/{COURSE}/{PS1}", "narrow", 860, "light", nothing),
    ("course", INSTRUCTOR, f"pages/course/{COURSE}", "wide", 800, "light", nothing),
    (
        "assignment",
        INSTRUCTOR,
        f"pages/assignment/{COURSE}/{PS1}?show=missing",
        "wide",
        1000,
        "light",
        open_addresses,
    ),
    (
        "upload",
        INSTRUCTOR,
        f"pages/course/{COURSE}/people/preview",
        "wide",
        720,
        "light",
        upload_students,
    ),
    ("storage", ADMIN, "pages/admin/storage", "wide", 700, "dark", nothing),
    ("database", ADMIN, "pages/database/submissions", "wide", 520, "light", nothing),
]


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("make screenshots: chromium is missing; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = f"sqlite:///{folder}/ngshare.db"
        world.fill(url, world.plan())
        browser = playwright.chromium.launch(executable_path=chromium)
        with Hub(Path(folder), url) as hub:
            visitors = {
                name: Visitor(browser, hub, name, IMAGES) for name in (STUDENT, INSTRUCTOR, ADMIN)
            }
            for title, name, path, width, height, theme, prepare in PICTURES:
                visitors[name].open(path)
                page = visitors[name].page
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                page.set_viewport_size({"width": WIDTHS[width], "height": height})
                prepare(page)
                page.screenshot(path=IMAGES / f"{title}.png", animations="disabled")
            for visitor in visitors.values():
                visitor.close()
        browser.close()


if __name__ == "__main__":
    main()

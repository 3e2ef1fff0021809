"""People in front of a browser."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Locator, expect

from tests.browser.site import Site

SIZE = {"width": 1700, "height": 900}
SECONDS = 30

# Pages of feedback have scripts from elsewhere, and JupyterLab shows them without scripts.
ELSEWHERE = ("https://", "blob:")

expect.set_options(timeout=SECONDS * 1000)


class Person:
    """Somebody who is logged in to the Hub, in a window of their own.

    Attributes:
        page: JupyterLab.
        problems: errors of the page, and what it wrote as errors to the console.
    """

    numbers = itertools.count(1)

    def __init__(self, browser: Browser, site: Site, name: str, screenshots: Path) -> None:
        self.name = name
        self.problems: list[str] = []
        self._screenshots = screenshots
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(SECONDS * 1000)
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note)
        self._log_in(site)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].startswith(ELSEWHERE):
            self.problems.append(f"{message.text} {message.location}")

    def _log_in(self, site: Site) -> None:
        self.page.goto(site.url)
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(site.password)
        self.photograph("login")
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.locator("#jp-main-dock-panel .lm-TabBar-tab").first).to_be_visible()
        self.photograph("lab")

    def close(self) -> None:
        self.page.context.close()

    def photograph(self, title: str) -> None:
        """Keep a picture of the page."""
        number = next(self.numbers)
        path = self._screenshots / f"{number:02}-{self.name}-{title}.png"
        self.page.screenshot(path=path, animations="disabled")

    def choose(self, entry: str) -> None:
        """An entry of the menu Nbgrader."""
        self.page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def type_in_terminal(self, command: str) -> None:
        self.page.get_by_role("tab", name="Launcher").click()
        self.page.locator(".jp-LauncherCard", has_text="Terminal").click()
        self.page.locator(".jp-Terminal").click()
        self.page.keyboard.type(f"{command}\n")

    # ---- formgrader ----

    @property
    def formgrader(self) -> FrameLocator:
        return self.page.frame_locator("#formgrader iframe")

    def assignment(self, part: str) -> Locator:
        """A cell of the first row of one of formgrader's tables, by its class."""
        return self.formgrader.locator(f"#main-table .{part}").first

    def visit(self, link: str) -> None:
        """One of formgrader's pages, by the link on its left; its table is there."""
        with self.page.expect_response(re.compile("/formgrader/api/(assignments|students)$")):
            self.formgrader.get_by_role("link", name=link, exact=True).click()

    def press(self, part: str, outcome: str = "success") -> str:
        """Click on something in a table of formgrader, and confirm what it says.

        Args:
            outcome: `success` or `error`, as formgrader has it.

        Returns:
            What it said.
        """
        self.assignment(part).get_by_role("link").click()
        dialog = self.formgrader.locator(".modal-dialog")
        expect(dialog).to_be_visible()
        self.photograph(f"{part}-{outcome}")
        said = dialog.inner_text()
        expect(self.formgrader.locator(f"#{outcome}-modal"), said).to_be_visible()
        dialog.get_by_role("button", name="OK").click()
        expect(dialog).to_have_count(0)
        return said

    # ---- the assignment list ----

    def assignments(self, state: str) -> Locator:
        """A part of the assignment list: `released`, `fetched` or `submitted`."""
        return self.page.locator(f"#{state}_assignments_list")

    def refresh(self) -> None:
        """Load it again when nothing is remembered any more (ngshare/exchange/recent.py)."""
        self.page.wait_for_timeout(1000)
        self.page.locator("#refresh_assignments_list").click()

"""People who look at ngshare's pages, and what is wrong with what they see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, expect

from tests.integration.hub import PASSWORD, Hub, require

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"wide": 1280, "narrow": 360}
HEIGHT = 900
THEMES = ("light", "dark")
SERIOUS = ("serious", "critical")
PAGE = re.compile("ngshare")  # in the footer of each


def a_file(name: str, text: str) -> FilePayload:
    """To be chosen in a form."""
    return {"name": name, "mimeType": "", "buffer": text.encode()}


class Visitor:
    """Somebody with a browser, who logs in to the Hub when it asks.

    Attributes:
        page: what is shown.
        problems: errors of scripts and what the console has as errors, among them all that the
            pages' Content-Security-Policy forbids.
    """

    def __init__(self, browser: Browser, hub: Hub, name: str, pictures: Path) -> None:
        self.name = name
        self.problems: list[str] = []
        self._hub = hub
        self._pictures = pictures
        # Colours must not be on their way to others when they are looked at.
        context = browser.new_context(
            viewport={"width": WIDTHS["wide"], "height": HEIGHT}, reduced_motion="reduce"
        )
        context.set_default_timeout(15_000)
        context.add_init_script(path=require(AXE))
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        is_ours = not message.location["url"].startswith(f"{self._hub.url}hub/")
        if is_ours and message.type in ("error", "warning"):
            self.problems.append(f"{message.text} {message.location}")

    def open(self, path: str = "") -> None:
        """A page of ngshare, by its URL below the prefix; logs in on the way if need be."""
        self.page.goto(f"{self._hub.ngshare_url}/{path}")
        if "/hub/login" in self.page.url:
            self.page.get_by_label("Username").fill(self.name)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Sign in").click()
            expect(self.page.locator("footer")).to_contain_text(PAGE)

    def refused(self, path: str, status: int) -> None:
        """Open a page that can't be had; the console notes so, and nothing else."""
        self.open(path)
        [problem] = self.problems
        assert str(status) in problem
        self.problems.clear()

    def tab_to(self, text: str, backwards: bool = False) -> None:
        """Press Tab until a link or button is reached; the focus must be visible there."""
        for _ in range(500):
            self.page.keyboard.press("Shift+Tab" if backwards else "Tab")
            reached, outline = self.page.evaluate(
                "[document.activeElement.innerText.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            if reached.startswith(text):
                assert outline != "none", text
                return
        raise AssertionError(f"Tab does not reach {text}")

    def close(self) -> None:
        self.page.context.close()

    def looks(self) -> Iterator[str]:
        """Show the page at each width, light and dark; how each is called."""
        for theme in THEMES:
            self.page.emulate_media(color_scheme=theme)
            for width, pixels in WIDTHS.items():
                self.page.set_viewport_size({"width": pixels, "height": HEIGHT})
                yield f"{width}-{theme}"
        self.page.set_viewport_size({"width": WIDTHS["wide"], "height": HEIGHT})
        self.page.emulate_media(color_scheme="light")

    def photograph(self, title: str) -> None:
        path = self._pictures / f"{title}.png"
        self.page.screenshot(path=path, full_page=True, animations="disabled")

    def inspect(self, part: str = "html") -> None:
        """Look at this page in every way; fail, with a picture, for what is wrong with it.

        Args:
            part: what axe looks at, as a selector.
        """
        assert self.problems == [], self.problems
        for look in self.looks():
            too_wide = self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            # Both widths and both themes, for half the time.
            findings = self._axe(part) if look in ("wide-light", "narrow-dark") else []
            if too_wide or findings:
                self.photograph(look)
            assert too_wide == 0, f"{look}: {too_wide} pixels too wide"
            assert findings == [], f"{look}: {json.dumps(findings, indent=1)}"
        self.problems.clear()  # of the instruments

    def _axe(self, part: str) -> list[dict[str, Any]]:
        """What axe (https://github.com/dequelabs/axe-core) finds serious."""
        results = self.page.evaluate("part => axe.run(part, {resultTypes: ['violations']})", part)
        return [
            {
                "rule": found["id"],
                "help": found["help"],
                "where": [node["html"] for node in found["nodes"]],
            }
            for found in results["violations"]
            if found["impact"] in SERIOUS
        ]

"""People who look at ngshare's pages, and what is wrong with what they see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.integration.hub import PASSWORD, Hub, require

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"wide": 1280, "narrow": 360}
HEIGHT = 900
THEMES = ("light", "dark")
SERIOUS = ("serious", "critical")


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
        context = browser.new_context(viewport={"width": WIDTHS["wide"], "height": HEIGHT})
        context.set_default_timeout(15_000)
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
            expect(self.page.locator("footer")).to_contain_text("ngshare")

    def close(self) -> None:
        self.page.context.close()

    def inspect(self, title: str) -> None:
        """Look at this page at two widths, light and dark; fail for what is wrong with it."""
        self.page.wait_for_load_state("networkidle")
        assert self.problems == []
        for theme in THEMES:
            self.page.emulate_media(color_scheme=theme)
            for width in WIDTHS:
                self.page.set_viewport_size({"width": WIDTHS[width], "height": HEIGHT})
                path = self._pictures / f"{title}-{width}-{theme}.png"
                self.page.screenshot(path=path, full_page=True, animations="disabled")
                needed = self.page.evaluate("document.documentElement.scrollWidth")
                assert needed <= WIDTHS[width], f"{title} is {needed} pixels wide"
            findings = self._axe()
            assert findings == [], f"{title}, {theme}: {json.dumps(findings, indent=1)}"
        self.page.set_viewport_size({"width": WIDTHS["wide"], "height": HEIGHT})
        self.page.emulate_media(color_scheme="light")
        self.problems.clear()  # of the instruments

    def _axe(self) -> list[dict[str, Any]]:
        """What axe (https://github.com/dequelabs/axe-core) finds serious."""
        self.page.evaluate(require(AXE).read_text())
        results = self.page.evaluate("axe.run()")
        return [
            {
                "rule": found["id"],
                "help": found["help"],
                "where": [node["html"] for node in found["nodes"]],
            }
            for found in results["violations"]
            if found["impact"] in SERIOUS
        ]

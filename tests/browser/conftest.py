"""The demo and a Hub, a browser, and people in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import world
from tests.browser.people import Person
from tests.browser.site import Site
from tests.browser.visitors import Visitor
from tests.integration.hub import Hub

# nbgrader's pages ask for scripts from elsewhere, which a test must not depend on.
OPTIONS = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

LogIn = Callable[[str], Person]
Visit = Callable[[str], Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is missing; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("browser") / "demo")
    try:
        site.start()
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def people() -> list[Person]:
    """Who is logged in."""
    return []


@pytest.fixture(scope="module")
def log_in(
    site: Site,
    browser: Browser,
    people: list[Person],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LogIn]:
    """Open a window for somebody."""
    screenshots = tmp_path_factory.mktemp("screenshots")

    def log_in(name: str) -> Person:
        people.append(Person(browser, site, name, screenshots))
        return people[-1]

    yield log_in
    for person in people:
        person.close()


@pytest.fixture(autouse=True)
def no_problems(request: pytest.FixtureRequest, people: list[Person]) -> Iterator[None]:
    """The pages have no errors; after a failure there is a picture of each."""
    yield
    for person in people:
        if request.session.testsfailed:
            person.photograph("failed")
    problems = {person.name: person.problems for person in people if person.problems}
    assert problems == {}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub in the middle of a term."""
    folder = tmp_path_factory.mktemp("hub")
    url = f"sqlite:///{folder}/ngshare.db"
    world.fill(url, world.plan(), world.plan_odd())
    with Hub(folder, url) as hub:
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

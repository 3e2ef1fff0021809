"""Tests that tell a story: they build on each other, in their order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

FAILED = pytest.StashKey[dict[object, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "story: these tests build on each other, in their order")
    config.stash[FAILED] = {}


def story_of(item: pytest.Item) -> object:
    """What the chapters of one story have in common: their module and its parameter."""
    parameters = getattr(item, "callspec", None)
    return item.path, parameters and parameters.id


def pytest_runtest_setup(item: pytest.Item) -> None:
    """After a chapter that failed, the rest of its story makes no sense."""
    failed = item.config.stash[FAILED].get(story_of(item))
    if failed and item.get_closest_marker("story"):
        pytest.fail(f"not tried, because {failed} failed", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.config.stash[FAILED].setdefault(story_of(item), item.name)
    return report

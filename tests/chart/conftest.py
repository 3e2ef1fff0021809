"""One renderer for all processes that run these tests."""

from __future__ import annotations

import os

import pytest

from tests.chart.rendering import Renderer


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    folder = tmp_path_factory.getbasetemp()
    return Renderer(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)

"""Faults: a short form of each runs with all other tests, `make faults` runs the full one."""

from __future__ import annotations

import random

import pytest

from tests.faults.storm import REPORTS
from tests.test_app import hub_variables

__all__ = ["hub_variables"]


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to do it often."""
    return request.config.getoption("--full")


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> int:
    """What all that is left to chance depends on."""
    seed = request.config.getoption("--fault-seed") or random.SystemRandom().getrandbits(32)
    random.seed(seed)
    REPORTS.append(f"{request.node.name}: --fault-seed {seed}")
    return seed

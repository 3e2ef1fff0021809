"""Faults: a short form of each runs with all other tests, `make faults` runs the full one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.postgres import PostgreSQL
from tests.test_app import hub_variables

__all__ = ["hub_variables"]


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to do it often."""
    return request.config.getoption("--full")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What all that is left to chance depends on."""
    return request.config.getoption("--fault-seed")


@pytest.fixture
def chance(request: pytest.FixtureRequest, seed: int) -> random.Random:
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture
def durable() -> Iterator[PostgreSQL]:
    """A PostgreSQL that commits to the disk, for tests that end it."""
    server = PostgreSQL(durable=True)
    yield server
    server.close()

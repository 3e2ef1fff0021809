"""The service, or PostgreSQL, is killed in the midst of a storm: nothing acknowledged is lost."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.storm import REPORTS, Storm, make_course
from tests.postgres import PostgreSQL
from tests.test_app import managed, run

UNLIMITED = "--NgShare.max_submissions_per_minute=0"
UNKEPT = "--NgShare.max_submissions=0"
CHECKED_EACH = 10  # kills between looks at every byte


def report(what: str, kills: int, storm: Storm, found: tuple[int, int, int]) -> None:
    lost, half, unacknowledged = found
    REPORTS.append(
        f"{what}: {kills} times, {storm.requests} submissions sent, "
        f"{storm.receipt_count} receipts, lost {lost}, half visible {half}, "
        f"there without a receipt {unacknowledged}"
    )


def test_nothing_acknowledged_is_lost_when_the_service_is_killed(
    hub_variables: dict[str, str], tmp_path: Path, database_url: str, full: bool
) -> None:
    storm, kills = Storm(), 50 if full else 3
    for kill in range(kills + 1):
        with managed(hub_variables, tmp_path, UNLIMITED, UNKEPT, database=database_url) as service:
            if kill == 0:
                make_course(service.url)
            found = storm.compare(service.url, contents=kill % CHECKED_EACH == 0 or kill == kills)
            assert found[:2] == (0, 0)
            if kill == kills:
                break
            with storm.raging(service.url):
                time.sleep(random.uniform(0.2, 1.5))
                service.stop(signal.SIGKILL)
    assert storm.receipt_count > 3 * kills
    report(f"kill -9 of ngshare on {database_url.partition(':')[0]}", kills, storm, found)
    check = run("check", "--database", database_url)
    assert check.returncode == 0, check.stdout


@pytest.fixture
def durable() -> Iterator[PostgreSQL]:
    """A PostgreSQL that commits to the disk, for tests that end it."""
    server = PostgreSQL(durable=True)
    yield server
    server.close()


def test_nothing_acknowledged_is_lost_when_postgresql_is_killed(
    hub_variables: dict[str, str], tmp_path: Path, durable: PostgreSQL, full: bool
) -> None:
    """One service all the while, which goes on by itself when the database is back."""
    storm, kills = Storm(), 10 if full else 2
    url = durable.create_database()
    with ExitStack() as stack:
        service = stack.enter_context(
            managed(hub_variables, tmp_path, UNLIMITED, UNKEPT, database=url)
        )
        make_course(service.url)
        for _ in range(kills):
            with storm.raging(service.url):
                time.sleep(random.uniform(0.2, 1.0))
                durable.stop()  # at once, by SIGQUIT: the next start recovers from the log
                time.sleep(0.3)
            durable.start()
            found = storm.compare(service.url)
            assert found[:2] == (0, 0)
    assert storm.receipt_count > 3 * kills
    report("immediate stop of PostgreSQL", kills, storm, found)
    check = run("check", "--database", url)
    assert check.returncode == 0, check.stdout


def test_every_call_that_was_begun_is_answered_when_the_service_is_told_to_stop(
    hub_variables: dict[str, str], tmp_path: Path, database_url: str, full: bool
) -> None:
    """So whatever was stored has its receipt."""
    storm, stops = Storm(), 20 if full else 2
    for stop in range(stops + 1):
        with managed(hub_variables, tmp_path, UNLIMITED, UNKEPT, database=database_url) as service:
            if stop == 0:
                make_course(service.url)
            found = storm.compare(service.url, contents=False)
            assert found == (0, 0, 0)
            if stop == stops:
                break
            with storm.raging(service.url):
                time.sleep(random.uniform(0.2, 1.0))
                assert service.stop(signal.SIGTERM) == 0
    report(f"SIGTERM on {database_url.partition(':')[0]}", stops, storm, found)

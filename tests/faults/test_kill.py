"""The service, or PostgreSQL, is killed in the midst of a storm: nothing acknowledged is lost."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from tests.faults.report import tabulate
from tests.faults.storm import Found, Storm, make_course
from tests.faults.structure import find_faults
from tests.postgres import PostgreSQL
from tests.test_app import managed, run

STORMY = ("--NgShare.max_submissions_per_minute=0", "--NgShare.max_submissions=0")
CHECKED_EACH = 10  # kills between looks at all that was ever stored
START_SECONDS = 60


def check(storm: Storm, url: str, database: str, everything: bool) -> Found:
    found = storm.compare(url, everything)
    assert found.is_good, found
    assert find_faults(database, everything) == []
    return found


def check_by_command(database: str) -> None:
    result = run("check", "--database", database)
    assert result.returncode == 0, result.stdout


def test_nothing_acknowledged_is_lost_when_the_service_is_killed(
    hub_variables: dict[str, str],
    tmp_path: Path,
    database_url: str,
    full: bool,
    seed: int,
    chance: random.Random,
) -> None:
    storm, kills = Storm(seed), 50 if full else 3
    for kill in range(kills + 1):
        with managed(hub_variables, tmp_path, *STORMY, database=database_url) as service:
            if kill == 0:
                make_course(service.url)
            everything = kill % CHECKED_EACH == 0 or kill == kills
            found = check(storm, service.url, database_url, everything)
            if kill < kills:
                with storm.raging(service.url):
                    time.sleep(chance.uniform(0.3, 2.0 if full else 1.0))
                    service.stop(signal.SIGKILL)
    assert [refusal.response.text for refusal in storm.refusals] == []
    assert storm.receipt_count > 3 * kills
    tabulate(f"kill -9 of ngshare on {database_url.partition(':')[0]}", kills, storm, found)
    check_by_command(database_url)


def restart(postgresql: PostgreSQL) -> None:
    """Start it again; of one that was killed the children are gone a moment later."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            postgresql.start()
            return
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_nothing_acknowledged_is_lost_when_postgresql_is_killed(
    hub_variables: dict[str, str],
    tmp_path: Path,
    durable: PostgreSQL,
    full: bool,
    seed: int,
    chance: random.Random,
) -> None:
    """One service all the while, which goes on by itself when the database is back."""
    storm, kills = Storm(seed), 10 if full else 2
    url = durable.create_database()
    with managed(hub_variables, tmp_path, *STORMY, database=url) as service:
        make_course(service.url)
        for kill in range(kills):
            with storm.raging(service.url):
                time.sleep(chance.uniform(0.2, 1.0))
                durable.stop(signal.SIGKILL if kill % 2 else signal.SIGQUIT)
                time.sleep(0.3)
            restart(durable)
            found = check(storm, service.url, url, everything=kill == kills - 1)
    assert {refusal.response.status_code for refusal in storm.refusals} <= {503}
    assert storm.receipt_count > 3 * kills
    tabulate("kill of PostgreSQL", kills, storm, found)
    check_by_command(url)

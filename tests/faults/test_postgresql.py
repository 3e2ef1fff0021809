"""PostgreSQL is stopped and started under load, while the service runs on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import requests

from tests.faults.report import note, tabulate
from tests.faults.storm import Storm, caller, make_course
from tests.faults.test_kill import STORMY, check, restart
from tests.postgres import PostgreSQL
from tests.test_app import Service, managed

OUTAGE_SECONDS = 2.0
BOUND_SECONDS = 5.0


def watch_outage(service: Service) -> float:
    """The probes, and calls that change nothing, for a while; the longest answer's time."""
    longest, end = 0.0, time.monotonic() + OUTAGE_SECONDS
    with caller(service.url, "student0") as student:
        while time.monotonic() < end:
            for path, status in (("healthz", 200), ("readyz", 503), ("courses", 503)):
                start = time.monotonic()
                response = student.send("GET", path)
                longest = max(longest, time.monotonic() - start)
                if (path, response.status_code) != ("readyz", 200):  # it holds for a second
                    assert response.status_code == status, response.text
            time.sleep(0.05)
    return longest


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT], ids=["lost", "stopped"])
def test_while_postgresql_is_away_calls_are_503_and_afterwards_all_is_well(
    hub_variables: dict[str, str],
    tmp_path: Path,
    durable: PostgreSQL,
    number: signal.Signals,
    full: bool,
    seed: int,
) -> None:
    storm, outages, url = Storm(seed), 5 if full else 1, durable.create_database()
    longest = 0.0
    with managed(hub_variables, tmp_path, *STORMY, database=url) as service:
        make_course(service.url)
        for _ in range(outages):
            with storm.raging(service.url):
                time.sleep(0.5)
                durable.stop(number)
                longest = max(longest, watch_outage(service))
                restart(durable)
                back, before = time.monotonic(), storm.submission_count
                while storm.submission_count < before + 10:
                    assert time.monotonic() < back + 10
                    time.sleep(0.02)
            assert requests.get(service.url + "readyz", timeout=5).status_code == 200
        found = check(storm, service.url, url, everything=True)
    for refusal in storm.refusals:
        answer = refusal.response.json()
        assert refusal.response.status_code == 503, answer
        assert int(refusal.response.headers["Retry-After"]) > 0
        assert answer["success"] is False
        assert "database" in answer["message"]
        longest = max(longest, refusal.seconds)
    assert len(storm.refusals) > 10 * outages
    assert longest < BOUND_SECONDS
    tabulate(f"PostgreSQL {number.name}", outages, storm, found)
    note(f"PostgreSQL {number.name}: {len(storm.refusals)} calls were 503 within {longest:.2f} s")

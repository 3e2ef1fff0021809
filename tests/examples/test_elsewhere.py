"""Recipes in which systemd runs ngshare, once or twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import requests

from tests.examples.site import ASSIGNMENT, COURSE, LARGE, Site, Somebody, make_course, submit
from tests.integration.hub import Hub, wait_until
from tests.postgres import PostgreSQL

SetUp = Callable[..., AbstractContextManager[Site]]
FIRST, SECOND = "ngshare@10101", "ngshare@10102"


@pytest.fixture
def database(postgresql: PostgreSQL) -> Iterator[dict[str, Path]]:
    """Where a machine finds PostgreSQL, on which the recipe makes its database."""
    yield {
        "/run/postgresql": Path(parse_qs(urlsplit(postgresql.url("postgres")).query)["host"][0]),
        "/opt/stand-ins/createdb": postgresql.binaries / "createdb",
    }
    with psycopg.connect(postgresql.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS ngshare WITH (FORCE)")


def test_systemd_runs_ngshare_beside_the_hub(set_up: SetUp) -> None:
    with set_up("systemd") as site:
        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{site.ngshare_url}/"
        make_course(alice)
        submit(alice, {"ps1.ipynb": b"{}"})
        assert site.machine.path("/var/lib/ngshare/ngshare.db").exists()


def test_of_two_replicas_either_may_die(set_up: SetUp, database: dict[str, Path]) -> None:
    with set_up("postgresql-replicas", links=database) as site:
        machine = site.machine
        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{site.ngshare_url}/"
        make_course(alice)
        submit(alice, {"large.bin": os.urandom(LARGE)})
        for port, status in ((10100, 401), (10101, 200)):  # by nginx, and without
            metrics = f"http://127.0.0.1:{port}/services/ngshare/metrics"
            assert requests.get(metrics, timeout=10).status_code == status

        for dying in (FIRST, SECOND):
            assert "user=alice" in machine.log(dying)
            probe = f"http://127.0.0.1:{dying[-5:]}/readyz"
            machine.kill(dying)
            assert not Hub.answers(probe)
            for _ in range(6):
                assert alice.browser.open().status_code == 200
            work = alice.write("after.txt", dying.encode())
            with alice.client() as client:
                client.submit(COURSE, ASSIGNMENT, {"after.txt": work})
            machine.start_unit(dying)
            wait_until(partial(Hub.answers, probe), f"{dying} to be back")

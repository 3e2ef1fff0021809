"""Calls while the database is upgraded: answered, though not worked on."""

from __future__ import annotations

import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from ngshare.client import NgShareClient
from ngshare.database.upgrade import ADVISORY_LOCK
from ngshare.starting import MESSAGE
from tests.fake_hub import token_of
from tests.test_app import Service, hub_variables, managed, wait_for

__all__ = ["hub_variables"]

Unlock = Callable[[], None]


@pytest.fixture
def unlock(database_url: str) -> Iterator[Unlock]:
    """A database that nobody can upgrade, as if somebody else did, before this is called."""
    if database_url.startswith("sqlite"):
        with closing(
            sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection.close
    else:
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            yield connection.close


class Starting(Service):
    """The command, which can't upgrade its database for now."""

    def wait(self) -> None:
        wait_for(self.log, "Preparing the database")
        self.get("healthz")

    @property
    def root(self) -> str:
        return self.url.removesuffix(urlsplit(self.url).path)

    def get(self, path: str, **sent: str) -> requests.Response:
        return requests.get(self.url + path, headers=sent, timeout=10)

    def status(self, verb: str, path: str, **options: object) -> int:
        return requests.request(verb, self.url + path, timeout=10, **options).status_code  # type: ignore[arg-type]


@pytest.fixture(params=[(), ("--NgShare.workers=2",)], ids=["one", "two"])
def starting(
    request: pytest.FixtureRequest,
    hub_variables: dict[str, str],
    database_url: str,
    unlock: Unlock,
    tmp_path: Path,
) -> Iterator[Starting]:
    with managed(
        hub_variables, tmp_path, *request.param, database=database_url, kind=Starting
    ) as service:
        yield service


def test_calls_are_answered_while_the_database_is_upgraded_and_then_done(
    starting: Starting, unlock: Unlock
) -> None:
    for probe in (starting.url + "healthz", starting.root + "/healthz"):
        answer = requests.get(probe, timeout=10)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    refused = {"success": False, "message": MESSAGE}
    for path, code in (("readyz", "not_ready"), ("courses", "database_unavailable")):
        answer = starting.get(path)
        assert (answer.status_code, answer.json()) == (503, {**refused, "code": code})
        assert answer.headers["Retry-After"] == "5"
    assert [starting.status(verb, "course/c") for verb in ("POST", "PUT", "DELETE", "OPTIONS")] == [
        503
    ] * 4
    assert starting.status("HEAD", "courses") == 503
    assert starting.status("POST", "submission/c/a", data=bytes(101 << 20)) == 503
    address = ("127.0.0.1", urlsplit(starting.url).port)
    with socket.create_connection(address, timeout=5) as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: ngshare\r\n\r\n")
        assert kept.makefile("rb").read().endswith(b'{"success": true}')  # and that was all
    for path, status in (("", 200), ("pages/admin", 503)):
        page = starting.get(path, Accept="text/html")
        assert page.status_code == status
        assert page.headers["Content-Type"] == "text/html; charset=UTF-8"
        assert "ngshare is starting" in page.text
    with NgShareClient(starting.url, token_of("root")) as client, ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.list_courses)
        with pytest.raises(NotYet):
            call.result(1)
        unlock()
        assert call.result(30) == []
    assert starting.get("readyz").status_code == 200
    assert starting.log.read_text().count("Preparing the database") == 1
    starting.process.terminate()
    assert starting.process.wait(30) == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_upgrade_that_fails_ends_the_process(
    starting: Starting, unlock: Unlock, database_url: str
) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE alembic_version SET version_num = 'of 2030'")
    unlock()
    assert starting.process.wait(30) == 1
    assert "written by a newer one" in starting.log.read_text().splitlines()[-1]


# SQLite, as long as it waits for another writer, does not let Python hear of SIGINT.
@pytest.mark.parametrize(
    ("database_url", "number", "status"),
    [
        ("sqlite", signal.SIGTERM, -signal.SIGTERM),
        ("postgresql", signal.SIGTERM, -signal.SIGTERM),
        ("postgresql", signal.SIGINT, 130),
    ],
    indirect=["database_url"],
)
def test_a_process_that_upgrades_ends_when_it_is_told_to(
    starting: Starting, number: signal.Signals, status: int
) -> None:
    starting.process.send_signal(number)
    assert starting.process.wait(30) == status
    assert "Traceback" not in starting.log.read_text()
    with pytest.raises(requests.ConnectionError):
        starting.get("healthz")


def test_the_home_page_is_there_without_the_hubs_part_of_its_url(
    hub_variables: dict[str, str], database_url: str, unlock: Unlock, tmp_path: Path
) -> None:
    variables = {
        **hub_variables,
        "JUPYTERHUB_BASE_URL": "/hub-a/",
        "JUPYTERHUB_SERVICE_PREFIX": "/hub-a/services/ngshare/",
    }
    with managed(variables, tmp_path, database=database_url, kind=Starting) as service:
        for path in ("/hub-a/services/ngshare/", "/services/ngshare/"):
            assert requests.get(service.root + path, timeout=10).status_code == 200

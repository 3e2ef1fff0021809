"""A Hub that starts ngshare goes on when ngshare's database takes long to upgrade."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests

from tests.integration.conftest import NewHub, Site
from tests.integration.hub import HUB5, NEWEST, Hub, wait_until


@pytest.mark.parametrize("python", [NEWEST, HUB5], ids=["newest", "hub5"])
def test_the_hub_runs_while_the_database_is_upgraded(new_hub: NewHub, python: Path) -> None:
    hub = new_hub(Site("locked", python, base_url="/jupyterhub/"))
    path = hub.database_url.removeprefix("sqlite:///")
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        other.execute("BEGIN IMMEDIATE")
        try:
            start = threads.submit(hub.start)
            message = wait_until(lambda: ngshares_message(hub), "the proxy to know ngshare", 60)
            assert message.startswith("ngshare is starting")
            wait_until(lambda: hub.answers(f"{hub.url}hub/api/"), "the Hub's own route")
            home = requests.get(f"{hub.ngshare_url}/", timeout=5)
            assert (home.status_code, "ngshare is starting" in home.text) == (200, True)
            other.execute("ROLLBACK")
            start.result()
        finally:
            survivors = hub.stop()
        assert survivors == []


def ngshares_message(hub: Hub) -> str:
    """Why ngshare itself refuses a call; before the proxy knows it, the Hub answers or nobody."""
    with suppress(requests.RequestException):
        answer = requests.get(f"{hub.ngshare_url}/courses", timeout=5)
        if answer.status_code == 503 and "application/json" in answer.headers.get(
            "Content-Type", ""
        ):
            return answer.json()["message"]
    return ""

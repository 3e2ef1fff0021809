"""A real ngshare, and people with the real nbgrader.

These tests run where nbgrader is installed; the Makefile tells.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from tests.api import Api
from tests.conftest import PREFIX
from tests.fake_hub import SERVICE_TOKEN, FakeHub
from tests.integration.hub import clean_environment, wait_until
from tests.neighbours import Proxy
from tests.ports import reserve_port

if find_spec("nbgrader") is None:
    collect_ignore_glob = ["test_*.py", "volume"]
else:
    from ngshare.exchange import Exchange, ExchangeList
    from ngshare.exchange.auth import Roster
    from ngshare.exchange.recent import forget
    from tests.exchange.people import School


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of warnings, only those about our own code are errors here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"), append=False)
            item.add_marker(pytest.mark.filterwarnings(r"error:::ngshare\."), append=True)


@dataclass
class Service:
    """An ngshare in a process of its own."""

    url: str
    api: Api
    process: subprocess.Popen[bytes]

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "ngshare has ended"
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}readyz", timeout=5).status_code == 200
        return False


@pytest.fixture(scope="session")
def service(the_hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("ngshare")
    port = reserve_port()
    environment = {
        **clean_environment(),
        "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
        "JUPYTERHUB_API_URL": the_hub.api_url,
        "JUPYTERHUB_CLIENT_ID": "service-ngshare",
        "JUPYTERHUB_SERVICE_NAME": "ngshare",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_BASE_URL": "/",
    }
    command = [sys.executable, "-m", "ngshare", "--host=127.0.0.1", f"--port={port}"]
    command += [f"--database=sqlite:///{folder}/ngshare.db", "--admins=root"]
    command += ["--admin-services=phys101", "--NgShare.max_submissions_per_minute=0"]
    with (folder / "ngshare.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    session = requests.Session()
    session.trust_env = False
    url = f"http://127.0.0.1:{port}{PREFIX}"
    service = Service(url, Api(url, session), process)
    try:
        wait_until(service.is_ready, "ngshare")
        yield service
    finally:
        process.terminate()
        process.wait(30)
        session.close()


@pytest.fixture
def empty(service: Service, the_hub: FakeHub) -> Iterator[Service]:
    """The server without courses."""
    the_hub.reset()
    forget()
    yield service
    root = service.api.user("root")
    for course in root.ok("GET", "courses")["courses"]:
        root.ok("DELETE", f"course/{course}", purge="true")


@pytest.fixture
def school(empty: Service, tmp_path: Path) -> School:
    """The course phys101: grace teaches, alice and bob learn, root is the admin."""
    return School(empty.api, tmp_path, empty.url)


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:
    proxy = Proxy(service.url)
    yield proxy
    proxy.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are not repeated, and a server may not be silent for long."""
    for kind in (Exchange, ExchangeList, Roster):
        monkeypatch.setattr(kind, "tries", 1)
        monkeypatch.setattr(kind, "read_seconds", 0.5)

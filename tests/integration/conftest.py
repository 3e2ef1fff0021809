"""Hubs of several kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.hub import HUB5, NEWEST, Hub


@dataclass(frozen=True)
class Site:
    """One way to run ngshare under a Hub."""

    name: str
    python: Path = NEWEST
    database: str = "sqlite"
    base_url: str = "/"

    def __str__(self) -> str:
        return self.name


SITES = [
    Site("newest"),
    Site("hub5-and-postgresql", python=HUB5, database="postgresql", base_url="/jupyterhub/"),
]
LOGIN_SITES = [
    Site("newest"),
    Site("newest-with-base-url", base_url="/jupyterhub/"),
    Site("hub5", python=HUB5, base_url="/jupyterhub/"),
]

NewHub = Callable[..., Hub]


@pytest.fixture(scope="module")
def new_hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewHub:
    """A function that makes the Hub of a site, to be started by a `with` statement."""

    def make(site: Site, **options: object) -> Hub:
        folder = tmp_path_factory.mktemp("hub")
        database_url = f"sqlite:///{folder}/ngshare.db"
        if site.database == "postgresql":
            database_url = request.getfixturevalue("postgresql").create_database()
        return Hub(folder, database_url, site.python, site.base_url, **options)

    return make

"""Where a client looks for the server."""

from __future__ import annotations

import pytest

from ngshare.client import NgShareClient, find_url
from ngshare.errors import NotConfigured

VARIABLES = [
    "NGSHARE_URL",
    "PROXY_PUBLIC_SERVICE_HOST",
    "JUPYTERHUB_BASE_URL",
    "JUPYTERHUB_PUBLIC_HUB_URL",
]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"NGSHARE_URL": " http://here/x "}, "http://here/x"),
        ({"PROXY_PUBLIC_SERVICE_HOST": "10.0.0.1"}, "http://proxy-public/services/ngshare/"),
        (
            {"PROXY_PUBLIC_SERVICE_HOST": "10.0.0.1", "JUPYTERHUB_BASE_URL": "/jupyter/"},
            "http://proxy-public/jupyter/services/ngshare/",
        ),
        (
            {"JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/jupyter/hub/"},
            "https://hub.example.org/jupyter/services/ngshare/",
        ),
        (
            {"JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/hub/"},
            "https://hub.example.org/services/ngshare/",
        ),
        (dict.fromkeys(VARIABLES, "http://first/"), "http://first/"),
    ],
)
def test_the_environment_tells_the_url(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_url() == url
    with NgShareClient(token="x") as client:
        assert client.url == url.rstrip("/") + "/"


def test_an_environment_that_tells_nothing_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUPYTERHUB_BASE_URL", "/")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_HUB_URL", "")  # as a Hub sets it that does not know
    with pytest.raises(NotConfigured, match="set the environment variable NGSHARE_URL"):
        NgShareClient()

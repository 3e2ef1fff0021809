"""Recipes in which the Hub starts ngshare, and those that change how people reach it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests

from tests.examples.site import LARGE, Site, Somebody, make_course, submit
from tests.integration.hub import HUB5, NEWEST

# How The Littlest JupyterHub reads its folder, and that it has services and roles of its own. It
# wants a machine of its own, with systemd.
TLJH = """\
from glob import glob

c = get_config()
c.Authenticator.allow_all = True
c.JupyterHub.hub_port = 15001
c.JupyterHub.services = [{"name": "cull-idle", "api_token": "0123456789"}]
c.JupyterHub.load_roles = [{"name": "cull", "scopes": ["list:users"], "services": ["cull-idle"]}]
for file in sorted(glob("/opt/tljh/config/jupyterhub_config.d/*.py")):
    load_subconfig(file)
"""
INSTALL_TLJH = """
mkdir -p /opt/tljh/config/jupyterhub_config.d
python3 -m venv /opt/tljh/hub
python3 -m venv /opt/tljh/user
"""

SetUp = Callable[..., AbstractContextManager[Site]]


def test_on_one_machine_the_hub_starts_ngshare(set_up: SetUp) -> None:
    address = "http://hub.example.org:8000/"
    with set_up("jupyterhub", url=address) as site:
        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{address}services/ngshare/"
        make_course(alice)
        submit(alice, {"ps1.ipynb": b"{}"})
        assert "WRONG" not in alice.type("ngshare", "doctor")


def test_below_a_base_url_everything_is_reached(set_up: SetUp) -> None:
    address = "http://hub.example.org:8000/jupyter/"
    with set_up("jupyterhub", "base-url", url=address) as site:
        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{address}services/ngshare/"
        for link in re.findall(r'(?:href|src)="(/[^"]*)"', alice.first_page.text):
            assert link.startswith("/jupyter/"), link
            assert alice.get(f"http://hub.example.org:8000{link}").status_code == 200, link
        make_course(alice)
        submit(alice, {"ps1.ipynb": b"{}"})


def test_behind_nginx_everything_is_by_tls(set_up: SetUp) -> None:
    address = "https://hub.example.org/"
    with set_up("jupyterhub", "nginx-tls", url=address) as site:
        plain = requests.get("http://hub.example.org/services/ngshare/", allow_redirects=False)
        assert plain.headers["Location"] == f"{address}services/ngshare/"

        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{address}services/ngshare/"
        assert [each.secure for each in alice.browser.cookies if each.name != "_xsrf"] == [True]
        form = alice.browser.open("pages/api?call=whoAmI")
        assert "https://hub.example.org/services/ngshare/" in form.text

        make_course(alice)
        submit(alice, {"large.bin": os.urandom(LARGE)})
        assert requests.get(f"{site.ngshare_url}/metrics", timeout=10).status_code == 401


def test_on_subdomains_ngshare_has_a_host_of_its_own(set_up: SetUp) -> None:
    recipes = ("jupyterhub", "nginx-tls", "subdomains")
    ngshare_url = "https://ngshare--service.hub.example.org/services/ngshare"
    with set_up(*recipes, url="https://hub.example.org/", ngshare_url=ngshare_url) as site:
        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{ngshare_url}/"
        make_course(alice)
        submit(alice, {"ps1.ipynb": b"{}"})


@pytest.mark.parametrize("python", [NEWEST, HUB5], ids=["newest", "hub5"])
def test_with_strict_scope_only_servers_and_logins_may_call(set_up: SetUp, python: Path) -> None:
    address = "http://hub.example.org:8000/"
    with set_up("jupyterhub", "strict-scope", url=address, commands=python.parent) as site:
        alice = Somebody(site, "alice")
        assert alice.first_page.status_code == 200
        make_course(alice)
        submit(alice, {"ps1.ipynb": b"{}"})
        for scope, status in (("read:users!user", 403), ("access:services!service=ngshare", 200)):
            answer = alice.hub_api("POST", "users/alice/tokens", json={"scopes": [scope]})
            header = {"Authorization": f"token {answer.json()['token']}"}
            call = requests.get(f"{site.ngshare_url}/courses", headers=header, timeout=10)
            assert call.status_code == status, call.text


def test_the_littlest_jupyterhub_starts_ngshare(set_up: SetUp) -> None:
    with set_up("tljh", config=TLJH, prepare=INSTALL_TLJH) as site:
        alice = Somebody(site, "alice")
        assert alice.first_page.url == f"{site.ngshare_url}/"
        make_course(alice)
        submit(alice, {"ps1.ipynb": b"{}"})

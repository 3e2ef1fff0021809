"""Machines on which recipes are followed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.examples.machine import Machine
from tests.examples.site import CERTIFICATE, EXAMPLES, HUB_CONFIG, Site
from tests.integration.hub import NEWEST

HOSTS = "127.0.0.1 hub.example.org ngshare--service.hub.example.org\n"
# As Let's Encrypt would put it there; nobody but us trusts it.
MAKE_CERTIFICATE = f"""
mkdir -p {Path(CERTIFICATE).parent}
cd {Path(CERTIFICATE).parent}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=hub.example.org -addext subjectAltName=DNS:hub.example.org,DNS:*.hub.example.org \
    -keyout privkey.pem -out fullchain.pem
"""


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing between us and hub.example.org, which is the machine itself."""
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    look_up = socket.getaddrinfo

    def look_up_here(host: Any, *rest: Any, **options: Any) -> Any:
        ours = isinstance(host, str) and host.endswith("example.org")
        return look_up("127.0.0.1" if ours else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)


@pytest.fixture
def set_up(
    no_proxies: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., AbstractContextManager[Site]]:
    """A function that follows recipes on a new machine, for a `with` statement.

    Meanwhile our network is that of the machine, where the Hub and ngshare are ready. Besides the
    names of the recipes it takes

    - `commands`: the folder with the commands that are installed there,
    - `config`: what the Hub's configuration is before,
    - `links`: of the machine to what is elsewhere,
    - `prepare`: what root has typed before,
    - the attributes of Site.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can make machines of namespaces")
    if not Path("/usr/sbin/nginx").exists():
        pytest.skip("nginx is missing: on Debian, apt-get install nginx-light")

    @contextmanager
    def follow(
        *recipes: str,
        commands: Path = NEWEST.parent,
        config: str = "c = get_config()\nc.Authenticator.allow_all = True\n",
        links: Mapping[str, Path] | None = None,
        prepare: str = "",
        **addresses: str,
    ) -> Iterator[Site]:
        with Machine(tmp_path / "machine", commands) as machine, machine.network():
            machine.write("/etc/hosts", f"127.0.0.1 localhost {socket.gethostname()}\n{HOSTS}")
            machine.write(HUB_CONFIG, config)
            machine.type(prepare)
            for path, target in (links or {}).items():
                machine.path(path).symlink_to(target)
            if "nginx-tls" in recipes:
                machine.type(MAKE_CERTIFICATE)
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(machine.path(CERTIFICATE)))
            for recipe in recipes:
                machine.follow(EXAMPLES / recipe)
            machine.start_what_was_enabled()
            site = Site(machine, **addresses)
            site.start_hub()
            yield site

    return follow

"""The images and the compose file hold what others count on. Nothing here needs Docker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import yaml
from jupyterhub.app import JupyterHub
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.services.service import Service as HubService
from packaging.requirements import Requirement
from traitlets.config import Config, PyFileConfigLoader

from ngshare.app import NgShare
from tests.fake_hub import FakeHub
from tests.ports import reserve_port
from tests.postgres import PostgreSQL
from tests.test_app import Service, environment, headers

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "examples" / "compose"
IMAGES = {"ngshare": "postgresql", "singleuser": "exchange"}
"""Each image's folder, and the extra of setup.py that is in it."""


def instructions(image: str) -> list[tuple[str, str]]:
    """What is in a Dockerfile: the instruction and its arguments, on one line."""
    text = (ROOT / "images" / image / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines if line]


def last(image: str, instruction: str) -> str:
    return [arguments for name, arguments in instructions(image) if name == instruction][-1]


def pins(image: str) -> dict[str, str]:
    """The lock: names of packages, and their versions."""
    text = (ROOT / "images" / image / "requirements.lock").read_text()
    entries = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found = {}
    for entry in entries:
        pinned = re.fullmatch(r"(\S+)==(\S+)( +--hash=sha256:[0-9a-f]{64})+ *", entry)
        assert pinned, entry
        found[pinned[1]] = pinned[2]
    return found


def make_secrets(folder: Path) -> str:
    """Give the first command of the README; what is in `.env` then."""
    readme = (ROOT / "examples/compose/README.md").read_text()
    (command,) = re.findall("```bash\n(.*?)```", readme, re.DOTALL)
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    return (folder / ".env").read_text()


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the first command of the README makes, in the environment too."""
    lines = make_secrets(tmp_path).splitlines()
    found = dict(line.split("=") for line in lines)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def compose(secrets: dict[str, str]) -> Any:
    """The compose file, as Docker reads it with these secrets."""
    text = (COMPOSE / "compose.yaml").read_text()
    return yaml.safe_load(re.sub(r"\$\{(\w+):\?[^}]*\}", lambda name: secrets[name[1]], text))


@pytest.fixture
def hub_config(secrets: dict[str, str]) -> Config:
    return PyFileConfigLoader("jupyterhub_config.py", str(COMPOSE)).load_config()


def test_secrets_that_are_there_are_kept(tmp_path: Path) -> None:
    assert make_secrets(tmp_path) == make_secrets(tmp_path)


@pytest.mark.parametrize(("image", "extra"), IMAGES.items())
def test_a_lock_has_hashes_and_keeps_within_the_bounds_of_setup_py(image: str, extra: str) -> None:
    locked = pins(image)
    for line in requires("ngshare") or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            version = locked[requirement.name.lower().replace("_", "-")]
            assert requirement.specifier.contains(version), line


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_made_of_what_is_pinned_and_runs_as_somebody(image: str) -> None:
    parts = instructions(image)
    assert [arguments for name, arguments in parts if name == "FROM"] == [
        "python:3.13-slim-trixie"  # what `make locks` and CI have
    ]
    installs = " && ".join(arguments for name, arguments in parts if name == "RUN").split(" && ")
    pip = [command.split()[2:] for command in installs if command.startswith("pip install")]
    first, second = map(set, pip)
    assert first > {"--require-hashes", "--no-cache-dir"}
    assert second > {"--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"}
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last(image, "USER"))
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name, arguments in parts:
        for source in arguments.split()[:-1] if name == "COPY" else []:
            assert (ROOT / source).exists()
            assert f"!{source.replace(f'/{image}/requirements', '/*/requirements')}" in ignored


def test_the_image_of_the_service_is_what_the_chart_counts_on() -> None:
    deployment = (ROOT / "helmchart/ngshare/templates/deployment.yaml").read_text()
    user, _, group = last("ngshare", "USER").partition(":")
    volume, port = last("ngshare", "VOLUME"), last("ngshare", "EXPOSE")
    assert f"runAsUser: {user}\n" in deployment
    assert f"mountPath: {volume}\n" in deployment
    assert f"containerPort: {port}\n" in deployment
    assert last("ngshare", "ENV") == f"JUPYTERHUB_SERVICE_URL=http://0.0.0.0:{port}/"
    assert json.loads(last("ngshare", "ENTRYPOINT")) == ["python3", "-m", "ngshare"]
    assert str(NgShare.database.default_value).startswith(f"sqlite:///{volume}/")
    assert f"install --directory --owner {user} --group {group} {volume}" in last("ngshare", "RUN")


@pytest.fixture
def composed(
    compose: Any, hub: FakeHub, postgresql: PostgreSQL, tmp_path: Path
) -> Iterator[tuple[Service, str]]:
    """ngshare with what the compose file gives it, but for addresses; and the port."""
    given = compose["services"]["ngshare"]
    host = compose["services"]["postgres"]["environment"]
    url = given["environment"].pop("NGSHARE_DATABASE")
    assert (
        url == f"postgresql://{host['POSTGRES_USER']}:{host['POSTGRES_PASSWORD']}@postgres/ngshare"
    )
    database = postgresql.create_database()
    port = str(reserve_port())
    replaced = {
        "JUPYTERHUB_API_URL": hub.api_url,
        "JUPYTERHUB_API_TOKEN": os.environ["JUPYTERHUB_API_TOKEN"],
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}/",
        "NGSHARE_DATABASE": database,
    }
    address = f"http://127.0.0.1:{port}{given['environment']['JUPYTERHUB_SERVICE_PREFIX']}"
    env = environment({**given["environment"], **replaced})
    service = Service(address, tmp_path / "log", *given["command"], env=env)
    yield service, port
    service.kill()
    postgresql.drop_database(database)


def test_the_composed_service_runs_and_its_healthcheck_notices_when_it_does_not(
    composed: tuple[Service, str],
) -> None:
    service, port = composed
    check = json.loads(last("ngshare", "HEALTHCHECK").partition("CMD ")[2])
    assert check[0] == "python3"
    (exposed,) = re.findall(r"\b8080\b", check[2])
    command = [sys.executable, check[1], check[2].replace(exposed, port)]

    def is_healthy() -> bool:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0

    answer = requests.post(f"{service.url}course/calculus", headers=headers("admin"), timeout=5)
    assert answer.status_code == 200, answer.text
    assert is_healthy()
    assert service.stop() == 0
    assert not is_healthy()


def test_the_composed_hub_and_services_know_each_other(
    compose: Any, hub_config: Config, secrets: dict[str, str]
) -> None:
    services = compose["services"]
    assert set(secrets) == set(re.findall(r"\$\{(\w+)", (COMPOSE / "compose.yaml").read_text()))
    (known,) = hub_config.JupyterHub.services
    env = services["ngshare"]["environment"]
    assert known["name"] == env["JUPYTERHUB_SERVICE_NAME"]
    assert known["api_token"] == env["JUPYTERHUB_API_TOKEN"]
    assert known["url"] == f"http://ngshare:{last('ngshare', 'EXPOSE')}"
    spawner = hub_config.DockerSpawner
    assert spawner.environment["NGSHARE_URL"] == known["url"] + env["JUPYTERHUB_SERVICE_PREFIX"]
    assert spawner.image == services["singleuser"]["image"]
    assert spawner.network_name == compose["networks"]["default"]["name"]
    assert list(spawner.volumes.values()) == [last("singleuser", "WORKDIR")]
    version = pins("singleuser")["jupyterhub"]
    assert f"jupyterhub/jupyterhub:{version}\n" in services["hub"]["build"]["dockerfile_inline"]
    grace = services["ngshare"]["stop_grace_period"].removesuffix("s")
    assert float(grace) > float(NgShare.drain_seconds.default_value)


def test_the_composed_hub_understands_its_configuration(hub_config: Config) -> None:
    dockerspawner = pytest.importorskip("dockerspawner")
    hub = JupyterHub(config=hub_config)
    assert set(hub_config.JupyterHub) <= set(hub.trait_names(config=True))
    authenticator = hub.authenticator_class(config=hub_config)
    assert isinstance(authenticator, SharedPasswordAuthenticator)
    assert authenticator.admin_password != authenticator.user_password
    spawner = hub.spawner_class(user=SimpleNamespace(name="grace"), config=hub_config)
    assert isinstance(spawner, dockerspawner.DockerSpawner)
    assert spawner.use_internal_ip
    for section, part in {
        "Authenticator": authenticator,
        "SharedPasswordAuthenticator": authenticator,
        "DockerSpawner": spawner,
    }.items():
        assert set(hub_config[section]) <= set(part.trait_names(config=True))
    assert set(hub.services[0]) <= set(HubService.class_trait_names())

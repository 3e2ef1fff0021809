"""The command as a pod runs it: with the arguments and variables of the chart."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import requests

from ngshare.app import NgShare
from ngshare.service import CLOSE_SECONDS
from tests.chart.rendering import HERE, Manifest, Release, Renderer, read_yaml
from tests.fake_hub import SERVICE_TOKEN, FakeHub
from tests.ports import reserve_port
from tests.test_app import Service, environment, headers


def variables(release: Release, secrets: dict[str, str]) -> dict[str, str]:
    """The container's environment.

    Args:
        secrets: by the Secret's name and the key, what is not in the chart's own.
    """
    own = release.one("Secret")
    known = {
        f"{own['metadata']['name']}/{key}": base64.b64decode(value).decode()
        for key, value in own["data"].items()
    }
    found = {}
    for name, source in release.env.items():
        if isinstance(source, dict):
            reference = source["secretKeyRef"]
            found[name] = {**known, **secrets}[f"{reference['name']}/{reference['key']}"]
        else:
            found[name] = source or ""
    return found


@pytest.mark.parametrize(
    "name", ["default", "everything", "earlier-chart-everything", "hub-with-a-base-url"]
)
def test_the_command_runs_with_what_the_chart_gives_it(
    chart: Renderer, hub: FakeHub, tmp_path: Path, name: str
) -> None:
    values = read_yaml(HERE / "values" / f"{name}.yaml")
    own: Manifest = {"hub_api_token": SERVICE_TOKEN, "upgrade_db": True}
    admins = values.get("ngshare", {}).get("admins") or ["alice"]
    values["ngshare"] = {**values.get("ngshare", {}), **own, "admins": admins}
    release = chart.render(values)
    database = f"sqlite:///{tmp_path}/ngshare.db"
    env = variables(release, {"postgresql-app/uri": f"{database}\n"})
    origin = f"http://127.0.0.1:{reserve_port()}"
    replaced = {"API_URL": hub.api_url, "SERVICE_URL": origin}
    env |= {f"JUPYTERHUB_{key}": value for key, value in replaced.items()}
    env |= {"NGSHARE_DATABASE": database, "TMPDIR": str(tmp_path)}
    prefix = env["JUPYTERHUB_SERVICE_PREFIX"]
    arguments = release.container["args"]
    service = Service(origin + prefix, tmp_path / "log", *arguments, env=environment(env))
    try:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = release.container[probe]["httpGet"]["path"]
            assert requests.get(origin + path, timeout=5).status_code == 200
        # 0.6.0's chart had no other prefix, whatever the Hub's base URL
        short = f"/services/{env['JUPYTERHUB_SERVICE_NAME']}/"
        for start, status in ((prefix, 200), (short, 409)):
            url = f"{origin}{start}course/c"
            answer = requests.post(url, headers=headers(admins[0]), timeout=5)
            assert answer.status_code == status, answer.text
        for monitor in release.all("ServiceMonitor"):
            (endpoint,) = monitor["spec"]["endpoints"]
            token = env["NGSHARE_METRICS_TOKEN"]
            shown = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.1"}
            answer = requests.get(origin + endpoint["path"], headers=shown, timeout=5)
            assert answer.text.startswith("# HELP")
    finally:
        assert service.stop() == 0
    log = service.log.read_text()
    assert log.count("WARNING") == log.count("a new, empty one is made") == 1


def test_sqlite_is_on_the_claim_and_uploads_are_not(chart: Renderer) -> None:
    mounts = chart.render({}).container["volumeMounts"]
    assert str(NgShare.database.default_value).startswith(f"sqlite:///{mounts[0]['mountPath']}/")
    assert NgShare.storage.default_value.startswith(f"{mounts[0]['mountPath']}/")
    assert {"name": "tmp", "emptyDir": {}} in chart.render({}).pod["volumes"]


def test_pods_are_given_the_time_to_finish(chart: Renderer) -> None:
    release = chart.render({"ngshare": {"database": {"existingSecret": "s"}}})
    pause = int(release.container["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = pause + float(NgShare.drain_seconds.default_value) + 2 * CLOSE_SECONDS
    assert release.pod["terminationGracePeriodSeconds"] > needed

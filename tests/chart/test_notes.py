"""What Helm says after an install, and what the manual says of the chart."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from tests.chart.rendering import CHART, Manifest, Renderer, read_yaml


def hub_configuration(values: Manifest) -> list[Manifest]:
    """The services of a Hub with these values of Zero to JupyterHub, which people may open."""
    assert values["singleuser"]["networkPolicy"]["egressAllowRules"] == {"privateIPs": True}
    services: list[Manifest] = []
    hub = type("JupyterHub", (), {"services": services})
    configuration = type("Configuration", (), {"JupyterHub": hub})
    exec(values["hub"]["extraConfig"]["ngshare.py"], {"c": configuration})
    scopes = [f"access:services!service={service['name']}" for service in services]
    assert values["hub"]["loadRoles"]["user"]["scopes"] == ["self", *scopes]
    return services


def test_the_notes_say_how_to_go_on(chart: Renderer) -> None:
    values = {
        "nameOverride": "exchange",
        "deployment": {"port": 80},
        "ngshare": {"hub_base_url": "/hub-a/", "oauth_client_id": "service-of-grades"},
    }
    notes = chart.render(values, name="course", cluster=[]).notes
    url = "http://course-exchange.jhub.svc.cluster.local:80"
    block = yaml.safe_load(notes[notes.index("\nhub:") : notes.index("\n2. ")])
    assert hub_configuration(block) == [
        {
            "name": "exchange",
            "url": url,
            "api_token": "THE TOKEN",
            "oauth_no_confirm": True,
            "oauth_client_id": "service-of-grades",
        }
    ]
    assert "kubectl get secret exchange-token --namespace jhub" in notes
    assert f'configure_exchange(c, "{url}/hub-a/services/exchange/")' in notes
    assert "c.CourseDirectory.course_id = '*'" in notes


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ngshare": {"admins": []}}, "There are no admins"),
        ({"ngshare": {"admins": ["alice"], "debug": True}}, "DEBUG MODE IS ON"),
        ({"image": {"tag": "v0.6.0"}}, "remove image.tag"),
        ({"deployment": {"strategy": {"type": "RollingUpdate"}}}, "two pods open the SQLite"),
        (
            {"networkPolicy": {"enabled": True}, "serviceMonitor": {"enabled": True}},
            "keeps Prometheus out",
        ),
    ],
)
def test_the_notes_warn(chart: Renderer, values: Manifest, said: str) -> None:
    fine = {"ngshare": {"admins": ["alice"]}}
    assert "WARNING" not in chart.render(fine, cluster=[]).notes
    notes = chart.render({**fine, **values}, cluster=[]).notes
    assert notes.count("WARNING") == 1
    assert said in notes


def test_what_the_manual_says_of_values_is_so(
    chart: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (CHART.parents[1] / "docs" / "helm.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall("```yaml\n(.*?)```", text, re.DOTALL)]
    small, hub, large, pod = blocks
    service = chart.render(small).one("Service")
    monkeypatch.setenv("NGSHARE_TOKEN", "t")
    (known,) = hub_configuration(hub)
    (port,) = service["spec"]["ports"]
    address = f"{service['metadata']['name']}.jhub.svc.cluster.local:{port['port']}"
    assert known["url"] == f"http://{address}"
    assert f'"http://{address}/services/ngshare/"' in text
    reference = hub["hub"]["extraEnv"]["NGSHARE_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert reference == chart.render(small).env["JUPYTERHUB_API_TOKEN"]["secretKeyRef"]
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    assert pod["spec"]["volumes"] == chart.render(small).pod["volumes"][:1]
    assert chart.render(large).one("Deployment")["spec"]["replicas"] == 2


def test_the_recipes_values_for_both_charts_fit_together(
    chart: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = CHART.parents[1] / "examples" / "z2jh"
    hub = read_yaml(recipe / "jupyterhub.yaml")
    release = chart.render(read_yaml(recipe / "ngshare.yaml"))
    reference = hub["hub"]["extraEnv"]["NGSHARE_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert reference == release.env["JUPYTERHUB_API_TOKEN"]["secretKeyRef"]
    monkeypatch.setenv("NGSHARE_TOKEN", "t")
    (known,) = hub_configuration(hub)
    service = release.one("Service")
    (port,) = service["spec"]["ports"]
    address = f"http://{service['metadata']['name']}.jhub.svc.cluster.local:{port['port']}"
    assert known["url"] == address
    prefix = release.env["JUPYTERHUB_SERVICE_PREFIX"]
    assert prefix == f"/services/{known['name']}/"
    nbgrader = hub["singleuser"]["extraFiles"]["nbgrader_config"]["stringData"]
    assert f'configure_exchange(c, "{address}{prefix}")' in nbgrader
    compile(nbgrader, "nbgrader_config.py", "exec")


def test_the_recipes_values_for_a_base_url_do_what_it_says(chart: Renderer) -> None:
    readme = (CHART.parents[1] / "examples/base-url/README.md").read_text()
    (values,) = re.findall("```yaml\n(.*?)```", readme, re.DOTALL)
    told = dict(re.findall(r"^    (JUPYTERHUB_\w+)=(\S+)$", readme, re.MULTILINE))
    env = chart.render(yaml.safe_load(values)).env
    assert len(told) == 3
    assert env["JUPYTERHUB_API_URL"] == told.pop("JUPYTERHUB_API_URL").replace("127.0.0.1", "hub")
    assert told.items() <= env.items()

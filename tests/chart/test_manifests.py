"""What the chart makes of values, and which it refuses."""

from __future__ import annotations

import functools
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from kubernetes_validate import utils

from ngshare import __version__
from tests.chart.rendering import (
    CHART,
    HERE,
    ChartError,
    Manifest,
    Release,
    Renderer,
    read_yaml,
    run,
)

VALUES = sorted((HERE / "values").glob("*.yaml"))
VERSIONS = [version for version in utils.all_versions() if utils.major_minor(version) >= "1.25"]
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
DATABASE = {"database": {"existingSecret": "ngshare-database"}}

utils.schema_contents = functools.cache(utils.schema_contents)  # a megabyte for each manifest


@pytest.fixture(scope="module")
def releases(chart: Renderer) -> dict[Path, Release]:
    return {path: chart.render(read_yaml(path)) for path in VALUES}


@pytest.fixture(params=VALUES, ids=lambda path: path.stem)
def release(request: pytest.FixtureRequest, releases: dict[Path, Release]) -> Release:
    return releases[request.param]


def test_all_manifests_are_valid(release: Release) -> None:
    assert VERSIONS[0].startswith("1.25")
    for manifest in release.manifests:
        for version in VERSIONS:
            if manifest["kind"] == "ServiceMonitor":
                check_service_monitor(manifest)
            else:
                kubernetes_validate.validate(manifest, version, strict=True)


def check_service_monitor(manifest: Manifest) -> None:
    """As far as this chart uses what the Prometheus Operator defines."""
    text = {"type": "string", "minLength": 1}
    texts = {"type": "object", "minProperties": 1, "additionalProperties": text}

    def exactly(**properties: Any) -> Manifest:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    authorization = exactly(credentials=exactly(name=text, key=text))
    endpoint = exactly(port=text, path=text, interval=text, authorization=authorization)
    endpoints = {"type": "array", "minItems": 1, "items": endpoint}
    jsonschema.validate(
        manifest,
        exactly(
            apiVersion={"const": "monitoring.coreos.com/v1"},
            kind=text,
            metadata=exactly(name=text, labels=texts),
            spec=exactly(selector=exactly(matchLabels=texts), endpoints=endpoints),
        ),
    )


def test_labels_and_names_are_well_formed(release: Release) -> None:
    for manifest in release.manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert all(LABEL.fullmatch(value) for value in labels.values())
        assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", manifest["metadata"]["name"])


def test_what_manifests_name_is_there(release: Release) -> None:
    labels = release.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    service, container, volumes = release.one("Service"), release.container, release.pod["volumes"]
    selectors = [manifest["spec"]["selector"] for manifest in release.all("PodDisruptionBudget")]
    selectors += [manifest["spec"]["podSelector"] for manifest in release.all("NetworkPolicy")]
    selectors += [release.one("Deployment")["spec"]["selector"]]
    for selector in [*(one["matchLabels"] for one in selectors), service["spec"]["selector"]]:
        assert selector.items() <= labels
        assert len(selector) == 2
    (port,) = container["ports"]
    (service_port,) = service["spec"]["ports"]
    assert service_port["targetPort"] == port["name"]
    assert release.env["JUPYTERHUB_SERVICE_URL"].endswith(f":{port['containerPort']}/")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted.keys() == {volume["name"] for volume in volumes}
    assert mounted["tmp"] == "/tmp"
    claims = {one["metadata"]["name"] for one in release.all("PersistentVolumeClaim")}
    used = {one["persistentVolumeClaim"]["claimName"] for one in volumes if one["name"] != "tmp"}
    assert used - {"the-disk-of-last-year"} == claims
    for source in release.env.values():
        if isinstance(source, dict) and source["secretKeyRef"]["key"].endswith("token"):
            assert source["secretKeyRef"]["name"] == release.one("Secret")["metadata"]["name"]
            assert source["secretKeyRef"]["key"] in release.one("Secret")["data"]
    for monitor in release.all("ServiceMonitor"):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= (
            service["metadata"]["labels"].items()
        )
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] == service_port["name"]
        shown = endpoint["authorization"]["credentials"]
        assert shown == release.env["NGSHARE_METRICS_TOKEN"]["secretKeyRef"]
    for scaler in release.all("HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"] == {
            key: release.one("Deployment").get(key, service["metadata"].get(key))
            for key in ("apiVersion", "kind", "name")
        }
        assert "replicas" not in release.one("Deployment")["spec"]
    if release.pod["serviceAccountName"] != "default":
        account = release.one("ServiceAccount")
        assert account["metadata"]["name"] == release.pod["serviceAccountName"]
        assert account["automountServiceAccountToken"] is False


def test_pods_may_do_no_more_than_they_must(release: Release) -> None:
    """As the Pod Security Standard `restricted` has it, and without Kubernetes' API."""
    assert release.pod["automountServiceAccountToken"] is False
    assert release.pod["securityContext"]["runAsNonRoot"] is True
    assert release.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert release.container["securityContext"] == {
        "runAsUser": 65535,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_default_is_one_small_pod_on_sqlite(chart: Renderer) -> None:
    release = chart.render({})
    kinds = sorted(manifest["kind"] for manifest in release.manifests)
    assert kinds == ["Deployment", "PersistentVolumeClaim", "Secret", "Service"]
    assert release.one("Deployment")["spec"]["replicas"] == 1
    assert release.one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    requests, limits = {"memory": "128Mi"}, {"memory": "256Mi"}
    assert release.container["resources"] == {"requests": requests, "limits": limits}
    assert release.container["image"] == f"libretexts/ngshare:{__version__}"


def test_postgresql_needs_no_claim_and_goes_on_while_it_is_upgraded(chart: Renderer) -> None:
    release = chart.render({"ngshare": DATABASE, "deployment": {"replicaCount": 3}})
    assert release.env["NGSHARE_DATABASE"] == {
        "secretKeyRef": {"name": "ngshare-database", "key": "url"}
    }
    assert release.one("Deployment")["spec"]["replicas"] == 3
    assert "strategy" not in release.one("Deployment")["spec"]
    assert release.container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert not release.all("PersistentVolumeClaim")


def test_values_that_look_like_something_else_stay_text(chart: Renderer) -> None:
    values = read_yaml(HERE / "values" / "odd-strings.yaml")
    release = chart.render(values)
    expected = {
        "NO": "no",
        "ONE": "1",
        "TRUE": "true",
        "MILLIONS": "1000000",
        "HALF": "0.5",
        "EMPTY": "",
        "COLON": "a: b #c",
        "LINES": "one\ntwo\n",
    }
    assert expected.items() <= release.env.items()
    assert release.env["NOTHING"] in ("", None)
    assert release.container["args"][:2] == ["--admins", "20261234,yes,Ada Lovelace,true"]


def test_variables_of_ones_own_win(chart: Renderer) -> None:
    env = {"JUPYTERHUB_BASE_URL": "/x/", "JUPYTERHUB_API_TOKEN": "t"}
    assert env.items() <= chart.render({"ngshare": {"env": env}}).env.items()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ngshare": {"admins": ["alice", "b,c"]}}, '"b,c" has a comma'),
        ({"deployment": {"replicaCount": 2}}, "SQLite takes one replica"),
        ({"autoscaling": {"enabled": True}}, "SQLite takes one replica"),
        ({"ngshare": DATABASE, "autoscaling": {"enabled": True}}, "requests.cpu, which is missing"),
        ({"deployment": {"replicas": 2}}, "replicas"),
        ({"postgresql": {}}, "postgresql"),
        ({"ngshare": {"admins": "alice"}}, "admins"),
        ({"ngshare": {"debug": "false"}}, "debug"),
        ({"ngshare": {"env": {"A": {"valueFrom": {}}}}}, "env"),
        ({"deployment": {"port": 0}}, "port"),
        ({"pdb": {"maxUnavailable": "half"}}, "maxUnavailable"),
        ({"pvc": {"accessModes": ["ReadWriteTwice"]}}, "accessModes"),
    ],
)
def test_values_that_can_not_work_are_refused(chart: Renderer, values: Manifest, said: str) -> None:
    with pytest.raises(ChartError, match=re.escape(said)):
        chart.render(values)


def keys(values: Manifest, defaults: Manifest, path: str = "") -> set[str]:
    """The paths of all values, down to what the chart's own values end with."""
    found = set()
    for key, value in values.items():
        found.add(f"{path}{key}")
        if defaults.get(key) and isinstance(defaults[key], dict) and isinstance(value, dict):
            found |= keys(value, defaults[key], f"{path}{key}.")
    return found


def test_schema_tests_and_comments_have_every_value() -> None:
    def paths(properties: Manifest, path: str = "") -> set[str]:
        found = set()
        for key, schema in properties.items():
            found.add(f"{path}{key}")
            if "properties" in schema:
                assert schema["additionalProperties"] is False
                found |= paths(schema["properties"], f"{path}{key}.")
        return found

    defaults = read_yaml(CHART / "values.yaml")
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    all_keys = keys(defaults, defaults)
    assert paths(schema["properties"]) - {"global", "enabled"} == all_keys
    tried = set().union(*(keys(read_yaml(path), defaults) for path in VALUES))
    assert all_keys <= tried
    lines = (CHART / "values.yaml").read_text().splitlines()
    for before, line in pairwise(lines):
        assert "#" in line or not line.strip() or "#" in before or before.endswith(":"), line


@pytest.mark.skipif(not shutil.which("helm"), reason="Helm is not here")
def test_helm_finds_no_fault() -> None:
    run(["helm", "lint", "--strict", str(CHART)])


def test_the_chart_is_of_this_release() -> None:
    about = read_yaml(CHART / "Chart.yaml")
    assert about["appVersion"] == __version__
    # 1.0.0.dev0 as semantic versioning writes it
    assert about["version"] == re.sub(r"^(\d+\.\d+\.\d+)\.?(?=.)", r"\1-", __version__)
    assert about["kubeVersion"] == f">={utils.major_minor(VERSIONS[0])}.0-0"

"""A release of the chart of ngshare 0.6.0, or of this one, is upgraded to this one."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from tests.chart.rendering import (
    CHART,
    HERE,
    ChartError,
    Manifest,
    Release,
    Renderer,
    StrictLoader,
    check_schema,
    read_yaml,
)

# What Kubernetes refuses to change; of a claim that is all but how large it is.
IMMUTABLE = {
    "Deployment": ["selector"],
    "Service": ["type", "clusterIP"],
    "PersistentVolumeClaim": ["accessModes", "storageClassName", "selector", "volumeName"],
    "Secret": [],
}
DATABASE = {"ngshare": {"database": {"existingSecret": "ngshare-database"}}}


def claim(release_name: str = "ngshare", modes: tuple[str, ...] = ("ReadWriteMany",)) -> Manifest:
    """A claim as it is in the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "ngshare-pvc",
            "namespace": "jhub",
            "annotations": {"meta.helm.sh/release-name": release_name},
        },
        "spec": {"accessModes": list(modes), "volumeName": "pvc-1", "storageClassName": "nfs"},
    }


def secret(**data: str) -> Manifest:
    """The Secret as it is in the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ngshare-token", "namespace": "jhub"},
        "data": {key.replace("_", "-"): encode(value) for key, value in data.items()},
    }


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def token_of(release: Release, key: str = "token") -> str:
    return base64.b64decode(release.one("Secret")["data"][key]).decode()


def missing(wanted: Any, found: Any, path: str = "") -> list[str]:
    """What is wanted and not found; items of lists are told apart by their names."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        pairs = [(key, value, found.get(key)) for key, value in wanted.items()]
    elif isinstance(wanted, list) and all(isinstance(item, dict) for item in wanted):
        names = {item.get("name"): item for item in found or []}
        pairs = [(item.get("name"), item, names.get(item.get("name"))) for item in wanted]
    else:
        return [] if wanted == found else [f"{path}: {found!r} in place of {wanted!r}"]
    return [line for key, *both in pairs for line in missing(*both, f"{path}.{key}")]


@pytest.mark.parametrize("name", ["default", "earlier-chart", "earlier-chart-everything"])
def test_an_upgrade_from_the_earlier_chart_keeps_what_it_must(chart: Renderer, name: str) -> None:
    text = (HERE / "earlier" / f"{name}.yaml").read_text()
    earlier = list(yaml.load_all(text, StrictLoader))
    cluster = [{**one, "metadata": {**one["metadata"], "namespace": "jhub"}} for one in earlier]
    release = chart.render(read_yaml(HERE / "values" / f"{name}.yaml"), cluster=cluster)
    assert len(release.manifests) == len(earlier)
    for old in earlier:
        new = release.one(old["kind"])
        assert missing(old, new) == []
        assert new["apiVersion"] == old["apiVersion"]
        for key in IMMUTABLE[old["kind"]]:
            assert new["spec"].get(key) == old["spec"].get(key)


@pytest.mark.parametrize(
    ("release_name", "values", "fullname", "name"),
    [
        ("ngshare", {}, "ngshare", "ngshare"),
        ("course", {}, "course-ngshare", "ngshare"),
        ("my-ngshare-2", {}, "my-ngshare-2", "ngshare"),
        ("course", {"nameOverride": "exchange"}, "course-exchange", "exchange"),
        ("course", {"fullnameOverride": "f"}, "f", "ngshare"),
        ("r" * 53, {"nameOverride": "n" * 20}, "r" * 53 + "-" + "n" * 9, "n" * 20),
    ],
)
def test_names_are_those_of_the_earlier_chart(
    chart: Renderer, release_name: str, values: Manifest, fullname: str, name: str
) -> None:
    release = chart.render(values, name=release_name)
    kinds = ("Deployment", "Service", "PersistentVolumeClaim", "Secret")
    names = [release.one(kind)["metadata"]["name"] for kind in kinds]
    assert names == [fullname, fullname, f"{name}-pvc", f"{name}-token"]
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release_name}
    assert release.one("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert release.env["JUPYTERHUB_SERVICE_PREFIX"] == f"/services/{name}/"
    assert release.env["JUPYTERHUB_CLIENT_ID"] == f"service-{name}"


def test_a_token_that_was_made_up_stays(chart: Renderer) -> None:
    first, second = (token_of(chart.render({}, cluster=[])) for _ in range(2))
    assert len(first) >= 32
    assert first != second
    assert token_of(chart.render({}, cluster=[secret(token="of-the-cluster")])) == "of-the-cluster"


def test_a_token_that_is_given_wins_and_restarts_the_pods(chart: Renderer) -> None:
    cluster = [secret(token="of-the-cluster")]
    annotations = []
    for given in ("token-one", "token-two"):
        release = chart.render({"ngshare": {"hub_api_token": given}}, cluster=cluster)
        assert token_of(release) == given
        metadata = release.one("Deployment")["spec"]["template"]["metadata"]
        annotations.append(metadata["annotations"])
    assert annotations[0] != annotations[1]


def test_the_token_of_prometheus_is_made_once_and_stays(chart: Renderer) -> None:
    values = {"serviceMonitor": {"enabled": True}}
    made = token_of(chart.render(values, cluster=[secret(token="t")]), "metrics-token")
    cluster = [secret(token="t", metrics_token=made)]
    assert token_of(chart.render(values, cluster=cluster), "metrics-token") == made


def test_a_new_claim_is_for_one_node_and_outlives_the_release(chart: Renderer) -> None:
    made = chart.render({}, cluster=[]).one("PersistentVolumeClaim")
    assert made["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    annotations = {"pvc": {"annotations": {"a": "b"}}}
    made = chart.render(annotations, cluster=[]).one("PersistentVolumeClaim")
    assert made["metadata"]["annotations"] == {"a": "b", "helm.sh/resource-policy": "keep"}


def test_access_modes_are_the_given_ones_or_those_that_the_claim_has(chart: Renderer) -> None:
    def modes(values: Manifest) -> list[str]:
        release = chart.render(values, cluster=[claim()])
        return release.one("PersistentVolumeClaim")["spec"]["accessModes"]

    assert modes({}) == ["ReadWriteMany"]
    assert modes({"pvc": {"accessModes": ["ReadWriteOncePod"]}}) == ["ReadWriteOncePod"]


@pytest.mark.parametrize("values", [DATABASE, {"pvc": {"existingClaim": "another"}}])
def test_a_claim_that_is_used_no_more_is_not_deleted(chart: Renderer, values: Manifest) -> None:
    kept = chart.render(values, cluster=[claim()]).one("PersistentVolumeClaim")
    assert kept["spec"]["accessModes"] == ["ReadWriteMany"]
    assert kept["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for cluster in ([], [claim(release_name="another")]):
        assert chart.render(values, cluster=cluster).all("PersistentVolumeClaim") == []


def test_values_of_the_earlier_chart_without_the_defaults_of_this_one_are_refused() -> None:
    """As `helm upgrade --reuse-values` has them."""
    earlier = read_yaml(HERE / "values" / "earlier-chart.yaml")
    values = read_yaml(CHART / "values.yaml")
    for defaults, known in ((values, earlier), (values["ngshare"], earlier["ngshare"])):
        for key in defaults.keys() - known.keys():
            kept = defaults.pop(key)
            with pytest.raises(ChartError, match=f"'{key}' is a required property"):
                check_schema(values)
            defaults[key] = kept
    check_schema(values)

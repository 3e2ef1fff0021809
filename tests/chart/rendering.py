"""The chart's manifests: made by Helm where it is on the path, else by the renderer in this folder.

Only the latter can be told what is in the cluster, and shows what Helm says after an install.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

Manifest = dict[str, Any]

HERE = Path(__file__).parent
CHART = HERE.parents[1] / "helmchart" / "ngshare"
SPRIG = "src/github.com/Masterminds/sprig"
DEBIAN_GO_PATH = Path("/usr/share/gocode")


class ChartError(Exception):
    """The chart refuses its values."""


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice a key in {keys}"
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(), StrictLoader)


class Release:
    """What a release consists of.

    Attributes:
        notes: what Helm says after an install.
    """

    def __init__(self, texts: dict[str, str], notes: str = "") -> None:
        self.notes = notes
        documents = [yaml.load_all(text, StrictLoader) for text in texts.values()]
        self.manifests: list[Manifest] = [one for parts in documents for one in parts if one]

    def all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        (manifest,) = self.all(kind)
        return manifest

    @property
    def pod(self) -> Manifest:
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def container(self) -> Manifest:
        (container,) = self.pod["containers"]
        return container

    @property
    def env(self) -> dict[str, Any]:
        """Each variable's value, or where it comes from."""
        variables = self.container["env"]
        env = {item["name"]: item.get("value", item.get("valueFrom")) for item in variables}
        assert len(env) == len(variables)
        return env


class Renderer:
    """Renders the chart.

    Args:
        folder: for the program, if it must be built.
    """

    def __init__(self, folder: Path) -> None:
        self._helm = shutil.which("helm")
        self._program = folder / "renderer"
        self._folder = folder

    def render(
        self,
        values: Manifest,
        *,
        name: str = "ngshare",
        namespace: str = "jhub",
        cluster: list[Manifest] | None = None,
    ) -> Release:
        """A release with these values beside the chart's own.

        Args:
            cluster: what is there already; None if that doesn't matter, nor do the notes.

        Raises:
            ChartError: the chart refuses the values.
        """
        if cluster is None and self._helm:
            return self._render_by_helm(values, name, namespace)
        merged = merge(read_yaml(CHART / "values.yaml"), values)
        check_schema(merged)
        chart = read_yaml(CHART / "Chart.yaml")
        root = {
            "Values": merged,
            "Chart": {key[0].upper() + key[1:]: value for key, value in chart.items()},
            "Release": {"Name": name, "Namespace": namespace, "Service": "Helm"},
        }
        self._build()
        asked = json.dumps({"root": root, "objects": cluster or []})
        texts = json.loads(run([str(self._program), str(CHART)], input=asked))
        notes = texts.pop("NOTES.txt")
        return Release(texts, notes)

    def _build(self) -> None:
        """Build the program, if that was not done before in this folder."""
        if self._program.exists():
            return
        if not (shutil.which("go") and (DEBIAN_GO_PATH / SPRIG).is_dir()):
            pytest.skip("neither Helm nor Go with its packages is here, see .ci/run")
        own = self._program.with_suffix(f".{os.getpid()}")
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(DEBIAN_GO_PATH)}
        run(["go", "build", "-o", str(own), "."], cwd=HERE / "renderer", env=environment)
        own.rename(self._program)

    def _render_by_helm(self, values: Manifest, name: str, namespace: str) -> Release:
        file = self._folder / f"values.{os.getpid()}.yaml"
        file.write_text(yaml.safe_dump(values))
        command = [str(self._helm), "template", name, str(CHART), "--namespace", namespace]
        # older ones take the cluster for an older one than the chart is for
        command += ["--kube-version", "1.30.0", "--values", str(file)]
        return Release({"": run(command)})


def run(command: list[str], **options: Any) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    if result.returncode:
        raise ChartError(result.stderr)
    return result.stdout


def merge(defaults: Manifest, given: Manifest) -> Manifest:
    """The values of a release, as Helm makes them: null takes a default away."""
    merged = deepcopy(defaults)
    for key, value in given.items():
        if value is None and key in merged:
            del merged[key]
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def check_schema(values: Manifest) -> None:
    """As Helm does before it renders.

    Raises:
        ChartError: the values don't fit.
    """
    schema = json.loads((CHART / "values.schema.json").read_text())
    for error in jsonschema.Draft7Validator(schema).iter_errors(values):
        raise ChartError(f"{error.json_path}: {error.message}")

"""The manual's dashboard and alerts ask for what metrics really has."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.api import Api

FOLDER = Path(__file__).parents[1] / "docs/monitoring"
SCRAPED = {"instance", "job"}  # labels that Prometheus adds
METRIC = re.compile(r"\b((?:ngshare|process|up)\w*)(?:\{(.*?)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def expressions() -> list[str]:
    """All that is asked of Prometheus."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]:
        found += [rule["expr"] for rule in group["rules"]]
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_metric_and_label_of_the_dashboard_and_the_alerts_is_there(course: Api) -> None:
    course.user("eric").ok("GET", "courses")
    course.user("eric").submit("course1", "challenge", {"a": b"b"})
    labels: dict[str, set[str]] = defaultdict(set, up=set())
    for family in text_string_to_metric_families(course.nobody.call("GET", "metrics").text):
        for sample in family.samples:
            labels[sample.name] |= sample.labels.keys()
    asked = expressions()
    assert len(asked) > 20
    for expression in asked:
        words = re.sub(r'"[^"]*"', '""', expression)
        known: set[str] = set()
        for name, selectors in METRIC.findall(words):
            assert name in labels, expression
            known |= labels[name] | SCRAPED
            assert set(LABEL.findall(selectors)) <= known, expression
            assert "job" in LABEL.findall(selectors), expression
        for grouping in re.findall(r"\bby \((.*?)\)", words):
            assert set(grouping.split(", ")) <= known, expression

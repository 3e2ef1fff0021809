"""The page on scale rests on the measurements, and its sums are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def rows(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables: the first cell and the others."""
    lines = (line for line in (DOCS / page).read_text().splitlines() if line.startswith("|"))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {name: others for name, *others in cells}


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_costs_on_the_page_on_scale_are_those_that_were_measured() -> None:
    """By a quarter they may differ: so much do two runs of `make bench`."""
    measured, costs = rows("benchmarks.md"), rows("scaling.md")
    names = {name for name in costs.keys() & measured.keys() if " " in name}
    assert len(names) == 6
    for name in names:
        if name.startswith("two workers"):
            pair = re.findall(r"([\d.]+) ms of", measured[name][1])
            pair += re.findall(r"([\d.]+) ms of one in PostgreSQL", measured[name][1])
            said = [number(cell.removesuffix(" ms")) for cell in costs[name]]
            assert said == pytest.approx([number(pair[0]), number(pair[-1])], rel=0.25), name
            continue
        [rate] = NUMBER.findall(measured[name][1].partition(" req/s")[0])
        said = [number(costs[name][0]), number(costs[name][1].removesuffix(" ms"))]
        assert said == pytest.approx([number(rate), 1000 / number(rate)], rel=0.25), name


def test_the_sums_on_the_page_on_scale_are_right() -> None:
    sums = re.findall(r"`([^`]+) = ([\d,.]+)`", (DOCS / "scaling.md").read_text())
    assert len(sums) > 20
    for sum_, result in sums:
        term = sum_.replace(",", "").replace("\N{MULTIPLICATION SIGN}", "*")
        assert re.fullmatch(r"[\d. *+/()]+", term), sum_
        assert number(result) == pytest.approx(eval(term), rel=0.02), sum_

"""The table: seconds, ratios, and which targets are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..measurements import short
from .exchanges import LOCAL, OLD, OURS
from .files import MEGABYTE
from .rounds import Result

FASTER_THAN_OLD = 10
SLOWER_THAN_LOCAL = 2
HEADINGS = (
    "measured",
    f"{OLD} + ngshare_exchange 0.5.3",
    OURS,
    "local directory",
    f"{OLD} / ours",
    "ours / local",
    "targets",
)


@dataclass(frozen=True)
class Line:
    """A task with its results, by the names of the exchanges."""

    results: Mapping[str, Result]

    @property
    def title(self) -> str:
        return next(iter(self.results.values())).task.title

    @property
    def start_ups(self) -> list[float]:
        return [each for result in self.results.values() for each in result.start_ups]

    @property
    def start_up(self) -> float:
        """What nbgrader took to start while this was measured: the median."""
        return median(self.start_ups)

    def seconds(self, name: str) -> float | None:
        result = self.results.get(name)
        if result is None or result.failure:
            return None
        return result.seconds(self.start_up)

    def ratio(self, name: str, other: str) -> float | None:
        one, two = self.seconds(name), self.seconds(other)
        return None if one is None or two is None else one / two

    def verdicts(self) -> Iterator[tuple[str, bool]]:
        """Each target of ours, and whether it is met."""
        if not next(iter(self.results.values())).task.is_compared:
            return
        if faster := self.ratio(OLD, OURS):
            yield f"{OLD} / ours ≥ {FASTER_THAN_OLD}", faster >= FASTER_THAN_OLD
        if slower := self.ratio(OURS, LOCAL):
            more = (self.seconds(OURS) or 0) - (self.seconds(LOCAL) or 0)
            title = f"ours / local ≤ {SLOWER_THAN_LOCAL} ({more:+.2f} s)"
            yield title, slower <= SLOWER_THAN_LOCAL
        result = self.results.get(OURS)
        if result is None or result.failure:
            return
        task, counted = result.task, result.counted
        if task.most_calls is not None and counted.calls is not None:
            yield f"calls ≤ {task.most_calls}", counted.calls <= task.most_calls
        if (most := task.most_server_seconds) is not None:
            yield f"server ≤ {most:g} s", counted.server_seconds <= most
        if (most := task.most_wire_bytes) is not None and counted.wire_bytes is not None:
            yield f"wire ≤ {most / MEGABYTE:g} MB", counted.wire_bytes <= most

    @property
    def is_bad(self) -> bool:
        ours = self.results.get(OURS)
        failed = ours is not None and bool(ours.failure)
        return failed or not all(is_met for _, is_met in self.verdicts())

    def texts(self) -> tuple[str, ...]:
        ratios = [self.ratio(OLD, OURS), self.ratio(OURS, LOCAL)]
        verdicts = [f"{text}: {'met' if met else 'NOT MET'}" for text, met in self.verdicts()]
        return (
            self.title,
            *(self._cell(name) for name in (OLD, OURS, LOCAL)),
            *("" if ratio is None else f"{short(ratio)} x" for ratio in ratios),
            "; ".join(verdicts),
        )

    def _cell(self, name: str) -> str:
        result, seconds = self.results.get(name), self.seconds(name)
        if result is None or seconds is None:
            return "-" if result is None else "failed"
        mark = "*" if result.task.scaled else ""
        text = f"{short(seconds)} s{mark}"
        calls, wire_bytes = result.counted.calls, result.counted.wire_bytes
        if calls is None or wire_bytes is None:
            return text
        server = short(result.counted.server_seconds)
        megabytes = short(wire_bytes / MEGABYTE)
        return f"{text} ({calls:,} calls, {megabytes} MB, server {server} s)"

    def notes(self) -> Iterator[str]:
        for name, result in self.results.items():
            if result.failure:
                yield f"{self.title}: {name} failed: {result.failure}"
            elif result.task.scaled:
                how = f"{result.task.scaled}, the seconds times {result.task.factor:.3g}"
                if result.task.factor == 1:
                    how = result.task.scaled
                yield f"\\* {self.title}: {name} with {how}"

    def as_dict(self) -> dict[str, Any]:
        results = {
            name: {
                "failure": result.failure,
                "rounds": [[vars(usage) for usage in usages] for usages in result.rounds],
                "start-up seconds": result.start_ups,
                "factor": result.task.factor,
                "scaled": result.task.scaled,
            }
            for name, result in self.results.items()
        }
        return {"title": self.title, "results": results}


def rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The table's, with nbgrader's own time before what the lines have beyond it."""
    seconds = median(each for line in lines for each in line.start_ups)
    own = f"{short(seconds)} s"
    title = "nbgrader's own start-up, which is taken off below"
    return [(title, "", "", own, "", "", ""), *(line.texts() for line in lines)]


def plain_table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    padded = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(padded)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    rule = ("---", *["---:"] * 5, "---")
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEADINGS, rule, *rows))

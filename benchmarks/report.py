"""The table, as text, Markdown and JSON, and the verdict: is any call slower than in 0.6.0?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .measurements import Figure, Row, short

HEADINGS = ("measured", "0.6.0", "ours", "ratio", "bare Tornado", "target")


@dataclass(frozen=True)
class Cell:
    """A figure, or the reason why there is none."""

    figure: Figure | None = None
    failure: str = ""
    left_out: str = ""

    def text(self, row: Row) -> str:
        if self.figure is None:
            return "failed" if self.failure else "-"
        note = f" ({self.figure.note})" if self.figure.note else ""
        return f"{short(self.figure.value)} {row.unit}{note}"


def median(cells: Sequence[Cell]) -> Cell:
    """Of the same cell in several rounds the middle one (the lower of two); a failure counts."""
    failed = [cell for cell in cells if cell.figure is None]
    if failed:
        return failed[0]
    ordered = sorted(cells, key=lambda cell: cell.figure.value if cell.figure else 0)
    return ordered[(len(ordered) - 1) // 2]


@dataclass(frozen=True)
class Line:
    """A row of the table with its cells; `floor` is what a bare handler does."""

    row: Row
    old: Cell
    ours: Cell
    floor: Cell

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; None where there is nothing to compare."""
        if self.old.figure is None or self.ours.figure is None:
            return None
        old, ours = self.old.figure.value, self.ours.figure.value
        better, worse = (ours, old) if self.row.more_is_better else (old, ours)
        return better / worse if worse > 0 else float("inf")

    @property
    def is_bad(self) -> bool:
        """Whether ours is slower than 0.6.0, or failed."""
        return bool(self.ours.failure) or (self.ratio is not None and self.ratio < 1)

    def texts(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{short(self.ratio)} x"
        mark = " SLOWER" if self.is_bad and ratio else ""
        cells = (self.old.text(self.row), self.ours.text(self.row), ratio + mark)
        floor = "" if self.floor.figure is None else short(self.floor.figure.value)
        return (self.row.title, *cells, floor, self.verdict)

    @property
    def verdict(self) -> str:
        """The row's target, and whether ours meets it."""
        target, figure = self.row.target, self.ours.figure
        if target is None:
            return ""
        sign = "≥" if self.row.more_is_better else "≤"
        met = figure is not None and (
            figure.value >= target if self.row.more_is_better else figure.value <= target
        )
        return f"{sign} {target:,g}: {'met' if met else 'NOT MET'}"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def plain_table(lines: list[Line]) -> str:
    rows = [HEADINGS, *(line.texts() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rule = tuple("-" * width for width in widths)
    padded = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(padded)


def markdown_table(lines: list[Line]) -> str:
    rows = [HEADINGS, ("---", *["---:"] * 5), *(line.texts() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def footnotes(lines: list[Line]) -> list[str]:
    """Why cells are empty or failed: each reason once, with the rows that it concerns."""
    reasons: dict[str, list[str]] = {}
    for line in lines:
        for name, cell in (("0.6.0", line.old), ("ours", line.ours)):
            if cell.failure:
                reasons.setdefault(f"{name} failed: {cell.failure}", []).append(line.row.title)
            elif cell.left_out:
                reasons.setdefault(f"{name} left out: {cell.left_out}", []).append(line.row.title)
    return [f"{reason} ({_some(titles)})" for reason, titles in reasons.items()]


def _some(titles: list[str]) -> str:
    more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
    return titles[0] + more


def verdict(lines: list[Line]) -> str:
    """One sentence."""
    bad = [line.row.title for line in lines if line.is_bad]
    if bad:
        return f"Slower than 0.6.0, or failed: {'; '.join(bad)}."
    compared = sum(line.ratio is not None for line in lines)
    if not compared:
        return "Nothing was compared."
    return f"No call is slower than in 0.6.0 ({compared} figures compared)."

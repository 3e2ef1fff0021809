"""A small chart, as the numbers that an SVG needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ngshare.timelines import Timeline

WIDTH, HEIGHT = 600, 120
GAP = 0.15  # of a bar's width


@dataclass(frozen=True)
class Bar:
    """How many submissions came from `start` on for one step, and where this is drawn."""

    x: float
    y: float
    width: float
    height: float
    start: datetime
    count: int


@dataclass(frozen=True)
class Chart:
    """Bars in a rectangle of WIDTH and HEIGHT; step says how long the time of each is."""

    bars: list[Bar]
    start: datetime
    end: datetime
    step: str
    highest: Bar
    width: int = WIDTH
    height: int = HEIGHT


def draw(timeline: Timeline) -> Chart:
    """A bar for every time in which something came."""
    room = WIDTH / len(timeline.counts)
    highest = max(timeline.counts)
    bars = [
        Bar(
            x=round((number + GAP / 2) * room, 2),
            y=round(HEIGHT * (1 - count / highest), 2),
            width=round((1 - GAP) * room, 2),
            height=round(HEIGHT * count / highest, 2),
            start=timeline.start + number * timeline.step,
            count=count,
        )
        for number, count in enumerate(timeline.counts)
        if count
    ]
    return Chart(
        bars,
        timeline.start,
        timeline.start + len(timeline.counts) * timeline.step,
        _describe(timeline.step),
        max(bars, key=lambda bar: bar.count),
    )


def _describe(step: timedelta) -> str:
    """For example `hour` or `7 days`."""
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count, rest = divmod(int(step.total_seconds()), seconds)
        if not rest:
            return unit if count == 1 else f"{count} {unit}s"
    raise AssertionError("unreachable")

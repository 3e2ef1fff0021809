"""How many submissions came when: what charts show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import BigInteger, Connection, cast, extract, func, select

from ngshare.database.models import REMOVED, Submission

MOST_BARS = 60
HOUR, DAY = 3600, 86400  # seconds
STEPS = (600, HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY)
MONDAY = datetime(1970, 1, 5, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Timeline:
    """How many submissions came in each of some times that are equally long."""

    start: datetime
    step: timedelta
    counts: list[int]


def load_timeline(
    connection: Connection, assignment_pk: int, first_at: datetime, last_at: datetime
) -> Timeline:
    """The submissions of an assignment over time, in MOST_BARS times at most.

    Args:
        first_at, last_at: when the first and the last of them were made.
    """
    span = (last_at - first_at).total_seconds()
    # One less, since the first of these times begins before the first submission.
    step = next((step for step in STEPS if span / step < MOST_BARS - 1), STEPS[-1])
    while span / step >= MOST_BARS - 1:
        step *= 2
    passed = (first_at - MONDAY).total_seconds()
    start = MONDAY + timedelta(seconds=passed // step * step)
    second = cast(extract("epoch", Submission.at), BigInteger)
    bar = (second - int(start.timestamp())) // step
    query = (
        select(bar, func.count())
        .where(Submission.assignment_pk == assignment_pk, Submission.pk.not_in(REMOVED))
        .group_by(bar)
    )
    counts = [0] * (int((last_at - start).total_seconds() // step) + 1)
    for number, count in connection.execute(query):
        # PostgreSQL rounds to the next second, which may be in the next of these times.
        counts[min(number, len(counts) - 1)] += count
    return Timeline(start, timedelta(seconds=step), counts)

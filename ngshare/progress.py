"""Who has submitted what to an assignment, for its instructors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    FromClause,
    Row,
    Select,
    case,
    cast,
    extract,
    false,
    func,
    null,
    select,
    true,
    union_all,
)

from ngshare import listings
from ngshare.assignments import get_assignment
from ngshare.database.models import REMOVED, STUDENT, Feedback, Membership, Submission, User
from ngshare.listings import ListedSubmission, Part
from ngshare.permissions import Identity, require_instructor
from ngshare.tables import Rows, View, load_rows

COLUMNS = ("name", "last_name", "submitted", "versions", "feedback")  # to sort by
MISSING, SUBMITTED, WITHOUT_FEEDBACK = "missing", "submitted", "without-feedback"
SHOWN = (MISSING, SUBMITTED, WITHOUT_FEEDBACK)

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


@dataclass(frozen=True)
class Totals:
    """What the whole table says.

    Attributes:
        enrolled: how many students the course has.
        others: how many have submitted who are none of them.
        missing: how many students have not submitted.
        people: how many have submitted, students or not.
        submissions: how many there are.
        with_feedback: how many people have feedback on their latest submission.
        first_at, last_at: of the submissions.
    """

    enrolled: int
    others: int
    missing: int
    people: int
    submissions: int
    with_feedback: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True)
class Progress:
    """What instructors see of an assignment.

    Attributes:
        students: a part of the table, see _table.
        emails: if those who miss are shown, the addresses of all of them that are known.
    """

    students: Rows
    totals: Totals
    timeline: Timeline | None
    emails: list[str] | None


def load_progress(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str, view: View
) -> Progress:
    """What has come so far, for instructors.

    Args:
        view: with the filter `show`: one of SHOWN, or None.

    Raises:
        NotFound: no such course, or no such released assignment.
    """
    access = require_instructor(connection, identity, course_id)
    assignment_pk = get_assignment(connection, access, assignment_id)
    table = _table(access.course_pk, assignment_pk).subquery()
    is_missing = (table.c.role == STUDENT) & table.c.versions.is_(None)
    has_work = table.c.versions.is_not(None)
    has_feedback = table.c.feedback_for == table.c.last_at
    totals = _load_totals(connection, table, is_missing, has_feedback)
    conditions = {
        None: (true(), totals.enrolled + totals.others),
        MISSING: (is_missing, totals.missing),
        SUBMITTED: (has_work, totals.people),
        WITHOUT_FEEDBACK: (
            has_work & ~func.coalesce(has_feedback, false()),
            totals.people - totals.with_feedback,
        ),
    }
    show = view.filters["show"]
    emails = None
    if show == MISSING:
        known = select(table.c.email).where(is_missing, table.c.email != "")
        emails = sorted(connection.scalars(known))
    return Progress(
        _load_students(connection, table, view, *conditions[show]),
        totals,
        _load_timeline(connection, assignment_pk, totals),
        emails,
    )


def list_students(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> Sequence[Row]:
    """The whole table, sorted by user name, for instructors; see _table."""
    access = require_instructor(connection, identity, course_id)
    assignment_pk = get_assignment(connection, access, assignment_id)
    return connection.execute(_table(access.course_pk, assignment_pk).order_by(User.name)).all()


def latest_submissions(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> list[ListedSubmission]:
    """Everybody's newest submission with its files, by user name, for instructors."""
    access = require_instructor(connection, identity, course_id)
    get_assignment(connection, access, assignment_id)
    part = Part(course_id, assignment_id, latest=True, manifest=True)
    found = listings.list_submissions(connection, identity, part)
    return sorted(found, key=lambda submission: submission.student_id)


def _table(course_pk: int, assignment_pk: int) -> Select:
    """The students of the course, and others who have submitted.

    Its columns are name, first_name, last_name, email, role (None for those who are not in the
    roster), versions (None without any), first_at, last_at, feedback_at (of the newest), and
    feedback_for: when the latest submission that has feedback was made.
    """
    has_feedback = Feedback.submission_pk.is_not(None)
    work = (
        select(
            Submission.user_pk,
            func.count().label("versions"),
            func.min(Submission.at).label("first_at"),
            func.max(Submission.at).label("last_at"),
            func.max(Feedback.at).label("feedback_at"),
            func.max(case((has_feedback, Submission.at))).label("feedback_for"),
        )
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .where(Submission.assignment_pk == assignment_pk, Submission.pk.not_in(REMOVED))
        .group_by(Submission.user_pk)
    )
    nothing = [null().label(column.name) for column in work.selected_columns[1:]]
    enrolled = select(Membership.user_pk, *nothing).where(
        Membership.course_pk == course_pk, Membership.active, Membership.role == STUDENT
    )
    # One row for each of either, and not a join of both, for which SQLite would make no index.
    both = union_all(work, enrolled).subquery()
    listed = (
        select(
            both.c.user_pk, *(func.max(column).label(column.name) for column in both.columns[1:])
        )
        .group_by(both.c.user_pk)
        .subquery()
    )
    of_course = (Membership.course_pk == course_pk) & (Membership.user_pk == User.pk)
    return (
        select(
            User.name,
            Membership.first_name,
            Membership.last_name,
            Membership.email,
            case((Membership.active, Membership.role)).label("role"),
            *listed.columns[1:],
        )
        .join(listed, listed.c.user_pk == User.pk)
        .outerjoin(Membership, of_course)
    )


def _load_totals(
    connection: Connection, table: FromClause, is_missing: Any, has_feedback: Any
) -> Totals:
    query = select(
        func.count(case((table.c.role == STUDENT, 1))),
        func.count(case((table.c.role == STUDENT, None), else_=1)),
        func.count(case((is_missing, 1))),
        func.count(table.c.versions),
        cast(func.coalesce(func.sum(table.c.versions), 0), BigInteger),
        func.count(case((has_feedback, 1))),
        func.min(table.c.first_at),
        func.max(table.c.last_at),
    )
    return Totals(*connection.execute(query).one())


def _load_students(
    connection: Connection, table: FromClause, view: View, condition: Any, total: int
) -> Rows:
    sortable = {
        "name": table.c.name,
        "last_name": func.lower(func.nullif(table.c.last_name, "")),
        "submitted": table.c.last_at,
        "versions": table.c.versions,
        "feedback": table.c.feedback_at,
    }
    searched = (table.c.name, table.c.first_name, table.c.last_name, table.c.email)
    query = select(table).where(condition)
    return load_rows(connection, query, view, sortable, searched, table.c.name, total)


def _load_timeline(connection: Connection, assignment_pk: int, totals: Totals) -> Timeline | None:
    """The submissions of an assignment over time, in MOST_BARS times at most."""
    if totals.first_at is None or totals.last_at is None:
        return None
    span = (totals.last_at - totals.first_at).total_seconds()
    # One less, since the first of these times begins before the first submission.
    step = next((step for step in STEPS if span / step < MOST_BARS - 1), STEPS[-1])
    while span / step >= MOST_BARS - 1:
        step *= 2
    passed = (totals.first_at - MONDAY).total_seconds()
    start = MONDAY + timedelta(seconds=passed // step * step)
    second = cast(extract("epoch", Submission.at), BigInteger)
    bar = (second - int(start.timestamp())) // step
    query = (
        select(bar, func.count())
        .where(Submission.assignment_pk == assignment_pk, Submission.pk.not_in(REMOVED))
        .group_by(bar)
    )
    counts = [0] * (int((totals.last_at - start).total_seconds() // step) + 1)
    for number, count in connection.execute(query):
        # PostgreSQL rounds to the next second, which may be in the next of these times.
        counts[min(number, len(counts) - 1)] += count
    return Timeline(start, timedelta(seconds=step), counts)

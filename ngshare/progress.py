"""Who has fetched and submitted what of an assignment, for its instructors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Row,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from ngshare.assignments import get_assignment
from ngshare.database.models import (
    REMOVED,
    STUDENT,
    Feedback,
    Fetch,
    Key,
    Membership,
    Release,
    Submission,
    User,
)
from ngshare.permissions import Identity, require_instructor
from ngshare.tables import Rows, View, cut, find_text, order
from ngshare.timelines import Timeline, load_timeline

SEARCHED = ("name", "first_name", "last_name", "email")
COLUMNS = ("name", "last_name", "fetched", "submitted", "versions", "feedback")  # to sort by
NOT_FETCHED, MISSING = "not-fetched", "missing"
SUBMITTED, WITHOUT_FEEDBACK = "submitted", "without-feedback"
SHOWN = (NOT_FETCHED, MISSING, SUBMITTED, WITHOUT_FEEDBACK)


@dataclass(frozen=True)
class Totals:
    """What the whole table says.

    Attributes:
        newest_version: of what is released.
        enrolled: how many students the course has.
        others: how many have submitted who are none of them.
        missing: how many students have not submitted.
        not_fetched: how many of those have not even fetched the assignment.
        people: how many have submitted, students or not.
        submissions: how many there are.
        with_feedback: how many people have feedback on their latest submission.
        first_at, last_at: of the submissions.
    """

    newest_version: int
    enrolled: int
    others: int
    missing: int
    not_fetched: int
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
        emails: if those who miss are shown, or who have not fetched, the addresses of all of them
            that are known.
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
    where = {"course_pk": access.course_pk, "assignment_pk": assignment_pk}
    students, totals = _load_table(connection, where, view)
    emails = None
    if (show := view.filters["show"]) in _EMAILS:
        emails = sorted(connection.scalars(_EMAILS[show], where))
    timeline = None
    if totals.first_at and totals.last_at:
        timeline = load_timeline(connection, assignment_pk, totals.first_at, totals.last_at)
    return Progress(students, totals, timeline, emails)


def list_students(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> Sequence[Row]:
    """The whole table, sorted by user name, for instructors; see _table."""
    access = require_instructor(connection, identity, course_id)
    assignment_pk = get_assignment(connection, access, assignment_id)
    where = {"course_pk": access.course_pk, "assignment_pk": assignment_pk}
    return connection.execute(select(_TABLE).order_by(_TABLE.c.name), where).all()


_COURSE_PK = bindparam("course_pk", type_=Key)
_ASSIGNMENT_PK = bindparam("assignment_pk", type_=Key)
_OF_COURSE = Membership.course_pk == _COURSE_PK
_SUBMITTED = (Submission.assignment_pk == _ASSIGNMENT_PK) & Submission.pk.not_in(REMOVED)
_IS_MISSING = and_(
    *(_OF_COURSE, Membership.active, Membership.role == STUDENT),
    ~exists(Submission.pk).where(_SUBMITTED, Submission.user_pk == Membership.user_pk),
)


def _work() -> Subquery:
    """What everybody has submitted, and the feedback on it."""
    has_feedback = Feedback.submission_pk.is_not(None)
    return (
        select(
            Submission.user_pk,
            func.count().label("versions"),
            func.min(Submission.at).label("first_at"),
            func.max(Submission.at).label("last_at"),
            func.max(Feedback.at).label("feedback_at"),
            func.max(case((has_feedback, Submission.at))).label("feedback_for"),
        )
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .where(_SUBMITTED)
        .group_by(Submission.user_pk)
        .subquery()
    )


def _is_newest_fetch() -> ColumnElement[bool]:
    """Of a user: whether it is that of the newest version that he has fetched."""
    later = aliased(Fetch)
    fetched_later = exists(later.version).where(
        later.assignment_pk == Fetch.assignment_pk,
        later.user_pk == Fetch.user_pk,
        later.version > Fetch.version,
    )
    return (Fetch.user_pk == User.pk) & (Fetch.assignment_pk == _ASSIGNMENT_PK) & ~fetched_later


def _table() -> CompoundSelect:
    """The students of the course, and others who have submitted.

    Its columns are name, first_name, last_name, email, role (None for those who are not in the
    roster), fetched_version and fetched_at (of the newest version that was fetched, and when at
    first), versions (None without any), first_at, last_at, feedback_at (of the newest), and
    feedback_for: when the latest submission that has feedback was made.
    """
    work, is_newest = _work(), _is_newest_fetch()
    columns = (
        User.name,
        Membership.first_name,
        Membership.last_name,
        Membership.email,
        case((Membership.active, Membership.role)).label("role"),
        Fetch.version.label("fetched_version"),
        Fetch.at.label("fetched_at"),
    )
    submitted = (
        select(*columns, *work.columns[1:])
        .select_from(work)
        .join(User, User.pk == work.c.user_pk)
        .outerjoin(Membership, _OF_COURSE & (Membership.user_pk == User.pk))
        .outerjoin(Fetch, is_newest)
    )
    missing = (
        select(*columns, *(null().label(column.name) for column in work.columns[1:]))
        .select_from(Membership)
        .join(User, User.pk == Membership.user_pk)
        .outerjoin(Fetch, is_newest)
        .where(_IS_MISSING)
    )
    # Two kinds of rows, and not a join of all members with `work`: for that SQLite makes no index.
    return union_all(submitted, missing)


_TABLE = _table().cte("progress")
_NEWEST = select(func.max(Release.version)).where(Release.assignment_pk == _ASSIGNMENT_PK)
_ADDRESSES = select(Membership.email).where(_IS_MISSING, Membership.email != "")
_HAS_FETCHED = exists(Fetch.version).where(
    Fetch.assignment_pk == _ASSIGNMENT_PK, Fetch.user_pk == Membership.user_pk
)
_EMAILS: dict[str | None, Select[Any]] = {
    MISSING: _ADDRESSES,
    NOT_FETCHED: _ADDRESSES.where(~_HAS_FETCHED),
}


def _conditions() -> dict[str | None, ColumnElement[bool]]:
    """Of the table's rows, by filter."""
    is_missing = (_TABLE.c.role == STUDENT) & _TABLE.c.versions.is_(None)
    has_work = _TABLE.c.versions.is_not(None)
    has_feedback = func.coalesce(_TABLE.c.feedback_for == _TABLE.c.last_at, false())
    return {
        None: true(),
        NOT_FETCHED: is_missing & _TABLE.c.fetched_at.is_(None),
        MISSING: is_missing,
        SUBMITTED: has_work,
        WITHOUT_FEEDBACK: has_work & ~has_feedback,
    }


_CONDITIONS = _conditions()


def _load_table(connection: Connection, where: dict[str, int], view: View) -> tuple[Rows, Totals]:
    """A part of the table and its totals, in one statement, since the table itself takes long."""
    is_shown = _CONDITIONS[view.filters["show"]]
    if view.search:
        is_shown &= find_text(view.search, [_TABLE.c[name] for name in SEARCHED])
    totals = _sum_up(is_shown).cte("totals")
    part = cut(select(_TABLE).where(is_shown).order_by(*_order(_TABLE, view)), view).cte("part")
    query = select(totals, part).select_from(totals).outerjoin(part, true())
    found = connection.execute(query.order_by(*_order(part, view)), where).all()
    *of_totals, total = found[0][: len(totals.columns)]
    rows = [row for row in found if row.name is not None]
    return Rows(rows, total, view), Totals(*of_totals)


def _sum_up(is_shown: ColumnElement[bool]) -> Select:
    """Totals, and how many rows are shown."""

    def count(condition: ColumnElement[bool]) -> Any:
        return func.count(case((condition, 1)))

    table = _TABLE.c
    return select(
        _NEWEST.scalar_subquery().label("newest_version"),
        count(table.role == STUDENT).label("enrolled"),
        count(table.role.is_distinct_from(STUDENT)).label("others"),
        count(_CONDITIONS[MISSING]).label("missing"),
        count(_CONDITIONS[NOT_FETCHED]).label("not_fetched"),
        func.count(table.versions).label("people"),
        cast(func.coalesce(func.sum(table.versions), 0), BigInteger).label("submissions"),
        count(table.feedback_for == table.last_at).label("with_feedback"),
        func.min(table.first_at).label("earliest"),
        func.max(table.last_at).label("latest"),
        count(is_shown).label("shown"),
    )


def _order(table: FromClause, view: View) -> tuple[Any, Any]:
    sortable = {
        "name": table.c.name,
        "last_name": func.lower(func.nullif(table.c.last_name, "")),
        "fetched": table.c.fetched_at,
        "submitted": table.c.last_at,
        "versions": table.c.versions,
        "feedback": table.c.feedback_at,
    }
    return order(view, sortable, table.c.name)

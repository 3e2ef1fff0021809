"""All courses with how much is in them, also those that are out of sight; for admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from ngshare.database.models import (
    INSTRUCTOR,
    Assignment,
    Course,
    Feedback,
    Membership,
    Release,
    Snapshot,
    Submission,
    User,
)
from ngshare.errors import NotFound
from ngshare.permissions import Identity, require_admin
from ngshare.tables import Rows, View, load_rows

IN_SIGHT, DELETED = "current", "deleted"


@dataclass(frozen=True)
class ListedCourse:
    """A course and how much is in it; deleted_at is None unless it is deleted.

    Attributes:
        submissions: also those that instructors have removed, which are there until a purge.
        instructors: user names, sorted; of a deleted course those that would be back.
    """

    course_id: str
    people: int
    assignments: int
    submissions: int
    size: int
    deleted_at: datetime | None
    instructors: Sequence[str]


def _in_course(what: Any, table: type | None = None) -> Any:
    """Of a course's assignments, or of what a table has for them."""
    query = select(what).select_from(Assignment)
    if table is not None:
        query = query.join(table, table.assignment_pk == Assignment.pk)  # type: ignore[attr-defined]
    return query.where(Assignment.course_pk == Course.pk)


def _bytes(table: Any) -> Any:
    """Of all directories that a table has for a course: each counts, however often it is there."""
    query = _in_course(
        func.coalesce(func.sum(Snapshot.size), 0), Submission if table is Feedback else table
    )
    if table is Feedback:
        query = query.join(Feedback, Feedback.submission_pk == Submission.pk)
    return query.join(Snapshot, Snapshot.pk == table.snapshot_pk).scalar_subquery()


_COLUMNS = {
    "course": Course.name,
    "people": select(func.count())
    .where(Membership.course_pk == Course.pk, Membership.active)
    .scalar_subquery(),
    "assignments": _in_course(func.count()).scalar_subquery(),
    "submissions": _in_course(func.count(), Submission).scalar_subquery(),
    "bytes": sum((_bytes(table) for table in (Submission, Feedback)), _bytes(Release)),
    "deleted": Course.deleted_at,
}
COLUMNS = tuple(_COLUMNS)
_QUERY = select(*(column.label(name) for name, column in _COLUMNS.items()))


def list_courses(
    connection: Connection, identity: Identity, view: View, state: str | None = None
) -> Rows:
    """The courses that a view shows, as many of _COLUMNS; for admins.

    Args:
        state: IN_SIGHT or DELETED, unless all are wanted.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    query = _QUERY
    if state is not None:
        is_deleted = Course.deleted_at.is_not(None)
        query = query.where(is_deleted if state == DELETED else ~is_deleted)
    return load_rows(connection, query, view, _COLUMNS, [Course.name], Course.pk)


def get_course(connection: Connection, identity: Identity, course_id: str) -> ListedCourse:
    """A course, also one that is deleted, for admins.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: no such course.
    """
    require_admin(identity)
    row = connection.execute(_QUERY.where(Course.name == course_id)).one_or_none()
    if row is None:
        raise NotFound("Course not found")
    instructors = connection.scalars(
        select(User.name)
        .join(Membership, Membership.user_pk == User.pk)
        .join(Course, Course.pk == Membership.course_pk)
        .where(Course.name == course_id, Membership.role == INSTRUCTOR, Membership.active)
        .order_by(User.name)
    )
    course_id, people, assignments, submissions, size, deleted_at = row
    counts = (people, assignments, submissions, size)
    return ListedCourse(course_id, *counts, deleted_at, list(instructors))

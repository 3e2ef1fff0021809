"""The tables of ngshare 0.6.0 as views of ours, so that admins' scripts go on working.

Files had a row for each path of each directory; ours have one for each path of each distinct
directory, and `actual_name`, once a file name on disk, is the SHA-256 of the content.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, literal, select

from ngshare import wire
from ngshare.database.models import (
    INSTRUCTOR,
    REMOVED,
    STUDENT,
    Assignment,
    Blob,
    Course,
    Feedback,
    Membership,
    Release,
    SnapshotFile,
    Submission,
    User,
)


@dataclass(frozen=True)
class Page:
    """Some rows of a table.

    Attributes:
        columns: their names.
        rows: values in the order of the columns: text, numbers, booleans or None.
        total: how many rows the whole table has.
    """

    columns: list[str]
    rows: list[list[Any]]
    total: int


def _roster(role: str) -> Select:
    return (
        select(
            User.name.label("left_id"),
            Course.name.label("right_id"),
            Membership.first_name,
            Membership.last_name,
            Membership.email,
        )
        .select_from(Membership)
        .join(User, User.pk == Membership.user_pk)
        .join(Course, Course.pk == Membership.course_pk)
        .where(Membership.role == role, Membership.active)
        .order_by(Membership.pk)
    )


def _newest_release() -> Select:
    newest = select(Release.assignment_pk, func.max(Release.version).label("version"))
    grouped = newest.group_by(Release.assignment_pk).subquery()
    return (
        select(Release.assignment_pk.label("left_id"), SnapshotFile.pk.label("right_id"))
        .join(
            grouped,
            (grouped.c.assignment_pk == Release.assignment_pk)
            & (grouped.c.version == Release.version),
        )
        .join(SnapshotFile, SnapshotFile.snapshot_pk == Release.snapshot_pk)
        .order_by(Release.assignment_pk, SnapshotFile.pk)
    )


TABLES: dict[str, Select] = {
    "users": select(User.name.label("id")).order_by(User.pk),
    "courses": select(Course.pk.label("_id"), Course.name.label("id")).order_by(Course.pk),
    "assignments": select(
        Assignment.pk.label("_id"),
        Assignment.name.label("id"),
        Assignment.course_pk.label("course_id"),
        Assignment.released_at.is_not(None).label("released"),
        literal(None).label("due"),
    ).order_by(Assignment.pk),
    "submissions": select(
        Submission.pk.label("_id"),
        Submission.assignment_pk.label("assignment_id"),
        Submission.at.label("timestamp"),
        User.name.label("student_id"),
    )
    .join(User, User.pk == Submission.user_pk)
    .where(Submission.pk.not_in(REMOVED))
    .order_by(Submission.pk),
    "files": select(
        SnapshotFile.pk.label("_id"),
        SnapshotFile.path.label("filename"),
        Blob.checksum,
        Blob.size,
        Blob.digest.label("actual_name"),
    )
    .join(Blob, Blob.digest == SnapshotFile.digest)
    .order_by(SnapshotFile.pk),
    "instructor_assoc_table": _roster(INSTRUCTOR),
    "student_assoc_table": _roster(STUDENT),
    "assignment_files_assoc_table": _newest_release(),
    "submission_files_assoc_table": select(
        Submission.pk.label("left_id"), SnapshotFile.pk.label("right_id")
    )
    .join(SnapshotFile, SnapshotFile.snapshot_pk == Submission.snapshot_pk)
    .where(Submission.pk.not_in(REMOVED))
    .order_by(Submission.pk, SnapshotFile.pk),
    "feedback_files_assoc_table": select(
        Feedback.submission_pk.label("left_id"), SnapshotFile.pk.label("right_id")
    )
    .join(SnapshotFile, SnapshotFile.snapshot_pk == Feedback.snapshot_pk)
    .where(Feedback.submission_pk.not_in(REMOVED))
    .order_by(Feedback.submission_pk, SnapshotFile.pk),
}


def read_table(
    connection: Connection, name: str, limit: int | None = None, offset: int = 0
) -> Page:
    """Some rows of one of TABLES; two statements.

    Args:
        limit: how many rows at most; None for all.
        offset: how many rows to leave out at the start.
    """
    query = TABLES[name]
    total = connection.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    result = connection.execute(query.limit(limit).offset(offset))
    columns = list(result.keys())
    rows = [[_plain(value) for value in row] for row in result]
    return Page(columns, rows, total or 0)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return wire.format_timestamp(value)
    return value.hex() if isinstance(value, bytes) else value

"""Stores what was made elsewhere, with the times it has: directories, and what they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import Connection, Row, bindparam, select, update

from ngshare import audit, wire
from ngshare.audit import Change
from ngshare.database import snapshots
from ngshare.database.engine import insert
from ngshare.database.models import (
    Assignment,
    Course,
    Feedback,
    Release,
    Removal,
    Snapshot,
    Submission,
    User,
)
from ngshare.database.snapshots import PackedSnapshot
from ngshare.permissions import Identity

MICROSECOND = timedelta(microseconds=1)
EMPTY = snapshots.pack({})


@dataclass(frozen=True)
class Version:
    """A release as it is recorded; `by` is who released it."""

    version: int
    digest: bytes
    size: int
    at: datetime
    by: str


@dataclass(frozen=True)
class KnownAssignment:
    """An assignment as it is recorded, with its releases from the oldest to the newest."""

    pk: int
    released_at: datetime | None
    versions: Sequence[Version]


def find_course(connection: Connection, course_id: str) -> Row | None:
    """The pk and deleted_at of a course, in sight or not."""
    query = select(Course.pk, Course.deleted_at).where(Course.name == course_id)
    return connection.execute(query).one_or_none()


def find_assignment(
    connection: Connection, course_pk: int, assignment_id: str
) -> KnownAssignment | None:
    """An assignment, in sight or not; nobody erases it before this transaction ends."""
    query = select(Assignment.pk, Assignment.released_at).where(
        Assignment.course_pk == course_pk, Assignment.name == assignment_id
    )
    row = connection.execute(query.with_for_update(read=True, key_share=True)).one_or_none()
    if row is None:
        return None
    versions = connection.execute(
        select(Release.version, Snapshot.digest, Snapshot.size, Release.at, Release.by)
        .join(Snapshot, Snapshot.pk == Release.snapshot_pk)
        .where(Release.assignment_pk == row.pk)
        .order_by(Release.version)
    )
    return KnownAssignment(row.pk, row.released_at, [Version(*each) for each in versions])


def add_assignment(
    connection: Connection, course_pk: int, assignment_id: str, released_at: datetime | None
) -> int:
    """The primary key of a new assignment.

    If another process makes one of this name just now this fails, and the transaction is repeated.
    """
    row = {"course_pk": course_pk, "name": assignment_id, "released_at": released_at}
    statement = insert(connection, Assignment).returning(Assignment.pk)
    return connection.scalars(statement, row).one()


def add_release(
    connection: Connection,
    assignment_pk: int,
    version: int,
    directory: PackedSnapshot,
    at: datetime,
    by: str,
) -> None:
    """Record a version of an assignment."""
    row = {"assignment_pk": assignment_pk, "version": version, "at": at, "by": by}
    row["snapshot_pk"] = snapshots.put(connection, directory)
    connection.execute(insert(connection, Release), row)


def set_released(connection: Connection, assignment_pk: int, at: datetime) -> None:
    """Bring an assignment in sight."""
    connection.execute(
        update(Assignment).where(Assignment.pk == assignment_pk).values(released_at=at)
    )


_SUBMISSIONS = (
    select(
        Submission.pk,
        User.name.label("student_id"),
        Submission.idempotency_key.label("key"),
        Submission.at,
        Snapshot.digest,
        Snapshot.size,
        Feedback.at.label("feedback_at"),
    )
    .join(User, User.pk == Submission.user_pk)
    .join(Snapshot, Snapshot.pk == Submission.snapshot_pk)
    .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
    .where(Submission.assignment_pk == bindparam("assignment_pk"))
    .order_by(Submission.at)
)
_OF_STUDENT = _SUBMISSIONS.where(User.name == bindparam("name"))


def list_submissions(
    connection: Connection, assignment_pk: int, student_id: str | None = None
) -> list[Row]:
    """What was submitted to an assignment, removed or not, with when feedback was given on it."""
    if student_id is None:
        return list(connection.execute(_SUBMISSIONS, {"assignment_pk": assignment_pk}))
    values = {"assignment_pk": assignment_pk, "name": student_id}
    return list(connection.execute(_OF_STUDENT, values))


def add_submission(
    connection: Connection,
    assignment_pk: int,
    user_pk: int,
    at: datetime,
    directory: PackedSnapshot,
    key: str | None,
    taken: Iterable[datetime] = (),
) -> int:
    """Record a submission; its primary key.

    Args:
        taken: times of the same student's others; it gets the next that is free.
    """
    while at in taken:
        at += MICROSECOND
    row = {"assignment_pk": assignment_pk, "user_pk": user_pk, "at": at, "idempotency_key": key}
    row["snapshot_pk"] = snapshots.put(connection, directory)
    return connection.scalars(insert(connection, Submission).returning(Submission.pk), row).one()


def add_removal(connection: Connection, submission_pk: int, at: datetime, by: str) -> None:
    """Take a submission out of sight."""
    row = {"submission_pk": submission_pk, "at": at, "by": by}
    connection.execute(insert(connection, Removal).on_conflict_do_nothing(), row)


def describe_feedback(connection: Connection, submission_pk: int) -> Row:
    """The digest and size of the feedback on a submission."""
    return connection.execute(
        select(Snapshot.digest, Snapshot.size)
        .join(Feedback, Feedback.snapshot_pk == Snapshot.pk)
        .where(Feedback.submission_pk == submission_pk)
    ).one()


def put_feedback(
    connection: Connection, submission_pk: int, directory: PackedSnapshot, at: datetime, by: str
) -> bool:
    """Record feedback, unless there is some that is not older; whether it was recorded."""
    row = {"snapshot_pk": snapshots.put(connection, directory), "at": at, "by": by}
    statement = insert(connection, Feedback).values(submission_pk=submission_pk, **row)
    statement = statement.on_conflict_do_update(
        index_elements=["submission_pk"], set_=row, where=Feedback.at < at
    )
    return connection.scalar(statement.returning(Feedback.submission_pk)) is not None


def record(connection: Connection, identity: Identity, action: str, *names: str | datetime) -> None:
    """Note in the audit log what is imported.

    Args:
        names: of the course, the assignment, the student; then the submission's time.
    """
    texts = [wire.format_timestamp(n) if isinstance(n, datetime) else n for n in names]
    audit.record(connection, identity, Change(action, *texts))


def now() -> datetime:
    return datetime.now(timezone.utc)

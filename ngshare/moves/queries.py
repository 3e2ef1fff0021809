"""What there is in a course, as queries for export."""

from __future__ import annotations

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from ngshare.database.models import (
    REMOVED,
    Assignment,
    Feedback,
    Release,
    Snapshot,
    Submission,
    User,
)


def newest_releases(course_pk: int) -> Select:
    """The newest versions of what is released."""
    newest = select(func.max(Release.version)).where(Release.assignment_pk == Assignment.pk)
    return (
        select(Assignment.name, Release.at, Release.snapshot_pk, Snapshot.digest, Snapshot.size)
        .join(Release, Release.assignment_pk == Assignment.pk)
        .join(Snapshot, Snapshot.pk == Release.snapshot_pk)
        .where(
            Assignment.course_pk == course_pk,
            Assignment.released_at.is_not(None),
            Release.version == newest.correlate(Assignment).scalar_subquery(),
        )
        .order_by(Assignment.name)
    )


def all_releases(course_pk: int) -> Select:
    """All versions of all assignments."""
    return (
        select(
            Assignment.name,
            Release.version,
            Release.at,
            Release.by,
            Release.snapshot_pk,
            Snapshot.digest,
        )
        .join(Release, Release.assignment_pk == Assignment.pk)
        .join(Snapshot, Snapshot.pk == Release.snapshot_pk)
        .where(Assignment.course_pk == course_pk)
        .order_by(Assignment.pk, Release.version)
    )


def submissions(course_pk: int, with_removed: bool = False) -> Select:
    """What was submitted, with the feedback on it."""
    of_feedback = aliased(Snapshot)
    query = (
        select(
            Submission.pk,
            Assignment.name.label("assignment_id"),
            User.name.label("student_id"),
            Submission.at,
            Submission.idempotency_key.label("key"),
            Submission.snapshot_pk,
            Snapshot.digest,
            Snapshot.size,
            Feedback.snapshot_pk.label("feedback_snapshot_pk"),
            Feedback.at.label("feedback_at"),
            Feedback.by.label("feedback_by"),
            of_feedback.digest.label("feedback_digest"),
        )
        .join(Assignment, Assignment.pk == Submission.assignment_pk)
        .join(User, User.pk == Submission.user_pk)
        .join(Snapshot, Snapshot.pk == Submission.snapshot_pk)
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .outerjoin(of_feedback, of_feedback.pk == Feedback.snapshot_pk)
        .where(Assignment.course_pk == course_pk)
        .order_by(Assignment.name, Submission.at, Submission.pk)
    )
    return query if with_removed else query.where(Submission.pk.not_in(REMOVED))

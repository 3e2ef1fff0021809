"""Removals: submissions that instructors take out of sight, or erase."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone

from sqlalchemy import Connection, Row, delete, select

from ngshare import audit, wire
from ngshare.audit import Change
from ngshare.database import blobs, snapshots
from ngshare.database.engine import insert
from ngshare.database.models import Feedback, Removal, Submission
from ngshare.permissions import Identity, require_instructor
from ngshare.submissions import get_submission
from ngshare.users import hold_name


def remove_submission(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    student_id: str,
    timestamp: str | None,
    purge: bool,
) -> None:
    """Take a submission out of sight, with its feedback, for instructors; with purge, erase both.

    Only purge destroys, and it also finds submissions that are out of sight.

    Args:
        timestamp: of the submission as the wire has it; here nothing stands for the latest.

    Raises:
        NotFound: no such course, assignment, person in the course, or submission.
        InvalidRequest: the timestamp is missing or can't be read.
    """
    hold_name(connection, identity)
    access = require_instructor(connection, identity, course_id)
    row = get_submission(
        connection,
        access,
        assignment_id,
        student_id,
        timestamp or None,
        keep=True,
        to_erase=purge,
    )
    where = (course_id, assignment_id, student_id, wire.format_timestamp(row.at))
    if purge:
        erase(connection, [row])
        audit.record(connection, identity, Change("purge submission", *where))
        return
    removal = {"submission_pk": row.pk, "at": datetime.now(timezone.utc), "by": str(identity)}
    # If another replica removes it just now, this fails, and the transaction is repeated.
    connection.execute(insert(connection, Removal), removal)
    audit.record(connection, identity, Change("remove submission", *where))


def erase(connection: Connection, submissions: Collection[Row]) -> None:
    """Remove submissions with their feedback, and the bytes that nothing else refers to.

    Args:
        submissions: the pk and snapshot_pk of each, whose rows are locked.
    """
    pks = [submission.pk for submission in submissions]
    of_submissions = Feedback.submission_pk.in_(pks)
    feedback = connection.scalars(select(Feedback.snapshot_pk).where(of_submissions))
    snapshot_pks = [*feedback, *(submission.snapshot_pk for submission in submissions)]
    connection.execute(delete(Feedback).where(of_submissions))
    connection.execute(delete(Submission).where(Submission.pk.in_(pks)))
    _, digests = snapshots.remove(connection, snapshot_pks)
    blobs.remove_unused(connection, digests)

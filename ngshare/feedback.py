"""Feedback on submissions: release, fetch."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import Connection, Row, select

from ngshare import audit, references, wire
from ngshare.audit import Change
from ngshare.database import snapshots
from ngshare.database.engine import insert
from ngshare.database.models import Feedback
from ngshare.database.snapshots import PackedSnapshot
from ngshare.limits import UNLIMITED, Limits
from ngshare.permissions import Access, Identity, require_instructor, require_self_or_instructor
from ngshare.submissions import TimedFiles, get_submission
from ngshare.users import hold_name


def require_grader(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    student_id: str,
    timestamp: str | None,
    keep: bool = False,
) -> tuple[Access, Row]:
    """Enter the course as one who may give feedback on this submission; see get_submission.

    Args:
        keep: see get_assignment.

    Raises:
        PermissionDenied: the caller does not teach the course.
        NotFound: no such course, assignment, person in the course, or submission.
        InvalidRequest: the timestamp is missing or can't be read.
    """
    access = require_instructor(connection, identity, course_id)
    row = get_submission(connection, access, assignment_id, student_id, timestamp or None, keep)
    return access, row


def release_feedback(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    student_id: str,
    timestamp: str | None,
    directory: PackedSnapshot,
    limits: Limits = UNLIMITED,
) -> None:
    """Give feedback on a submission, for instructors; it replaces what was given before.

    The bytes of the earlier one stay until the next purge: somebody may be fetching them.

    Raises:
        MissingContent: see references.resolve.
        TooLarge: the course's quota is reached.
        others: see require_grader.
    """
    hold_name(connection, identity)
    access, submission = require_grader(
        connection, identity, course_id, assignment_id, student_id, timestamp, keep=True
    )
    directory = references.resolve(connection, access, directory, limits)
    row = {
        "snapshot_pk": snapshots.put(connection, directory),
        "at": datetime.now(timezone.utc),
        "by": str(identity),
    }
    connection.execute(
        insert(connection, Feedback)
        .values(submission_pk=submission.pk, **row)
        .on_conflict_do_update(index_elements=["submission_pk"], set_=row)
    )
    limits.check_course(connection, access.course_pk)
    detail = f"on the submission of {wire.format_timestamp(submission.at)}"
    change = Change("release feedback", course_id, assignment_id, student_id, detail)
    audit.record(connection, identity, change)


def fetch_feedback(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    student_id: str,
    timestamp: str | None,
) -> TimedFiles:
    """The feedback on a submission, empty while there is none; for instructors and its author.

    Args:
        timestamp: of the submission; empty for the latest, but it must be there.

    Raises:
        NotFound: no such course, assignment, person in the course, or submission.
        InvalidRequest: the timestamp is missing or can't be read.
    """
    access = require_self_or_instructor(connection, identity, course_id, student_id)
    submission = get_submission(connection, access, assignment_id, student_id, timestamp)
    snapshot_pk = connection.scalar(
        select(Feedback.snapshot_pk).where(Feedback.submission_pk == submission.pk)
    )
    files = [] if snapshot_pk is None else snapshots.list_files(connection, snapshot_pk)
    return TimedFiles(submission.pk, submission.at, files)

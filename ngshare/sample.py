"""Sample data to try ngshare with, and wiping everything: stand-alone and debug mode only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone

from sqlalchemy import delete
from sqlalchemy.orm import Session

from ngshare import assignments, courses, feedback, submissions, wire
from ngshare.database import blobs
from ngshare.database.models import STUDENT, Base, Membership, Submission
from ngshare.database.snapshots import PackedSnapshot, pack, put
from ngshare.errors import NotFound
from ngshare.permissions import Identity, enter_course
from ngshare.users import ensure_users


def clear(session: Session) -> None:
    """Remove every row of every table."""
    for table in reversed(Base.metadata.sorted_tables):
        session.execute(delete(table))


def fill(session: Session) -> None:
    """Add the two sample courses that the manual of ngshare describes.

    Raises:
        Conflict: they are there already.
    """
    admin = Identity("sample", is_service=True, is_admin=True)
    for course, instructor, student in (
        ("course1", "kevin", "lawrence"),
        ("course2", "abigail", "eric"),
    ):
        courses.require_new_course(session, admin, course)
        with suppress(NotFound):  # what an earlier one left, out of sight
            courses.delete_course(session, admin, course, purge=True)
        courses.create_course(session, admin, course, [instructor])
        course_pk = enter_course(session, admin, course).course_pk
        user_pk = ensure_users(session, [student])[student]
        session.add(Membership(course_pk=course_pk, user_pk=user_pk, role=STUDENT))
        session.flush()
    for course, assignment, files in (
        ("course2", "assignment2a", {"file0": b"00000"}),
        ("course2", "assignment2b", {"file1": b"11111"}),
        ("course1", "challenge", {"file2": b"22222"}),
    ):
        assignments.release_assignment(session, admin, course, assignment, _pack(files))

    # The first submission has a date of its own, which no call could give it.
    first = datetime(2020, 1, 1, tzinfo=timezone.utc)
    lawrence = Identity("lawrence")
    session.add(
        Submission(
            assignment_pk=submissions.require_submitter(session, lawrence, "course1", "challenge"),
            user_pk=ensure_users(session, ["lawrence"])["lawrence"],
            at=first,
            snapshot_pk=put(session, _pack({"file3": b"33333"})),
        )
    )
    session.flush()
    submissions.submit(session, lawrence, "course1", "challenge", _pack({"file4": b"44444"}))
    feedback.release_feedback(
        session,
        admin,
        "course1",
        "challenge",
        "lawrence",
        wire.format_timestamp(first),
        _pack({"file5": b"55555"}),
    )


def _pack(files: Mapping[str, bytes]) -> PackedSnapshot:
    return pack({path: blobs.pack(content) for path, content in files.items()})

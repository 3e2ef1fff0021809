"""Sample data to try ngshare with, and wiping everything: stand-alone and debug mode only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone

from sqlalchemy import Connection, delete, insert

from ngshare import assignments, courses, feedback, submissions, wire
from ngshare.database import blobs
from ngshare.database.models import STUDENT, Base, Membership, Submission
from ngshare.database.snapshots import PackedSnapshot, pack, put
from ngshare.errors import NotFound
from ngshare.permissions import Identity, enter_course
from ngshare.users import ensure_users


def clear(connection: Connection) -> None:
    """Remove every row of every table."""
    for table in reversed(Base.metadata.sorted_tables):
        connection.execute(delete(table))


def fill(connection: Connection) -> None:
    """Add the two sample courses that the manual of ngshare describes.

    Raises:
        Conflict: they are there already.
    """
    admin = Identity("sample", is_service=True, is_admin=True)
    for course, instructor, student in (
        ("course1", "kevin", "lawrence"),
        ("course2", "abigail", "eric"),
    ):
        courses.require_new_course(connection, admin, course)
        with suppress(NotFound):  # what an earlier one left, out of sight
            courses.delete_course(connection, admin, course, purge=True)
        courses.create_course(connection, admin, course, [instructor])
        course_pk = enter_course(connection, admin, course).course_pk
        user_pk = ensure_users(connection, [student])[student]
        connection.execute(
            insert(Membership).values(
                course_pk=course_pk, user_pk=user_pk, role=STUDENT, active=True
            )
        )
    for course, assignment, files in (
        ("course2", "assignment2a", {"file0": b"00000"}),
        ("course2", "assignment2b", {"file1": b"11111"}),
        ("course1", "challenge", {"file2": b"22222"}),
    ):
        assignments.release_assignment(connection, admin, course, assignment, _pack(files))

    # The first submission has a date of its own, which no call could give it.
    first = datetime(2020, 1, 1, tzinfo=timezone.utc)
    lawrence = Identity("lawrence")
    connection.execute(
        insert(Submission).values(
            assignment_pk=submissions.require_submitter(
                connection, lawrence, "course1", "challenge"
            ),
            user_pk=ensure_users(connection, ["lawrence"])["lawrence"],
            at=first,
            snapshot_pk=put(connection, _pack({"file3": b"33333"})),
        )
    )
    submissions.submit(connection, lawrence, "course1", "challenge", _pack({"file4": b"44444"}))
    feedback.release_feedback(
        connection,
        admin,
        "course1",
        "challenge",
        "lawrence",
        wire.format_timestamp(first),
        _pack({"file5": b"55555"}),
    )


def _pack(files: Mapping[str, bytes]) -> PackedSnapshot:
    return pack({path: blobs.pack(content) for path, content in files.items()})

"""How many bytes there are, of what, and what storing each content once and compressed saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, case, func, select, text, union

from ngshare.database.blobs import MISSING
from ngshare.database.models import (
    Assignment,
    Blob,
    Course,
    Feedback,
    Release,
    Snapshot,
    SnapshotFile,
    Submission,
    Upload,
)
from ngshare.permissions import Identity, require_admin

LARGEST = 20
REFERRING = (Release, Submission, Feedback, Upload)


@dataclass(frozen=True)
class CourseBytes:
    """What people released, handed in and gave back in a course, in bytes as they sent it."""

    course_id: str
    is_deleted: bool
    releases: int = 0
    submissions: int = 0
    feedback: int = 0

    @property
    def total(self) -> int:
        return self.releases + self.submissions + self.feedback


@dataclass(frozen=True)
class Usage:
    """Bytes of everything.

    Attributes:
        courses: the largest first.
        uploads: sent ahead, for calls of the next day that refer to it.
        contents: of the different contents among all that.
        stored: of those, compressed.
        lost: of contents that were lost before this database was made, and need no room.
        garbage: stored, and nothing refers to it any more; the garbage collector will remove it.
        database: of the database as a whole, with its indexes and free pages.
    """

    courses: Sequence[CourseBytes]
    uploads: int
    contents: int
    stored: int
    lost: int
    garbage: int
    database: int

    @property
    def total(self) -> int:
        """As people sent it."""
        return sum(course.total for course in self.courses) + self.uploads

    @property
    def deduplicated(self) -> int:
        return self.total - self.contents

    @property
    def compressed(self) -> int:
        return self.contents - self.lost - self.stored


def measure(connection: Connection, identity: Identity) -> Usage:
    """All bytes, for admins; reads every row but no content.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    uploads = select(func.coalesce(func.sum(Snapshot.size), 0)).join(
        Upload, Upload.snapshot_pk == Snapshot.pk
    )
    contents = connection.execute(_CONTENTS).one()
    return Usage(
        _list_courses(connection),
        uploads=int(connection.scalar(uploads) or 0),
        database=connection.scalar(text(_DATABASE_SIZE[connection.dialect.name])) or 0,
        # PostgreSQL adds numbers of 64 bits up to decimals.
        **{name: int(value) for name, value in contents._asdict().items()},
    )


_DATABASE_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def _used_digests() -> Any:
    """The contents of all directories that something refers to."""
    pks = union(*(select(table.snapshot_pk) for table in REFERRING)).subquery()
    return (
        select(SnapshotFile.digest)
        .join(pks, pks.c.snapshot_pk == SnapshotFile.snapshot_pk)
        .distinct()
        .subquery()
    )


def _sum_contents() -> Any:
    used = _used_digests()
    is_used = used.c.digest.is_not(None)
    is_lost = Blob.encoding == MISSING

    def total(size: Any, condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, size), else_=0)), 0)

    return (
        select(
            total(Blob.size, is_used).label("contents"),
            total(Blob.stored_size, is_used).label("stored"),
            total(Blob.size, is_used & is_lost).label("lost"),
            total(Blob.stored_size, ~is_used).label("garbage"),
        )
        .select_from(Blob)
        .outerjoin(used, used.c.digest == Blob.digest)
    )


_CONTENTS = _sum_contents()


def _list_courses(connection: Connection) -> list[CourseBytes]:
    """One statement for each kind: together, SQLite would do them for each course anew."""
    found: dict[int, dict[str, Any]] = {
        row.pk: {"course_id": row.name, "is_deleted": row.deleted_at is not None}
        for row in connection.execute(select(Course.pk, Course.name, Course.deleted_at))
    }
    for kind, query in _BYTES.items():
        for course_pk, size in connection.execute(query):
            found[course_pk][kind] = int(size)
    courses = [CourseBytes(**course) for course in found.values()]
    return sorted(courses, key=lambda course: (-course.total, course.course_id))


def _sum_directories(table: Any) -> Any:
    query = select(Assignment.course_pk, func.sum(Snapshot.size)).select_from(table)
    if table is Feedback:
        query = query.join(Submission, Submission.pk == Feedback.submission_pk)
    owner = Submission if table is Feedback else table
    return (
        query.join(Assignment, Assignment.pk == owner.assignment_pk)
        .join(Snapshot, Snapshot.pk == table.snapshot_pk)
        .group_by(Assignment.course_pk)
    )


_BYTES = {
    "releases": _sum_directories(Release),
    "submissions": _sum_directories(Submission),
    "feedback": _sum_directories(Feedback),
}


def list_largest(connection: Connection, identity: Identity) -> Sequence[Row]:
    """The LARGEST contents, for admins: size, stored_size, directories, path, course_id,
    assignment_id.

    Of what bears them, `directories` is the number, and the rest is one example; None if there
    is none.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    return connection.execute(_LARGEST).all()


def _select_largest() -> Any:
    top = (
        select(Blob.digest, Blob.size, Blob.stored_size)
        .order_by(Blob.size.desc(), Blob.digest)
        .limit(LARGEST)
        .subquery()
    )

    def of_files(what: Any) -> Any:
        files = select(what).where(SnapshotFile.digest == top.c.digest)
        return files.correlate(top).scalar_subquery()

    rows = select(
        top,
        of_files(func.count()).label("directories"),
        of_files(func.min(SnapshotFile.pk)).label("file_pk"),
    ).subquery()
    return (
        select(
            rows.c.size,
            rows.c.stored_size,
            rows.c.directories,
            SnapshotFile.path,
            Course.name.label("course_id"),
            Assignment.name.label("assignment_id"),
        )
        .select_from(rows)
        .outerjoin(SnapshotFile, SnapshotFile.pk == rows.c.file_pk)
        .outerjoin(Assignment, Assignment.pk == _owner())
        .outerjoin(Course, Course.pk == Assignment.course_pk)
        .order_by(rows.c.size.desc(), rows.c.digest)
    )


def _owner() -> Any:
    """Of a file: an assignment that it was released, submitted or returned for."""
    returned = select(func.min(Submission.assignment_pk)).join(
        Feedback, Feedback.submission_pk == Submission.pk
    )
    owners = (
        select(func.min(Release.assignment_pk)).where(
            Release.snapshot_pk == SnapshotFile.snapshot_pk
        ),
        select(func.min(Submission.assignment_pk)).where(
            Submission.snapshot_pk == SnapshotFile.snapshot_pk
        ),
        returned.where(Feedback.snapshot_pk == SnapshotFile.snapshot_pk),
    )
    return func.coalesce(*(one.correlate(SnapshotFile).scalar_subquery() for one in owners))


_LARGEST = _select_largest()

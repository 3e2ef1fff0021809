"""Whole lists over all courses, in as many statements however long they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, ScalarSelect, Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from ngshare.database.blobs import MISSING
from ngshare.database.models import (
    INSTRUCTOR,
    REMOVED,
    Assignment,
    Blob,
    Course,
    Feedback,
    Membership,
    Release,
    Snapshot,
    SnapshotFile,
    Submission,
    User,
)
from ngshare.database.snapshots import StoredFile
from ngshare.permissions import Identity, better_role

NOTEBOOK = ".ipynb"
ADMIN = "admin"


@dataclass(frozen=True)
class ListedCourse:
    """A course and what the caller is in it: instructor, student, or an admin and no member."""

    course_id: str
    role: str


@dataclass(frozen=True)
class Directory:
    """A stored directory; notebooks are the names of those at its top, without NOTEBOOK."""

    digest: bytes
    size: int
    file_count: int
    notebooks: list[str]


@dataclass(frozen=True)
class ListedAssignment:
    """The newest version of a released assignment, and when it was released."""

    pk: int
    course_id: str
    assignment_id: str
    version: int
    at: datetime
    directory: Directory


@dataclass(frozen=True)
class ListedFeedback:
    """The feedback on a submission, and when it was released."""

    at: datetime
    digest: bytes
    files: list[StoredFile]


@dataclass(frozen=True)
class ListedSubmission:
    """A submission; files are None unless they were asked for."""

    pk: int
    course_id: str
    assignment_id: str
    student_id: str
    at: datetime
    directory: Directory
    feedback: ListedFeedback | None
    files: list[StoredFile] | None


@dataclass(frozen=True)
class Part:
    """Which part of a list is wanted; the defaults stand for all of it.

    Attributes:
        mine: only the caller's own submissions.
        latest: only the newest of each student's submissions to an assignment.
        before: only submissions that are not later.
        manifest: with the files of each submission.
        after: the primary key that the part before this one ended with.
        limit: how many at most.
    """

    course_id: str | None = None
    assignment_id: str | None = None
    student_id: str | None = None
    mine: bool = False
    latest: bool = False
    before: datetime | None = None
    manifest: bool = False
    after: int = 0
    limit: int | None = None

    def narrow(self, query: Select) -> Select:
        """Of assignments, or of submissions to them, those of the course and assignment."""
        if self.course_id is not None:
            query = query.where(Course.name == self.course_id)
        if self.assignment_id is not None:
            query = query.where(Assignment.name == self.assignment_id)
        return query


def list_courses(connection: Connection, identity: Identity) -> list[ListedCourse]:
    """The courses that courses.list_courses has, in the same order, with the caller's roles."""
    query = (
        select(Course.name, Membership.role)
        .outerjoin(
            Membership,
            and_(
                Membership.course_pk == Course.pk,
                Membership.active,
                Membership.user_pk == user_pk_of(identity),
            ),
        )
        .where(Course.deleted_at.is_(None))
        .order_by(Course.name)
    )
    if not identity.is_admin:
        query = query.where(
            or_(Membership.pk.is_not(None), Course.name.in_(identity.taught | identity.attended))
        )
    return [
        ListedCourse(name, better_role(role, identity.role_by_hub(name)) or ADMIN)
        for name, role in connection.execute(query)
    ]


def list_assignments(
    connection: Connection, identity: Identity, part: Part
) -> list[ListedAssignment]:
    """The released assignments of the courses that the caller is in, or of all for an admin."""
    newest = select(Release.assignment_pk, func.max(Release.version).label("version"))
    grouped = newest.group_by(Release.assignment_pk).subquery()
    query = (
        select(
            Assignment.pk,
            Course.name.label("course_id"),
            Assignment.name.label("assignment_id"),
            Release.version,
            Release.at,
            Release.snapshot_pk,
        )
        .join(Course, Course.pk == Assignment.course_pk)
        .join(grouped, grouped.c.assignment_pk == Assignment.pk)
        .join(
            Release,
            and_(Release.assignment_pk == Assignment.pk, Release.version == grouped.c.version),
        )
        .where(Assignment.released_at.is_not(None), Course.deleted_at.is_(None))
        .where(Assignment.pk > part.after)
        .order_by(Assignment.pk)
        .limit(part.limit)
    )
    if not identity.is_admin:
        query = query.where(Course.pk.in_(courses_of(identity)))
    rows = part.narrow(query).subquery()
    directories = _directories(connection, select(rows.c.snapshot_pk))
    return [
        ListedAssignment(
            row.pk,
            row.course_id,
            row.assignment_id,
            row.version,
            row.at,
            directories[row.snapshot_pk],
        )
        for row in connection.execute(select(rows).order_by(rows.c.pk))
    ]


def list_submissions(
    connection: Connection, identity: Identity, part: Part
) -> list[ListedSubmission]:
    """The caller's own submissions and those to the courses that he teaches; all for an admin."""
    rows = _select_submissions(identity, part).subquery()
    directories = _directories(connection, select(rows.c.snapshot_pk))
    feedback_pks = select(rows.c.feedback_pk).where(rows.c.feedback_pk.is_not(None))
    feedback = _directories(connection, feedback_pks)
    feedback_files = _files(connection, feedback_pks)
    files = _files(connection, select(rows.c.snapshot_pk)) if part.manifest else None

    def feedback_of(row: Row) -> ListedFeedback | None:
        if row.feedback_pk is None:
            return None
        digest = feedback[row.feedback_pk].digest
        return ListedFeedback(row.feedback_at, digest, feedback_files[row.feedback_pk])

    return [
        ListedSubmission(
            row.pk,
            row.course_id,
            row.assignment_id,
            row.student_id,
            row.at,
            directories[row.snapshot_pk],
            feedback_of(row),
            None if files is None else files[row.snapshot_pk],
        )
        for row in connection.execute(select(rows).order_by(rows.c.pk))
    ]


def _select_submissions(identity: Identity, part: Part) -> Select:
    query = (
        select(
            Submission.pk,
            Course.name.label("course_id"),
            Assignment.name.label("assignment_id"),
            User.name.label("student_id"),
            Submission.at,
            Submission.snapshot_pk,
            Feedback.snapshot_pk.label("feedback_pk"),
            Feedback.at.label("feedback_at"),
        )
        .join(Assignment, Assignment.pk == Submission.assignment_pk)
        .join(Course, Course.pk == Assignment.course_pk)
        .join(User, User.pk == Submission.user_pk)
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .where(Assignment.released_at.is_not(None), Course.deleted_at.is_(None))
        .where(Submission.pk > part.after, Submission.pk.not_in(REMOVED))
        .order_by(Submission.pk)
        .limit(part.limit)
    )
    own = Submission.user_pk == user_pk_of(identity)
    if part.mine:
        query = query.where(own)
    elif not identity.is_admin:
        query = query.where(or_(own, Course.pk.in_(courses_of(identity, INSTRUCTOR))))
    if part.student_id is not None:
        query = query.where(User.name == part.student_id)
    if part.before is not None:
        query = query.where(Submission.at <= part.before)
    if part.latest:
        later = aliased(Submission)
        is_later = [
            later.assignment_pk == Submission.assignment_pk,
            later.user_pk == Submission.user_pk,
            later.at > Submission.at,
            later.pk.not_in(REMOVED),
        ]
        if part.before is not None:
            is_later.append(later.at <= part.before)
        query = query.where(~select(later.pk).where(*is_later).exists())
    return part.narrow(query)


def user_pk_of(identity: Identity) -> ScalarSelect[int]:
    """The caller's primary key; a service, which is in no course, has none."""
    name = None if identity.is_service else identity.name
    return select(User.pk).where(User.name == name).scalar_subquery()


def courses_of(identity: Identity, role: str | None = None) -> Select:
    """The primary keys of the courses that the caller is in, or with INSTRUCTOR those he teaches.

    An admin's are those that he is a member of.
    """
    is_member = [Membership.user_pk == user_pk_of(identity), Membership.active]
    by_hub = identity.taught
    if role is None:
        by_hub |= identity.attended
    else:
        is_member.append(Membership.role == role)
    return select(Course.pk).where(
        or_(Course.name.in_(by_hub), Course.pk.in_(select(Membership.course_pk).where(*is_member)))
    )


def _directories(connection: Connection, snapshot_pks: Select) -> dict[int, Directory]:
    """By primary key."""
    notebooks = defaultdict(list)
    paths = (
        select(SnapshotFile.snapshot_pk, SnapshotFile.path)
        .where(SnapshotFile.snapshot_pk.in_(snapshot_pks))
        .where(SnapshotFile.path.like(f"%{NOTEBOOK}"), ~SnapshotFile.path.contains("/"))
        .order_by(SnapshotFile.path)
    )
    for pk, path in connection.execute(paths):
        if path.endswith(NOTEBOOK):  # LIKE of SQLite takes capitals too
            notebooks[pk].append(path.removesuffix(NOTEBOOK))
    return {
        row.pk: Directory(row.digest, row.size, row.file_count, notebooks.get(row.pk, []))
        for row in connection.execute(select(Snapshot).where(Snapshot.pk.in_(snapshot_pks)))
    }


def _files(connection: Connection, snapshot_pks: Select) -> dict[int, list[StoredFile]]:
    """The files by the directory's primary key, sorted by path."""
    query = (
        select(
            SnapshotFile.snapshot_pk,
            SnapshotFile.path,
            Blob.size,
            Blob.digest,
            Blob.checksum,
            Blob.encoding == MISSING,
        )
        .join(Blob, Blob.digest == SnapshotFile.digest)
        .where(SnapshotFile.snapshot_pk.in_(snapshot_pks))
        .order_by(SnapshotFile.snapshot_pk, SnapshotFile.path)
    )
    files = defaultdict(list)
    for row in connection.execute(query):
        files[row.snapshot_pk].append(StoredFile(*row[1:]))
    return files

"""Assignments: release, fetch, list, un-release."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import Connection, bindparam, delete, func, select, update

from ngshare import audit, references
from ngshare.audit import Change
from ngshare.database import snapshots
from ngshare.database.engine import insert
from ngshare.database.models import Assignment, Feedback, Release, Snapshot, Submission
from ngshare.database.snapshots import PackedSnapshot, StoredFile
from ngshare.errors import Conflict, NotFound
from ngshare.fetches import Fetched
from ngshare.limits import UNLIMITED, Limits
from ngshare.permissions import Access, Identity, require_instructor, require_member
from ngshare.users import hold_name

EXISTS = "Assignment already exists"


@dataclass(frozen=True)
class ReleasedFiles:
    """A version of an assignment, and its files, sorted by path.

    Attributes:
        fetched: what to note when the caller gets files; None if the caller is no known user.
    """

    version: int
    at: datetime
    files: list[StoredFile]
    fetched: Fetched | None


@dataclass(frozen=True)
class Version:
    """A version of an assignment, and the digest of its directory."""

    version: int
    at: datetime
    digest: bytes


def list_assignments(connection: Connection, identity: Identity, course_id: str) -> list[str]:
    """The ids of the released assignments, in the order of release, for members."""
    access = require_member(connection, identity, course_id)
    return list(
        connection.scalars(
            select(Assignment.name)
            .where(Assignment.course_pk == access.course_pk, Assignment.released_at.is_not(None))
            .order_by(Assignment.released_at, Assignment.pk)
        )
    )


_FIND = select(Assignment.pk).where(
    Assignment.course_pk == bindparam("course_pk"),
    Assignment.name == bindparam("assignment_id"),
    Assignment.released_at.is_not(None),
)
_KEEP = _FIND.with_for_update(read=True, key_share=True)


def get_assignment(
    connection: Connection, access: Access, assignment_id: str, keep: bool = False
) -> int:
    """The primary key of a released assignment.

    Args:
        keep: let nobody erase it before this transaction ends.

    Raises:
        NotFound: there is none of this name, or it was un-released.
    """
    names = {"course_pk": access.course_pk, "assignment_id": assignment_id}
    pk = connection.scalar(_KEEP if keep else _FIND, names)
    if pk is None:
        raise NotFound("Assignment not found")
    return pk


_NEWEST = (
    select(Release.version, Release.at, Release.snapshot_pk, Snapshot.digest)
    .join(Snapshot, Snapshot.pk == Release.snapshot_pk)
    .where(Release.assignment_pk == bindparam("assignment_pk"))
    .order_by(Release.version.desc())
    .limit(1)
)


def fetch_assignment(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> ReleasedFiles:
    """The newest version, for members.

    Raises:
        NotFound: no such course, or no such released assignment.
    """
    access = require_member(connection, identity, course_id)
    assignment_pk = get_assignment(connection, access, assignment_id)
    newest = connection.execute(_NEWEST, {"assignment_pk": assignment_pk}).one()
    files = snapshots.list_files(connection, newest.snapshot_pk)
    fetched = None
    if access.user_pk is not None:
        fetched = Fetched(assignment_pk, newest.version, newest.at, access.user_pk)
    return ReleasedFiles(newest.version, newest.at, files, fetched)


def require_new_assignment(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> Access:
    """Enter the course as an instructor who may release this assignment.

    Raises:
        NotFound, PermissionDenied: see require_instructor.
        Conflict: it is released already.
    """
    access = require_instructor(connection, identity, course_id)
    try:
        get_assignment(connection, access, assignment_id)
    except NotFound:
        return access
    raise Conflict(EXISTS)


def release_assignment(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    directory: PackedSnapshot,
    limits: Limits = UNLIMITED,
    replace: bool = False,
) -> Version:
    """Release an assignment, for instructors; what was submitted to it stays.

    One that was un-released comes back as a new version, with its submissions and feedback.

    Args:
        replace: whether it may be released already. A directory equal to the one that is released
            then makes no new version.

    Raises:
        Conflict: it is released already, and not to be replaced.
        MissingContent: see references.resolve.
        TooLarge: the course's quota is reached.
        others: see require_instructor.
    """
    hold_name(connection, identity)
    access = require_instructor(connection, identity, course_id)
    now = datetime.now(timezone.utc)
    row = insert(connection, Assignment).values(
        course_pk=access.course_pk, name=assignment_id, released_at=now
    )
    # Two releases at once: the row is locked by the first. The second finds it released and, unless
    # it is to replace it, changes nothing, so that there is no primary key to return.
    assignment_pk = connection.scalar(
        row.on_conflict_do_update(
            index_elements=["course_pk", "name"],
            set_={"released_at": func.coalesce(Assignment.released_at, now)},
            where=None if replace else Assignment.released_at.is_(None),
        ).returning(Assignment.pk)
    )
    if assignment_pk is None:
        raise Conflict(EXISTS)
    directory = references.resolve(connection, access, directory, limits)
    last = connection.execute(_NEWEST, {"assignment_pk": assignment_pk}).one_or_none()
    if replace and last and last.digest == directory.digest:
        return Version(last.version, last.at, last.digest)
    version = last.version + 1 if last else 1
    connection.execute(
        insert(connection, Release).values(
            assignment_pk=assignment_pk,
            version=version,
            snapshot_pk=snapshots.put(connection, directory),
            at=now,
            by=str(identity),
        )
    )
    limits.check_course(connection, access.course_pk)
    change = Change("release assignment", course_id, assignment_id, detail=f"version {version}")
    audit.record(connection, identity, change)
    return Version(version, now, directory.digest)


def unrelease_assignment(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str, purge: bool
) -> None:
    """Take an assignment out of sight, for instructors; with purge, erase it and all its work.

    What was submitted comes back when the assignment is released again. Only purge destroys, and
    it also finds assignments that are out of sight.

    Raises:
        NotFound: no such course, or no such assignment.
    """
    access = require_instructor(connection, identity, course_id)
    if purge:
        pk = connection.scalar(
            select(Assignment.pk)
            .where(Assignment.course_pk == access.course_pk, Assignment.name == assignment_id)
            .with_for_update()
        )
        if pk is None:
            raise NotFound("Assignment not found")
        erase(connection, [pk])
        audit.record(connection, identity, Change("purge assignment", course_id, assignment_id))
        return
    unreleased = connection.scalar(
        update(Assignment)
        .where(
            Assignment.course_pk == access.course_pk,
            Assignment.name == assignment_id,
            Assignment.released_at.is_not(None),
        )
        .values(released_at=None)
        .returning(Assignment.pk)
    )
    if unreleased is None:
        raise NotFound("Assignment not found")
    audit.record(connection, identity, Change("unrelease assignment", course_id, assignment_id))


def restore_assignment(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> None:
    """Bring an un-released assignment back as it was, with its work, for instructors.

    Raises:
        NotFound: no such course, or no such assignment.
        Conflict: it is released.
    """
    access = require_instructor(connection, identity, course_id)
    found = Assignment.course_pk == access.course_pk, Assignment.name == assignment_id
    restored = connection.scalar(
        update(Assignment)
        .where(*found, Assignment.released_at.is_(None))
        .values(released_at=datetime.now(timezone.utc))
        .returning(Assignment.pk)
    )
    if restored is not None:
        audit.record(connection, identity, Change("restore assignment", course_id, assignment_id))
        return
    if connection.scalar(select(Assignment.pk).where(*found)) is None:
        raise NotFound("Assignment not found")
    raise Conflict("Assignment is released already")


def erase(connection: Connection, assignment_pks: Collection[int]) -> None:
    """Remove assignments with their releases, submissions and feedback, and unused bytes."""
    erased = Assignment.pk.in_(assignment_pks)
    connection.execute(
        select(Assignment.pk).where(erased).order_by(Assignment.pk).with_for_update()
    ).all()
    of_assignments = Submission.assignment_pk.in_(assignment_pks)
    submission_pks = select(Submission.pk).where(of_assignments)
    for table, rows in (
        (Feedback, Feedback.submission_pk.in_(submission_pks)),
        (Submission, of_assignments),
        (Release, Release.assignment_pk.in_(assignment_pks)),
        (Assignment, erased),
    ):
        connection.execute(delete(table).where(rows))
    snapshots.remove_unused(connection)

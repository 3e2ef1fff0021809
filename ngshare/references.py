"""Contents that a call refers to, by their SHA-256, instead of bringing them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, union_all

from ngshare.database import blobs, snapshots
from ngshare.database.blobs import PackedBlob, Reference
from ngshare.database.engine import insert
from ngshare.database.models import (
    REMOVED,
    Assignment,
    Feedback,
    Release,
    Snapshot,
    SnapshotFile,
    Submission,
    Upload,
    User,
)
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import MissingContent
from ngshare.limits import UNLIMITED, Limits
from ngshare.permissions import Access, Identity, require_member
from ngshare.users import hold_name

DIGESTS_A_STATEMENT = 500


def resolve(
    connection: Connection, access: Access, directory: PackedSnapshot, limits: Limits = UNLIMITED
) -> PackedSnapshot:
    """The directory with what it refers to, if the caller may read that in the course.

    Raises:
        MissingContent: not all of it is there, or the caller may not, which must look the same:
            nobody is to learn what others have.
        TooLarge: with what it refers to it is over a limit.
    """
    files = directory.files
    if not any(isinstance(blob, Reference) for blob in files.values()):
        return directory
    found: dict[bytes, PackedBlob | Reference] = {
        blob.digest: blob for blob in files.values() if isinstance(blob, PackedBlob)
    }
    wanted = {blob.digest for blob in files.values()} - found.keys()
    stored = blobs.use(connection, _readable(connection, access, sorted(wanted)))
    found.update((blob.digest, blob) for blob in stored)
    if missing := [digest.hex() for digest in sorted(wanted - found.keys())]:
        raise MissingContent(
            f"{len(missing):,} of the contents referred to must be sent first", missing
        )
    resolved = PackedSnapshot(
        directory.digest, {path: found[blob.digest] for path, blob in files.items()}
    )
    for path, blob in resolved.files.items():
        limits.check_size(path, blob.size)
    limits.check_total(resolved.size)
    return resolved


def _readable(connection: Connection, access: Access, digests: list[bytes]) -> set[bytes]:
    """Those of the contents that the caller may read in the course, or has sent ahead."""
    snapshot_pks = _visible_snapshots(access)
    found: set[bytes] = set()
    for start in range(0, len(digests), DIGESTS_A_STATEMENT):
        found.update(
            connection.scalars(
                select(SnapshotFile.digest).where(
                    SnapshotFile.digest.in_(digests[start : start + DIGESTS_A_STATEMENT]),
                    SnapshotFile.snapshot_pk.in_(snapshot_pks),
                )
            )
        )
    return found


def _visible_snapshots(access: Access) -> Select:
    """The primary keys of all directories that the caller may fetch, and of his uploads."""
    in_sight: list[ColumnElement[bool]] = [
        Assignment.course_pk == access.course_pk,
        Assignment.released_at.is_not(None),
    ]
    newest = (
        select(func.max(Release.version))
        .where(Release.assignment_pk == Assignment.pk)
        .correlate(Assignment)
        .scalar_subquery()
    )
    releases = (
        select(Release.snapshot_pk)
        .join(Assignment, Assignment.pk == Release.assignment_pk)
        .where(*in_sight, Release.version == newest)
    )
    if not access.is_instructor:
        me = select(User.pk).where(User.name == access.identity.name).scalar_subquery()
        in_sight.append(Submission.user_pk == me)
    in_sight.append(Submission.pk.not_in(REMOVED))
    submissions = (
        select(Submission.snapshot_pk)
        .join(Assignment, Assignment.pk == Submission.assignment_pk)
        .where(*in_sight)
    )
    feedback = (
        select(Feedback.snapshot_pk)
        .join(Submission, Submission.pk == Feedback.submission_pk)
        .join(Assignment, Assignment.pk == Submission.assignment_pk)
        .where(*in_sight)
    )
    uploads = select(Upload.snapshot_pk).where(*_of(access))
    visible = union_all(releases, submissions, feedback, uploads).subquery()
    return select(visible.c.snapshot_pk)


def _of(access: Access) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The condition that an upload is the caller's, in the course."""
    return Upload.course_pk == access.course_pk, Upload.by == str(access.identity)


def upload(
    connection: Connection,
    identity: Identity,
    course_id: str,
    content: PackedBlob,
    limits: Limits = UNLIMITED,
) -> None:
    """Keep a content for a day, for a call that will refer to it; for members.

    Of what a caller has sent ahead to a course, the newest is kept: as much as one directory may
    have.

    Raises:
        NotFound, PermissionDenied: see require_member.
    """
    hold_name(connection, identity)
    access = require_member(connection, identity, course_id)
    directory = snapshots.pack({content.digest.hex(): content})
    now = datetime.now(timezone.utc)
    row = {
        "course_pk": access.course_pk,
        "by": str(identity),
        "snapshot_pk": snapshots.put(connection, directory),
        "at": now,
    }
    connection.execute(
        insert(connection, Upload)
        .values(row)
        .on_conflict_do_update(index_elements=["course_pk", "by", "snapshot_pk"], set_={"at": now})
    )
    if limits.max_submission_bytes:
        connection.execute(
            delete(Upload).where(
                Upload.pk.in_(_too_old(connection, access, limits.max_submission_bytes))
            )
        )


def _too_old(connection: Connection, access: Access, room: int) -> Collection[int]:
    """The caller's uploads that are beyond the room, in bytes, for the newest ones."""
    newest_first = (
        select(Upload.pk, Snapshot.size)
        .join(Snapshot, Snapshot.pk == Upload.snapshot_pk)
        .where(*_of(access))
        .order_by(Upload.at.desc(), Upload.pk.desc())
    )
    pks = []
    for pk, size in connection.execute(newest_first):
        room -= size
        if room < 0:
            pks.append(pk)
    return pks

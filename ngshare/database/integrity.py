"""Is everything there that was stored? Looks at every byte while the service runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Select,
    cast,
    func,
    literal,
    null,
    select,
    text,
    union_all,
)
from sqlalchemy.exc import DBAPIError

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.engine import Database
from ngshare.database.models import (
    Assignment,
    Blob,
    Course,
    Feedback,
    Release,
    Snapshot,
    SnapshotFile,
    Submission,
    User,
)

ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Survey:
    """How much there is to look at; size is in bytes, before compression."""

    blobs: int
    size: int
    snapshots: int
    missing_blobs: int
    unused_blobs: int
    unused_snapshots: int


@dataclass(frozen=True)
class Use:
    """Something people see that stands on a blob or a snapshot.

    Attributes:
        kind: release, submission or feedback.
        student_id: whose submission it is; None for a release.
        at: of the release, or of the submission.
        path: of the file; None where the whole directory is meant.
    """

    kind: str
    course_id: str
    assignment_id: str
    student_id: str | None
    at: datetime
    path: str | None

    def __str__(self) -> str:
        student = f" of {self.student_id}" if self.student_id else ""
        file = f": {self.path}" if self.path else ""
        at = wire.format_timestamp(self.at)
        return f"{self.kind} {self.course_id}/{self.assignment_id}{student} at {at}{file}"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and who is affected by it."""

    what: str
    uses: list[Use]
    is_damage: bool = True


def survey(connection: Connection) -> Survey:
    """Count what check will look at."""
    missing = Blob.encoding == blobs.MISSING
    unused_snapshots = snapshots.select_unused().order_by(None).subquery()
    return Survey(
        *connection.execute(
            select(
                func.count(),
                cast(func.coalesce(func.sum(Blob.size), 0), BigInteger),
                select(func.count()).select_from(Snapshot).scalar_subquery(),
                func.count().filter(missing),
                func.count().filter(blobs.is_unused()),
                select(func.count()).select_from(unused_snapshots).scalar_subquery(),
            ).select_from(Blob)
        ).one()
    )


def check_file(database: Database) -> Iterator[Finding]:
    """What SQLite knows about its own file; PostgreSQL has tools of its own (pg_amcheck)."""
    return _guard(_check_file(database))


def check(database: Database, advance: Callable[[int], object]) -> Iterator[Finding]:
    """Verify every blob, snapshot and reference; memory does not grow with the data.

    Args:
        advance: is told how many bytes of contents were looked at since it was called last.
    """
    for findings in (
        _check_references(database),
        _check_snapshots(database),
        _check_blobs(database, advance),
    ):
        yield from _guard(findings)


def _guard(findings: Iterator[Finding]) -> Iterator[Finding]:
    """A file that is damaged so that SQLite can't read on is a finding like others."""
    try:
        yield from findings
    except DBAPIError as error:
        yield Finding(f"The database can't be read on: {error.orig}", [])


def _check_file(database: Database) -> Iterator[Finding]:
    if not database.is_sqlite:
        return
    for line in database.read(lambda c: list(c.scalars(text("PRAGMA integrity_check")))):
        if line != "ok":
            yield Finding(f"SQLite's integrity check: {line}", [])
    rows = database.read(lambda c: c.execute(text("PRAGMA foreign_key_check")).all())
    pairs = sorted((table, parent) for table, _, parent, _ in rows)
    for (table, parent), same in groupby(pairs):
        count = len(list(same))
        yield Finding(f"{count} rows of {table} refer to rows of {parent} that don't exist", [])


def _check_references(database: Database) -> Iterator[Finding]:
    """Releases, submissions and feedback without a snapshot, files without a blob."""
    is_there = select(Snapshot.pk).where(Snapshot.pk == _references.c.snapshot_pk).exists()
    for use in database.read(_list_uses, _select_uses().where(~is_there)):
        yield Finding("A directory is not in the database", [use])
    lost = (
        select(SnapshotFile.digest)
        .outerjoin(Blob, Blob.digest == SnapshotFile.digest)
        .where(Blob.digest.is_(None))
        .distinct()
    )
    for digest in database.read(lambda c: list(c.scalars(lost))):
        uses = database.read(_list_uses, _select_file_uses(digest))
        yield Finding(f"Content {digest.hex()} is not in the database", uses)


def _check_snapshots(database: Database) -> Iterator[Finding]:
    last = 0
    while rows := database.read(_list_snapshots, last):
        for row in rows:
            found = database.read(_check_snapshot, row.pk)
            if found:
                yield found
        last = rows[-1].pk


def _list_snapshots(connection: Connection, after: int) -> list[Row]:
    page = select(Snapshot.pk).where(Snapshot.pk > after).order_by(Snapshot.pk)
    return list(connection.execute(page.limit(ROWS_AT_ONCE)))


def _check_snapshot(connection: Connection, pk: int) -> Finding | None:
    snapshot = connection.execute(select(Snapshot).where(Snapshot.pk == pk)).one_or_none()
    if snapshot is None:  # removed a moment ago
        return None
    files = connection.execute(
        select(SnapshotFile.path, SnapshotFile.digest, Blob.size)
        .outerjoin(Blob, Blob.digest == SnapshotFile.digest)
        .where(SnapshotFile.snapshot_pk == pk)
    ).all()
    manifest = wire.manifest_digest((file.path, file.digest) for file in files)
    wrong = [
        f"its {name} is {found}, and {recorded} is recorded"
        for name, found, recorded in (
            ("number of files", len(files), snapshot.file_count),
            ("size", sum(file.size or 0 for file in files), snapshot.size),
            ("manifest", manifest.hex(), snapshot.digest.hex()),
        )
        if found != recorded
    ]
    if not wrong:
        return None
    uses = _list_uses(connection, _select_uses().where(_references.c.snapshot_pk == pk))
    return Finding(f"Directory {pk}: {'; '.join(wrong)}", uses)


def _check_blobs(database: Database, advance: Callable[[int], object]) -> Iterator[Finding]:
    last = b""
    while rows := database.read(_list_blobs, last):
        for row in rows:
            found = database.read(_check_blob, row.digest, row.encoding == blobs.MISSING)
            if found:
                yield found
            advance(row.size)
        last = rows[-1].digest


def _list_blobs(connection: Connection, after: bytes) -> list[Row]:
    page = select(Blob.digest, Blob.size, Blob.encoding).where(Blob.digest > after)
    return list(connection.execute(page.order_by(Blob.digest).limit(ROWS_AT_ONCE)))


def _check_blob(connection: Connection, digest: bytes, is_missing: bool) -> Finding | None:
    damage = (
        "it was lost before this database was made"
        if is_missing
        else blobs.find_damage(connection, digest)
    )
    if damage is None:
        return None
    uses = _list_uses(connection, _select_file_uses(digest))
    return Finding(f"Content {digest.hex()}: {damage}", uses, is_damage=not is_missing)


_references = union_all(
    select(
        literal("submission").label("kind"),
        Submission.snapshot_pk,
        Submission.assignment_pk,
        Submission.user_pk,
        Submission.at,
    ),
    select(
        literal("feedback"),
        Feedback.snapshot_pk,
        Submission.assignment_pk,
        Submission.user_pk,
        Submission.at,
    ).join(Submission, Submission.pk == Feedback.submission_pk),
    select(literal("release"), Release.snapshot_pk, Release.assignment_pk, null(), Release.at),
).subquery()


def _select_uses(path: Any = None) -> Select:
    """The columns of Use for every reference to a snapshot, whose keys may lead nowhere."""
    return (
        select(
            _references.c.kind,
            func.coalesce(Course.name, "?"),
            func.coalesce(Assignment.name, "?"),
            User.name,
            _references.c.at,
            null() if path is None else path,
        )
        .select_from(_references)
        .outerjoin(Assignment, Assignment.pk == _references.c.assignment_pk)
        .outerjoin(Course, Course.pk == Assignment.course_pk)
        .outerjoin(User, User.pk == _references.c.user_pk)
        .order_by(Course.name, Assignment.name, User.name, _references.c.at, _references.c.kind)
    )


def _select_file_uses(digest: bytes) -> Select:
    """The same for every reference to a snapshot that has a certain blob."""
    return (
        _select_uses(SnapshotFile.path)
        .join(SnapshotFile, SnapshotFile.snapshot_pk == _references.c.snapshot_pk)
        .where(SnapshotFile.digest == digest)
    )


def _list_uses(connection: Connection, query: Select) -> list[Use]:
    return [Use(*row) for row in connection.execute(query)]

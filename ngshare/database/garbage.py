"""Removes what nothing refers to any more: replaced feedback, and bytes that no file has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select, update

from ngshare.database import blobs, snapshots
from ngshare.database.engine import Database
from ngshare.database.models import Blob, Snapshot, SnapshotFile, Upload

T = TypeVar("T")

# What one transaction removes at most, so that nobody who stores something waits for long.
ROWS_AT_ONCE = 300
FILES_AT_ONCE = 5_000
BYTES_AT_ONCE = 32 << 20
UPLOADS_STAY = timedelta(days=1)  # for a client that uploads over a slow line, and tries again


@dataclass(frozen=True)
class Removed:
    """What was removed; stored_bytes as they lay in the database, compressed."""

    snapshots: int = 0
    blobs: int = 0
    stored_bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(
            self.snapshots + other.snapshots,
            self.blobs + other.blobs,
            self.stored_bytes + other.stored_bytes,
        )

    def __str__(self) -> str:
        return (
            f"{self.snapshots:,} directories and {self.blobs:,} contents "
            f"({self.stored_bytes:,} bytes) that nothing referred to"
        )


def collect(database: Database, grace_seconds: float) -> Iterator[Removed]:
    """Remove snapshots that nothing refers to, and blobs that were unused for the grace.

    Somebody may be downloading a blob chunk by chunk, or have uploaded it to refer to it in his
    next call. So a run marks the blobs that it finds unused, and only a later one removes them.
    Any number of processes may do this at once, while the service runs.

    Yields what each of many short transactions removed; one may stop between any two.

    Raises:
        DatabaseUnavailable, sqlalchemy.exc.DBAPIError: what is done until then is done.
    """
    _write(database, _forget_uploads)
    marked_before = datetime.now(timezone.utc) - timedelta(seconds=grace_seconds)
    last_pk = 0
    while pks := _read(database, _list_snapshots, last_pk):
        yield _write(database, _remove_snapshots, pks)
        last_pk = pks[-1]
    last_digest = b""
    while digests := _read(database, _list_blobs, last_digest):
        yield _write(database, _sweep, digests, marked_before)
        last_digest = digests[-1]


# In the database's own threads, whose connections are counted.
def _read(database: Database, function: Callable[..., T], *args: Any) -> T:
    return database.readers.submit(database.read, function, *args).result()


def _write(database: Database, function: Callable[..., T], *args: Any) -> T:
    return database.writers.submit(database.write, function, *args).result()


def _forget_uploads(connection: Connection) -> None:
    old = datetime.now(timezone.utc) - UPLOADS_STAY
    connection.execute(delete(Upload).where(Upload.at < old))


def _list_snapshots(connection: Connection, after: int) -> list[int]:
    """The next snapshots that nothing refers to."""
    unused = snapshots.select_unused().where(Snapshot.pk > after).limit(ROWS_AT_ONCE)
    return _take(connection.execute(unused), FILES_AT_ONCE)


def _list_blobs(connection: Connection, after: bytes) -> list[bytes]:
    """The next blobs that are unused or marked as such."""
    return _take(
        connection.execute(
            select(Blob.digest, Blob.stored_size)
            .where(Blob.digest > after, Blob.unused_since.is_not(None) | blobs.is_unused())
            .order_by(Blob.digest)
            .limit(ROWS_AT_ONCE)
        ),
        BYTES_AT_ONCE,
    )


def _take(rows: Iterable[Any], limit: int) -> list[Any]:
    """The keys of (key, weight) until the weights reach the limit; one at least."""
    taken: list[Any] = []
    total = 0
    for key, weight in rows:
        taken.append(key)
        total += weight
        if total >= limit:
            break
    return taken


def _remove_snapshots(connection: Connection, pks: list[int]) -> Removed:
    count, digests = snapshots.remove(connection, pks, skip_locked=True)
    # Also those that bear an older mark: they were in use until now.
    blobs.mark_unused(connection, digests, datetime.now(timezone.utc))
    return Removed(snapshots=count)


def _sweep(connection: Connection, digests: list[bytes], marked_before: datetime) -> Removed:
    """Of some blobs, unmark the used, mark the unused, and remove those marked long ago."""
    # While they are locked nobody can begin to refer to them; who did so earlier is seen then.
    rows = connection.execute(
        select(Blob.digest, Blob.unused_since, Blob.stored_size)
        .where(Blob.digest.in_(digests))
        .order_by(Blob.digest)
        .with_for_update(skip_locked=True)
    ).all()
    files = SnapshotFile.digest.in_([row.digest for row in rows])
    used = set(connection.scalars(select(SnapshotFile.digest).where(files).distinct()))
    connection.execute(update(Blob).where(Blob.digest.in_(used)).values(unused_since=None))
    unused = [row for row in rows if row.digest not in used]
    new = [row.digest for row in unused if row.unused_since is None]
    blobs.mark_unused(connection, new, datetime.now(timezone.utc))
    old = [row for row in unused if row.unused_since and row.unused_since < marked_before]
    blobs.remove_unused(connection, [row.digest for row in old])
    return Removed(blobs=len(old), stored_bytes=sum(row.stored_size for row in old))

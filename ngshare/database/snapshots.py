"""Snapshots: immutable directories, which released assignments, submissions and feedback are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from ngshare import wire
from ngshare.database import blobs
from ngshare.database.blobs import MISSING, PackedBlob, Reference
from ngshare.database.engine import count
from ngshare.database.models import (
    Blob,
    Feedback,
    Release,
    Snapshot,
    SnapshotFile,
    Submission,
    Upload,
)

PKS_A_STATEMENT = 500


@dataclass(frozen=True)
class PackedSnapshot:
    """A directory ready to be stored.

    Attributes:
        digest: of its manifest (wire.manifest_digest).
        files: content by path, or where it is to be found.
    """

    digest: bytes
    files: dict[str, PackedBlob | Reference]

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(blob.size for blob in self.files.values())


@dataclass(frozen=True)
class StoredFile:
    """A file of a stored snapshot: size in bytes, digest SHA-256, checksum MD5.

    One that is missing was lost before this database was made.
    """

    path: str
    size: int
    digest: bytes
    checksum: bytes
    is_missing: bool = False


def pack(files: Mapping[str, PackedBlob | Reference]) -> PackedSnapshot:
    """A directory from contents by path."""
    digest = wire.manifest_digest((path, blob.digest) for path, blob in files.items())
    return PackedSnapshot(digest, dict(files))


_BY_DIGEST = select(Snapshot.pk).where(Snapshot.digest == bindparam("digest"))
_INSERT = insert(Snapshot).returning(Snapshot.pk)
_INSERT_FILES = insert(SnapshotFile)


def put(connection: Connection, packed: PackedSnapshot) -> int:
    """Store a directory, or find the equal one that is there; its primary key.

    Whether the caller may refer to contents that are stored already is not looked at here.
    """
    count(connection, "offered_bytes", packed.size)
    known = connection.scalar(_BY_DIGEST, {"digest": packed.digest})
    blobs.put(connection, [b for b in packed.files.values() if isinstance(b, PackedBlob)])
    if known is not None:
        return known
    row = {"digest": packed.digest, "size": packed.size, "file_count": len(packed.files)}
    # If another replica stores an equal one just now, this fails, and the transaction is repeated.
    pk = connection.scalars(_INSERT, row).one()
    if packed.files:
        connection.execute(
            _INSERT_FILES,
            [
                {"snapshot_pk": pk, "path": path, "digest": blob.digest}
                for path, blob in packed.files.items()
            ],
        )
    return pk


_FILE = (SnapshotFile.path, Blob.size, Blob.digest, Blob.checksum, Blob.encoding == MISSING)
_FILES = (
    select(*_FILE)
    .join(Blob, Blob.digest == SnapshotFile.digest)
    .where(SnapshotFile.snapshot_pk == bindparam("snapshot_pk"))
    .order_by(SnapshotFile.path)
)


_FILES_OF = (
    select(Snapshot.digest, *_FILE)
    .join(SnapshotFile, SnapshotFile.snapshot_pk == Snapshot.pk)
    .join(Blob, Blob.digest == SnapshotFile.digest)
    .where(Snapshot.digest.in_(bindparam("digests", expanding=True)))
    .order_by(Snapshot.digest, SnapshotFile.path)
)


def list_files(connection: Connection, snapshot_pk: int) -> list[StoredFile]:
    """The files of a snapshot, sorted by path."""
    rows = connection.execute(_FILES, {"snapshot_pk": snapshot_pk})
    return [StoredFile(*row) for row in rows]


def list_files_of(
    connection: Connection, digests: Collection[bytes]
) -> dict[bytes, list[StoredFile]]:
    """The files of at most PKS_A_STATEMENT snapshots by digest, sorted by path.

    Those that are not there any more, or have no files, are left out.
    """
    found: dict[bytes, list[StoredFile]] = {}
    for row in connection.execute(_FILES_OF, {"digests": list(digests)}):
        found.setdefault(row[0], []).append(StoredFile(*row[1:]))
    return found


def select_unused() -> Select:
    """The pk and file_count of the snapshots that nothing refers to, in the order of pk."""
    unused = select(Snapshot.pk, Snapshot.file_count).order_by(Snapshot.pk)
    for table in (Release, Submission, Feedback, Upload):
        unused = unused.where(
            ~select(table.snapshot_pk).where(table.snapshot_pk == Snapshot.pk).exists()
        )
    return unused


def remove_unused(connection: Connection) -> None:
    """Remove the snapshots that nothing refers to any more, and their unused blobs."""
    pks = list(connection.scalars(select_unused()))
    for start in range(0, len(pks), PKS_A_STATEMENT):
        _, digests = remove(connection, pks[start : start + PKS_A_STATEMENT])
        blobs.remove_unused(connection, digests)


def remove(
    connection: Connection, snapshot_pks: list[int], skip_locked: bool = False
) -> tuple[int, set[bytes]]:
    """Remove those of some snapshots that nothing refers to; their blobs stay.

    Args:
        skip_locked: leave those alone that somebody is just referring to, instead of waiting.

    Returns:
        How many were removed, and the digests of the files they had.
    """
    # While they are locked nobody can begin to refer to them; who did so earlier is seen then.
    locked = (
        select(Snapshot.pk)
        .where(Snapshot.pk.in_(snapshot_pks))
        .order_by(Snapshot.pk)
        .with_for_update(skip_locked=skip_locked)
    )
    pks = list(connection.scalars(locked))
    pks = list(connection.scalars(select_unused().where(Snapshot.pk.in_(pks))))
    files = SnapshotFile.snapshot_pk.in_(pks)
    digests = set(connection.scalars(select(SnapshotFile.digest).where(files)))
    connection.execute(delete(SnapshotFile).where(files))
    connection.execute(delete(Snapshot).where(Snapshot.pk.in_(pks)))
    return len(pks), digests

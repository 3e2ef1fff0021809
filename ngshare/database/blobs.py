"""Where bytes live: every content once, in chunks, compressed where that makes it smaller.

The only module that knows. Packing (hashing, compressing) needs no database and is done before
the transaction, so that the one writer of SQLite is held up by storing alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import zstandard
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ngshare.database.engine import insert
from ngshare.database.models import Blob, BlobChunk, SnapshotFile

CHUNK_BYTES = 1 << 20
COMPRESSION_LEVEL = 3
DIGESTS_A_STATEMENT = 500  # well under the parameter limits of both databases

IDENTITY = "identity"
ZSTD = "zstd"


@dataclass(frozen=True)
class PackedBlob:
    """A content ready to be stored.

    Attributes:
        digest: SHA-256, 32 bytes.
        size: of the content, in bytes.
        checksum: MD5, 16 bytes.
        encoding: of the chunks.
        chunks: in order; none for an empty content.
    """

    digest: bytes
    size: int
    checksum: bytes
    encoding: str
    chunks: tuple[bytes, ...]


def pack(content: bytes) -> PackedBlob:
    """Hash a content and compress it, where that shrinks it."""
    view = memoryview(content)
    plain = [view[i : i + CHUNK_BYTES] for i in range(0, len(view), CHUNK_BYTES)]
    compressor = zstandard.ZstdCompressor(COMPRESSION_LEVEL)
    compressed = [compressor.compress(chunk) for chunk in plain]
    shrinks = sum(map(len, compressed)) < len(content)
    return PackedBlob(
        digest=hashlib.sha256(content).digest(),
        size=len(content),
        checksum=hashlib.md5(content, usedforsecurity=False).digest(),
        encoding=ZSTD if shrinks else IDENTITY,
        chunks=tuple(compressed) if shrinks else tuple(map(bytes, plain)),
    )


def put(session: Session, blobs: Iterable[PackedBlob]) -> None:
    """Store those of the blobs that are not there yet; three statements for 500 blobs."""
    for batch in _batches({blob.digest: blob for blob in blobs}):
        known = set(session.scalars(select(Blob.digest).where(Blob.digest.in_(batch))))
        missing = [blob for digest, blob in batch.items() if digest not in known]
        if not missing:
            continue
        rows = [
            {
                "digest": blob.digest,
                "size": blob.size,
                "checksum": blob.checksum,
                "encoding": blob.encoding,
                "stored_size": sum(map(len, blob.chunks)),
            }
            for blob in missing
        ]
        # Another replica may store the same content just now: whoever got the row writes the
        # chunks, and the other has waited for that commit.
        statement = insert(session, Blob).values(rows).on_conflict_do_nothing()
        ours = set(session.scalars(statement.returning(Blob.digest)))
        chunks = [
            {"digest": blob.digest, "seq": seq, "data": data}
            for blob in missing
            if blob.digest in ours
            for seq, data in enumerate(blob.chunks)
        ]
        if chunks:
            session.execute(insert(session, BlobChunk), chunks)


def load(session: Session, digests: Collection[bytes]) -> dict[bytes, bytes]:
    """The contents of some blobs by digest; one statement for 500 of them.

    Raises:
        KeyError: one of them is not stored.
    """
    pieces: dict[bytes, list[bytes]] = {}
    decompressor = zstandard.ZstdDecompressor()
    for batch in _batches(dict.fromkeys(digests)):
        rows = session.execute(
            select(Blob.digest, Blob.encoding, BlobChunk.data)
            .outerjoin(BlobChunk, BlobChunk.digest == Blob.digest)
            .where(Blob.digest.in_(batch))
            .order_by(Blob.digest, BlobChunk.seq)
        )
        for digest, encoding, data in rows:
            chunks = pieces.setdefault(digest, [])
            if data is not None:
                chunks.append(decompressor.decompress(data) if encoding == ZSTD else data)
    return {digest: b"".join(pieces[digest]) for digest in digests}


def remove_unused(session: Session, digests: Collection[bytes]) -> None:
    """Remove those of the blobs that no snapshot refers to any more."""
    for batch in _batches(dict.fromkeys(digests)):
        unused = select(Blob.digest).where(
            Blob.digest.in_(batch),
            ~select(SnapshotFile.pk).where(SnapshotFile.digest == Blob.digest).exists(),
        )
        gone = list(session.scalars(unused))
        session.execute(delete(BlobChunk).where(BlobChunk.digest.in_(gone)))
        session.execute(delete(Blob).where(Blob.digest.in_(gone)))


def _batches(by_digest: dict[bytes, PackedBlob] | dict[bytes, None]) -> Iterator[dict]:
    items = list(by_digest.items())
    for start in range(0, len(items), DIGESTS_A_STATEMENT):
        yield dict(items[start : start + DIGESTS_A_STATEMENT])

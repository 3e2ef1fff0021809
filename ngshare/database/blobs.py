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

from ngshare.database.engine import count, insert
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
    return pack_pieces([content])


def pack_pieces(pieces: Iterable[bytes]) -> PackedBlob:
    """The same for a content that comes in pieces, so that it is nowhere in memory as a whole.

    A content of many chunks is judged by its first: most of what does not shrink (pictures,
    archives) does so nowhere.
    """
    digest = hashlib.sha256()
    checksum = hashlib.md5(usedforsecurity=False)
    compressor = zstandard.ZstdCompressor(COMPRESSION_LEVEL)
    encoding = IDENTITY
    size = 0
    chunks: list[bytes] = []
    for plain in _cut(pieces):
        digest.update(plain)
        checksum.update(plain)
        size += len(plain)
        compressed = plain if chunks and encoding == IDENTITY else compressor.compress(plain)
        if not chunks:
            encoding = ZSTD if len(compressed) < len(plain) else IDENTITY
        chunks.append(compressed if encoding == ZSTD else plain)
    return PackedBlob(digest.digest(), size, checksum.digest(), encoding, tuple(chunks))


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of CHUNK_BYTES, the last of them shorter."""
    rest = bytearray()
    for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % CHUNK_BYTES
        for start in range(0, whole, CHUNK_BYTES):
            yield bytes(rest[start : start + CHUNK_BYTES])
        del rest[:whole]
    if rest:
        yield bytes(rest)


def put(session: Session, blobs: Iterable[PackedBlob]) -> None:
    """Store those of the blobs that are not there yet; three statements for 500 blobs."""
    # In one order everywhere, so that two transactions wait for one another and don't deadlock.
    by_digest = {blob.digest: blob for blob in sorted(blobs, key=lambda blob: blob.digest)}
    for batch in _batches(by_digest):
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
        for column, name in (("size", "new_bytes"), ("stored_size", "stored_bytes")):
            count(session, name, sum(row[column] for row in rows if row["digest"] in ours))
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
                chunks.append(_decode(encoding, data))
    return {digest: b"".join(pieces[digest]) for digest in digests}


def load_chunk(session: Session, digest: bytes, seq: int) -> bytes:
    """One chunk of a blob.

    Raises:
        sqlalchemy.exc.NoResultFound: it is not stored.
    """
    encoding, data = session.execute(
        select(Blob.encoding, BlobChunk.data)
        .join(BlobChunk, BlobChunk.digest == Blob.digest)
        .where(Blob.digest == digest, BlobChunk.seq == seq)
    ).one()
    return _decode(encoding, data)


def _decode(encoding: str, chunk: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(chunk) if encoding == ZSTD else chunk


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

"""Where bytes live: every content once, in chunks, compressed where that makes it smaller.

The only module that knows. Packing (hashing, compressing) needs no database and is done before
the transaction, so that the one writer of SQLite is held up by storing alone.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import zstandard
from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    literal_column,
    null,
    select,
    update,
)

from ngshare.database.engine import count, insert
from ngshare.database.models import Blob, BlobChunk, SnapshotFile
from ngshare.errors import DamagedContent
from ngshare.spool import Span, Spool

CHUNK_BYTES = 1 << 20
COMPRESSION_LEVEL = 3
DIGESTS_A_STATEMENT = 500  # well under the parameter limits of both databases
BYTES_A_STATEMENT = 4 << 20  # of chunks, which are in memory at once

IDENTITY = "identity"
ZSTD = "zstd"
MISSING = "missing"  # no chunks: the content was lost before this database was made
CHUNKS_AT_ONCE = 4

_CONTENTS = (
    select(Blob.digest, Blob.encoding, BlobChunk.data)
    .outerjoin(BlobChunk, BlobChunk.digest == Blob.digest)
    .where(Blob.digest.in_(bindparam("digests", expanding=True)))
    .order_by(Blob.digest, BlobChunk.seq)
)
_USES = select(Blob.digest, Blob.size, Blob.unused_since).where(
    Blob.digest.in_(bindparam("digests", expanding=True)), Blob.encoding != MISSING
)
_CHUNK = (
    select(Blob.encoding, BlobChunk.data)
    .join(BlobChunk, BlobChunk.digest == Blob.digest)
    .where(Blob.digest == bindparam("digest"), BlobChunk.seq == bindparam("seq"))
)

_local = threading.local()  # compressors, which are costly to make and not for two threads at once


@dataclass(frozen=True)
class PackedBlob:
    """A content ready to be stored.

    Attributes:
        digest: SHA-256, 32 bytes.
        size: of the content, in bytes.
        checksum: MD5, 16 bytes.
        encoding: of the chunks.
        chunks: in order, as bytes or where to find them; none for an empty content.
    """

    digest: bytes
    size: int
    checksum: bytes
    encoding: str
    chunks: tuple[bytes | Span, ...]


@dataclass(frozen=True)
class Reference:
    """A content that is said to be stored; its size, in bytes, is known once it is found."""

    digest: bytes
    size: int = 0


def pack(content: bytes) -> PackedBlob:
    """Hash a content and compress it, where that shrinks it."""
    return pack_pieces([content])


def pack_pieces(pieces: Iterable[bytes], spool: Spool | None = None) -> PackedBlob:
    """The same for a content that comes in pieces, so that it is nowhere in memory as a whole.

    A content of many chunks is judged by its first: most of what does not shrink (pictures,
    archives) does so nowhere.

    Args:
        spool: keeps the chunks until they are stored; None keeps them in memory.
    """
    digest = hashlib.sha256()
    checksum = hashlib.md5(usedforsecurity=False)
    encoding = IDENTITY
    size = 0
    chunks: list[bytes | Span] = []
    for plain in _cut(pieces):
        digest.update(plain)
        checksum.update(plain)
        size += len(plain)
        compressed = plain if chunks and encoding == IDENTITY else _compress(plain)
        if not chunks:
            encoding = ZSTD if len(compressed) < len(plain) else IDENTITY
        chunk = compressed if encoding == ZSTD else plain
        chunks.append(spool.append(chunk) if spool else chunk)
    return PackedBlob(digest.digest(), size, checksum.digest(), encoding, tuple(chunks))


def _compress(chunk: bytes) -> bytes:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(COMPRESSION_LEVEL)
    return _local.compressor.compress(chunk)


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of CHUNK_BYTES, the last of them shorter."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        while size + len(piece) >= CHUNK_BYTES:
            end = CHUNK_BYTES - size
            yield b"".join([*waiting, piece[:end]])
            waiting, size, piece = [], 0, piece[end:]
        waiting.append(piece)
        size += len(piece)
    if size:
        yield b"".join(waiting)


def put(connection: Connection, blobs: Iterable[PackedBlob]) -> None:
    """Store those of the blobs that are not there yet; three statements for 500 blobs.

    One that is known to be missing, and is given now, is there again: otherwise an imported
    archive that calls a content missing would take its bytes from whoever hands it in later.
    """
    # In one order everywhere, so that two transactions wait for one another and don't deadlock.
    by_digest = {blob.digest: blob for blob in sorted(blobs, key=lambda blob: blob.digest)}
    for batch in _batches(by_digest):
        known = _use_again(connection, batch)
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
        ours = set(connection.scalars(_or_restore(insert(connection, Blob)), rows))
        for column, name in (("size", "new_bytes"), ("stored_size", "stored_bytes")):
            count(connection, name, sum(row[column] for row in rows if row["digest"] in ours))
        for rows in _chunk_rows(blob for blob in missing if blob.digest in ours):
            connection.execute(insert(connection, BlobChunk), rows)


@functools.cache
def _or_restore(statement: Any) -> Any:
    """An INSERT of blobs that gives a missing one its bytes; it returns the digests of both."""
    columns = ("size", "checksum", "encoding", "stored_size")
    given = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(
        index_elements=[Blob.digest],
        set_={**given, "unused_since": null()},
        # no parameter, as that would make it one statement for each row
        where=Blob.encoding == literal_column(f"'{MISSING}'"),
    ).returning(Blob.digest)


def _chunk_rows(blobs: Iterable[PackedBlob]) -> Iterator[list[dict[str, Any]]]:
    """Rows of chunks, BYTES_A_STATEMENT of them at a time."""
    rows: list[dict[str, Any]] = []
    size = 0
    for blob in blobs:
        for seq, chunk in enumerate(blob.chunks):
            if rows and size + len(chunk) > BYTES_A_STATEMENT:
                yield rows
                rows, size = [], 0
            rows.append({"digest": blob.digest, "seq": seq, "data": bytes(chunk)})
            size += len(chunk)
    if rows:
        yield rows


def load(connection: Connection, digests: Collection[bytes]) -> dict[bytes, bytes]:
    """The contents of some blobs by digest; one statement for 500 of them.

    Raises:
        KeyError: one of them is not stored.
        DamagedContent: what is stored is not what its digest says.
    """
    pieces: dict[bytes, list[bytes]] = {}
    for batch in _batches(dict.fromkeys(digests)):
        for digest, encoding, data in connection.execute(_CONTENTS, {"digests": list(batch)}):
            chunks = pieces.setdefault(digest, [])
            if data is not None:
                chunks.append(_decode(digest, encoding, data))
    contents = {digest: b"".join(pieces[digest]) for digest in digests}
    for digest, content in contents.items():
        if hashlib.sha256(content).digest() != digest:
            raise DamagedContent(digest)
    return contents


def load_chunk(connection: Connection, digest: bytes, seq: int) -> bytes:
    """One chunk of a blob; whether all of them make up the digest is for the caller to see.

    Raises:
        KeyError: it is not stored.
        DamagedContent: it can't be decoded.
    """
    row = connection.execute(_CHUNK, {"digest": digest, "seq": seq}).one_or_none()
    if row is None:
        raise KeyError(digest)
    return _decode(digest, *row)


def _decode(digest: bytes, encoding: str, chunk: bytes) -> bytes:
    plain = _decode_bounded(encoding, chunk)
    if plain is None:
        raise DamagedContent(digest)
    return plain


def use(connection: Connection, digests: Collection[bytes]) -> list[Reference]:
    """Those of the blobs that are stored with their bytes; the garbage collector leaves them."""
    found = []
    for batch in _batches(dict.fromkeys(sorted(digests))):
        found += [Reference(*item) for item in _use_again(connection, batch).items()]
    return found


def remove_unused(connection: Connection, digests: Collection[bytes]) -> None:
    """Remove those of the blobs that no snapshot refers to any more."""
    for batch in _batches(dict.fromkeys(digests)):
        unused = select(Blob.digest).where(
            Blob.digest.in_(batch),
            ~select(SnapshotFile.pk).where(SnapshotFile.digest == Blob.digest).exists(),
        )
        gone = list(connection.scalars(unused))
        connection.execute(delete(BlobChunk).where(BlobChunk.digest.in_(gone)))
        connection.execute(delete(Blob).where(Blob.digest.in_(gone)))


def _batches(by_digest: dict[bytes, PackedBlob] | dict[bytes, None]) -> Iterator[dict]:
    items = list(by_digest.items())
    for start in range(0, len(items), DIGESTS_A_STATEMENT):
        yield dict(items[start : start + DIGESTS_A_STATEMENT])


def _use_again(connection: Connection, digests: Collection[bytes]) -> dict[bytes, int]:
    """Size by digest of the blobs that are stored with their bytes.

    The garbage collector must begin anew to count. What it removes just now is not among them.
    """
    rows = connection.execute(_USES, {"digests": list(digests)}).all()
    known = {row.digest: row.size for row in rows if row.unused_since is None}
    if marked := [row.digest for row in rows if row.unused_since is not None]:
        unmark = update(Blob).where(Blob.digest.in_(marked)).values(unused_since=None)
        known.update(connection.execute(unmark.returning(Blob.digest, Blob.size)).all())
    return known


def is_unused() -> ColumnElement[bool]:
    """The condition that no snapshot refers to a blob."""
    return ~select(SnapshotFile.pk).where(SnapshotFile.digest == Blob.digest).exists()


def mark_unused(connection: Connection, digests: Collection[bytes], now: datetime) -> None:
    """Note that those of the blobs that no snapshot refers to are unused since now."""
    for batch in _batches(dict.fromkeys(digests)):
        unused = update(Blob).where(Blob.digest.in_(batch), is_unused())
        connection.execute(unused.values(unused_since=now))


def find_damage(connection: Connection, digest: bytes) -> str | None:
    """What is wrong with a stored blob, read CHUNKS_AT_ONCE at a time; None if nothing is.

    One that is not there (any more), and one that was already missing when the site was taken
    over, are not damaged.
    """
    blob = connection.execute(select(Blob).where(Blob.digest == digest)).one_or_none()
    if blob is None or blob.encoding == MISSING:
        return None
    if blob.encoding not in (IDENTITY, ZSTD):
        return f"its encoding {blob.encoding!r} is unknown"
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    count = size = stored_size = 0
    for seq, data in _read_chunks(connection, digest):
        if seq != count:
            return f"chunk {count} is missing"
        plain = _decode_bounded(blob.encoding, data)
        if plain is None:
            return f"chunk {seq} can't be decoded"
        sha256.update(plain)
        md5.update(plain)
        count, size, stored_size = count + 1, size + len(plain), stored_size + len(data)
    for name, recorded, found in (
        ("number of chunks", -(-blob.size // CHUNK_BYTES), count),
        ("size", blob.size, size),
        ("stored size", blob.stored_size, stored_size),
        ("SHA-256", digest.hex(), sha256.hexdigest()),
        ("MD5", blob.checksum.hex(), md5.hexdigest()),
    ):
        if found != recorded:
            return f"its {name} is {found}, and {recorded} is recorded"
    return None


def _read_chunks(connection: Connection, digest: bytes) -> Iterator[tuple[int, bytes]]:
    """The sequence numbers and stored bytes of a blob's chunks, in order."""
    chunks = select(BlobChunk.seq, BlobChunk.data).where(BlobChunk.digest == digest)
    chunks = chunks.order_by(BlobChunk.seq).limit(CHUNKS_AT_ONCE)
    rows = connection.execute(chunks).all()
    while rows:
        yield from ((seq, data) for seq, data in rows)
        if len(rows) < CHUNKS_AT_ONCE:
            return
        rows = connection.execute(chunks.where(BlobChunk.seq > rows[-1].seq)).all()


def _decode_bounded(encoding: str, chunk: bytes) -> bytes | None:
    """A chunk decoded, or None if it can't be; a damaged one may claim to be of any length."""
    if encoding == IDENTITY:
        return chunk
    try:
        if not 0 <= zstandard.frame_content_size(chunk) <= CHUNK_BYTES:
            return None
        return zstandard.ZstdDecompressor().decompress(chunk)
    except zstandard.ZstdError:
        return None

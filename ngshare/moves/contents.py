"""Stored directories, read piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection

from ngshare.database import blobs
from ngshare.database.snapshots import StoredFile
from ngshare.errors import DamagedContent


def read(connection: Connection, file: StoredFile) -> Iterator[bytes]:
    """The content of a file, at most a mebibyte at a time.

    Raises:
        DamagedContent: it is not what it was when it was stored.
    """
    digest = hashlib.sha256()
    for seq in range(-(-file.size // blobs.CHUNK_BYTES)):
        try:
            chunk = blobs.load_chunk(connection, file.digest, seq)
        except KeyError:
            raise DamagedContent(file.digest) from None
        digest.update(chunk)
        yield chunk
    if digest.digest() != file.digest:
        raise DamagedContent(file.digest)

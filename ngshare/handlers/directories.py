"""What assignments, submissions and feedback have in common: directories, up and down."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from cachetools import LRUCache

from ngshare import wire
from ngshare.database import blobs
from ngshare.database.snapshots import PackedSnapshot, StoredFile
from ngshare.errors import ContentLost, DamagedContent, NotFound
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.uploads import decode_files

if TYPE_CHECKING:
    from sqlalchemy import Connection

BATCH_BYTES = 1 << 20
CACHED_BYTES = 16 << 20  # encoded contents of short files: those of an assignment of the day
JSON_NEWLINE = rb"\n"


def make_cache() -> LRUCache[bytes, bytes]:
    """Encoded contents by digest; they never change, so they are never wrong."""
    return LRUCache(CACHED_BYTES, getsizeof=len)


class DirectoryHandler(BaseHandler):
    long_bodies = True

    async def decode_directory(self) -> PackedSnapshot:
        """The directory in the field `files`, ready to be stored.

        Raises: see uploads.decode_files.
        """
        field = self.field("files")
        blocks = None
        if field is not None:
            blocks = field.blocks()
        elif (value := self.raw_argument("files")) is not None:  # of the query
            blocks = iter([value])
        spool = self.body.new_spool()
        return await self.compute(decode_files, blocks, self.settings["limits"], spool)

    async def answer_directory(self, files: Sequence[StoredFile], **keys: Any) -> None:
        """Send `{"success": true, ..., "files": [...]}`, with contents unless `list_only`."""
        if self.flag("list_only"):
            self.answer(**keys, files=[_describe(file) for file in files])
            return
        if missing := next((file for file in files if file.is_missing), None):
            raise ContentLost(
                f"The file {missing.path} was lost before this site was upgraded from ngshare 0.6, "
                "so its directory can't be fetched as a whole; list_only=true lists it. The "
                "manual's page on upgrading tells what the admin can do"
            )
        self.set_header("Content-Type", "application/json")
        opening = msgspec.json.encode({"success": True, **keys})
        self.write(opening[:-1] + b',"files":[')
        try:
            for number, batch in enumerate(_batches(files)):
                if number:
                    await self.flush()
                    self.write(b",")
                if batch[0].size > BATCH_BYTES:
                    await self._write_long_file(batch[0])
                else:
                    await self._write_short_files(batch)
        except KeyError:
            raise NotFound("These files were purged just now") from None
        self.finish(b"]}")

    async def _write_short_files(self, batch: Sequence[StoredFile]) -> None:
        cache = self.settings["encoded_contents"]
        encoded = {file.digest: cache.get(file.digest) for file in batch}
        missing = [digest for digest, content in encoded.items() if content is None]
        if missing:
            loaded = await self.read_long(_load_encoded, missing)
            encoded.update(loaded)
            cache.update(loaded)
        for number, file in enumerate(batch):
            self.write((b"," if number else b"") + _open_entry(file))
            self.write(encoded[file.digest])
            self.write(b'"}')

    async def _write_long_file(self, file: StoredFile) -> None:
        """Send a file chunk by chunk, as the client takes them."""
        self.write(_open_entry(file))
        digest = hashlib.sha256()
        rest = b""
        for seq in range(-(-file.size // blobs.CHUNK_BYTES)):
            text, rest = await self.read_long(_load_lines, file.digest, seq, rest, digest)
            self.write(text)
            del text  # of which the stream has a copy
            await self.flush()
        if digest.digest() != file.digest:
            raise DamagedContent(file.digest)
        self.write(wire.encode_content(rest, JSON_NEWLINE) + b'"}')


def _describe(file: StoredFile) -> dict[str, str]:
    return {"path": file.path, "checksum": file.checksum.hex()}


def _open_entry(file: StoredFile) -> bytes:
    """The JSON object of a file, up to where its content begins."""
    return msgspec.json.encode(_describe(file))[:-1] + b',"content":"'


def _load_encoded(connection: Connection, digests: Collection[bytes]) -> dict[bytes, bytes]:
    """Contents by digest, as the answer has them."""
    return {
        digest: wire.encode_content(content, JSON_NEWLINE)
        for digest, content in blobs.load(connection, digests).items()
    }


def _load_lines(
    connection: Connection, digest: bytes, seq: int, rest: bytes, so_far: hashlib._Hash
) -> tuple[bytes, bytes]:
    """The full lines of base64 of a chunk with what was left of the last, and what is left now.

    Args:
        so_far: the hash of all chunks before; the chunk is added.
    """
    chunk = blobs.load_chunk(connection, digest, seq)
    so_far.update(chunk)
    content = rest + chunk
    full = len(content) - len(content) % wire.BYTES_A_LINE
    return wire.encode_content(content[:full], JSON_NEWLINE), content[full:]


def _batches(files: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
    """Cut a directory where the sizes add up to BATCH_BYTES; a longer file goes alone."""
    batch: list[StoredFile] = []
    size = 0
    for file in files:
        if batch and size + file.size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch

"""What assignments, submissions and feedback have in common: directories, up and down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ngshare import wire
from ngshare.database import blobs
from ngshare.database.snapshots import PackedSnapshot, StoredFile
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.uploads import decode_files

BATCH_BYTES = 1 << 20
JSON_NEWLINE = rb"\n"


class DirectoryHandler(BaseHandler):
    long_bodies = True

    async def decode_directory(self) -> PackedSnapshot:
        """The directory in the field `files`, ready to be stored.

        Raises:
            InvalidRequest: see uploads.decode_files.
        """
        return await self.compute(lambda: decode_files(self.raw_argument("files")))

    async def answer_directory(self, files: Sequence[StoredFile], **keys: Any) -> None:
        """Send `{"success": true, ..., "files": [...]}`, with contents unless `list_only`."""
        if self.flag("list_only"):
            self.answer(**keys, files=[_describe(file) for file in files])
            return
        self.set_header("Content-Type", "application/json")
        opening = msgspec.json.encode({"success": True, **keys})
        self.write(opening[:-1] + b',"files":[')
        for number, batch in enumerate(_batches(files)):
            if number:
                await self.flush()
                self.write(b",")
            if batch[0].size > BATCH_BYTES:
                await self._write_long_file(batch[0])
            else:
                contents = await self.read(blobs.load, {file.digest for file in batch})
                self.write(await self.compute(_encode_entries, batch, contents))
        self.finish(b"]}")

    async def _write_long_file(self, file: StoredFile) -> None:
        """Send a file chunk by chunk, as the client takes them."""
        self.write(_open_entry(file))
        rest = b""
        for seq in range(-(-file.size // blobs.CHUNK_BYTES)):
            chunk = await self.read(blobs.load_chunk, file.digest, seq)
            text, rest = await self.compute(_encode_lines, rest + chunk)
            self.write(text)
            await self.flush()
        self.write(wire.encode_content(rest, JSON_NEWLINE) + b'"}')


def _describe(file: StoredFile) -> dict[str, str]:
    return {"path": file.path, "checksum": file.checksum.hex()}


def _open_entry(file: StoredFile) -> bytes:
    """The JSON object of a file, up to where its content begins."""
    return msgspec.json.encode(_describe(file))[:-1] + b',"content":"'


def _encode_entries(files: Sequence[StoredFile], contents: dict[bytes, bytes]) -> bytes:
    """JSON objects of the files, joined by commas."""
    return b",".join(
        _open_entry(file) + wire.encode_content(contents[file.digest], JSON_NEWLINE) + b'"}'
        for file in files
    )


def _encode_lines(content: bytes) -> tuple[bytes, bytes]:
    """The full lines of base64 that a content begins with, and the bytes that are left over."""
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

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


class DirectoryHandler(BaseHandler):
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
        separator = b""
        for batch in _batches(files):
            if separator:
                await self.flush()
            contents = await self.read(blobs.load, {file.digest for file in batch})
            entries = await self.compute(_encode_entries, batch, contents)
            self.write(separator + entries)
            separator = b","
        self.finish(b"]}")


def _describe(file: StoredFile) -> dict[str, str]:
    return {"path": file.path, "checksum": file.checksum.hex()}


def _encode_entries(files: Sequence[StoredFile], contents: dict[bytes, bytes]) -> bytes:
    """JSON objects of the files, joined by commas."""
    return b",".join(
        msgspec.json.encode(
            {**_describe(file), "content": wire.encode_content(contents[file.digest])}
        )
        for file in files
    )


def _batches(files: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
    """Cut a directory where the sizes add up to BATCH_BYTES; a larger file goes alone."""
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

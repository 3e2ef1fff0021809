"""Stored contents on their way to a client, of which a short piece is in memory at a time."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from ngshare import wire
from ngshare.database import blobs
from ngshare.database.snapshots import StoredFile
from ngshare.errors import ContentLost, DamagedContent, NotFound
from ngshare.handlers import archives
from ngshare.handlers.zips import ZipWriter

if TYPE_CHECKING:
    from ngshare.handlers.base import BaseHandler

BATCH_BYTES = 1 << 20
NOT_TO_BE_HAD = (KeyError, DamagedContent)

OnLoss = Callable[[StoredFile], None]


def attachment(name: str) -> str:
    """The header Content-Disposition of a file to be saved under a name."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def manifest_digest(files: Sequence[StoredFile]) -> bytes:
    return wire.manifest_digest((file.path, file.digest) for file in files)


def require_complete(files: Iterable[StoredFile]) -> None:
    """Raise ContentLost if one of the files was lost by an earlier release."""
    if missing := next((file for file in files if file.is_missing), None):
        raise ContentLost(
            f"The file {missing.path} was lost before this site was upgraded from ngshare 0.6, "
            "so its directory can't be fetched as a whole; list_only=true lists it. The "
            "manual's page on upgrading tells what the admin can do"
        )


def cut(files: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
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


async def read_chunks(
    handler: BaseHandler, file: StoredFile, convert: Callable[[bytes], bytes]
) -> AsyncIterator[bytes]:
    """The content of a long file, converted in the thread that reads it.

    Raises:
        KeyError: it is not stored any more.
        DamagedContent: it is not what its digest says.
    """
    digest = hashlib.sha256()

    def load(seq: int) -> bytes:
        chunk = handler.database.read(blobs.load_chunk, file.digest, seq)
        digest.update(chunk)
        return convert(chunk)

    for seq in range(-(-file.size // blobs.CHUNK_BYTES)):
        yield await handler.work(handler.database.readers, partial(load, seq))
    if digest.digest() != file.digest:
        raise DamagedContent(file.digest)


async def send_file(handler: BaseHandler, file: StoredFile) -> None:
    """Answer with one file as it is, piece by piece; what it is has to be in the headers already.

    Raises:
        ContentLost, DamagedContent, NotFound: its content is not to be had.
    """
    require_complete([file])
    handler.set_header("Content-Length", str(file.size))
    try:
        async for chunk in read_chunks(handler, file, bytes):
            handler.write(chunk)
            del chunk  # of which the stream has a copy
            await handler.flush()
    except KeyError:
        raise NotFound("This file was purged just now") from None
    handler.finish()


async def send_archive(
    handler: BaseHandler, files: Sequence[StoredFile], media_type: str, at: datetime, name: str
) -> None:
    """Answer with an archive, or tell that the client has it already; see ArchiveAnswer.

    Raises:
        KeyError: a content is not stored any more.
        DamagedContent: a content is not what its digest says.
    """
    digest = await handler.work(handler.database.readers, partial(manifest_digest, files))
    etag = f'"{digest.hex()}-{int(at.timestamp())}-{archives.KINDS[media_type]}"'
    handler.set_header("ETag", etag)
    handler.set_header("Vary", "Accept")
    handler.set_header("Cache-Control", "private, no-cache")
    if etag in handler.request.headers.get("If-None-Match", ""):
        handler.set_status(304)
        handler.finish()
        return
    answer = ArchiveAnswer(handler, media_type, at, name)
    await answer.add(files)
    await answer.finish()


class ArchiveAnswer:
    """An archive that is sent while it is made.

    Args:
        at: the time that its files have.
        name: what it is to be saved as, without the ending.
    """

    def __init__(self, handler: BaseHandler, media_type: str, at: datetime, name: str) -> None:
        handler.set_header("Content-Type", media_type)
        file_name = f"{name}.{archives.KINDS[media_type]}"
        handler.set_header("Content-Disposition", attachment(file_name))
        self._handler = handler
        self._threads = handler.database.readers
        self._writer: archives.Writer
        if media_type == archives.ZIP:
            self._writer = ZipWriter(at, handler.body.new_spool())
        else:
            self._writer = archives.TarWriter(at)

    async def add(self, files: Sequence[StoredFile], on_loss: OnLoss | None = None) -> None:
        """Send more files.

        Args:
            on_loss: is told of a file of a zip archive whose content is not to be had, and which
                is left out; without it, that is an error.

        Raises:
            KeyError: a content is not stored any more.
            DamagedContent: a content is not what its digest says.
        """
        for batch in cut(files):
            if batch[0].size > BATCH_BYTES:
                await self._add_long(batch[0], on_loss)
            else:
                pack = partial(self._pack, batch, on_loss)
                await self._send(await self._handler.work(self._threads, pack))

    async def add_text(self, path: str, text: str) -> None:
        self._write(path, text.encode())
        await self._send(self._writer.take())

    async def finish(self) -> None:
        """Send the end of it, which may be long: a zip's list of what is in it."""
        for piece in self._writer.close():
            await self._send(piece)
        self._handler.finish()

    def _pack(self, batch: Sequence[StoredFile], on_loss: OnLoss | None) -> bytes:
        contents = self._load({file.digest for file in batch}, on_loss is not None)
        for file in batch:
            if file.digest in contents:
                self._write(file.path, contents[file.digest])
            elif on_loss is not None:
                on_loss(file)
        return self._writer.take()

    def _load(self, digests: set[bytes], without_lost: bool) -> dict[bytes, bytes]:
        read = self._handler.database.read
        try:
            return read(blobs.load, digests)
        except NOT_TO_BE_HAD:
            if not without_lost:
                raise
        contents: dict[bytes, bytes] = {}
        for digest in digests:
            with suppress(*NOT_TO_BE_HAD):
                contents.update(read(blobs.load, [digest]))
        return contents

    def _write(self, path: str, content: bytes) -> None:
        self._writer.open(path, len(content))
        self._writer.write(content)
        self._writer.close_file()

    async def _add_long(self, file: StoredFile, on_loss: OnLoss | None) -> None:
        def add_chunk(chunk: bytes) -> bytes:
            self._writer.write(chunk)
            return self._writer.take()

        self._writer.open(file.path, file.size)
        try:
            async for piece in read_chunks(self._handler, file, add_chunk):
                self._handler.write(piece)
                del piece  # of which the stream has a copy
                await self._handler.flush()
        except NOT_TO_BE_HAD:
            if on_loss is None or not isinstance(self._writer, ZipWriter):
                raise
            self._writer.drop_file()
            on_loss(file)
        else:
            self._writer.close_file()

    async def _send(self, piece: bytes) -> None:
        self._handler.write(piece)
        await self._handler.flush()

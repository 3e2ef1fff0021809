"""What assignments, submissions and feedback have in common: directories, up and down."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from cachetools import LRUCache

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.snapshots import PackedSnapshot, StoredFile
from ngshare.errors import InvalidRequest, NotFound
from ngshare.handlers import archives
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.bodies import parse_content_type
from ngshare.handlers.listings import describe_file
from ngshare.handlers.sending import (
    BATCH_BYTES,
    cut,
    manifest_digest,
    read_chunks,
    require_complete,
    send_archive,
)
from ngshare.handlers.uploads import decode_files

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ngshare.assignments import ReleasedFiles

CACHED_BYTES = 16 << 20  # encoded contents of short files: those of an assignment of the day
JSON_NEWLINE = rb"\n"


def make_cache() -> LRUCache[bytes, bytes]:
    """Encoded contents by digest; they never change, so they are never wrong."""
    return LRUCache(CACHED_BYTES, getsizeof=len)


async def decode_directory(handler: BaseHandler) -> PackedSnapshot:
    """The directory that a call brings, ready to be stored.

    Raises:
        InvalidRequest: it brings none, or one that can't be read.
        TooLarge: it has more files or bytes than the limits allow.
    """
    media_type, _ = parse_content_type(handler.request.headers.get("Content-Type", ""))
    field = handler.field("files")
    blocks = None
    if field is not None:
        blocks = field.blocks()
    elif (value := handler.raw_argument("files")) is not None:  # of the query
        blocks = iter([value])
    return await handler.compute(_decode, handler, media_type, blocks)


def _decode(handler: BaseHandler, media_type: str, text: Iterator[bytes] | None) -> PackedSnapshot:
    limits, spool = handler.settings["limits"], handler.body.new_spool()
    packer = archives.Packer(limits, spool)
    parts = handler.body.files
    if media_type in archives.KINDS:
        files = archives.unpack(media_type, handler.body.spool, packer)
    elif text is None and not parts:
        raise InvalidRequest("Please supply files")
    else:
        files = {} if text is None else decode_files(text, limits, spool)
    limits.check_file_count(len(files) + len(parts))
    wire.check_paths([*files, *(path for path, _ in parts)])
    files.update((path, packer.pack(path, part.blocks())) for path, part in parts)
    directory = snapshots.pack(files)
    limits.check_total(directory.size)
    return directory


class DirectoryHandler(BaseHandler):
    long_bodies = True

    async def answer_directory(
        self, files: Sequence[StoredFile], at: datetime, **keys: Any
    ) -> bool:
        """Send a directory in the form that the caller wants.

        That is `{"success": true, ..., "files": [...]}`, with contents unless `list_only`, or an
        archive. The arguments `path` select files.

        Args:
            at: since when the directory is what it is.

        Returns:
            Whether contents were sent, or the caller has them already.

        Raises:
            NotFound: there is no such path.
            ContentLost: a file was lost by an earlier release.
        """
        selected = self._select(files)
        media_type = self._archive_type()
        if media_type is None:
            keys["sha256"] = manifest_digest(files).hex()
            if self.flag("list_only"):
                self.answer(**keys, files=[describe_file(file) for file in selected])
                return False
        require_complete(selected)
        try:
            if media_type is None:
                await self._send_json_files(selected, keys)
            else:
                name = "-".join(self.path_args[1:])
                await send_archive(self, selected, media_type, at, name)
        except KeyError:
            raise NotFound("These files were purged just now") from None
        return True

    def _select(self, files: Sequence[StoredFile]) -> Sequence[StoredFile]:
        """Those that the arguments `path` name, as files or by folders; all if there is none."""
        paths = self.request.query_arguments.get("path", [])
        wanted = {path.decode(errors="replace") for path in paths}
        if not wanted:
            return files
        named = {file.path: wanted & set(_path_and_folders(file.path)) for file in files}
        if wanted - set().union(*named.values()):
            raise NotFound("File not found")
        return [file for file in files if named[file.path]]

    def _archive_type(self) -> str | None:
        """The first media type that the caller accepts, if it is that of an archive."""
        for choice in self.request.headers.get("Accept", "").split(","):
            media_type = choice.partition(";")[0].strip().lower()
            if media_type in archives.KINDS:
                return media_type
            if media_type in ("application/json", "application/*", "*/*"):
                break
        return None

    async def _send_json_files(self, files: Sequence[StoredFile], keys: dict[str, Any]) -> None:
        self.set_header("Content-Type", "application/json")
        opening = msgspec.json.encode({"success": True, **keys})
        self.write(opening[:-1] + b',"files":[')
        for number, batch in enumerate(cut(files)):
            if number:
                await self.flush()
                self.write(b",")
            if batch[0].size > BATCH_BYTES:
                await self._write_long_file(batch[0])
            else:
                await self._write_short_files(batch)
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
        lines = _Lines()
        async for text in read_chunks(self, file, lines.add):
            self.write(text)
            del text  # of which the stream has a copy
            await self.flush()
        self.write(lines.end() + b'"}')


def note_fetch(handler: BaseHandler, released: ReleasedFiles) -> None:
    """Have it written down, soon, that the caller has got files of an assignment."""
    if released.fetched is not None and handler.request.method == "GET":
        handler.settings["fetch_log"].note(released.fetched)


def _path_and_folders(path: str) -> Iterator[str]:
    """`a/b/c` and the folders that it is in, `a/b` and `a`."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _open_entry(file: StoredFile) -> bytes:
    """The JSON object of a file, up to where its content begins."""
    return msgspec.json.encode(describe_file(file))[:-1] + b',"content":"'


def _load_encoded(connection: Connection, digests: Collection[bytes]) -> dict[bytes, bytes]:
    """Contents by digest, as the answer has them."""
    return {
        digest: wire.encode_content(content, JSON_NEWLINE)
        for digest, content in blobs.load(connection, digests).items()
    }


class _Lines:
    """Makes base64 in full lines of a content that comes in chunks."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, chunk: bytes) -> bytes:
        content = self._rest + chunk
        full = len(content) - len(content) % wire.BYTES_A_LINE
        self._rest = content[full:]
        return wire.encode_content(content[:full], JSON_NEWLINE)

    def end(self) -> bytes:
        return wire.encode_content(self._rest, JSON_NEWLINE)

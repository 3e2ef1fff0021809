"""Directories as archives, tar and zip, read and written piece by piece."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from ngshare.database import blobs
from ngshare.database.blobs import PackedBlob, Reference
from ngshare.errors import InvalidRequest, TooLarge
from ngshare.handlers.zips import ZipWriter
from ngshare.limits import Limits
from ngshare.spool import BLOCK_BYTES, Spool

TAR = "application/x-tar"
ZIP = "application/zip"
KINDS = {TAR: "tar", ZIP: "zip"}
# What the libraries read at once: a zip's list of members, or a tar's long header of one.
LONGEST_READ_BYTES = 4 << 20
UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    ValueError,
)

Files = dict[str, PackedBlob | Reference]


class Packer:
    """Packs the files of a directory within the limits, one after the other."""

    def __init__(self, limits: Limits, spool: Spool) -> None:
        self._limits = limits
        self._spool = spool
        self._count = 0
        self._total = 0

    def pack(self, path: str, pieces: Iterable[bytes]) -> PackedBlob:
        """Pack a content.

        Raises:
            TooLarge: the file, or all files together, are over a limit.
        """
        self._count += 1
        self._limits.check_file_count(self._count)
        return blobs.pack_pieces(self._counted(path, pieces), self._spool)

    def _counted(self, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            self._total += len(piece)
            self._limits.check_size(path, size)
            self._limits.check_total(self._total)
            yield piece


class SpooledFile(io.RawIOBase):
    """A spool as a file to be read."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._spool.size}
        self._position = start[whence] + offset
        if self._position < 0:
            raise io.UnsupportedOperation("before the beginning")
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        rest = max(0, self._spool.size - self._position)
        size = rest if size is None or size < 0 else min(size, rest)
        if size > LONGEST_READ_BYTES:
            raise TooLarge("The archive has a list or a header of more than 4 MiB")
        data = b"".join(self._spool.blocks(self._position, self._position + size))
        self._position += size
        return data


def unpack(media_type: str, archive: Spool, packer: Packer) -> Files:
    """The files of an archive that was uploaded; folders are not kept.

    Raises:
        InvalidRequest: it can't be read, or has members that are neither files nor folders.
        TooLarge: it has more files or bytes than the limits allow.
        OSError: the disk is full.
    """
    members = _tar_members if media_type == TAR else _zip_members
    files: Files = {}
    try:
        for path, pieces in members(SpooledFile(archive)):
            path = path.removeprefix("./")
            if path in files:
                raise InvalidRequest("Illegal path")
            files[path] = packer.pack(path, pieces)
    except UNREADABLE as error:
        raise InvalidRequest(f"The {KINDS[media_type]} archive cannot be read: {error}") from None
    return files


def _blocks(file: Any) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def _tar_members(file: SpooledFile) -> Iterator[tuple[str, Iterator[bytes]]]:
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if member.isdir():
                continue
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or member.issparse():
                raise InvalidRequest(f"{member.name}: archives may have files and folders alone")
            yield member.name, _blocks(content)


def _zip_members(file: SpooledFile) -> Iterator[tuple[str, Iterator[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
                raise InvalidRequest(
                    f"{member.filename}: archives may have files and folders alone, not encrypted"
                )
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InvalidRequest(f"{member.filename}: zip it by the usual method, deflate")
            with archive.open(member) as content:
                yield member.filename, _blocks(content)


class TarWriter:
    """Makes a tar archive; what there is of it so far is taken away piece by piece."""

    def __init__(self, at: datetime) -> None:
        self._at = int(at.timestamp())
        self._pieces: list[bytes] = []

    def open(self, path: str, size: int) -> None:
        """Begin a file; its content has to be written before the next one."""
        member = tarfile.TarInfo(path)
        member.size, member.mtime = size, self._at
        self._padding = -size % tarfile.BLOCKSIZE
        self._pieces.append(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))

    def write(self, content: bytes) -> None:
        self._pieces.append(content)

    def close_file(self) -> None:
        self._pieces.append(bytes(self._padding))

    def close(self) -> Iterator[bytes]:
        yield self.take()
        yield bytes(2 * tarfile.BLOCKSIZE)

    def take(self) -> bytes:
        """What was made since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


Writer = TarWriter | ZipWriter

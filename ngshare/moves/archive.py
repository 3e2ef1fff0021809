"""The archive of a course: a tar file that can be read without ngshare.

It has, in this order (docs/moving.md tells it to people):

    course.json                                     the course, its people and its assignments
    releases/<assignment>/version <n>.json          what was released, and then its files below
    releases/<assignment>/version <n>/              the same name
    submissions/<assignment>/<student>/<time>.json  the receipt, and then the files
    feedback/<assignment>/<student>/<time>.json     the same of feedback; the submission's time
    SHA256SUMS                                      what `sha256sum --check` wants
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, NoReturn

import msgspec

from ngshare.errors import LocalFileError
from ngshare.moves.records import FORMAT, CourseRecord, FileEntry, Record, member_path
from ngshare.spool import BLOCK_BYTES, Spool

COURSE = "course.json"
SUMS = "SHA256SUMS"
LONGEST_JSON_BYTES = 64 << 20
MEMORY_BYTES = 1 << 20
FILE_MODE = 0o644
UNREADABLE = (tarfile.TarError, EOFError, OSError, ValueError)


# ---- write ----


class Writer:
    """Writes an archive from the first member to the last."""

    def __init__(self, file: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", bufsize=BLOCK_BYTES)  # noqa: SIM115, see close
        self._sums = Spool(MEMORY_BYTES)

    def add_course(self, record: CourseRecord) -> None:
        self._add_json(COURSE, record, record.exported_at)

    def add(self, record: Record) -> None:
        """Add the record of a directory, whose files are to follow in its order."""
        self._add_json(f"{record.place}.json", record, record.at)

    def _add_json(self, path: str, record: CourseRecord | Record, at: datetime) -> None:
        text = msgspec.json.format(msgspec.json.encode(record), indent=1)
        self.add_file(path, len(text), [text], at)

    def add_file(self, path: str, size: int, pieces: Iterable[bytes], at: datetime) -> None:
        """Add a file of so many bytes."""
        content = _Pieces(pieces)
        self._add(path, size, content, at)
        self._sums.append(_sum_line(path, content.digest.hexdigest()))

    def _add(self, path: str, size: int, content: io.RawIOBase, at: datetime) -> None:
        info = tarfile.TarInfo(path)
        info.size, info.mtime, info.mode = size, int(at.timestamp()), FILE_MODE
        self._tar.addfile(info, content)

    def close(self, at: datetime) -> str:
        """End the archive; the SHA-256 of its sums, which stands for all that is in it."""
        content = _Pieces(self._sums.blocks())
        self._add(SUMS, self._sums.size, content, at)
        self._tar.close()
        self._sums.close()
        return content.digest.hexdigest()


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file, which hashes what is read of it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._position = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = bytearray()
        while len(data) < size:
            if self._position == len(self._piece):
                self._piece, self._position = next(self._pieces, b""), 0
                if not self._piece:
                    break
            end = self._position + size - len(data)
            data += self._piece[self._position : end]
            self._position = min(end, len(self._piece))
        self.digest.update(data)
        return bytes(data)


def _sum_line(path: str, digest: str) -> bytes:
    return f"{digest}  {path}\n".encode(errors="surrogateescape")


# ---- read ----


class DamagedArchive(LocalFileError):
    """The archive is not as it was written."""


@dataclass(frozen=True)
class Entry:
    """A directory of an archive.

    Attributes:
        files: its files with their contents, each of which is to be read before the next.
    """

    record: Record
    files: Iterator[tuple[FileEntry, Iterator[bytes]]]


class Reader:
    """Reads an archive from the first member to the last, and verifies it on the way.

    Attributes:
        course: what is known first.
        digest: SHA-256 of the sums, when all was read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums = Spool(MEMORY_BYTES)
        self.digest = ""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise LocalFileError(f"{path} can't be read: {error.strerror}") from None
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r|")  # noqa: SIM115, see close
            self._members = iter(self._tar)
            course = self._read_json(self._next(COURSE))
            self.course = msgspec.json.decode(course, type=CourseRecord)
            if self.course.format != FORMAT:
                raise DamagedArchive(f"{path} is of another ngshare: {self.course.format[:80]!r}")
        except DamagedArchive:
            self._file.close()
            raise
        except (*UNREADABLE, msgspec.MsgspecError) as error:
            self._file.close()
            raise DamagedArchive(f"{path} is no archive of a course: {error}") from None

    def close(self) -> None:
        self._file.close()
        self._sums.close()

    def entries(self) -> Iterator[Entry]:
        """Every directory, in the order of the archive.

        Raises:
            DamagedArchive: it is not as it was written.
        """
        try:
            while (member := self._next()).name != SUMS:
                text = self._read_json(member)
                record: Record = msgspec.json.decode(text, type=Record)
                if member.name != f"{record.place}.json":
                    self._fail(f"{member.name} is not in its place")
                files = self._files(record)
                yield Entry(record, files)
                for _, content in files:  # what was not looked at
                    for _ in content:
                        pass
            self._check_sums(member)
        except msgspec.MsgspecError as error:
            self._fail(str(error))

    def _files(self, record: Record) -> Generator[tuple[FileEntry, Iterator[bytes]], None, None]:
        for entry in record.files:
            if entry.missing:
                yield entry, iter(())
                continue
            member = self._next(member_path(record, entry.path))
            content = self._content(member, entry)
            yield entry, content
            for _ in content:
                pass

    def _content(self, member: tarfile.TarInfo, entry: FileEntry) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for block in self._blocks(member):
            digest.update(block)
            yield block
        if digest.hexdigest() != entry.sha256 or member.size != entry.size:
            self._fail(f"{member.name} is not what its receipt says")

    def _blocks(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of a member, which is noted for the comparison with the sums."""
        file = self._tar.extractfile(member)
        assert file is not None
        digest = hashlib.sha256()
        while block := self._read(file):
            digest.update(block)
            yield block
        self._sums.append(_sum_line(member.name, digest.hexdigest()))

    def _read(self, file: IO[bytes]) -> bytes:
        try:
            return file.read(BLOCK_BYTES)
        except UNREADABLE as error:
            self._fail(str(error))

    def _next(self, name: str | None = None) -> tarfile.TarInfo:
        try:
            member = next(self._members, None)
        except UNREADABLE as error:
            self._fail(str(error))
        if member is None:
            self._fail("it ends too early")
        if not member.isreg() or name not in (None, member.name):
            self._fail(f"{member.name} is there in place of {name or 'a file'}")
        return member

    def _read_json(self, member: tarfile.TarInfo) -> bytes:
        if member.size > LONGEST_JSON_BYTES:
            self._fail(f"{member.name} is too long")
        return b"".join(self._blocks(member))

    def _check_sums(self, member: tarfile.TarInfo) -> None:
        file = self._tar.extractfile(member)
        assert file is not None
        digest = hashlib.sha256()
        for block in self._sums.blocks():
            if file.read(len(block)) != block:
                self._fail(f"its contents are not those that {SUMS} has")
            digest.update(block)
        if file.read(1) or next(self._members, None) is not None:
            self._fail(f"there is more in it than {SUMS} has")
        self.digest = digest.hexdigest()

    def _fail(self, what: str) -> NoReturn:
        raise DamagedArchive(f"{self._path} is damaged: {what}")

"""A directory that others may change while it is read: no link in it is ever followed.

Everything is opened from the root on, folder by folder, each of them not by way of a link, and is
looked at when it is open: what is looked at before may be something else a moment later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.blobs import PackedBlob
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import InvalidRequest, LocalFileError, TooLarge
from ngshare.limits import UNLIMITED, Limits
from ngshare.moves.layout import from_mtime
from ngshare.moves.report import Report
from ngshare.spool import BLOCK_BYTES, Spool
from ngshare.untrusted import MAX_DEPTH

FOLDER = os.O_RDONLY | os.O_DIRECTORY
FILE = os.O_RDONLY | os.O_NONBLOCK  # a pipe that nobody writes is opened at once, and refused


class Directory:
    """Reads folders and files, whose paths are relative to the root, with slashes.

    Args:
        report: is told what is no folder where folders should be, and no file in a folder.
        limits: how much a folder may have.
    """

    def __init__(self, root: Path, report: Report, limits: Limits = UNLIMITED) -> None:
        self.root = root
        self._report = report
        self._limits = limits

    def leave_out(self, path: str, why: str) -> None:
        """Tell that something is not taken along."""
        self._report.leave_out(self.root / path, why)

    @contextmanager
    def _enter(self, path: str) -> Iterator[int]:
        """The descriptor of a folder.

        Raises:
            OSError: it is none, a link leads to it, or it can't be read.
        """
        descriptor = os.open(self.root, FOLDER)
        try:
            for part in PurePosixPath(path).parts:
                inner = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def folders(self, path: str, tell: bool = True) -> list[str]:
        """The names of the folders in a folder that need not be there, sorted.

        Args:
            tell: whether to report what else is in it.
        """
        found = []
        for entry in self._scan(path):
            if entry.is_dir(follow_symlinks=False):
                found.append(entry.name)
            elif tell:
                self.leave_out(f"{path}/{entry.name}".lstrip("/"), "it is no folder")
        return found

    def files(self, path: str) -> list[str]:
        """The names of the files in a folder that need not be there, sorted."""
        return [entry.name for entry in self._scan(path) if entry.is_file(follow_symlinks=False)]

    def _scan(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with self._enter(path) as descriptor, os.scandir(descriptor) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
                for entry in found:
                    entry.is_dir(follow_symlinks=False)  # which is known from now on
                return found
        except FileNotFoundError:
            return []
        except OSError as error:
            self.leave_out(path, f"it is no folder that can be read ({error.strerror})")
            return []

    def status(self, path: str) -> os.stat_result:
        """Of a folder or file.

        Raises:
            LocalFileError: it is not there any more.
        """
        folder, name = os.path.split(path)
        try:
            with self._enter(folder) as descriptor:
                return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            raise self._unreadable(path, error) from None

    def read(self, path: str) -> Iterator[bytes]:
        """The content of a file, at most BLOCK_BYTES at a time.

        Raises:
            LocalFileError: it is no file, or can't be read.
        """
        folder, name = os.path.split(path)
        try:
            with self._enter(folder) as descriptor:
                file = self._open(path, name, descriptor)
            with file:
                yield from _blocks(file)
        except OSError as error:
            raise self._unreadable(path, error) from None

    def pack(self, path: str, spool: Spool) -> tuple[PackedSnapshot, datetime]:
        """A folder ready to be stored, and when something in it was changed last.

        Args:
            spool: keeps the contents.

        Raises:
            LocalFileError: it can't be read as a whole, or is over a limit.
        """
        files: dict[str, PackedBlob] = {}
        total = 0

        def counted(name: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal total
            size = 0
            self._limits.check_file_count(len(files) + 1)
            for block in blocks:
                size, total = size + len(block), total + len(block)
                self._limits.check_size(name, size)
                self._limits.check_total(total)
                yield block

        try:
            with self._enter(path) as descriptor:
                newest = os.fstat(descriptor).st_mtime_ns
                for name, file in self._walk(path, descriptor):
                    with file:
                        newest = max(newest, os.fstat(file.fileno()).st_mtime_ns)
                        files[name] = blobs.pack_pieces(counted(name, _blocks(file)), spool)
        except OSError as error:
            raise self._unreadable(path, error) from None
        except TooLarge as error:
            raise LocalFileError(error.message) from None
        return snapshots.pack(files), from_mtime(newest)

    def _walk(self, path: str, descriptor: int) -> Iterator[tuple[str, BinaryIO]]:
        """The files of a folder that can be kept, open, with their paths in it."""
        for directory, folders, names, at in os.fwalk(".", onerror=_fail, dir_fd=descriptor):
            for name in folders + sorted(names):
                inner = PurePosixPath(directory, name).as_posix()
                mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    if inner.count("/") >= MAX_DEPTH:
                        raise LocalFileError(f"it has folders in more than {MAX_DEPTH} folders")
                    continue
                if not stat.S_ISREG(mode):
                    self.leave_out(f"{path}/{inner}", "it is a link or no file, and not followed")
                elif not _can_be_kept(inner):
                    self.leave_out(
                        f"{path}/{inner}",
                        "names may have no backslashes, colons and control characters, and not "
                        "be too long",
                    )
                else:
                    yield inner, self._open(f"{path}/{inner}", name, at)

    def _open(self, path: str, name: str, at: int) -> BinaryIO:
        descriptor = os.open(name, FILE | os.O_NOFOLLOW, dir_fd=at)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return open(descriptor, "rb")
        os.close(descriptor)
        raise LocalFileError(f"{self.root / path} is no file")

    def _unreadable(self, path: str, error: OSError) -> LocalFileError:
        return LocalFileError(f"{self.root / path} can't be read ({error.strerror})")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _can_be_kept(path: str) -> bool:
    try:
        wire.check_paths([path])
    except InvalidRequest:
        return False
    return True


def _fail(error: OSError) -> None:
    raise error

"""Folders that somebody else may change while they are read.

Every file and folder is opened once, not by way of a link, and is looked at when it is open:
what is looked at before may be something else a moment later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from ngshare import wire
from ngshare.errors import LocalFileError

MAX_READ_BYTES = 100_000_000  # the length of files that nbgrader has, unless configured otherwise
BLOCK_BYTES = 1 << 20
MAX_DEPTH = 50  # of folders in folders, each of which is open while what is in it is copied


def copy_folder(
    source: Path,
    target: Path,
    leaves_out: Callable[[str, list[str]], Sequence[str]],
    max_bytes: int,
) -> None:
    """Copy all files and folders of a folder.

    Args:
        target: an empty folder.
        leaves_out: tells of the names in a folder those that are not copied, like the `ignore` of
            shutil.copytree.
        max_bytes: how much it may be.

    Raises:
        LocalFileError: there is something that can't be copied, or too much.
        OSError: the copy can't be written.
    """
    size = 0
    for directory, folders, names, at in _walk(source):
        relative = os.path.relpath(directory, source)
        if relative.count("/") > MAX_DEPTH:
            raise LocalFileError(f"{source} has folders in more than {MAX_DEPTH} folders")
        left_out = set(leaves_out(directory, folders + names))
        folders[:] = [name for name in folders if name not in left_out]
        for name in folders:
            path = _legal(directory, name)
            if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                _fail_for_link(path)
            (target / relative / name).mkdir()
        for name in names:
            if name not in left_out:
                with open_file(_legal(directory, name), at) as file:
                    size += _copy(file, target / relative / name, max_bytes - size)
                if size > max_bytes:
                    raise LocalFileError(f"{source} has more than {max_bytes} bytes")


def _walk(source: Path) -> Iterator[tuple[str, list[str], list[str], int]]:
    """What os.fwalk yields, if the folder is one."""
    try:
        walk = os.fwalk(source, onerror=_fail_to_read)
        if (first := next(walk, None)) is None:
            _fail_for_link(source)
        yield first
        yield from walk
    except OSError as error:
        _fail_to_read(error)


def _legal(directory: str, name: str) -> Path:
    if not wire.is_legal_name(name):
        raise LocalFileError(f"{name!r} in {directory} is no name that can be copied")
    return Path(directory, name)


def _copy(file: BinaryIO, target: Path, max_bytes: int) -> int:
    """Copy an open file, with its times, as far as to the first byte that is too much.

    Returns:
        How many bytes were copied.
    """
    status = os.fstat(file.fileno())
    size = 0
    with target.open("xb") as copy:
        while size <= max_bytes and (block := file.read(min(BLOCK_BYTES, max_bytes + 1 - size))):
            size += copy.write(block)
        os.fchmod(copy.fileno(), 0o644 | stat.S_IMODE(status.st_mode) & 0o111)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return size


def open_file(path: Path, at: int | None = None) -> BinaryIO:
    """Open a file to read it, unless it is a link or something that is no file.

    Args:
        at: the descriptor of its folder, if that is open already.

    Raises:
        LocalFileError: it is not, or can't be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path if at is None else path.name, flags, dir_fd=at)
    except OSError as error:
        if path.is_symlink():
            _fail_for_link(path)
        raise LocalFileError(f"{path} can't be read: {error.strerror}") from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise LocalFileError(f"{path} is no file and can't be copied: remove it")


def read_file(path: Path) -> bytes | None:
    """The content of a file, or None if there is none, or nothing to be read, or far too much."""
    try:
        with open_file(path) as file:
            content = file.read(MAX_READ_BYTES + 1)
    except (LocalFileError, OSError):
        return None
    return content if len(content) <= MAX_READ_BYTES else None


def _fail_for_link(path: Path) -> NoReturn:
    raise LocalFileError(f"{path} is a link, which is not followed: put a copy in its place")


def _fail_to_read(error: OSError) -> NoReturn:
    raise LocalFileError(f"{error.filename} can't be read: {error.strerror}") from None

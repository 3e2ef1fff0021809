"""Local folders: what is sent, where nbgrader keeps them, and how a new one replaces an old one."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging import Logger
from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import ignore_patterns

from ngshare import wire
from ngshare.errors import InvalidRequest, LocalFileError

TIMESTAMP = "timestamp.txt"


def files_to_send(folder: Path, coursedir: CourseDirectory, log: Logger) -> dict[str, Path]:
    """The files of a folder that the options of nbgrader's CourseDirectory admit.

    These are `ignore`, for folders too, `include`, `max_file_size` and `max_dir_size`, see
    https://nbgrader.readthedocs.io/en/stable/configuration/config_options.html. What they leave
    out does not count for the size of the directory.

    Returns:
        Relative path with slashes to file, in the order of the paths.

    Raises:
        LocalFileError: a link, something that is no file, or a name that can't be sent.
        RuntimeError: over `max_dir_size`, as nbgrader's own exchange has it.
    """
    leaves_out = ignore_patterns(
        exclude=coursedir.ignore,
        include=coursedir.include,
        max_file_size=coursedir.max_file_size,
        log=log,
    )
    files = {}
    size = 0
    for directory, folders, names in os.walk(folder, onerror=_fail_to_read):
        left_out = set(leaves_out(directory, folders + names))
        folders[:] = [name for name in folders if name not in left_out]
        for name in folders + names:
            path = Path(directory, name)
            if name in left_out or (path.is_dir() and not path.is_symlink()):
                continue
            relative = path.relative_to(folder).as_posix()
            size += _check(path, relative).st_size
            files[relative] = path
    if size > 1000 * coursedir.max_dir_size:
        raise RuntimeError(
            f"The files in {folder} have {size} bytes; CourseDirectory.max_dir_size allows "
            f"{1000 * coursedir.max_dir_size}"
        )
    return dict(sorted(files.items()))


def _fail_to_read(error: OSError) -> None:
    raise error


def _check(path: Path, relative: str) -> os.stat_result:
    """The status of a file that can be sent under its relative path."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise LocalFileError(f"{path} is a link, which is not sent: put a copy in its place")
    if not stat.S_ISREG(status.st_mode):
        raise LocalFileError(f"{path} is no file and can't be sent: remove it")
    try:
        wire.check_paths([relative])
    except InvalidRequest:
        raise LocalFileError(
            f"{path} can't be sent: give it a shorter name, or one without backslashes, colons "
            "and control characters"
        ) from None
    return status


def find_folders(
    coursedir: CourseDirectory, step: str, student: str, assignment: str
) -> list[tuple[str, str, Path]]:
    """The folders of one of nbgrader's steps: (student, assignment, folder), sorted.

    Args:
        step: such as `coursedir.feedback_directory`.
        student: a pattern of the shell's kind, as is `assignment`.
    """
    structure = coursedir.directory_structure
    pattern = structure.format(nbgrader_step=step, student_id=student, assignment_id=assignment)
    marked = structure.format(nbgrader_step=step, student_id="\0", assignment_id="\1")
    names = re.escape(marked)
    for mark, group in (("\0", "(?P<student>[^/]+)"), ("\1", "(?P<assignment>[^/]+)")):
        names = names.replace(mark, group, 1).replace(mark, "[^/]+")
    found = []
    for path in sorted(glob.glob(pattern, root_dir=coursedir.root)):
        match = re.fullmatch(names, path)
        folder = Path(coursedir.root, path)
        if match and folder.is_dir():
            found.append((match["student"], match["assignment"], folder))
    return found


def is_folder_name(name: str) -> bool:
    """Whether a name is one segment of a path."""
    return wire.is_legal_name(name) and "/" not in name and "\\" not in name


def folder_name(name: str) -> str:
    """A name that may come from the server, and does not lead elsewhere.

    Raises:
        LocalFileError: it does.
    """
    if not is_folder_name(name):
        raise LocalFileError(f"{name!r} can't be the name of a folder")
    return name


@contextmanager
def new_folder(destination: Path, groupshared: bool = False) -> Iterator[Path]:
    """An empty folder that takes the place of `destination` at the end of the block.

    It is made beside it, on the same file system, and the old folder goes only when the new one
    is in its place. If the block fails, all is as it was.

    Args:
        groupshared: let the group write it, as nbgrader's CourseDirectory.groupshared says.
    """
    missing = [parent for parent in destination.parents if not parent.exists()]
    destination.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".ngshare-", dir=destination.parent))
    new, old = beside / "new", beside / "old"
    try:
        new.mkdir()
        yield new
        if groupshared:
            _share(new, *missing)
        if os.path.lexists(destination):
            destination.rename(old)
        new.rename(destination)
    finally:
        if old.exists() and not destination.exists():
            old.rename(destination)
        shutil.rmtree(beside, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()  # if nothing came to be in it


def _share(folder: Path, *parents: Path) -> None:
    for directory, _, names in os.walk(folder):
        Path(directory).chmod(0o2770 | Path(directory).stat().st_mode)
        for name in names:
            path = Path(directory, name)
            path.chmod(0o660 | path.stat().st_mode)
    for parent in parents:
        parent.chmod(0o2770 | parent.stat().st_mode)

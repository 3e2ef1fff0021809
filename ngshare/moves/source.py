"""An exchange directory, read: nothing is changed, and no link is followed.

On a volume students may change their folders meanwhile. Each file is opened once, not by way of
a link, and is looked at when it is open.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.blobs import PackedBlob
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import InvalidRequest, LocalFileError
from ngshare.moves.layout import (
    FEEDBACK,
    FEEDBACK_OF_STUDENTS,
    INBOUND,
    NOTEBOOK,
    OUTBOUND,
    PAGE,
    PARTS,
    SECRET,
    TIMESTAMP,
    FolderName,
    from_mtime,
    page_of_secret,
    pages_of_notebook,
    parse_folder_name,
)
from ngshare.moves.report import Report
from ngshare.spool import BLOCK_BYTES, Spool

CLOCKS_DIFFER = timedelta(minutes=5)  # at most
LONGEST_SECRET_BYTES = 64 << 10


@dataclass(frozen=True)
class Submitted:
    """A folder that was handed in.

    Attributes:
        at: when; what its name says, unless that is in the future.
        place: the folder's path in the course.
        pages: the part of Course.pages in which its feedback is to be looked for.
    """

    folder: Path
    name: FolderName
    at: datetime
    place: str
    pages: str


@dataclass
class Course:
    """What the directory has of a course.

    Attributes:
        releases: folder by assignment.
        submissions: in the order of time.
        pages: files of feedback by folder in the course and name.
    """

    course_id: str
    folder: Path
    releases: dict[str, Path] = field(default_factory=dict)
    submissions: list[Submitted] = field(default_factory=list)
    pages: dict[str, dict[str, Path]] = field(default_factory=dict)

    @property
    def students(self) -> set[str]:
        """Who has handed something in."""
        return {each.name.student_id for each in self.submissions}


def find_courses(root: Path, report: Report) -> Iterator[Course]:
    """The courses in an exchange directory.

    Raises:
        LocalFileError: there is no such folder.
    """
    try:
        with os.scandir(root):
            pass
    except OSError as error:
        raise LocalFileError(f"{root} can't be read: {error.strerror}") from None
    for folder in _folders(root, report):
        if not any((folder / part).is_dir() for part in PARTS):
            report.leave_out(folder, f"it is no course: there is no {OUTBOUND} or {INBOUND} in it")
        elif not wire.is_legal_name(folder.name):
            report.leave_out(folder, "a course can't have this name")
        else:
            yield _read_course(folder, report)


def _read_course(folder: Path, report: Report) -> Course:
    course = Course(folder.name, folder)
    for release in _folders(folder / OUTBOUND, report):
        if wire.is_legal_name(release.name):
            course.releases[release.name] = release
        else:
            report.leave_out(release, "an assignment can't have this name")
    for found in _folders(folder / INBOUND, report):
        if name := parse_folder_name(found.name):
            _add_submission(course, found, name, f"{INBOUND}/{found.name}", FEEDBACK, report)
            continue
        _read_student(course, found, report)
    course.submissions.sort(key=lambda each: (each.at, each.place))
    course.pages[FEEDBACK] = _pages(folder / FEEDBACK)
    for student in _folders(folder / FEEDBACK_OF_STUDENTS, report):
        course.pages[f"{FEEDBACK_OF_STUDENTS}/{student.name}"] = _pages(student)
    _note_owners(course, report)
    return course


def _read_student(course: Course, folder: Path, report: Report) -> None:
    """Take what is in a folder that a student has on a volume."""
    student_id = folder.name
    inside = _folders(folder, report)
    if "+" in student_id and not any(parse_folder_name(each.name) for each in inside):
        report.leave_out(folder, "a submission's folder is called <student>+<assignment>+<time>")
        return
    for each in inside:
        name = parse_folder_name(each.name)
        if name is None or name.student_id != student_id:
            form = f"{student_id}+<assignment>+<time>"
            report.leave_out(each, f"a submission's folder is called {form}")
            continue
        place = f"{INBOUND}/{student_id}/{each.name}"
        pages = f"{FEEDBACK_OF_STUDENTS}/{student_id}"
        _add_submission(course, each, name, place, pages, report)


def _add_submission(
    course: Course, folder: Path, name: FolderName, place: str, pages: str, report: Report
) -> None:
    if not all(map(wire.is_legal_name, (name.student_id, name.assignment_id, folder.name))):
        report.leave_out(folder, "nobody and no assignment can be called so")
    elif not (folder / TIMESTAMP).is_file():
        report.leave_out(
            folder, f"there is no {TIMESTAMP} in it, so it is not complete (yet); repeat this later"
        )
    else:
        at = name.at
        now = datetime.now(timezone.utc)
        if at > now + CLOCKS_DIFFER:
            at = min(now, from_mtime(folder.lstat().st_mtime_ns))
            report.note(folder, f"its time is in the future; it counts as of {at:%Y-%m-%d %H:%M}")
        course.submissions.append(Submitted(folder, name, at, place, pages))


def _note_owners(course: Course, report: Report) -> None:
    """Tell whose folders belong to another user of this machine; with a common one nothing."""
    owners = {each: each.folder.lstat().st_uid for each in course.submissions}
    if len(set(owners.values())) < 2:
        return
    for submitted, uid in owners.items():
        try:
            owner = pwd.getpwuid(uid).pw_name
        except KeyError:  # of another machine
            continue
        if owner != submitted.name.student_id:
            report.note(submitted.folder, f"it belongs to the user {owner}, not to who is named")


def _folders(parent: Path, report: Report) -> list[Path]:
    """The folders in a folder that need not be there, by name."""
    try:
        with os.scandir(parent) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        report.leave_out(parent, f"it can't be read ({error.strerror})")
        return []
    folders = []
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            folders.append(parent / entry.name)
        else:
            report.leave_out(entry.path, "it is no folder")
    return folders


def _pages(folder: Path) -> dict[str, Path]:
    """The pages in a folder; on a volume others of nbgrader's may be beside them."""
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name: folder / entry.name for entry in entries if entry.name.endswith(PAGE)
            }
    except OSError:
        return {}


def find_feedback(course: Course, submitted: Submitted) -> dict[str, Path]:
    """The pages of feedback on a submission, by the name that its student knows: p1.html.

    Raises:
        LocalFileError: the submission can't be read.
    """
    pages = course.pages.get(submitted.pages)
    if not pages:
        return {}
    found = {}
    secret = _read_secret(submitted.folder)
    notebooks = _notebooks(submitted.folder)
    if secret:
        # Also of those that were not handed in, which nbgrader then adds.
        release = course.releases.get(submitted.name.assignment_id)
        for notebook_id in notebooks | (_notebooks(release) if release else set()):
            if page := pages.get(page_of_secret(secret, notebook_id)):
                found[notebook_id + PAGE] = page
        return found
    for notebook_id in notebooks:
        with open_file(submitted.folder / f"{notebook_id}{NOTEBOOK}") as file:
            names = pages_of_notebook(read(file), course.course_id, submitted.name, notebook_id)
        for name in names:
            if name in pages:
                found[notebook_id + PAGE] = pages[name]
                break
    return found


def _read_secret(folder: Path) -> bytes:
    try:
        with open_file(folder / SECRET) as file:
            return file.read(LONGEST_SECRET_BYTES)
    except LocalFileError:
        return b""


def _notebooks(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {
            entry.name.removesuffix(NOTEBOOK)
            for entry in entries
            if entry.name.endswith(NOTEBOOK) and entry.is_file(follow_symlinks=False)
        }


def pack_folder(folder: Path, spool: Spool, report: Report) -> tuple[PackedSnapshot, datetime]:
    """A folder ready to be stored, and when something in it was changed last.

    Args:
        spool: keeps the contents.

    Raises:
        LocalFileError: it can't be read as a whole.
    """
    files: dict[str, PackedBlob] = {}
    try:
        newest = folder.lstat().st_mtime_ns
        for path, file in _walk(folder, report):
            with closing(file):
                newest = max(newest, os.fstat(file.fileno()).st_mtime_ns)
                files[path] = blobs.pack_pieces(read(file), spool)
    except OSError as error:
        raise LocalFileError(f"{folder} can't be read ({error.strerror})") from None
    return snapshots.pack(files), from_mtime(newest)


def pack_pages(pages: dict[str, Path], spool: Spool) -> tuple[PackedSnapshot, datetime]:
    """Pages of feedback ready to be stored, and when the last of them was released.

    Raises:
        LocalFileError: one of them can't be read.
    """
    files: dict[str, PackedBlob] = {}
    for name, path in pages.items():
        with open_file(path) as file:
            files[name] = blobs.pack_pieces(read(file), spool)
    return snapshots.pack(files), newest_page(pages)


def newest_page(pages: dict[str, Path]) -> datetime:
    """When the last of some pages was released."""
    return from_mtime(max(path.lstat().st_mtime_ns for path in pages.values()))


def read(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file, at most BLOCK_BYTES at a time."""
    while block := file.read(BLOCK_BYTES):
        yield block


def _walk(folder: Path, report: Report) -> Iterator[tuple[str, BinaryIO]]:
    """The files of a folder that can be kept, open, with their paths in it."""
    for directory, folders, names, at in os.fwalk(folder, onerror=_fail):
        relative = Path(directory).relative_to(folder)
        for name in folders:
            if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                report.leave_out(folder / relative / name, "it is a link, which is not followed")
        for name in sorted(names):
            path = (relative / name).as_posix()
            try:
                wire.check_paths([path])
            except InvalidRequest:
                report.leave_out(
                    folder / path,
                    "names may have no backslashes, colons and control characters, and not be "
                    "too long",
                )
                continue
            if not _is_regular(os.stat(name, dir_fd=at, follow_symlinks=False)):
                report.leave_out(folder / path, "it is a link or no file, and is not followed")
                continue
            yield path, open_file(folder / path, at)


def _is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def _fail(error: OSError) -> None:
    raise LocalFileError(f"{error.filename} can't be read ({error.strerror})")


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
        raise LocalFileError(f"{path} can't be read ({error.strerror})") from None
    if _is_regular(os.fstat(descriptor)):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise LocalFileError(f"{path} is no file")

"""What an exchange directory has: courses, and of each what was released, handed in and graded."""

from __future__ import annotations

import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import LocalFileError
from ngshare.moves.directory import Directory
from ngshare.moves.layout import (
    FEEDBACK,
    NOTEBOOK,
    PAGE,
    PARTS,
    TIMESTAMP,
    FolderName,
    from_mtime,
    page_of_secret,
    pages_of_notebook,
    parse_folder_name,
)
from ngshare.moves.report import Report
from ngshare.spool import Spool
from ngshare.volume import FEEDBACK as FEEDBACK_OF_STUDENTS
from ngshare.volume import INBOUND, OUTBOUND, SECRET

CLOCKS_DIFFER = timedelta(minutes=5)  # at most
LONGEST_SECRET_BYTES = 64 << 10


@dataclass(frozen=True)
class Submitted:
    """A folder that was handed in.

    Attributes:
        path: of the folder, in the directory.
        key: the folder's name.
        at: when; what its name says, unless that is in the future.
        owner: the number of the user to whom the folder belongs.
        pages: the part of Course.pages in which its feedback is to be looked for.
    """

    path: str
    key: str
    name: FolderName
    at: datetime
    owner: int
    pages: str


@dataclass
class Course:
    """What the directory has of a course; all paths are in the directory.

    Attributes:
        releases: path by assignment.
        submissions: in the order of time.
        pages: paths of feedback by folder and name.
    """

    course_id: str
    directory: Directory
    releases: dict[str, str] = field(default_factory=dict)
    submissions: list[Submitted] = field(default_factory=list)
    pages: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def students(self) -> set[str]:
        """Who has handed something in."""
        return {each.name.student_id for each in self.submissions}


def find_courses(directory: Directory, report: Report) -> Iterator[Course]:
    """The courses in an exchange directory.

    Raises:
        LocalFileError: there is no such folder.
    """
    if not directory.root.is_dir():
        raise LocalFileError(f"{directory.root} can't be read: it is no folder")
    for name in directory.folders(""):
        parts = directory.folders(name, tell=False)
        if not set(parts) & set(PARTS):
            directory.leave_out(name, f"it is no course: there is no {OUTBOUND} or {INBOUND} in it")
        elif not wire.is_legal_name(name):
            directory.leave_out(name, "a course can't have this name")
        else:
            yield _Reading(Course(name, directory), report).run()


class _Reading:
    def __init__(self, course: Course, report: Report) -> None:
        self._course = course
        self._directory = course.directory
        self._report = report

    def run(self) -> Course:
        course, directory = self._course, self._directory
        for assignment_id in directory.folders(f"{course.course_id}/{OUTBOUND}"):
            path = f"{course.course_id}/{OUTBOUND}/{assignment_id}"
            if wire.is_legal_name(assignment_id):
                course.releases[assignment_id] = path
            else:
                directory.leave_out(path, "an assignment can't have this name")
        feedback = f"{course.course_id}/{FEEDBACK}"
        inbound = f"{course.course_id}/{INBOUND}"
        for found in directory.folders(inbound):
            if name := parse_folder_name(found):
                self._add(f"{inbound}/{found}", found, name, feedback)
            else:
                self._read_student(inbound, found)
        course.submissions.sort(key=lambda each: (each.at, each.path))
        self._find_pages(feedback)
        for student in directory.folders(f"{course.course_id}/{FEEDBACK_OF_STUDENTS}"):
            self._find_pages(f"{course.course_id}/{FEEDBACK_OF_STUDENTS}/{student}")
        self._note_owners()
        return course

    def _read_student(self, inbound: str, student_id: str) -> None:
        """Take what is in a folder that a student has on a volume."""
        folder = f"{inbound}/{student_id}"
        inside = self._directory.folders(folder)
        if "+" in student_id and not any(map(parse_folder_name, inside)):
            form = "<student>+<assignment>+<time>"
            self._directory.leave_out(folder, f"a submission's folder is called {form}")
            return
        for found in inside:
            name = parse_folder_name(found)
            if name is None or name.student_id != student_id:
                form = f"{student_id}+<assignment>+<time>"
                self._directory.leave_out(
                    f"{folder}/{found}", f"a submission's folder is called {form}"
                )
            else:
                pages = f"{self._course.course_id}/{FEEDBACK_OF_STUDENTS}/{student_id}"
                self._add(f"{folder}/{found}", found, name, pages)

    def _add(self, path: str, key: str, name: FolderName, pages: str) -> None:
        if not all(map(wire.is_legal_name, (name.student_id, name.assignment_id, key))):
            self._directory.leave_out(path, "nobody and no assignment can be called so")
            return
        try:
            status = self._directory.status(path)
            if not stat.S_ISREG(self._directory.status(f"{path}/{TIMESTAMP}").st_mode):
                raise LocalFileError(f"{TIMESTAMP} is no file")
        except LocalFileError:
            self._directory.leave_out(
                path, f"there is no {TIMESTAMP} in it: it is not complete (yet); repeat this later"
            )
            return
        at, now = name.at, datetime.now(timezone.utc)
        if at > now + CLOCKS_DIFFER:
            at = min(now, from_mtime(status.st_mtime_ns))
            text = f"its time is in the future; it counts as of {wire.format_timestamp(at)}"
            self._report.note(self._directory.root / path, text)
        self._course.submissions.append(Submitted(path, key, name, at, status.st_uid, pages))

    def _find_pages(self, folder: str) -> None:
        """On a volume others of nbgrader's may be beside them."""
        names = (name for name in self._directory.files(folder) if name.endswith(PAGE))
        self._course.pages[folder] = {name: f"{folder}/{name}" for name in names}

    def _note_owners(self) -> None:
        """Tell whose folders belong to another user of this machine; of a common one nothing."""
        submissions = self._course.submissions
        if len({each.owner for each in submissions}) < 2:
            return
        for submitted in submissions:
            try:
                owner = pwd.getpwuid(submitted.owner).pw_name
            except KeyError:  # of another machine
                continue
            if owner != submitted.name.student_id:
                text = f"it belongs to the user {owner}, not to who is named"
                self._report.note(self._directory.root / submitted.path, text)


def find_feedback(course: Course, submitted: Submitted) -> dict[str, str]:
    """The paths of feedback on a submission, by the names that its student knows: p1.html.

    Raises:
        LocalFileError: the submission can't be read.
    """
    pages = course.pages.get(submitted.pages)
    if not pages:
        return {}
    found = {}
    notebooks = _notebooks(course, submitted.path)
    if secret := _read_secret(course, submitted.path):
        # Also of those that were not handed in, which nbgrader then adds.
        release = course.releases.get(submitted.name.assignment_id)
        for notebook_id in notebooks | (_notebooks(course, release) if release else set()):
            if page := pages.get(page_of_secret(secret, notebook_id)):
                found[notebook_id + PAGE] = page
        return found
    for notebook_id in notebooks:
        content = course.directory.read(f"{submitted.path}/{notebook_id}{NOTEBOOK}")
        for name in pages_of_notebook(content, course.course_id, submitted.name, notebook_id):
            if name in pages:
                found[notebook_id + PAGE] = pages[name]
                break
    return found


def _read_secret(course: Course, folder: str) -> bytes:
    if SECRET not in course.directory.files(folder):
        return b""
    secret = b""
    for block in course.directory.read(f"{folder}/{SECRET}"):
        secret += block
        if len(secret) > LONGEST_SECRET_BYTES:
            return b""
    return secret


def _notebooks(course: Course, folder: str) -> set[str]:
    names = course.directory.files(folder)
    return {name.removesuffix(NOTEBOOK) for name in names if name.endswith(NOTEBOOK)}


def newest_page(course: Course, pages: Mapping[str, str]) -> datetime:
    """When the last of some pages was released.

    Raises:
        LocalFileError: one of them is not there any more.
    """
    return from_mtime(max(course.directory.status(path).st_mtime_ns for path in pages.values()))


def pack_pages(course: Course, pages: Mapping[str, str], spool: Spool) -> PackedSnapshot:
    """Pages of feedback ready to be stored.

    Args:
        spool: keeps the contents.

    Raises:
        LocalFileError: one of them can't be read.
    """
    return snapshots.pack(
        {
            name: blobs.pack_pieces(course.directory.read(path), spool)
            for name, path in pages.items()
        }
    )

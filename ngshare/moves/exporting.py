"""The database as an exchange directory of nbgrader, in a new folder."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Row, select

from ngshare import wire
from ngshare.database import snapshots
from ngshare.database.engine import Database
from ngshare.database.models import Course
from ngshare.database.snapshots import StoredFile
from ngshare.errors import InvalidRequest, LocalFileError
from ngshare.moves import contents, queries
from ngshare.moves.importing import Progress
from ngshare.moves.layout import (
    FEEDBACK,
    NOTEBOOK,
    PAGE,
    TIMESTAMP,
    FolderName,
    page_of_secret,
    pages_of_notebook,
    parse_folder_name,
    to_mtime,
)
from ngshare.moves.report import Report
from ngshare.volume import FEEDBACK as FEEDBACK_OF_STUDENTS
from ngshare.volume import INBOUND, OUTBOUND, SECRET

# As nbgrader makes them, see nbgrader/exchange/default.
ROOT_MODE = 0o777
FOLDER_MODE = 0o755
INBOUND_MODE = 0o2733
SUBMISSION_MODE = 0o777
FEEDBACK_MODE = 0o711
FILE_MODE = 0o644

Additions = Mapping[str, bytes]  # files that nbgrader wants beside those that were handed in
NOTHING: Additions = {}

LOST = "its content was lost before this database was made"
SAME_TIME = timedelta(milliseconds=1)  # two folders of one second are a microsecond apart


def export_exchange(
    database: Database, target: Path, volume: bool, report: Report, show_progress: Progress
) -> bool:
    """Write all courses in sight as an exchange directory, as of one moment.

    It is made beside `target`, whose name it gets when it is complete.

    Args:
        target: there is nothing, an empty folder, or the same directory.
        volume: whether each student is to have a folder of his own.

    Returns:
        Whether it was written; if not, it was there.

    Raises:
        LocalFileError: there is something else, or it can't be written.
        DamagedContent: see ngshare check.
    """
    target = target.absolute()
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise LocalFileError(f"{target} is no folder, and was left as it is")
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            new = beside / target.name
            database.read(_export, new, volume, report, show_progress)
            if target.exists() and any(target.iterdir()):
                if not _is_equal(new, target):
                    raise LocalFileError(
                        f"{target} is not empty, and not what would be written; it was left as it "
                        "is: name another folder"
                    )
                return False
            os.rename(new, target)
        finally:
            shutil.rmtree(beside)
    except OSError as error:
        raise LocalFileError(f"{target} can't be written: {error}") from None
    return True


def _is_equal(one: Path, other: Path) -> bool:
    """Whether two folders have the same files with the same contents."""

    def tree(folder: Path) -> set[str]:
        return {
            os.path.relpath(os.path.join(directory, name), folder)
            for directory, folders, names in os.walk(folder)
            for name in folders + names
        }

    paths = tree(one)
    return paths == tree(other) and all(
        filecmp.cmp(one / path, other / path, shallow=False) and not (other / path).is_symlink()
        if (one / path).is_file()
        else (other / path).is_dir()
        for path in paths
    )


def _export(
    connection: Connection, root: Path, volume: bool, report: Report, show_progress: Progress
) -> None:
    shutil.rmtree(root, ignore_errors=True)  # of an attempt that lost the database
    report.courses.clear()
    report.left_out = 0
    make_folder(root, ROOT_MODE)
    courses = select(Course.pk, Course.name).where(Course.deleted_at.is_(None))
    for course in connection.execute(courses.order_by(Course.name)).all():
        if is_folder_name(course.name):
            _Export(connection, root / course.name, volume, report).run(course.pk, show_progress)
        else:
            report.leave_out(course.name, "no folder can have the name of this course")


def is_folder_name(name: str) -> bool:
    """Whether a name is one segment of a path."""
    return wire.is_legal_name(name) and "/" not in name


def make_folder(path: Path, mode: int) -> None:
    """Make a folder, and those it is in, unless it is there."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


class _Export:
    """Writes a course."""

    def __init__(self, connection: Connection, folder: Path, volume: bool, report: Report) -> None:
        self._connection = connection
        self._folder = folder
        self._volume = volume
        self._report = report
        self._counts = report.course(folder.name)

    def run(self, course_pk: int, show_progress: Progress) -> None:
        make_folder(self._folder, FOLDER_MODE)
        make_folder(self._folder / OUTBOUND, FOLDER_MODE)
        make_folder(self._folder / INBOUND, INBOUND_MODE)
        if not self._volume:
            make_folder(self._folder / FEEDBACK, FEEDBACK_MODE)
        releases = self._connection.execute(queries.newest_releases(course_pk)).all()
        submissions = self._connection.execute(queries.submissions(course_pk)).all()
        with show_progress(len(releases) + len(submissions)) as advance:
            for release in releases:
                self._write_release(release)
                advance(1)
            for submission in submissions:
                self._write_submission(submission)
                advance(1)

    def _write_release(self, release: Row) -> None:
        if not is_folder_name(release.name) or "+" in release.name:
            self._report.leave_out(
                f"{self._folder.name}: {release.name}", "nbgrader has no assignments of this name"
            )
            return
        place = f"{OUTBOUND}/{release.name}"
        files = snapshots.list_files(self._connection, release.snapshot_pk)
        self._write(place, files, release.at)
        self._counts.count("releases", place, release.digest, release.size)

    def _write_submission(self, row: Row) -> None:
        if not (
            is_folder_name(row.student_id)
            and is_folder_name(row.assignment_id)
            and "+" not in row.assignment_id
        ):
            at = wire.format_timestamp(row.at)
            what = f"{self._folder.name}: {row.assignment_id} of {row.student_id} at {at}"
            self._report.leave_out(what, "nbgrader has no such names of students or assignments")
            return
        files = snapshots.list_files(self._connection, row.snapshot_pk)
        name, additions = _name_folder(row)
        files = [file for file in files if file.path not in additions]
        place = f"{INBOUND}/{row.student_id}" if self._volume else INBOUND
        if self._volume:
            make_folder(self._folder / place, INBOUND_MODE)
        place = f"{place}/{name}"
        self._write(place, files, row.at, additions)
        (self._folder / place).chmod(SUBMISSION_MODE)
        digest, size = row.digest, row.size
        if additions:
            known = [(file.path, file.digest) for file in files]
            added = [(path, hashlib.sha256(text).digest()) for path, text in additions.items()]
            digest = wire.manifest_digest(known + added)
            size = sum(file.size for file in files) + sum(map(len, additions.values()))
        self._counts.count("submissions", place, digest, size)
        if row.feedback_snapshot_pk is not None:
            parsed = parse_folder_name(name)
            assert parsed is not None
            self._write_feedback(row, place, parsed, files, additions)

    # ---- feedback ----

    def _write_feedback(
        self,
        row: Row,
        submission: str,
        name: FolderName,
        files: Sequence[StoredFile],
        additions: Additions,
    ) -> None:
        place = FEEDBACK
        if self._volume:
            place = f"{FEEDBACK_OF_STUDENTS}/{row.student_id}"
            make_folder(self._folder / place, FOLDER_MODE)
        by_path = {file.path: file for file in files}
        pages = snapshots.list_files(self._connection, row.feedback_snapshot_pk)
        secret = self._secret(by_path, additions)
        for page in pages:
            page_name = self._page_name(page, by_path, name, secret)
            where = f"{self._folder.name}/{submission}"
            if page_name is None:
                self._report.leave_out(
                    f"{where}: feedback {page.path}",
                    "nbgrader has only pages on notebooks that were handed in",
                )
            elif page.is_missing:
                self._report.leave_out(f"{where}: feedback {page.path}", LOST)
            else:
                target = self._folder / place / page_name
                content = contents.read(self._connection, page)
                try:
                    self._write_file(target, content, row.feedback_at)
                except FileExistsError:
                    self._report.leave_out(
                        f"{where}: feedback {page.path}", "other feedback has the same name there"
                    )
        digest = wire.manifest_digest((page.path, page.digest) for page in pages)
        size = sum(page.size for page in pages)
        self._counts.count("feedback", f"feedback on {submission}", digest, size)

    def _secret(self, by_path: dict[str, StoredFile], additions: Additions) -> bytes:
        if SECRET in additions:
            return additions[SECRET]
        file = by_path.get(SECRET)
        if file is None or file.is_missing:
            return b""
        return next(contents.read(self._connection, file), b"")

    def _page_name(
        self, page: StoredFile, by_path: dict[str, StoredFile], name: FolderName, secret: bytes
    ) -> str | None:
        notebook_id = page.path.removesuffix(PAGE)
        if notebook_id == page.path or "/" in notebook_id:
            return None
        if secret:
            return page_of_secret(secret, notebook_id)
        notebook = by_path.get(notebook_id + NOTEBOOK)
        if notebook is None or notebook.is_missing:
            return None
        content = contents.read(self._connection, notebook)
        return pages_of_notebook(content, self._folder.name, name, notebook_id)[0]

    # ---- files ----

    def _write(
        self,
        place: str,
        files: Iterable[StoredFile],
        at: datetime,
        additions: Additions = NOTHING,
    ) -> None:
        """Write a directory; what was named otherwise by an earlier ngshare is left out."""
        folder = self._folder / place
        folders = {folder}
        make_folder(folder, FOLDER_MODE)
        for file in files:
            path = folder / file.path
            label = f"{self._folder.name}/{place}: {file.path}"
            try:
                wire.check_paths([file.path])
                if file.is_missing:
                    raise LocalFileError(LOST)
                for parent in path.relative_to(folder).parents:
                    folders.add(folder / parent)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._write_file(path, contents.read(self._connection, file), at)
            except InvalidRequest:
                self._report.leave_out(label, "no file can have this path")
            except (FileExistsError, NotADirectoryError):
                self._report.leave_out(label, "a folder has this path")
            except LocalFileError as error:
                self._report.leave_out(label, error.message)
        for name, content in additions.items():
            self._write_file(folder / name, [content], at)
        for each in sorted(folders, reverse=True):
            make_folder(each, FOLDER_MODE)
            os.utime(each, ns=(to_mtime(at), to_mtime(at)))

    def _write_file(self, path: Path, content: Iterable[bytes], at: datetime) -> None:
        with path.open("xb") as file:
            for piece in content:
                file.write(piece)
            os.fchmod(file.fileno(), FILE_MODE)
        os.utime(path, ns=(to_mtime(at), to_mtime(at)))


def _name_folder(row: Row) -> tuple[str, Additions]:
    """How nbgrader would have called a submission, and the files that it makes itself.

    One that came from an exchange directory has its name, and all its files. Others get the time
    and a secret, which names feedback. Secret and name depend on what nobody but the student,
    instructors and admins knows, and are the same each time.
    """
    if row.key and is_folder_name(row.key) and (parsed := parse_folder_name(row.key)):
        is_same = (parsed.student_id, parsed.assignment_id) == (row.student_id, row.assignment_id)
        if is_same and abs(parsed.at - row.at) < SAME_TIME:
            return row.key, NOTHING
    timestamp = wire.format_timestamp(row.at)
    known = "\n".join((row.student_id, timestamp, row.digest.hex(), row.key or ""))
    secret = hashlib.sha512(f"ngshare secret\n{known}".encode()).hexdigest()
    random = hashlib.sha256(f"ngshare name\n{known}".encode()).hexdigest()[:12]
    name = f"{row.student_id}+{row.assignment_id}+{timestamp}+{random}"
    return name, {TIMESTAMP: timestamp.encode(), SECRET: secret.encode()}

"""A course as one archive."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, select

from ngshare import __version__, wire
from ngshare.database import snapshots
from ngshare.database.engine import Database
from ngshare.database.models import Assignment, Membership, Removal, User
from ngshare.database.snapshots import StoredFile
from ngshare.errors import LocalFileError, NotFound
from ngshare.moves import contents, queries, store
from ngshare.moves.archive import Writer
from ngshare.moves.importing import Progress
from ngshare.moves.records import (
    FORMAT,
    AssignmentEntry,
    CourseRecord,
    FeedbackRecord,
    FileEntry,
    Person,
    Record,
    ReleaseRecord,
    SubmissionRecord,
    member_path,
)
from ngshare.moves.report import Report


def export_course(
    database: Database, course_id: str, target: Path, report: Report, show_progress: Progress
) -> str:
    """Write a course, deleted or not, to a new file, as of one moment.

    Returns:
        The SHA-256 that stands for all that is in it.

    Raises:
        NotFound: there is no such course.
        LocalFileError: the file is there already, or can't be written.
        DamagedContent: see ngshare check.
    """
    _refuse_existing(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
        try:
            with open(handle, "w+b") as file:
                digest = database.read(_export, course_id, file, report, show_progress)
                file.flush()
                os.fsync(file.fileno())
            _refuse_existing(target)
            os.rename(name, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)
    except OSError as error:
        raise LocalFileError(f"{target} can't be written: {error}") from None
    return digest


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise LocalFileError(f"{target} exists and was left as it is: name another file")


def _export(
    connection: Connection,
    course_id: str,
    file: BinaryIO,
    report: Report,
    show_progress: Progress,
) -> str:
    file.seek(0)
    file.truncate()  # of an attempt that lost the database
    report.courses.clear()
    course = store.find_course(connection, course_id)
    if course is None:
        raise NotFound(f"There is no course {course_id}")
    record = _course_record(connection, course_id, course.pk)
    report.course(course_id).found["people"] = len(record.people)
    writer = Writer(file)
    writer.add_course(record)
    export = _Export(connection, writer, report, course_id)
    export.run(course.pk, show_progress)
    return writer.close(record.exported_at)


def _course_record(connection: Connection, course_id: str, course_pk: int) -> CourseRecord:
    people = connection.execute(
        select(
            User.name,
            Membership.role,
            Membership.active,
            Membership.first_name,
            Membership.last_name,
            Membership.email,
        )
        .join(User, User.pk == Membership.user_pk)
        .where(Membership.course_pk == course_pk)
        .order_by(Membership.pk)
    )
    assignments = connection.execute(
        select(Assignment.name, Assignment.released_at)
        .where(Assignment.course_pk == course_pk)
        .order_by(Assignment.pk)
    )
    return CourseRecord(
        FORMAT,
        course_id,
        store.now(),
        f"ngshare {__version__}",
        [_person(*row) for row in people],
        [AssignmentEntry(*row) for row in assignments],
    )


def _person(name: str, role: str, active: bool, *texts: str | None) -> Person:
    """As ngshare takes people in; what 0.6 was told was not cleaned."""
    return Person(name, role, active, *(text and wire.clean_text(text) for text in texts))


class _Export:
    def __init__(
        self, connection: Connection, writer: Writer, report: Report, course_id: str
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._report = report
        self._counts = report.course(course_id)

    def run(self, course_pk: int, show_progress: Progress) -> None:
        releases = self._connection.execute(queries.all_releases(course_pk)).all()
        submissions = self._connection.execute(queries.submissions(course_pk, True)).all()
        removals = {row.submission_pk: row for row in self._connection.execute(select(Removal))}
        with show_progress(len(releases) + len(submissions)) as advance:
            for row in releases:
                self._add(
                    ReleaseRecord,
                    row.snapshot_pk,
                    row.digest,
                    assignment_id=row.name,
                    at=row.at,
                    version=row.version,
                    by=row.by,
                )
                advance(1)
            for row in submissions:
                removal = removals.get(row.pk)
                whose = {"assignment_id": row.assignment_id, "student_id": row.student_id}
                self._add(
                    SubmissionRecord,
                    row.snapshot_pk,
                    row.digest,
                    **whose,
                    at=row.at,
                    key=row.key,
                    removed_at=removal and removal.at,
                    removed_by=removal and removal.by,
                )
                if row.feedback_snapshot_pk is not None:
                    self._add(
                        FeedbackRecord,
                        row.feedback_snapshot_pk,
                        row.feedback_digest,
                        **whose,
                        at=row.feedback_at,
                        submitted_at=row.at,
                        by=row.feedback_by,
                    )
                advance(1)

    def _add(self, kind: type[Any], snapshot_pk: int, digest: bytes, **fields: Any) -> None:
        files = snapshots.list_files(self._connection, snapshot_pk)
        record: Record = kind(
            sha256=digest.hex(), files=[self._entry(file) for file in files], **fields
        )
        self._writer.add(record)
        for file in files:
            path = member_path(record, file.path)
            if file.is_missing:
                self._report.leave_out(path, "its content was lost before this database was made")
            else:
                content = contents.read(self._connection, file)
                self._writer.add_file(path, file.size, content, record.at)
        name = record.place.partition("/")[0]
        self._counts.count(name, record.place, digest, sum(file.size for file in files))

    def _entry(self, file: StoredFile) -> FileEntry:
        return FileEntry(
            file.path, file.size, file.digest.hex(), file.checksum.hex(), file.is_missing
        )

"""An exchange directory of nbgrader into the database, whether the service runs or not.

What is there already is known by the name of its folder, which is kept as the submission's
idempotency_key, so that a second run adds what is new, and export gives folders the same names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, Row

from ngshare import courses
from ngshare.database.engine import Database
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import LocalFileError
from ngshare.limits import UNLIMITED, Limits
from ngshare.moves import people, source, store
from ngshare.moves.directory import Directory
from ngshare.moves.people import Entry
from ngshare.moves.report import Report
from ngshare.moves.source import Course, Submitted
from ngshare.moves.store import KnownAssignment
from ngshare.permissions import Identity, enter_course
from ngshare.spool import Spool
from ngshare.users import ensure_users

IMPORTER = Identity("ngshare import-exchange", is_admin=True)
MEMORY_BYTES = 4 << 20
BYTES_A_TRANSACTION = 8 << 20
DIRECTORIES_A_TRANSACTION = 50

Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]


@dataclass(frozen=True)
class Packed:
    """What is to be stored about a submission: its folder, or the feedback on it, of a time."""

    submitted: Submitted
    directory: PackedSnapshot
    at: datetime


def import_exchange(
    database: Database,
    root: Path,
    roster: Mapping[str, Sequence[Entry]],
    report: Report,
    show_progress: Progress,
    dry_run: bool = False,
    limits: Limits = UNLIMITED,
) -> None:
    """Add what an exchange directory has and the database has not; nothing is removed.

    Args:
        roster: people by course, who are added unless they are or were in the course.
        show_progress: is told how many directories there are, and then of each.
        dry_run: change nothing, but report what would be new.
        limits: how much a release or a submission may have.

    Raises:
        LocalFileError: there is no such folder.
        NgShareError: the database can't be written.
    """
    found = set()
    directory = Directory(root, report, limits)
    for course in source.find_courses(directory, report):
        found.add(course.course_id)
        known = database.read(store.find_course, course.course_id)
        if known and known.deleted_at:
            directory.leave_out(
                course.course_id, "this course is deleted in ngshare; restore it first"
            )
            continue
        if not known and not dry_run:
            database.write(courses.create_course, IMPORTER, course.course_id, [])
        entries = roster.get(course.course_id, ())
        people.add(database, IMPORTER, course.course_id, entries, report, dry_run)
        with show_progress(len(course.releases) + len(course.submissions)) as advance:
            _Import(database, course, report, advance, dry_run).run()
        strangers = course.students - {entry.username for entry in entries}
        people.note_strangers(database, course.course_id, strangers, report)
    if others := sorted(set(roster) - found):
        report.note(", ".join(others), f"there are people for this, but it is not in {root}")


class _Import:
    def __init__(
        self,
        database: Database,
        course: Course,
        report: Report,
        advance: Callable[[int], object],
        dry_run: bool,
    ) -> None:
        self._database = database
        self._course = course
        self._report = report
        self._counts = report.course(course.course_id)
        self._advance = advance
        self._dry_run = dry_run
        self._directory = course.directory
        self._matched: set[str] = set()

    def run(self) -> None:
        for assignment_id, path in self._course.releases.items():
            self._import_release(assignment_id, path)
            self._advance(1)
        by_assignment = sorted(
            self._course.submissions, key=lambda each: each.name.assignment_id
        )  # which keeps the order of time
        for assignment_id, group in groupby(by_assignment, lambda s: s.name.assignment_id):
            submissions = list(group)
            self._import_submissions(assignment_id, submissions)
            self._import_feedback(assignment_id, submissions)
        for pages in self._course.pages.values():
            for page in sorted(set(pages.values()) - self._matched):
                self._directory.leave_out(page, "it is feedback on nothing that was handed in here")

    def _place(self, path: str) -> str:
        """A path in the course."""
        return path.removeprefix(f"{self._course.course_id}/")

    def _find_assignment(self, assignment_id: str) -> KnownAssignment | None:
        def find(connection: Connection) -> KnownAssignment | None:
            course = store.find_course(connection, self._course.course_id)
            return store.find_assignment(connection, course.pk, assignment_id) if course else None

        return self._database.read(find)

    # ---- releases ----

    def _import_release(self, assignment_id: str, path: str) -> None:
        folder = self._directory.root / path
        with closing(Spool(MEMORY_BYTES)) as spool:
            try:
                directory, at = self._directory.pack(path, spool)
            except LocalFileError as error:
                self._directory.leave_out(path, error.message)
                return
            at = min(at, store.now())
            known = self._find_assignment(assignment_id)
            is_new = is_new_release(known, directory.digest, at)
            if is_new and not self._dry_run:
                args = (self._course.course_id, assignment_id, directory, at)
                self._database.write(_store_release, *args)
        place = self._place(path)
        self._counts.count("releases", place, directory.digest, directory.size, is_new)
        if known and not is_new and known.released_at is None:
            self._report.note(folder, "it was un-released in ngshare, and stays so")
        elif known and not is_new and known.versions[-1].digest != directory.digest:
            self._report.note(folder, "ngshare has a later release of it, which stays")

    # ---- submissions ----

    def _import_submissions(self, assignment_id: str, submissions: Sequence[Submitted]) -> None:
        known = self._find_assignment(assignment_id)
        if known is None and assignment_id not in self._course.releases:
            self._report.note(
                f"{self._course.course_id}/{assignment_id}",
                "submissions to it are there, but no release; it is out of sight until it is "
                "released again",
            )
        there = self._known_submissions(known)
        new = []
        for submitted in submissions:
            row = find_submission(there[submitted.name.student_id], submitted)
            if row is None:
                new.append(submitted)
            else:
                self._count(submitted, row.digest, row.size, is_new=False)
                self._advance(1)
        for batch in self._packed(new):
            if not self._dry_run:
                self._database.write(_store_submissions, self._course.course_id, batch)
            for packed in batch:
                self._count(packed.submitted, packed.directory.digest, packed.directory.size)

    def _count(self, submitted: Submitted, digest: bytes, size: int, is_new: bool = True) -> None:
        self._counts.count("submissions", self._place(submitted.path), digest, size, is_new)

    def _known_submissions(self, known: KnownAssignment | None) -> dict[str, list[Row]]:
        """What is recorded, by student."""
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self._database.read(store.list_submissions, known.pk) if known else ():
            found[row.student_id].append(row)
        return found

    def _packed(self, submissions: Iterable[Submitted]) -> Iterator[list[Packed]]:
        def pack(submitted: Submitted, spool: Spool) -> Packed:
            self._advance(1)
            directory, _ = self._directory.pack(submitted.path, spool)
            return Packed(submitted, directory, submitted.at)

        return self._batches(submissions, pack)

    def _batches(
        self, submissions: Iterable[Submitted], pack: Callable[[Submitted, Spool], Packed | None]
    ) -> Iterator[list[Packed]]:
        """As much at a time as a transaction is to store; what can't be read is left out."""
        batch: list[Packed] = []
        spool = Spool(MEMORY_BYTES)
        try:
            for submitted in submissions:
                try:
                    packed = pack(submitted, spool)
                except LocalFileError as error:
                    self._directory.leave_out(submitted.path, error.message)
                    continue
                if packed is not None:
                    batch.append(packed)
                if len(batch) >= DIRECTORIES_A_TRANSACTION or spool.size >= BYTES_A_TRANSACTION:
                    yield batch
                    batch = []
                    spool.close()
                    spool = Spool(MEMORY_BYTES)
            if batch:
                yield batch
        finally:
            spool.close()

    # ---- feedback ----

    def _import_feedback(self, assignment_id: str, submissions: Sequence[Submitted]) -> None:
        there = self._known_submissions(self._find_assignment(assignment_id))

        def pack(submitted: Submitted, spool: Spool) -> Packed | None:
            pages = source.find_feedback(self._course, submitted)
            if not pages:
                return None
            self._matched.update(pages.values())
            row = find_submission(there[submitted.name.student_id], submitted)
            at = min(source.newest_page(self._course, pages), store.now())
            if row is not None and row.feedback_at and at <= row.feedback_at:
                digest, size = self._database.read(store.describe_feedback, row.pk)
                self._count_feedback(submitted, digest, size, is_new=False)
                return None
            return Packed(submitted, source.pack_pages(self._course, pages, spool), at)

        for batch in self._batches(submissions, pack):
            if not self._dry_run:
                self._database.write(_store_feedback, self._course.course_id, batch)
            for packed in batch:
                self._count_feedback(
                    packed.submitted, packed.directory.digest, packed.directory.size
                )

    def _count_feedback(
        self, submitted: Submitted, digest: bytes, size: int, is_new: bool = True
    ) -> None:
        place = f"feedback on {self._place(submitted.path)}"
        self._counts.count("feedback", place, digest, size, is_new)


def is_new_release(known: KnownAssignment | None, digest: bytes, at: datetime) -> bool:
    """Whether a released directory is to become a version."""
    if known is None or not known.versions:
        return True
    newest = known.versions[-1]
    if any(version.digest == digest for version in known.versions):
        return False
    return newest.digest == store.EMPTY.digest or at > newest.at


def find_submission(mine: Iterable[Row], submitted: Submitted) -> Row | None:
    """What is recorded of a folder: under its name, or, made by ngshare itself, at its time.

    Args:
        mine: what the same student submitted to the same assignment.
    """
    prefix = f"{submitted.name.student_id}+{submitted.name.assignment_id}+"
    for row in mine:
        if row.key == submitted.key:
            return row
    for row in mine:
        if row.at == submitted.at and not (row.key or "").startswith(prefix):
            return row
    return None


def _store_release(
    connection: Connection,
    course_id: str,
    assignment_id: str,
    directory: PackedSnapshot,
    at: datetime,
) -> None:
    course_pk = enter_course(connection, IMPORTER, course_id).course_pk
    known = store.find_assignment(connection, course_pk, assignment_id)
    if not is_new_release(known, directory.digest, at):
        return
    version = known.versions[-1].version + 1 if known and known.versions else 1
    pk = known.pk if known else store.add_assignment(connection, course_pk, assignment_id, at)
    store.add_release(connection, pk, version, directory, at, str(IMPORTER))
    if known and known.released_at is None:
        store.set_released(connection, pk, at)
    store.record(connection, IMPORTER, "import release", course_id, assignment_id)


def _store_submissions(connection: Connection, course_id: str, batch: Sequence[Packed]) -> None:
    """Record submissions to one assignment, but for what is recorded meanwhile."""
    course_pk = enter_course(connection, IMPORTER, course_id).course_pk
    users = ensure_users(connection, [each.submitted.name.student_id for each in batch])
    assignment_id = batch[0].submitted.name.assignment_id
    known = store.find_assignment(connection, course_pk, assignment_id)
    if known:
        assignment_pk = known.pk
    else:
        assignment_pk = store.add_assignment(connection, course_pk, assignment_id, None)
        by = str(IMPORTER)
        store.add_release(connection, assignment_pk, 1, store.EMPTY, batch[0].at, by)
    for packed in batch:
        student_id = packed.submitted.name.student_id
        there = store.list_submissions(connection, assignment_pk, student_id)
        if find_submission(there, packed.submitted):
            continue
        store.add_submission(
            connection,
            assignment_pk,
            users[student_id],
            packed.at,
            packed.directory,
            packed.submitted.key,
            {row.at for row in there},
        )
        names = (course_id, assignment_id, student_id, packed.at)
        store.record(connection, IMPORTER, "import submission", *names)


def _store_feedback(connection: Connection, course_id: str, batch: Sequence[Packed]) -> None:
    """Record feedback on submissions to one assignment, unless there is a later one."""
    course_pk = enter_course(connection, IMPORTER, course_id).course_pk
    assignment_id = batch[0].submitted.name.assignment_id
    known = store.find_assignment(connection, course_pk, assignment_id)
    for packed in batch if known else ():
        assert known
        student_id = packed.submitted.name.student_id
        there = store.list_submissions(connection, known.pk, student_id)
        row = find_submission(there, packed.submitted)
        if row is None:  # purged meanwhile
            continue
        by = str(IMPORTER)
        if store.put_feedback(connection, row.pk, packed.directory, packed.at, by):
            names = (course_id, assignment_id, student_id, row.at)
            store.record(connection, IMPORTER, "import feedback", *names)

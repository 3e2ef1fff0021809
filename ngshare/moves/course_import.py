"""An archive of a course into the database, of the same site or another one.

The course is out of sight, under a name of its own, until all of it is there. An import that broke
off is found under that name, and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, select, update

from ngshare import audit, wire
from ngshare.audit import Change
from ngshare.database import blobs, snapshots
from ngshare.database.blobs import MISSING, PackedBlob
from ngshare.database.engine import Database, insert
from ngshare.database.models import INSTRUCTOR, STUDENT, Assignment, Course, Membership
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import Conflict
from ngshare.moves import store
from ngshare.moves.archive import COURSE, DamagedArchive, Entry, Reader
from ngshare.moves.importing import Progress
from ngshare.moves.packing import batches
from ngshare.moves.records import (
    CourseRecord,
    FeedbackRecord,
    Record,
    ReleaseRecord,
    SubmissionRecord,
)
from ngshare.moves.report import Report
from ngshare.permissions import Identity
from ngshare.spool import Spool
from ngshare.users import ensure_users

IMPORTER = Identity("ngshare import-course", is_admin=True)

Packed = tuple[Record, PackedSnapshot]


def import_course(
    database: Database,
    path: Path,
    new_name: str,
    report: Report,
    show_progress: Progress,
    dry_run: bool = False,
) -> str:
    """Verify an archive, and then make the course that is in it.

    Args:
        new_name: of the course; empty for the one that it had.
        dry_run: only verify it.

    Returns:
        The SHA-256 that stands for all that is in it.

    Raises:
        DamagedArchive: nothing was changed.
        Conflict: there is a course of this name; nothing was changed.
    """
    with closing(Reader(path)) as reader:
        course_id = new_name or reader.course.course_id
        database.read(_require_free, course_id)
        digest, count = _verify(path, reader, course_id, report)
    if dry_run:
        return digest
    hidden = _hidden_name(course_id, digest)
    with closing(Reader(path)) as reader, show_progress(count) as advance:
        database.write(_begin, hidden, reader.course)
        for batch in batches(reader.entries(), _pack):
            database.write(_store, hidden, batch)
            advance(len(batch))
        if reader.digest != digest:
            raise DamagedArchive(f"{path} was changed while it was imported")
        database.write(_finish, hidden, course_id, digest)
    return digest


def _hidden_name(course_id: str, digest: str) -> str:
    """What the course is called until all of it is there; a name by which it can be purged."""
    mark = f" (import of {digest[:12]}, not complete)"
    room = wire.MAX_SEGMENT_BYTES - len(mark)
    return course_id.encode()[:room].decode(errors="ignore") + mark


def _require_free(connection: Connection, course_id: str) -> None:
    found = store.find_course(connection, course_id)
    if found is not None:
        state = "a deleted" if found.deleted_at else "a"
        raise Conflict(
            f"There is {state} course {course_id} already, and nothing was changed: give this one "
            "another name by --name, or purge the other"
        )


# ---- verify ----


def _verify(path: Path, reader: Reader, course_id: str, report: Report) -> tuple[str, int]:
    """The digest, and how many directories there are."""
    counts = report.course(course_id)
    counts.found["people"] = counts.new["people"] = len(reader.course.people)
    names = {each.assignment_id for each in reader.course.assignments}
    people = {each.username for each in reader.course.people}
    _check(path, course_id, *names, *people)
    if len(names) + len(people) < len(reader.course.assignments) + len(reader.course.people):
        raise DamagedArchive(f"{path} is damaged: somebody or something is in {COURSE} twice")
    if any(each.role not in (INSTRUCTOR, STUDENT) for each in reader.course.people):
        raise DamagedArchive(f"{path} is damaged: somebody has an unknown role")
    number = 0
    for entry in reader.entries():
        record = entry.record
        if record.assignment_id not in names:
            raise DamagedArchive(f"{path} is damaged: {record.place!r} has no assignment")
        if not isinstance(record, ReleaseRecord):
            _check(path, record.student_id)
        _check_files(path, record)
        for file, content in entry.files:
            for _ in content:
                pass
            if file.missing:
                report.note(f"{record.place}/{file.path}", "its content was lost before")
        size = sum(file.size for file in record.files)
        kind = record.place.partition("/")[0]
        counts.count(kind, record.place, bytes.fromhex(record.sha256), size)
        number += 1
    return reader.digest, number


def _check(path: Path, *names: str) -> None:
    for name in names:
        if not wire.is_legal_name(name):
            raise DamagedArchive(f"{path} can't be imported: {name[:80]!r} is no allowed name")


def _check_files(path: Path, record: Record) -> None:
    files = {file.path: bytes.fromhex(file.sha256) for file in record.files}
    # Colons and backslashes, which clients may not send now, are in what ngshare 0.6 was sent.
    if len(files) < len(record.files) or not all(map(wire.is_legal_name, files)):
        raise DamagedArchive(
            f"{path} can't be imported: {record.place} has a path that is not allowed"
        )
    if wire.manifest_digest(files.items()).hex() != record.sha256:
        raise DamagedArchive(f"{path} is damaged: {record.place} is not what its receipt says")


# ---- store ----


def _pack(entry: Entry, spool: Spool) -> Packed:
    files = {}
    for file, content in entry.files:
        if file.missing:
            digest, checksum = bytes.fromhex(file.sha256), bytes.fromhex(file.md5)
            files[file.path] = PackedBlob(digest, file.size, checksum, MISSING, ())
        else:
            files[file.path] = blobs.pack_pieces(content, spool)
    return entry.record, snapshots.pack(files)


def _begin(connection: Connection, hidden: str, course: CourseRecord) -> None:
    """Make the course out of sight with its people and assignments, unless it is there."""
    if store.find_course(connection, hidden):
        return
    row = {"name": hidden, "deleted_at": store.now()}
    pk = connection.scalars(insert(connection, Course).returning(Course.pk), row).one()
    users = ensure_users(connection, [each.username for each in course.people])
    for person in course.people:
        membership = {
            "course_pk": pk,
            "user_pk": users[person.username],
            "role": person.role,
            "active": person.active,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "email": person.email,
        }
        connection.execute(insert(connection, Membership), membership)
    for each in course.assignments:
        store.add_assignment(connection, pk, each.assignment_id, each.released_at)


def _store(connection: Connection, hidden: str, batch: Sequence[Packed]) -> None:
    course = store.find_course(connection, hidden)
    if course is None:
        raise Conflict(f"The course {hidden} was purged meanwhile; begin again")
    pks = _assignment_pks(connection, course.pk)
    students = {each.student_id for each, _ in batch if not isinstance(each, ReleaseRecord)}
    users = ensure_users(connection, sorted(students))
    for record, directory in batch:
        pk = pks[record.assignment_id]
        if isinstance(record, ReleaseRecord):
            _store_release(connection, course.pk, pk, record, directory)
            continue
        at = record.submitted_at if isinstance(record, FeedbackRecord) else record.at
        there = store.list_submissions(connection, pk, record.student_id)
        submission_pk = next((row.pk for row in there if row.at == at), None)
        if isinstance(record, SubmissionRecord):
            if submission_pk is None:
                user_pk, key = users[record.student_id], record.key
                submission_pk = store.add_submission(connection, pk, user_pk, at, directory, key)
            if record.removed_at:
                by = record.removed_by or str(IMPORTER)
                store.add_removal(connection, submission_pk, record.removed_at, by)
        elif submission_pk is not None:
            store.put_feedback(connection, submission_pk, directory, record.at, record.by)


def _store_release(
    connection: Connection,
    course_pk: int,
    assignment_pk: int,
    record: ReleaseRecord,
    directory: PackedSnapshot,
) -> None:
    known = store.find_assignment(connection, course_pk, record.assignment_id)
    if known and record.version not in [version.version for version in known.versions]:
        store.add_release(
            connection, assignment_pk, record.version, directory, record.at, record.by
        )


def _assignment_pks(connection: Connection, course_pk: int) -> dict[str, int]:
    rows = connection.execute(
        select(Assignment.name, Assignment.pk).where(Assignment.course_pk == course_pk)
    )
    return {row.name: row.pk for row in rows}


def _finish(connection: Connection, hidden: str, course_id: str, digest: str) -> None:
    """Bring the course in sight under its own name."""
    _require_free(connection, course_id)
    connection.execute(
        update(Course).where(Course.name == hidden).values(name=course_id, deleted_at=None)
    )
    change = Change("import course", course_id, detail=f"archive {digest}")
    audit.record(connection, IMPORTER, change)

"""Carries the database and the files of ngshare 0.5 and 0.6 over into today's tables.

All of it happens in the transaction of upgrade.upgrade: until that is committed the old tables are
there, and no file is ever touched. docs/upgrade.md tells what becomes of what.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, inspect, text

from ngshare.database import blobs, snapshots
from ngshare.database.blobs import MISSING, PackedBlob
from ngshare.database.engine import insert
from ngshare.database.models import (
    INSTRUCTOR,
    STUDENT,
    Assignment,
    Course,
    Feedback,
    Membership,
    Release,
    Submission,
    User,
)
from ngshare.spool import BLOCK_BYTES, Spool

log = logging.getLogger("ngshare")

BY = "ngshare 0.6"  # who released what 0.6 does not tell
LOST_COURSE = "left over from ngshare 0.6"  # deleted; for what belongs to no course
MEMORY_BYTES = 1 << 20
SECONDS_A_LINE = 10
# Each before those that it refers to.
TABLES = (
    "assignment_files_assoc_table",
    "submission_files_assoc_table",
    "feedback_files_assoc_table",
    "instructor_assoc_table",
    "student_assoc_table",
    "submissions",
    "assignments",
    "files",
    "courses",
    "users",
)


class TakeOverError(Exception):
    """The old site can't be carried over; the message says why."""


@dataclass
class Report:
    """What was carried over.

    Attributes:
        counts: rows by what they are.
        file_bytes: of all files that were found.
        missing: files that are not in the folder, or have another length or MD5 than recorded.
        notes: what is not as it was.
    """

    counts: dict[str, int] = field(default_factory=dict)
    file_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    def log(self) -> None:
        """Tell an admin about it, the worst last."""
        counts = ", ".join(f"{number:,} {what}" for what, number in self.counts.items())
        for note in self.notes:
            log.warning("Take-over: %s", note)
        for name in self.damaged:
            log.warning("Take-over: not what its MD5 says, kept as it is: %s", name)
        for name in self.missing:
            log.warning("Take-over: not in the folder of files, kept without content: %s", name)
        log.info(
            "Took over %s (%s bytes; %d missing, %d damaged)",
            counts or "an empty site",
            f"{self.file_bytes:,}",
            len(self.missing),
            len(self.damaged),
        )


def is_old(connection: Connection) -> bool:
    """Whether the tables are those of ngshare 0.5 or 0.6."""
    tables = inspect(connection)
    names = set(tables.get_table_names())
    return set(TABLES) <= names and "actual_name" in {
        column["name"] for column in tables.get_columns("files")
    }


def take_over(connection: Connection, storage: Path, create_tables: Callable[[], None]) -> Report:
    """Replace the old tables by today's, with all that is in them and in the files.

    Args:
        storage: the folder of the old files.
        create_tables: makes today's tables.

    Raises:
        TakeOverError: a file can't be read, or the folder is not the right one.
    """
    for table in TABLES:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO old_{table}"))
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    create_tables()
    report = _TakeOver(connection, storage).run()
    for table in TABLES:
        connection.execute(text(f"DROP TABLE old_{table}"))
    return report


class _TakeOver:
    def __init__(self, connection: Connection, storage: Path) -> None:
        self._connection = connection
        self._files = _Files(connection, storage)
        self._report = self._files.report
        self._now = datetime.now(timezone.utc)
        self._users: dict[str, int] = {}
        self._courses: dict[int, str] = {}

    def run(self) -> Report:
        self._copy_users()
        self._copy_courses()
        self._copy_rosters()
        for assignment in self._rows("SELECT * FROM old_assignments ORDER BY _id"):
            self._copy_assignment(assignment)
        self._copy_lost_submissions()
        self._files.finish()
        return self._report

    def _rows(self, statement: str, **values: Any) -> list[Row]:
        return list(self._connection.execute(text(statement), values))

    def _insert(self, model: type, **row: Any) -> None:
        self._connection.execute(insert(self._connection, model), row)

    def _user(self, name: str | None) -> int:
        """The primary key of a user, who may be in no old table but be referred to."""
        name = name or "unknown"
        if name not in self._users:
            self._users[name] = len(self._users) + 1
            self._insert(User, pk=self._users[name], name=name)
            self._report.count("users")
        return self._users[name]

    def _copy_users(self) -> None:
        for row in self._rows("SELECT id FROM old_users ORDER BY rowid"):
            self._user(row.id)

    def _copy_courses(self) -> None:
        for row in self._rows("SELECT _id, id FROM old_courses ORDER BY _id"):
            self._courses[row._id] = row.id or f"course {row._id}"
            self._insert(Course, pk=row._id, name=self._courses[row._id], deleted_at=None)
            self._report.count("courses")

    def _lost_course(self) -> int:
        """A course for what is in none, out of sight as it was in 0.6."""
        pk = max(self._courses, default=0)
        if self._courses.get(pk) != LOST_COURSE:
            pk += 1
            self._courses[pk] = LOST_COURSE
            self._insert(Course, pk=pk, name=LOST_COURSE, deleted_at=self._now)
            self._report.notes.append(f"what belongs to no course is in {LOST_COURSE!r}, deleted")
        return pk

    def _copy_rosters(self) -> None:
        pks = {name: pk for pk, name in self._courses.items()}
        seen: set[tuple[int, int]] = set()
        for role in (INSTRUCTOR, STUDENT):
            for row in self._rows(f"SELECT * FROM old_{role}_assoc_table ORDER BY rowid"):
                if row.right_id not in pks:
                    self._report.notes.append(f"{row.left_id} was in {row.right_id}, no course")
                    continue
                key = pks[row.right_id], self._user(row.left_id)
                if key in seen:
                    self._report.notes.append(
                        f"{row.left_id} was instructor and student of {row.right_id}, and stays "
                        "instructor"
                    )
                    continue
                seen.add(key)
                person = {name: row._mapping[name] for name in ("first_name", "last_name", "email")}
                course_pk, user_pk = key
                self._insert(
                    Membership,
                    course_pk=course_pk,
                    user_pk=user_pk,
                    role=role,
                    active=True,
                    **person,
                )
                self._report.count(f"{role}s")

    def _copy_assignment(self, old: Row) -> None:
        course_pk = old.course_id if old.course_id in self._courses else self._lost_course()
        course = self._courses[course_pk]
        name = self._new_name(course_pk, old.id or f"assignment {old._id}")
        # The order of release is that of the keys; 0.6 keeps no time.
        released_at = self._now + timedelta(microseconds=self._report.counts.get("assignments", 0))
        self._insert(
            Assignment, pk=old._id, course_pk=course_pk, name=name, released_at=released_at
        )
        snapshot_pk = self._files.store("assignment", old._id, f"{course}/{name}")
        release = {"version": 1, "snapshot_pk": snapshot_pk, "at": self._now, "by": BY}
        self._insert(Release, assignment_pk=old._id, **release)
        self._report.count("assignments")
        self._copy_submissions(old._id, f"{course}/{name}")

    def _new_name(self, course_pk: int, name: str) -> str:
        """The name, or, if the course has an assignment so called already, one like it."""
        statement = "SELECT name FROM assignments WHERE course_pk = :pk"
        taken = {row.name for row in self._rows(statement, pk=course_pk)}
        if name not in taken:
            return name
        number = 2
        while f"{name} ({number})" in taken:
            number += 1
        course = self._courses[course_pk]
        self._report.notes.append(f"{course} had two assignments {name}; one is {name} ({number})")
        return f"{name} ({number})"

    def _copy_submissions(self, assignment_pk: int, where: str) -> None:
        statement = (
            "SELECT * FROM old_submissions WHERE assignment_id = :pk ORDER BY timestamp, _id"
        )
        last: dict[int, datetime] = {}
        for old in self._rows(statement, pk=assignment_pk):
            self._copy_submission(old, assignment_pk, where, last)

    def _copy_submission(
        self, old: Row, assignment_pk: int, where: str, last: dict[int, datetime]
    ) -> None:
        user_pk = self._user(old.student_id)
        at = datetime.fromisoformat(old.timestamp or "1970-01-01").replace(tzinfo=timezone.utc)
        if user_pk in last and at <= last[user_pk]:
            at = last[user_pk] + timedelta(microseconds=1)
            self._report.notes.append(
                f"{where}: {old.student_id} had two submissions at {old.timestamp}; one is {at} now"
            )
        last[user_pk] = at
        where = f"{where}/{old.student_id} at {old.timestamp}"
        snapshot_pk = self._files.store("submission", old._id, where)
        row = {"user_pk": user_pk, "at": at, "snapshot_pk": snapshot_pk}
        self._insert(Submission, pk=old._id, assignment_pk=assignment_pk, **row)
        self._report.count("submissions")
        if self._files.has("feedback", old._id):
            snapshot_pk = self._files.store("feedback", old._id, f"feedback on {where}")
            row = {"snapshot_pk": snapshot_pk, "at": self._now, "by": BY}
            self._insert(Feedback, submission_pk=old._id, **row)
            self._report.count("feedback")

    def _copy_lost_submissions(self) -> None:
        statement = (
            "SELECT * FROM old_submissions WHERE assignment_id IS NULL "
            "OR assignment_id NOT IN (SELECT _id FROM old_assignments) ORDER BY timestamp, _id"
        )
        lost = self._rows(statement)
        if not lost:
            return
        [(highest,)] = self._rows("SELECT coalesce(max(pk), 0) FROM assignments")
        pk, last = highest + 1, {}  # type: int, dict[int, datetime]
        name = "submissions to no assignment"
        course_pk = self._lost_course()
        self._insert(Assignment, pk=pk, course_pk=course_pk, name=name, released_at=self._now)
        for old in lost:
            self._copy_submission(old, pk, f"{LOST_COURSE}/{name}", last)


class _Files:
    """The old directories: rows that name files in one flat folder."""

    def __init__(self, connection: Connection, storage: Path) -> None:
        self._connection = connection
        self._storage = storage
        self.report = Report()
        self._next_line = time.monotonic() + SECONDS_A_LINE
        [(self._total,)] = connection.execute(text("SELECT count(*) FROM old_files"))
        columns = {column["name"] for column in inspect(connection).get_columns("old_files")}
        self._size = "files.size" if "size" in columns else "NULL"
        if self._total and not storage.is_dir():
            raise TakeOverError(
                f"the folder of its files, {storage}, does not exist: name it by --storage"
            )

    def _rows(self, kind: str, pk: int) -> list[Row]:
        return list(
            self._connection.execute(
                text(
                    f"SELECT filename, checksum, actual_name, {self._size} AS size "
                    f"FROM old_{kind}_files_assoc_table AS pairs "
                    "JOIN old_files AS files ON files._id = pairs.right_id "
                    "WHERE pairs.left_id = :pk ORDER BY files._id"
                ),
                {"pk": str(pk)},
            )
        )

    def has(self, kind: str, pk: int) -> bool:
        return bool(self._rows(kind, pk))

    def store(self, kind: str, pk: int, where: str) -> int:
        """The primary key of the snapshot of an old directory.

        Args:
            kind: assignment, submission or feedback.
            where: names the directory in the report.
        """
        spool = Spool(MEMORY_BYTES)
        try:
            files: dict[str, PackedBlob] = {}
            for row in reversed(self._rows(kind, pk)):  # of two with one path the last was read
                path = self._new_path(row.filename or "unnamed", files, where)
                files[path] = self._pack(row, f"{where}: {path}", spool)
            return snapshots.put(self._connection, snapshots.pack(files))
        finally:
            spool.close()

    def _new_path(self, path: str, taken: dict[str, Any], where: str) -> str:
        if path not in taken:
            return path
        number = 2
        while f"{path} ({number})" in taken:
            number += 1
        self.report.notes.append(f"{where} had {path} twice; the older is {path} ({number})")
        return f"{path} ({number})"

    def _pack(self, row: Row, name: str, spool: Spool) -> PackedBlob:
        self.report.count("files")
        self._log_progress()
        recorded = _checksum(row.checksum)
        actual_name = row.actual_name or ""
        try:
            if not actual_name or actual_name != os.path.basename(actual_name):
                raise FileNotFoundError
            packed = blobs.pack_pieces(_read(self._storage / actual_name), spool)
        except FileNotFoundError:
            self.report.missing.append(f"{name} ({actual_name}, MD5 {row.checksum})")
            placeholder = f"missing {row.checksum} {actual_name}".encode()
            digest = hashlib.sha256(placeholder).digest()
            return PackedBlob(digest, row.size or 0, recorded or bytes(16), MISSING, ())
        except OSError as error:
            raise TakeOverError(
                f"the file {self._storage / actual_name} can't be read ({error.strerror})"
            ) from error
        self.report.file_bytes += packed.size
        if recorded and packed.checksum != recorded:
            self.report.damaged.append(f"{name} ({actual_name}, MD5 {row.checksum})")
        return packed

    def _log_progress(self) -> None:
        if time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + SECONDS_A_LINE
            done = self.report.counts["files"]
            log.info("Taking over: %s of %s files", f"{done:,}", f"{self._total:,}")

    def finish(self) -> None:
        """Raise TakeOverError if not one file was found: that is no damage but a wrong folder."""
        count = self.report.counts.get("files", 0)
        if count and len(self.report.missing) == count:
            raise TakeOverError(
                f"none of its {count:,} files is in the folder {self._storage}: name the right "
                "one by --storage"
            )


def _checksum(text: str | None) -> bytes | None:
    try:
        checksum = bytes.fromhex(text or "")
    except ValueError:
        return None
    return checksum if len(checksum) == 16 else None


def _read(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block

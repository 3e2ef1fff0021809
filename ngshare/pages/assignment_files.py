"""What instructors download of an assignment: the latest submissions, and the table."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ngshare import overviews, progress, wire
from ngshare.database import snapshots
from ngshare.database.snapshots import StoredFile
from ngshare.errors import NotFound
from ngshare.handlers.archives import ZIP
from ngshare.handlers.sending import ArchiveAnswer
from ngshare.pages.base import PageHandler
from ngshare.spreadsheets import encode_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("ngshare")

CSV = "text/csv; charset=UTF-8"
CSV_COLUMNS = (
    "student_id",
    "first_name",
    "last_name",
    "email",
    "role",
    "fetched_version",
    "fetched",
    "versions",
    "first_submission",
    "last_submission",
    "feedback_released",
    "feedback_on_last",
)
FILES_AT_ONCE = 2000  # whose names are in memory
LOSSES = "MISSING.txt"
LOGGED = 10  # of the losses, which may be many
ADVICE = "The admin can run `ngshare check`, which names all damage, and restore a backup."
NOT_IN_FOLDERS = re.compile(r'^\.|[%/\\:<>"|?*\x00-\x1f\x7f]')


class AllSubmissionsZipHandler(PageHandler):
    """Everybody's latest submission, each in a folder of its student's name.

    Which ones is settled at the beginning; their files are looked up while others are sent. What
    is not to be had is named in a file LOSSES.
    """

    async def get(self, course_id: str, assignment_id: str) -> None:
        latest = await self.read_long(
            overviews.latest_submissions, self.identity, course_id, assignment_id
        )
        if not latest:
            raise NotFound("Nobody has submitted anything yet")
        at = max(submission.at for submission in latest)
        archive = ArchiveAnswer(self, ZIP, at, f"{course_id}-{assignment_id}")
        losses: list[str] = []
        for part in _cut(latest):
            files = await self.read_long(_list_files, part, losses)
            await archive.add(files, lambda file: losses.append(_describe_loss(file)))
        if losses:
            where = f"{course_id}/{assignment_id}"
            log.error("%s: %s lacks: %s", self.request_id, where, " ".join(losses[:LOGGED]))
            await archive.add_text(LOSSES, "\n".join([*losses, ADVICE, ""]))
        await archive.finish()


def _cut(latest: Sequence[Any]) -> Iterator[list[Any]]:
    """Parts of few submissions and, unless there is but one, few files."""
    part: list[Any] = []
    count = 0
    for submission in latest:
        count += submission.file_count
        if part and (count > FILES_AT_ONCE or len(part) == snapshots.PKS_A_STATEMENT):
            yield part
            part, count = [], submission.file_count
        part.append(submission)
    yield part


def _list_files(connection: Connection, part: Sequence[Any], losses: list[str]) -> list[StoredFile]:
    """The files of these submissions, in folders."""
    found = snapshots.list_files_of(connection, {submission.digest for submission in part})
    files = []
    for submission in part:
        folder = _folder(submission.student_id)
        own = found.get(submission.digest, [])
        if len(own) < submission.file_count:
            losses.append(f"The submission of {folder} was erased before it could be packed.")
            continue
        files += [replace(file, path=f"{folder}/{file.path}") for file in own]
    return files


def _describe_loss(file: StoredFile) -> str:
    folder, _, path = file.path.partition("/")
    return f"The file {path} that {folder} has submitted is lost or damaged in the database."


def _folder(student_id: str) -> str:
    """The name as that of a folder, on every kind of machine; different ones stay different."""
    return NOT_IN_FOLDERS.sub(lambda match: f"%{ord(match[0]):02X}", student_id)


class ProgressFileHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        rows = await self.read_long(progress.list_students, self.identity, course_id, assignment_id)
        content = await self.compute(_write_csv, rows)
        self.answer_file(content, CSV, f"{course_id}-{assignment_id}.csv")


def _write_csv(rows: Sequence[Any]) -> bytes:
    def cells(row: Any) -> list[object]:
        times = (row.first_at, row.last_at, row.feedback_at)
        return [
            *(row.name, row.first_name, row.last_name, row.email, row.role),
            *(row.fetched_version, row.fetched_at and wire.format_timestamp(row.fetched_at)),
            row.versions or 0,
            *(at and wire.format_timestamp(at) for at in times),
            "yes" if row.last_at and row.feedback_for == row.last_at else "no",
        ]

    return encode_file(CSV_COLUMNS, map(cells, rows))

"""What instructors download of an assignment: the latest submissions, and the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ngshare import progress, roster_files, wire
from ngshare.database.snapshots import StoredFile
from ngshare.errors import NotFound
from ngshare.listings import ListedSubmission
from ngshare.pages.base import PageHandler
from ngshare.pages.downloads import send_zip

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
NOT_IN_FOLDERS = re.compile(r'^\.|[%/\\:<>"|?*\x00-\x1f\x7f]')


class AllSubmissionsZipHandler(PageHandler):
    """Everybody's latest submission, each in a folder of its student's name."""

    async def get(self, course_id: str, assignment_id: str) -> None:
        found = await self.read_long(
            progress.latest_submissions, self.identity, course_id, assignment_id
        )
        if not found:
            raise NotFound("Nobody has submitted anything yet")
        files = await self.compute(_in_folders, found)
        at = max(submission.at for submission in found)
        del found  # which is as much again
        await send_zip(self, files, at, course_id, assignment_id)


def _in_folders(found: Sequence[ListedSubmission]) -> list[StoredFile]:
    return [
        replace(file, path=f"{_folder(submission.student_id)}/{file.path}")
        for submission in found
        for file in submission.files or []
    ]


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

    return roster_files.write_csv(CSV_COLUMNS, map(cells, rows))

"""/submissions/<course>/<assignment>[/<student>] and /submission/..."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ngshare import submissions, wire
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.directories import DirectoryHandler
from ngshare.submissions import Receipt

if TYPE_CHECKING:
    from sqlalchemy import Connection


def _encode(
    connection: Connection, list_receipts: Callable[..., list[Receipt]], *where: Any
) -> bytes:
    rows = [
        {"student_id": student_id, "timestamp": wire.format_timestamp(at)}
        for student_id, at in list_receipts(connection, *where)
    ]
    return msgspec.json.encode({"success": True, "submissions": rows})


class SubmissionListHandler(BaseHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        where = (self.identity, course_id, assignment_id)
        self.answer_encoded(await self.read_long(_encode, submissions.list_submissions, *where))


class StudentSubmissionListHandler(BaseHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        list_receipts = submissions.list_student_submissions
        self.answer_encoded(await self.read_long(_encode, list_receipts, *where))


class SubmitHandler(DirectoryHandler):
    async def post(self, course_id: str, assignment_id: str) -> None:
        where = (self.identity, course_id, assignment_id)
        await self.read(submissions.require_submitter, *where)
        directory = await self.decode_directory()
        at = await self.transact(submissions.submit, *where, directory, self.settings["limits"])
        self.settings["metrics"].submissions.inc()
        self.answer(timestamp=wire.format_timestamp(at))


class SubmissionHandler(DirectoryHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        submission = await self.read(
            submissions.fetch_submission,
            self.identity,
            course_id,
            assignment_id,
            student_id,
            self.argument("timestamp") or "",
        )
        await self.answer_directory(
            submission.files, timestamp=wire.format_timestamp(submission.at)
        )

"""/submissions/<course>/<assignment>[/<student>] and /submission/..."""

from __future__ import annotations

from collections.abc import Iterable

from ngshare import submissions, wire
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.directories import DirectoryHandler
from ngshare.submissions import Receipt


def _rows(receipts: Iterable[Receipt]) -> list[dict[str, str]]:
    return [
        {"student_id": receipt.student_id, "timestamp": wire.format_timestamp(receipt.at)}
        for receipt in receipts
    ]


class SubmissionListHandler(BaseHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        receipts = await self.read(
            submissions.list_submissions, self.identity, course_id, assignment_id
        )
        self.answer(submissions=_rows(receipts))


class StudentSubmissionListHandler(BaseHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        receipts = await self.read(
            submissions.list_student_submissions,
            self.identity,
            course_id,
            assignment_id,
            student_id,
        )
        self.answer(submissions=_rows(receipts))


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

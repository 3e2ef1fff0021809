"""/submissions/<course>/<assignment>[/<student>] and /submission/..."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ngshare import removals, submissions, wire
from ngshare.errors import InvalidRequest
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.directories import DirectoryHandler, decode_directory
from ngshare.handlers.listings import describe_submissions
from ngshare.listings import Part
from ngshare.submissions import Listed, Receipt

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ngshare.database.snapshots import PackedSnapshot


def _encode(
    connection: Connection, list_them: Callable[..., list[Listed]], where: tuple, detail: bool
) -> bytes:
    listed = list_them(connection, *where)
    rows = [
        {"student_id": student_id, "timestamp": wire.format_timestamp(at)}
        for student_id, at in listed
    ]
    answer: dict[str, Any] = {"success": True, "submissions": rows}
    if detail:
        found = describe_submissions(connection, where[0], Part(*where[1:]))
        details = {(entry["student_id"], entry["timestamp"]): entry for entry in found}
        answer["details"] = [details[row["student_id"], row["timestamp"]] for row in rows]
    return msgspec.json.encode(answer)


KEY = re.compile("[!-~]{1,255}")


class SubmissionListHandler(BaseHandler):
    async def get(self, *where: str) -> None:
        await self._list(submissions.list_submissions, *where)

    async def _list(self, list_them: Callable[..., list[Listed]], *where: str) -> None:
        detail = self.flag("detail")
        self.answer_encoded(
            await self.read_long(_encode, list_them, (self.identity, *where), detail)
        )


class StudentSubmissionListHandler(SubmissionListHandler):
    async def get(self, *where: str) -> None:
        await self._list(submissions.list_student_submissions, *where)


async def submit(
    handler: BaseHandler, course_id: str, assignment_id: str, key: str | None
) -> tuple[Receipt, PackedSnapshot]:
    """Record the directory that a call brings; see submissions.submit.

    Raises:
        InvalidRequest: the key is none, or see decode_directory.
    """
    where = (handler.identity, course_id, assignment_id)
    await handler.read(submissions.require_submitter, *where)
    if key is not None and not KEY.fullmatch(key):
        raise InvalidRequest("An Idempotency-Key has 1 to 255 visible ASCII characters")
    directory = await decode_directory(handler)
    receipt = await handler.transact(
        submissions.submit, *where, directory, handler.settings["limits"], key
    )
    handler.settings["metrics"].submissions.inc()
    return receipt, directory


class SubmitHandler(DirectoryHandler):
    async def post(self, course_id: str, assignment_id: str) -> None:
        key = self.request.headers.get("Idempotency-Key")
        receipt, _ = await submit(self, course_id, assignment_id, key)
        self.answer(
            timestamp=wire.format_timestamp(receipt.at),
            submission_id=receipt.submission_pk,
            sha256=receipt.digest.hex(),
            duplicate=receipt.is_duplicate,
        )


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
            submission.files,
            submission.at,
            timestamp=wire.format_timestamp(submission.at),
            submission_id=submission.submission_pk,
        )

    async def delete(self, course_id: str, assignment_id: str, student_id: str) -> None:
        await self.transact(
            removals.remove_submission,
            self.identity,
            course_id,
            assignment_id,
            student_id,
            self.argument("timestamp"),
            purge=self.flag("purge"),
        )
        self.answer()

"""/feedback/<course>/<assignment>/<student>."""

from __future__ import annotations

from ngshare import feedback, wire
from ngshare.handlers.directories import DirectoryHandler, decode_directory


class FeedbackHandler(DirectoryHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        found = await self.read(
            feedback.fetch_feedback,
            self.identity,
            course_id,
            assignment_id,
            student_id,
            self.argument("timestamp"),
        )
        await self.answer_directory(
            found.files, found.at, timestamp=wire.format_timestamp(found.at)
        )

    async def post(self, course_id: str, assignment_id: str, student_id: str) -> None:
        timestamp = self.argument("timestamp")
        where = (self.identity, course_id, assignment_id, student_id, timestamp)
        await self.read(feedback.require_grader, *where)
        directory = await decode_directory(self)
        await self.transact(feedback.release_feedback, *where, directory, self.settings["limits"])
        self.answer()

"""/assignments/<course> and /assignment/<course>/<assignment>."""

from __future__ import annotations

from ngshare import assignments
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.directories import DirectoryHandler


class AssignmentListHandler(BaseHandler):
    async def get(self, course_id: str) -> None:
        names = await self.read(assignments.list_assignments, self.identity, course_id)
        self.answer(assignments=names)


class AssignmentHandler(DirectoryHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        files = await self.read(
            assignments.fetch_assignment, self.identity, course_id, assignment_id
        )
        await self.answer_directory(files)

    async def post(self, course_id: str, assignment_id: str) -> None:
        where = (self.identity, course_id, assignment_id)
        await self.read(assignments.require_new_assignment, *where)
        directory = await self.decode_directory()
        await self.transact(
            assignments.release_assignment, *where, directory, self.settings["limits"]
        )
        self.answer()

    async def delete(self, course_id: str, assignment_id: str) -> None:
        await self.transact(
            assignments.unrelease_assignment,
            self.identity,
            course_id,
            assignment_id,
            purge=self.flag("purge"),
        )
        self.answer()

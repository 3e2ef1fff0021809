"""/assignments/<course> and /assignment/<course>/<assignment>."""

from __future__ import annotations

from typing import Any

from ngshare import assignments, wire
from ngshare.assignments import ReleasedFiles, Version
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.directories import DirectoryHandler, decode_directory, note_fetch
from ngshare.handlers.listings import describe_assignments
from ngshare.listings import Part
from ngshare.permissions import Identity, require_instructor


class AssignmentListHandler(BaseHandler):
    async def get(self, course_id: str) -> None:
        names = await self.read(assignments.list_assignments, self.identity, course_id)
        if not self.flag("detail"):
            self.answer(assignments=names)
            return
        listed = await self.read_long(describe_assignments, self.identity, Part(course_id))
        details = {entry["assignment_id"]: entry for entry in listed}
        self.answer(assignments=names, details=[details[n] for n in names if n in details])


class AssignmentHandler(DirectoryHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        released = await self.read(
            assignments.fetch_assignment, self.identity, course_id, assignment_id
        )
        with_contents = await self.answer_directory(
            released.files, released.at, **_version(released)
        )
        if with_contents:
            note_fetch(self, released)

    async def post(self, course_id: str, assignment_id: str) -> None:
        where = (self.identity, course_id, assignment_id)
        await self.read(assignments.require_new_assignment, *where)
        await self._release(where, replace=False)

    async def put(self, course_id: str, assignment_id: str) -> None:
        await self.read(require_instructor, self.identity, course_id)
        await self._release((self.identity, course_id, assignment_id), replace=True)

    async def _release(self, where: tuple[Identity, str, str], replace: bool) -> None:
        directory = await decode_directory(self)
        version = await self.transact(
            assignments.release_assignment,
            *where,
            directory,
            self.settings["limits"],
            replace,
        )
        self.answer(**_version(version), sha256=version.digest.hex())

    async def delete(self, course_id: str, assignment_id: str) -> None:
        await self.transact(
            assignments.unrelease_assignment,
            self.identity,
            course_id,
            assignment_id,
            purge=self.flag("purge"),
        )
        self.answer()


def _version(version: Version | ReleasedFiles) -> dict[str, Any]:
    return {"version": version.version, "released_at": wire.format_timestamp(version.at)}

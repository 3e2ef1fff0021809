"""/courses and /course/<course>."""

from __future__ import annotations

from ngshare import courses, listings, wire
from ngshare.errors import InvalidRequest
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.uploads import decode_json

NOT_DECODED = "Instructors cannot be JSON decoded"


class CourseListHandler(BaseHandler):
    async def get(self) -> None:
        if not self.flag("detail"):
            self.answer(courses=await self.read(courses.list_courses, self.identity))
            return
        found = await self.read(listings.list_courses, self.identity)
        self.answer(courses=[course.course_id for course in found], details=found)


class CourseHandler(BaseHandler):
    async def post(self, course_id: str) -> None:
        await self.read(courses.require_new_course, self.identity, course_id)
        field = self.raw_argument("instructors")
        instructors = [] if field is None else decode_json(field, list[str], NOT_DECODED)
        if not all(map(wire.is_legal_name, instructors)):
            raise InvalidRequest(NOT_DECODED)
        await self.transact(courses.create_course, self.identity, course_id, instructors)
        self.answer()

    async def delete(self, course_id: str) -> None:
        purge = self.flag("purge")
        await self.transact(courses.delete_course, self.identity, course_id, purge)
        self.answer()

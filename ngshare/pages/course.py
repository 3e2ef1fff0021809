"""A course: for its instructors the assignments and the people."""

from __future__ import annotations

from ngshare import overviews
from ngshare.pages import student
from ngshare.pages.base import PageHandler
from ngshare.permissions import enter_course


class CourseHandler(PageHandler):
    async def get(self, course_id: str) -> None:
        access = await self.read(enter_course, self.identity, course_id)
        if not access.is_instructor:
            await student.show_course(self, course_id)
            return
        view = self.view(overviews.PEOPLE, "last_name")
        self.render_page(
            "course.html",
            course_id=course_id,
            assignments=await self.read_long(overviews.list_assignments, self.identity, course_id),
            people=await self.read_long(overviews.load_people, self.identity, course_id, view),
        )

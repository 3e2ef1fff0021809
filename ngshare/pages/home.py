"""The first page: one's courses."""

from __future__ import annotations

from ngshare import own_courses
from ngshare.pages.base import PageHandler
from ngshare.tables import View

FIRST = View("", "course_id", False, 1)


class HomeHandler(PageHandler):
    async def get(self) -> None:
        view = self.view(own_courses.COURSES, "course_id")
        everything = None
        attended = await self.read(own_courses.load_attended, self.identity)
        is_admin = self.identity.is_admin
        taught = await self.read(
            own_courses.load_taught, self.identity, FIRST if is_admin else view, every=False
        )
        if is_admin:
            everything = await self.read_long(
                own_courses.load_taught, self.identity, view, every=True
            )
        self.render_page("home.html", attended=attended, taught=taught, everything=everything)

"""An assignment: for its instructors who has submitted what, and its versions."""

from __future__ import annotations

from ngshare import assignments, overviews, progress
from ngshare.errors import InvalidRequest
from ngshare.pages import student
from ngshare.pages.base import PageHandler
from ngshare.pages.charts import draw
from ngshare.permissions import enter_course

LONGEST_MAIL_LINK = 1800  # characters; longer ones don't work everywhere


class AssignmentHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        access = await self.read(enter_course, self.identity, course_id)
        if not access.is_instructor:
            await student.show_assignment(self, course_id, assignment_id)
            return
        view = self.view(progress.COLUMNS, "last_name", show=progress.SHOWN)
        found = await self.read_long(
            progress.load_progress, self.identity, course_id, assignment_id, view
        )
        self.render_page(
            "assignment.html",
            course_id=course_id,
            assignment_id=assignment_id,
            progress=found,
            chart=found.timeline and draw(found.timeline),
            longest_mail_link=LONGEST_MAIL_LINK,
        )


class VersionsHandler(PageHandler):
    """The versions of an assignment, also of one that is un-released."""

    async def get(self, course_id: str, assignment_id: str) -> None:
        overview, versions = await self.read_long(
            overviews.load_versions, self.identity, course_id, assignment_id
        )
        self.render_page(
            "versions.html",
            course_id=course_id,
            assignment_id=assignment_id,
            overview=overview,
            versions=versions,
        )

    async def act(self, course_id: str, assignment_id: str) -> None:
        where = (self.identity, course_id, assignment_id)
        action = self.argument("action")
        if action == "un-release":
            await self.transact(assignments.unrelease_assignment, *where, purge=False)
            notice = f"{assignment_id} is un-released; its submissions and feedback are kept."
        elif action == "restore":
            await self.transact(assignments.restore_assignment, *where)
            notice = f"{assignment_id} is released again, with its submissions and feedback."
        else:
            raise InvalidRequest("action should be un-release or restore")
        self.done(notice, "pages", "course", course_id)

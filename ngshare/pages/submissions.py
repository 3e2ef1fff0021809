"""What one person has submitted to an assignment, for its instructors."""

from __future__ import annotations

from ngshare import listings, submissions
from ngshare.listings import Part
from ngshare.pages.base import PageHandler
from ngshare.permissions import require_instructor


class StudentSubmissionsHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        await self.read(require_instructor, self.identity, course_id)
        await self.read(submissions.list_student_submissions, *where)
        found = await self.read_long(
            listings.list_submissions, self.identity, Part(course_id, assignment_id, student_id)
        )
        self.render_page(
            "student_submissions.html",
            course_id=course_id,
            assignment_id=assignment_id,
            student_id=student_id,
            submissions=sorted(found, key=lambda each: each.at, reverse=True),
        )

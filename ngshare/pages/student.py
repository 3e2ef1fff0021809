"""What students see of a course and of an assignment."""

from __future__ import annotations

from ngshare.errors import PermissionDenied
from ngshare.pages.base import PageHandler


async def show_course(handler: PageHandler, course_id: str) -> None:
    raise PermissionDenied("Permission denied")


async def show_assignment(handler: PageHandler, course_id: str, assignment_id: str) -> None:
    raise PermissionDenied("Permission denied")

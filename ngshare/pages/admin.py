"""What admins see and do: all courses, storage, the service's health."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time

from ngshare import catalogue, courses, rosters, storage, vitals, wire
from ngshare.errors import InvalidRequest, NgShareError
from ngshare.limits import Limits
from ngshare.pages.base import PageHandler
from ngshare.permissions import require_admin

ADMIN = ("pages", "admin")
HUB_WAIT_SECONDS = 3.0  # of somebody who looks at a page


def required(page: PageHandler, name: str) -> str:
    """An argument that a form must have, which names a course or a user.

    Raises:
        InvalidRequest: it is missing or no such name.
    """
    value = page.argument(name)
    if not value:
        raise InvalidRequest(f"Please supply {name.replace('_', ' ')}")
    wire.check_name(value)
    return value


def _names(page: PageHandler, name: str) -> list[str]:
    """User names from a field of a form, between commas."""
    names = [each.strip() for each in re.split("[,;]", page.argument(name) or "")]
    names = [each for each in names if each]
    for each in names:
        wire.check_name(each)
    return names


class CoursesHandler(PageHandler):
    """All courses, and a form that creates one."""

    async def get(self) -> None:
        states = (catalogue.IN_SIGHT, catalogue.DELETED)
        view = self.view(catalogue.COLUMNS, "course", state=states)
        state = view.filters["state"]
        rows = await self.read_long(catalogue.list_courses, self.identity, view, state)
        self.render_page("admin_courses.html", rows=rows, states=states)

    async def act(self) -> None:
        course_id = required(self, "course_id")
        instructors = _names(self, "instructors")
        await self.transact(courses.create_course, self.identity, course_id, instructors)
        taught_by = f"taught by {', '.join(instructors)}" if instructors else "without instructors"
        self.done(f"Course {course_id} was created, {taught_by}.", *ADMIN)

    def back(self) -> tuple[str, ...]:
        return ADMIN


class CourseHandler(PageHandler):
    """One course: who teaches it, and whether it is there."""

    async def get(self, course_id: str) -> None:
        course = await self.read_long(catalogue.get_course, self.identity, course_id)
        self.render_page("admin_course.html", course=course)

    async def act(self, course_id: str) -> None:
        what = self.argument("action") or ""
        actions = {
            "appoint": self._appoint,
            "remove": self._remove,
            "delete": self._delete,
            "restore": self._restore,
            "purge": self._purge,
        }
        if what not in actions:
            raise InvalidRequest(f"action should be one of {', '.join(actions)}")
        await actions[what](course_id)

    async def _appoint(self, course_id: str) -> None:
        names = _names(self, "instructors")
        await self.transact(courses.appoint_instructors, self.identity, course_id, names)
        is_are = "is" if len(names) == 1 else "are"
        self._done(course_id, f"{', '.join(names)} {is_are} teaching {course_id} now.")

    async def _remove(self, course_id: str) -> None:
        name = required(self, "username")
        await self.transact(rosters.remove_instructor, self.identity, course_id, name)
        self._done(course_id, f"{name} is no longer in {course_id}.")

    async def _delete(self, course_id: str) -> None:
        await self.transact(courses.delete_course, self.identity, course_id, purge=False)
        self._done(course_id, f"Course {course_id} was deleted. Below it can be restored.")

    async def _restore(self, course_id: str) -> None:
        await self.transact(courses.restore_course, self.identity, course_id)
        self._done(course_id, f"Course {course_id} is back, with its people and their work.")

    async def _purge(self, course_id: str) -> None:
        typed = self.argument("typed") or ""
        await self.transact(courses.purge_deleted_course, self.identity, course_id, typed)
        self.done(f"Course {course_id} and all its work were erased.", *ADMIN)

    def _done(self, course_id: str, notice: str) -> None:
        self.done(notice, *ADMIN, "course", course_id)

    def back(self) -> tuple[str, ...]:
        is_form = self.request.method == "POST"
        return (*ADMIN, "course", *self.path_args) if is_form else ADMIN


class StorageHandler(PageHandler):
    async def get(self) -> None:
        usage = await self.read_long(storage.measure, self.identity)
        largest = await self.read_long(storage.list_largest, self.identity)
        self.render_page("admin_storage.html", usage=usage, largest=largest)


class HealthHandler(PageHandler):
    """Answers also while the Hub or the database is silent."""

    async def get(self) -> None:
        require_admin(self.identity)
        obstacle, hub = await asyncio.gather(self.settings["readiness"].obstacle(), self._ask_hub())
        started = time.perf_counter()
        found = None
        if obstacle is None:
            found = await self.read_long(vitals.read_vitals, self.identity)
        database_ms = 1000 * (time.perf_counter() - started)
        limits: Limits = self.settings["limits"]
        self.render_page(
            "admin_health.html",
            obstacle=obstacle,
            vitals=found,
            database_ms=database_ms,
            hub=hub,
            hub_url=None if self.stand_alone else self.hub_auth.api_url,
            process={
                "Host": socket.gethostname(),
                "Process id": str(os.getpid()),
                "Processes on this address": str(self.settings["workers"]),
                "Calls in flight": f"{len(self.settings['calls'])}, this one too",
            },
            started=self.settings["started"],
            limits={"max_upload_bytes": self.settings["max_upload_bytes"], **vars(limits)},
        )

    async def _ask_hub(self) -> tuple[float, str | None]:
        """How many milliseconds the Hub took, and what is wrong with it."""
        if self.stand_alone:
            return 0.0, None
        started = time.perf_counter()
        problem = None
        try:
            await asyncio.wait_for(self.hub_auth.check_own_token(), HUB_WAIT_SECONDS)
        except NgShareError as error:
            problem = error.message
        except asyncio.TimeoutError:
            problem = f"It did not answer within {HUB_WAIT_SECONDS:g} s"
        return 1000 * (time.perf_counter() - started), problem

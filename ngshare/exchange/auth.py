"""nbgrader's authenticator: which courses somebody is in, and who is in a course."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nbgrader.auth import BaseAuthPlugin
from nbgrader.auth.jupyterhub import JupyterhubEnvironmentError
from nbgrader.coursedir import CourseDirectory

from ngshare.errors import Conflict, NgShareError, NotFound
from ngshare.exchange.base import Exchange
from ngshare.exchange.list import ExchangeList
from ngshare.exchange.recent import forget


class Roster(Exchange):
    """The roster of a course, as those who teach it see it."""

    for_instructors = True
    tries = ExchangeList.tries
    read_seconds = ExchangeList.read_seconds


class NgshareAuthPlugin(BaseAuthPlugin):
    """Asks ngshare's rosters, and changes them:

        c.Authenticator.plugin_class = "ngshare.exchange.NgshareAuthPlugin"

    With it `nbgrader db student` adds and removes on the server too. JupyterLab's course list asks
    it for courses, and then looks up their formgraders among the Hub's services, for which users
    need the scope `list:services`; without the plugin it does not.
    """

    def get_student_courses(self, student_id: str) -> list[str]:
        """The courses that somebody takes or teaches.

        A formgrader that is a service of the Hub is named after its course, and that is its only
        one, though ngshare's `--admin-services` may give it the rights of an admin.

        Args:
            student_id: a name, or `*` for whoever runs this.

        Raises:
            JupyterhubEnvironmentError: this does not run on a JupyterHub.
            ExchangeError: ngshare can't be asked.
        """
        if "JUPYTERHUB_API_TOKEN" not in os.environ:
            raise JupyterhubEnvironmentError("JUPYTERHUB_API_TOKEN is not set")
        with self._roster("") as roster:
            caller = roster.ask("whoami")
            courses = roster.ask("list_courses")
            if student_id not in ("*", caller["username"]):
                ids = [each["course_id"] for each in courses if each["role"] != "student"]
                return [each for each in ids if self._has_student(roster, each, student_id)]
            return [
                each["course_id"]
                for each in courses
                if not caller["is_service"]
                or each["role"] != "admin"
                or each["course_id"] == caller["username"]
            ]

    def _has_student(self, roster: Roster, course_id: str, student_id: str) -> bool:
        try:
            roster.client.get_student(course_id, student_id)
        except NotFound:
            return False
        return True

    def add_student_to_course(self, student_id: str, course_id: str) -> None:
        """Add somebody to a course. nbgrader tells no names, so those that are known stay.

        Raises:
            ExchangeError: it could not be done.
        """
        with self._roster(course_id) as roster:
            course_id = roster.require_course()
            if self._has_student(roster, course_id, student_id):
                return
            try:
                roster.client.add_student(course_id, student_id, "", "", "")
            except Conflict:
                self.log.info("%s teaches %s and is no student of it", student_id, course_id)
            forget()

    def remove_student_from_course(self, student_id: str, course_id: str) -> None:
        """Remove somebody from a course; what was handed in stays.

        Raises:
            ExchangeError: it could not be done.
        """
        with self._roster(course_id) as roster:
            course_id = roster.require_course()
            if self._has_student(roster, course_id, student_id):
                roster.client.remove_student(course_id, student_id)
            forget()

    @contextmanager
    def _roster(self, course_id: str) -> Iterator[Roster]:
        """The course's roster; what fails in the block is told as of the exchange."""
        roster = Roster(CourseDirectory(parent=self, course_id=course_id), parent=self)
        try:
            yield roster
        except NgShareError as error:
            roster.fail(roster.explain(error))
        finally:
            roster.close()

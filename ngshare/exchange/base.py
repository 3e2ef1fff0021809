"""What all verbs have in common: options, the client, names, and how a failure is told."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from jupyter_core.paths import jupyter_data_dir
from nbgrader.exchange import ExchangeError, abc
from traitlets import Bool, Unicode, default, validate
from traitlets.config import Config

from ngshare import workplace
from ngshare.client import NgShareClient, find_url
from ngshare.errors import (
    ConnectionLost,
    LocalFileError,
    NgShareError,
    NotConfigured,
    NotFound,
    PermissionDenied,
    ServerUnreachable,
    Unauthenticated,
)
from ngshare.exchange.folders import folder_name
from ngshare.exchange.recent import recall


class Exchange(abc.Exchange):
    """Base of the plugin's classes; nbgrader itself never makes one.

    Every failure ends in an ExchangeError, for which nbgrader's commands exit with status 1 and
    formgrader says that the exchange is missing.
    """

    ngshare_url = Unicode(
        "",
        help=(
            "URL of ngshare, for example http://proxy-public/services/ngshare. By default it is "
            "that of the environment variable NGSHARE_URL, or what the JupyterHub tells."
        ),
    ).tag(config=True)

    cache = Unicode(
        help=(
            "Folder for copies of what was submitted from this computer; nbgrader_cache in "
            "Jupyter's data directory by default."
        )
    ).tag(config=True)

    path_includes_course = Bool(
        False,
        help="Whether assignments are kept in a folder that is named after their course.",
    ).tag(config=True)

    root = Unicode(
        help=(
            "The URL of ngshare, which formgrader shows as the place of the exchange. A folder "
            "that is configured here, for nbgrader's own exchange, is not used."
        )
    ).tag(config=True)

    for_instructors = False
    """Whether only instructors of a course may use this verb."""

    old_section = ""
    """The name that old releases of nbgrader gave to this class in nbgrader_config.py."""

    tries = 5
    """How often a call is sent at most."""

    read_seconds = 60.0
    """How long the server may be silent."""

    last_failure: ClassVar[str] = ""
    """What the last of these classes that failed has said."""

    def __init__(self, coursedir: Any = None, authenticator: Any = None, **kwargs: Any) -> None:
        # NbGraderAPI misspells authenticator, and traitlets is going to refuse unknown names.
        known = {name: value for name, value in kwargs.items() if self.has_trait(name)}
        super().__init__(coursedir, authenticator, **known)

    @default("cache")
    def _cache_in_data_dir(self) -> str:
        return os.path.join(jupyter_data_dir(), "nbgrader_cache")

    @default("root")
    def _root_is_the_url(self) -> str:
        try:
            return self.client.url
        except NgShareError:
            return ""

    @validate("root")
    def _root_is_always_the_url(self, _: object) -> str:
        return self._root_is_the_url()

    def _load_config(self, cfg: Config, **kwargs: Any) -> None:
        if self.old_section and self.old_section in cfg:
            section = type(self).__name__
            self.log.warning(
                "nbgrader_config.py has settings for %s, which is now called %s",
                self.old_section,
                section,
            )
            cfg[section].merge(cfg.pop(self.old_section))
        super()._load_config(cfg, **kwargs)

    def start(self) -> Any:
        """Do it, and say in one sentence why if it can't be done.

        Raises:
            ExchangeError: it could not be done.
        """
        try:
            return super().start()
        except (NgShareError, OSError) as error:
            message = self.explain(error)
        finally:
            self.close()
        self.fail(message)

    def close(self) -> None:
        """Close the connections to the server, if there are any."""
        if "client" in vars(self):
            self.client.close()

    def fail(self, msg: str) -> NoReturn:
        """Say why it can't be done, and end.

        Raises:
            ExchangeError: always.
        """
        self.log.critical("%s", msg)
        Exchange.last_failure = msg
        raise ExchangeError(msg) from None

    def explain(self, error: NgShareError | OSError) -> str:
        """A failure in one sentence that a student understands."""
        if isinstance(error, OSError):
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
        course_id = self.coursedir.course_id if self.coursedir else ""
        course = f'the course "{course_id}"' if course_id not in ("", "*") else "this course"
        if isinstance(error, Unauthenticated):
            return (
                "ngshare does not know who you are: stop your server in the JupyterHub's control "
                "panel and start it again"
            )
        if isinstance(error, PermissionDenied) and error.message == "Permission denied":
            if self.for_instructors:
                return f"ngshare does not allow this: you are no instructor of {course}"
            return f"ngshare does not allow this: ask your instructor to add you to {course}"
        if isinstance(error, NotFound) and error.message == "Course not found":
            return f"ngshare knows no such thing as {course}: check how it is spelt"
        if isinstance(error, (ServerUnreachable, ConnectionLost)):
            return f"ngshare can't be reached, try again in a few minutes. {error.message}"
        if isinstance(error, (LocalFileError, NotConfigured)):
            return error.message
        return f"ngshare: {error.message}"

    def fail_if_any(self, failures: Mapping[str, NgShareError | OSError], message: str) -> None:
        """Fail after the rest was done: log why, and end with the names of those that failed."""
        for name, error in failures.items():
            self.log.error("%s: %s", name, self.explain(error))
        if failures:
            self.fail(f"{message}: {', '.join(failures)}")

    @cached_property
    def client(self) -> NgShareClient:
        """The server's, for whoever runs this."""
        return workplace.connect(
            self.ngshare_url or find_url(), tries=self.tries, read_seconds=self.read_seconds
        )

    def ask(self, question: str, *args: Any, **kwargs: Any) -> Any:
        """The answer of a method of the client that lists something, at most a second old."""
        token = os.environ.get("JUPYTERHUB_API_TOKEN")
        key = (self.client.url, token, question, args, *sorted(kwargs.items()))
        return recall(key, lambda: getattr(self.client, question)(*args, **kwargs))

    @property
    def username(self) -> str:
        """Who runs this, in the server's eyes."""
        return self.ask("whoami")["username"]

    def require_course(self) -> str:
        """The course that the configuration names; for `*` the only one there is to choose.

        Raises:
            ExchangeError: there is none, or there are several.
        """
        course_id = self.coursedir.course_id
        if not course_id:
            self.fail(
                "Which course? Name it with --course, or as c.CourseDirectory.course_id in "
                "nbgrader_config.py"
            )
        if course_id != "*":
            return course_id
        roles = ["instructor"] if self.for_instructors else ["instructor", "student"]
        courses = [each["course_id"] for each in self.ask("list_courses") if each["role"] in roles]
        if len(courses) == 1:
            return courses[0]
        verb = "teach" if self.for_instructors else "are in"
        if not courses:
            self.fail(f"You {verb} no course on ngshare")
        self.fail(f"You {verb} several courses; name one with --course: {', '.join(courses)}")

    def require_role(self, course_id: str) -> None:
        """Fail unless the caller is in a course, and teaches it if the verb wants that.

        The server's lists are just empty for others, and for courses that there are not.
        """
        roles = {each["course_id"]: each["role"] for each in self.ask("list_courses")}
        if course_id not in roles:
            self.fail(f'You are not in a course "{course_id}" on ngshare: check how it is spelt')
        if self.for_instructors and roles[course_id] == "student":
            raise PermissionDenied("Permission denied")

    @property
    def assignment_id(self) -> str:
        """The assignment, without the slash that the shell puts behind the names of folders."""
        return self.coursedir.assignment_id.rstrip("/")

    def fail_not_found(self, message: str, name: str, known: Iterable[str]) -> NoReturn:
        """Fail, with the name that somebody may have meant."""
        similar = difflib.get_close_matches(name, known, n=1)
        hint = f'. Did you mean "{similar[0]}"?' if similar else ""
        self.fail(message + hint)

    def require_released(self, course_id: str, assignment_id: str) -> None:
        """Fail, with a hint, unless an assignment is released in one's course."""
        released = [each["assignment_id"] for each in self.ask("list_assignments", course_id)]
        if assignment_id in released:
            return
        self.require_role(course_id)
        self.fail_not_found(
            f'No assignment "{assignment_id}" is released in the course "{course_id}"',
            assignment_id,
            released,
        )

    def assignment_folder(self, course_id: str, assignment_id: str) -> Path:
        """Where a student keeps an assignment.

        Raises:
            LocalFileError: one of the ids can't be the name of a folder.
        """
        ids = [course_id, assignment_id] if self.path_includes_course else [assignment_id]
        parts = map(folder_name, ids)
        return Path(os.path.abspath(os.path.join(self.assignment_dir, *parts)))

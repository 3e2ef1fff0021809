"""The API for programs: one method a call, the server's errors as the same classes.

    with NgShareClient() as client:
        print(client.whoami()["username"])

Nothing of the server is loaded by importing this.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ngshare.client import downloads, uploads
from ngshare.client.location import find_url
from ngshare.client.transport import Transport
from ngshare.client.uploads import Entry, describe
from ngshare.errors import InvalidRequest, NgShareError

__all__ = ["Entry", "NgShareClient", "describe", "find_url"]

STUDENTS_A_CALL = 1000


class NgShareClient:
    """Somebody's connection to an ngshare.

    May be used by several threads at once; close it, or use it in a `with` statement.

    Every method raises an NgShareError: the class that stands for the server's answer, or
    ServerUnreachable, ConnectionLost, ForeignAnswer, WrongContent, LocalFileError. What is safe to
    repeat is repeated after failures that pass, see Transport.repeat.

    Ids are names as people write them; they are encoded for the URL here. Timestamps are texts
    such as `2020-01-30 10:30:47.524219 UTC`, in arguments and in answers.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        user: str | None = None,
        connect_seconds: float = 5.0,
        read_seconds: float = 60.0,
        tries: int = 5,
        parallel: int = 4,
    ) -> None:
        """
        Args:
            url: with the prefix, such as http://proxy/services/ngshare/; find_url() if not given.
            token: of the Hub; the environment variable JUPYTERHUB_API_TOKEN if not given.
            user: who calls a stand-alone server, which knows no tokens.
            connect_seconds: how long to wait for a connection.
            read_seconds: how long the server may be silent.
            tries: how often a call is sent at most.
            parallel: how many long files are sent at the same time.

        Raises:
            NotConfigured: no URL is given, nor found.
        """
        if token is None and user is None:
            token = os.environ.get("JUPYTERHUB_API_TOKEN")
        self.parallel = parallel
        self._transport = Transport(
            find_url() if url is None else url,
            token,
            user,
            timeouts=(connect_seconds, read_seconds),
            tries=tries,
            connections=parallel,
        )

    @property
    def url(self) -> str:
        """Of the server, with the prefix and a slash at the end."""
        return self._transport.url

    def __enter__(self) -> NgShareClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._transport.close()

    # ---- who and where ----

    def is_alive(self) -> bool:
        """Whether a server of ngshare answers, be it an old one or somebody's with no token."""
        try:
            self._transport.call("GET", "healthz")
        except NgShareError:
            return False
        return True

    def whoami(self) -> dict[str, Any]:
        """`username`, `is_service`, `is_admin`, and the server's `version`, `time`, `limits`."""
        return self._transport.call("GET", "whoami")

    def list_courses(self) -> list[dict[str, Any]]:
        """`{course_id, role}` of one's own courses, for admins of all; sorted."""
        return self._transport.call("GET", "courses", query={"detail": "true"})["details"]

    def create_course(self, course_id: str, instructors: Iterable[str] = ()) -> None:
        """For admins. Not repeated when the answer is lost."""
        form = {"instructors": _json(list(instructors))}
        self._transport.call("POST", "course", course_id, form=form, is_safe=False)

    def delete_course(self, course_id: str, purge: bool = False) -> None:
        """For admins; `purge` erases all students' work for good."""
        self._transport.call("DELETE", "course", course_id, query=_purge(purge))

    # ---- rosters ----

    def list_instructors(self, course_id: str) -> list[dict[str, Any]]:
        """`{username, first_name, last_name, email}`, in the order of being added."""
        return self._transport.call("GET", "instructors", course_id)["instructors"]

    def get_instructor(self, course_id: str, username: str) -> dict[str, Any]:
        """`{username, first_name, last_name, email}`; what nobody has told yet is None."""
        return self._transport.call("GET", "instructor", course_id, username)

    def add_instructor(
        self, course_id: str, username: str, first_name: str, last_name: str, email: str
    ) -> None:
        """Add or update an instructor, for admins; instructors may update themselves."""
        form = {"first_name": first_name, "last_name": last_name, "email": email}
        self._transport.call("POST", "instructor", course_id, username, form=form)

    def remove_instructor(self, course_id: str, username: str) -> None:
        """For admins; what the instructor submitted stays."""
        self._transport.call("DELETE", "instructor", course_id, username)

    def list_students(self, course_id: str) -> list[dict[str, Any]]:
        """`{username, first_name, last_name, email}`, in the order of being added."""
        return self._transport.call("GET", "students", course_id)["students"]

    def get_student(self, course_id: str, username: str) -> dict[str, Any]:
        """`{username, first_name, last_name, email}`; what nobody has told yet is None."""
        return self._transport.call("GET", "student", course_id, username)

    def add_student(
        self, course_id: str, username: str, first_name: str, last_name: str, email: str
    ) -> None:
        """Add or update a student, for instructors."""
        form = {"first_name": first_name, "last_name": last_name, "email": email}
        self._transport.call("POST", "student", course_id, username, form=form)

    def add_students(
        self, course_id: str, people: Sequence[Mapping[str, str]]
    ) -> list[dict[str, Any]]:
        """Add or update many students, 1,000 at a time, each thousand in one transaction.

        Args:
            people: `{username, first_name, last_name, email}`.

        Returns:
            `{username, success[, message]}` for each, in the same order.
        """
        status: list[dict[str, Any]] = []
        for start in range(0, len(people), STUDENTS_A_CALL):
            rows = [dict(person) for person in people[start : start + STUDENTS_A_CALL]]
            form = {"students": _json(rows)}
            status += self._transport.call("POST", "students", course_id, form=form)["status"]
        return status

    def remove_student(self, course_id: str, username: str) -> None:
        """For instructors; the student's work stays, for them and the student."""
        self._transport.call("DELETE", "student", course_id, username)

    # ---- lists ----

    def list_assignments(self, course_id: str | None = None) -> list[dict[str, Any]]:
        """What is released, as docs/api.md has it, in one course or in all of one's own."""
        return list(self._pages("assignments", {"course_id": course_id}))

    def list_submissions(
        self,
        course_id: str | None = None,
        assignment_id: str | None = None,
        student_id: str | None = None,
        *,
        mine: bool = False,
        latest: bool = False,
        before: str | None = None,
        manifest: bool = False,
    ) -> list[dict[str, Any]]:
        """One's own submissions and those of the courses one teaches, as docs/api.md has it.

        Args:
            mine: only one's own.
            latest: only the newest of each student's submissions to an assignment.
            before: a timestamp; later submissions don't count.
            manifest: with the key `files`.
        """
        query = {
            "course_id": course_id,
            "assignment_id": assignment_id,
            "student_id": student_id,
            "mine": "true" if mine else None,
            "latest": "true" if latest else None,
            "before": before,
            "manifest": "true" if manifest else None,
        }
        return list(self._pages("submissions", query))

    def _pages(self, what: str, query: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            answer = self._transport.call("GET", what, query={**query, "cursor": cursor})
            yield from answer[what]
            cursor = answer["next_cursor"]
            if cursor is None:
                return

    # ---- directories, up ----

    def release_assignment(
        self,
        course_id: str,
        assignment_id: str,
        files: Mapping[str, Path],
        replace: bool = False,
    ) -> dict[str, Any]:
        """Release a directory, for instructors: `sha256`, `version`, `released_at`.

        Args:
            files: relative path with slashes to local file.
            replace: whether it may be there, and gets a new version. Without that the call is not
                repeated when the answer is lost.

        Raises:
            Conflict: it is there.
        """
        verb = "PUT" if replace else "POST"
        where = ("assignment", course_id, assignment_id)
        return self._upload(verb, where, files, is_safe=replace)

    def unrelease_assignment(self, course_id: str, assignment_id: str, purge: bool = False) -> None:
        """Take an assignment back, for instructors; `purge` erases all work on it for good."""
        self._transport.call("DELETE", "assignment", course_id, assignment_id, query=_purge(purge))

    def submit(
        self,
        course_id: str,
        assignment_id: str,
        files: Mapping[str, Path],
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Hand a directory in: `timestamp`, `submission_id`, `sha256`, `duplicate`.

        Args:
            files: relative path with slashes to local file.
            idempotency_key: the name of this submission, under which it is recorded once however
                often it is sent; a new one if not given.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        if not (key.isascii() and key.isprintable()):
            raise InvalidRequest("An Idempotency-Key has visible ASCII characters alone")
        where = ("submission", course_id, assignment_id)
        return self._upload("POST", where, files, headers={"Idempotency-Key": key})

    def remove_submission(
        self,
        course_id: str,
        assignment_id: str,
        student_id: str,
        timestamp: str,
        purge: bool = False,
    ) -> None:
        """Take a submission and its feedback out of sight, for instructors.

        Args:
            purge: erase both for good; also finds what is out of sight.
        """
        where = ("submission", course_id, assignment_id, student_id)
        self._transport.call("DELETE", *where, query={"timestamp": timestamp, **_purge(purge)})

    def release_feedback(
        self,
        course_id: str,
        assignment_id: str,
        student_id: str,
        timestamp: str,
        files: Mapping[str, Path],
    ) -> dict[str, Any]:
        """Release feedback on a submission, for instructors; it replaces earlier feedback."""
        where = ("feedback", course_id, assignment_id, student_id)
        return self._upload("POST", where, files, fields={"timestamp": timestamp})

    def _upload(
        self, verb: str, where: Sequence[str], files: Mapping[str, Path], **options: Any
    ) -> dict[str, Any]:
        return uploads.send(self._transport, self.parallel, verb, where, files, **options)

    # ---- directories, down ----

    def get_assignment(self, course_id: str, assignment_id: str) -> dict[str, Any]:
        """What is released: `sha256`, `version`, `released_at`, `files` without contents."""
        query = {"list_only": "true"}
        return self._transport.call("GET", "assignment", course_id, assignment_id, query=query)

    def fetch_assignment(
        self,
        course_id: str,
        assignment_id: str,
        folder: Path,
        paths: Sequence[str] | None = None,
        files: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Write the files of an assignment below a folder: `sha256`, `version`, `released_at`.

        See downloads.fetch, also for the other fetch_... methods.

        Args:
            folder: it is made if it is not there. Files of the same names are replaced, others
                stay.
            paths: only these files, and folders with all that is in them; none for an empty list.
            files: those of the whole directory, if an earlier answer told them.

        Returns:
            The answer; its `files` lists the whole directory, `{path, size, sha256, checksum}`.
        """
        where = ("assignment", course_id, assignment_id)
        return downloads.fetch(self._transport, where, {}, folder, paths, files)

    def fetch_submission(
        self,
        course_id: str,
        assignment_id: str,
        student_id: str,
        timestamp: str | None,
        folder: Path,
        paths: Sequence[str] | None = None,
        files: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """The same for a submission, the latest if no timestamp is given: also `timestamp`."""
        where = ("submission", course_id, assignment_id, student_id)
        query = {"timestamp": timestamp}
        return downloads.fetch(self._transport, where, query, folder, paths, files)

    def fetch_feedback(
        self,
        course_id: str,
        assignment_id: str,
        student_id: str,
        timestamp: str,
        folder: Path,
        paths: Sequence[str] | None = None,
        files: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """The same for the feedback on a submission; no files while there is none."""
        where = ("feedback", course_id, assignment_id, student_id)
        query = {"timestamp": timestamp}
        return downloads.fetch(self._transport, where, query, folder, paths, files)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _purge(purge: bool) -> dict[str, str | None]:
    return {"purge": "true" if purge else None}

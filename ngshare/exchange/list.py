"""`nbgrader list`, and what formgrader and the assignment list of JupyterLab show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from nbgrader.exchange import abc
from traitlets import Bool

from ngshare.errors import NgShareError
from ngshare.exchange.base import Exchange
from ngshare.exchange.cache import Cache, Entry
from ngshare.exchange.folders import is_folder_name
from ngshare.exchange.infos import (
    IDS,
    Info,
    entry_of,
    grouped,
    ids_of,
    notebooks_in,
    submission_info,
)
from ngshare.exchange.many import run_all
from ngshare.exchange.recent import forget

Job = Callable[[], None]


class ExchangeList(Exchange, abc.ExchangeList):
    """Lists what is released, submitted (`inbound`), or submitted by oneself (`cached`).

    The number of requests does not depend on how much there is to list.
    """

    as_json = Bool(False, help="Whether to print the list as JSON.").tag(config=True)

    # Jupyter's pages wait for it, and its server with them.
    tries = 2
    read_seconds = 15.0

    def init_src(self) -> None:
        self.cached_copies = Cache(self.cache)

    def init_dest(self) -> None:
        """Nothing is written."""

    def copy_files(self) -> None:
        """Nothing is copied."""

    def list_files(self) -> list[Info]:
        """The list, which is also printed."""
        assignments = self._assignments()
        self._print(f"{self._kind} assignments:", assignments)
        return assignments

    def remove_files(self) -> list[Info]:
        """The list of what is removed.

        Assignments are taken back, and what was handed in stays. Submissions are taken out of
        sight; of the cached ones only the copies on this computer are removed.
        """
        self.for_instructors = not self.cached
        assignments = self._assignments()
        if self.inbound:
            self._require_instructor(assignments)
        self._print(f"Removing {self._kind.lower()} assignments:", assignments)
        if self.cached:
            for assignment in assignments:
                for info in assignment["submissions"]:
                    self.cached_copies.remove(entry_of(info))
        elif self.inbound:
            self._remove("submissions", self._removals(assignments))
        else:
            self._remove("assignments", self._unreleases(assignments))
        return assignments

    def _require_instructor(self, assignments: list[Info]) -> None:
        """Fail before anything is removed: students are shown their own submissions here."""
        roles = {each["course_id"]: each["role"] for each in self.ask("list_courses")}
        for info in assignments:
            if roles.get(info["course_id"], "student") == "student":
                self.fail(
                    "Only instructors can remove what was handed in, and you are none of the "
                    f'course "{info["course_id"]}"'
                )

    def _removals(self, assignments: list[Info]) -> dict[str, Job]:
        infos = [info for assignment in assignments for info in assignment["submissions"]]
        keys = ("course_id", "assignment_id", "student_id", "timestamp")
        return {
            ids_of(info): partial(self.client.remove_submission, *(info[key] for key in keys))
            for info in infos
        }

    def _unreleases(self, assignments: list[Info]) -> dict[str, Job]:
        names = [(info["course_id"], info["assignment_id"]) for info in assignments]
        return {" ".join(name): partial(self.client.unrelease_assignment, *name) for name in names}

    def _remove(self, what: str, jobs: Mapping[str, Job]) -> None:
        failures = run_all(jobs, self.client.parallel, f"Removing {what}", self.log)
        forget()
        self.fail_if_any(failures, f"These {what} could not be removed")

    @property
    def _kind(self) -> str:
        return "Submitted" if self.inbound or self.cached else "Released"

    def _print(self, title: str, assignments: list[Info]) -> None:
        if self.as_json:
            print(json.dumps(assignments, indent=2))
            return
        self.log.info(title)
        for assignment in assignments:
            if self._kind == "Released":
                self.log.info(self._released_line(assignment))
            for info in assignment.get("submissions", []):
                self.log.info(self._submitted_line(info))

    def _released_line(self, info: Info) -> str:
        there = " (already downloaded)" if Path(info["path"]).exists() else ""
        return f"{info['course_id']} {info['assignment_id']}{there}"

    def _submitted_line(self, info: Info) -> str:
        if info["has_local_feedback"] and not info["feedback_updated"]:
            feedback = "feedback already fetched"
        elif info["has_exchange_feedback"]:
            feedback = "feedback ready to be fetched"
        else:
            feedback = "no feedback available"
        return f"{ids_of(info)} ({feedback})"

    def _assignments(self) -> list[Info]:
        if self.cached:
            return grouped(self._cached())
        found = grouped(self._inbound()) if self.inbound else self._released()
        if not found and (course_id := literal(self.coursedir.course_id)):
            self.require_role(course_id)
        return found

    def _is_wanted(self, record: Mapping[str, Any]) -> bool:
        """Whether the options ask for a record, and its names can be those of folders."""
        names = [record[key] for key in (*IDS, "timestamp") if key in record]
        return all(map(is_folder_name, names)) and all(
            matches(record[key], getattr(self.coursedir, key)) for key in IDS if key in record
        )

    # ---- released ----

    def _released(self) -> list[Info]:
        assignments = self.ask("list_assignments", literal(self.coursedir.course_id))
        infos = [self._released_info(each) for each in assignments if self._is_wanted(each)]
        return sorted(infos, key=itemgetter("course_id", "assignment_id"))

    def _released_info(self, record: Mapping[str, Any]) -> Info:
        folder = self.assignment_folder(record["course_id"], record["assignment_id"])
        is_fetched = folder.exists()
        notebooks = notebooks_in(folder) if is_fetched else record["notebooks"]
        return {
            "course_id": record["course_id"],
            "assignment_id": record["assignment_id"],
            "status": "removed" if self.remove else "fetched" if is_fetched else "released",
            "path": str(folder),
            "notebooks": [
                {"notebook_id": name, "path": str(folder / f"{name}.ipynb")}
                for name in sorted(notebooks)
            ],
        }

    # ---- submitted ----

    def _submissions(self, mine: bool) -> dict[Entry, Mapping[str, Any]]:
        """The server's records that the options ask for, in one request."""
        course_id = literal(self.coursedir.course_id)
        assignment_id = literal(self.coursedir.assignment_id)
        student_id = literal(self.coursedir.student_id)
        mine = mine and student_id is None
        records = self.ask("list_submissions", course_id, assignment_id, student_id, mine=mine)
        return {entry_of(record): record for record in records if self._is_wanted(record)}

    def _inbound(self) -> list[Info]:
        records = self._submissions(mine=False)
        return [
            self._submission_info(entry, record["notebooks"], record)
            for entry, record in records.items()
        ]

    def _cached(self) -> list[Info]:
        """What was submitted from this computer, and what the server knows beyond that."""
        entries = {entry for entry in self.cached_copies if self._is_wanted(vars(entry))}
        records: dict[Entry, Mapping[str, Any]] = {}
        try:
            records = self._submissions(mine=True)
        except NgShareError as error:
            if not entries:
                raise
            self.log.warning(
                "This is only what was submitted from this computer. %s", self.explain(error)
            )
        removed = self.cached_copies.removed()
        infos = []
        for entry in entries | {entry for entry in records if entry.key not in removed}:
            copy = self.cached_copies.path(entry)
            notebooks = notebooks_in(copy) if entry in entries else records[entry]["notebooks"]
            infos.append(self._submission_info(entry, notebooks, records.get(entry), copy))
        return infos

    def _submission_info(
        self,
        entry: Entry,
        notebooks: list[str],
        record: Mapping[str, Any] | None,
        copy: Path | None = None,
    ) -> Info:
        feedback = record and record["feedback"]
        checksums = (
            {each["path"]: each["checksum"] for each in feedback["files"]} if feedback else {}
        )
        folder = self.assignment_folder(entry.course_id, entry.assignment_id)
        status = "removed" if self.remove else "submitted"
        return submission_info(entry, status, notebooks, checksums, folder, copy)


def matches(name: str, pattern: str) -> bool:
    """Whether an option asks for a name: it is empty, the name, or a pattern like the shell's."""
    return pattern in ("", name) or fnmatchcase(name, pattern)


def literal(pattern: str) -> str | None:
    """The one name that an option asks for, or None if there may be several."""
    return None if not pattern or any(mark in pattern for mark in "*?[") else pattern

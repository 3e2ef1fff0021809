"""`nbgrader fetch_feedback`: a student gets the feedback on what was handed in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nbgrader.exchange import abc

from ngshare.exchange.base import Exchange
from ngshare.exchange.folders import folder_name, new_folder
from ngshare.exchange.list import literal
from ngshare.exchange.local_files import sha256_of
from ngshare.exchange.many import run_all


class ExchangeFetchFeedback(Exchange, abc.ExchangeFetchFeedback):
    """Fetches the feedback on every submission to an assignment.

    The server says what there is, so this works on any computer.
    """

    def init_src(self) -> None:
        self.course_id = self.require_course()
        student_id = literal(self.coursedir.student_id)
        submissions = self.ask(
            "list_submissions",
            self.course_id,
            self.assignment_id,
            student_id,
            mine=student_id is None,
        )
        if not submissions:
            self.require_released(self.course_id, self.assignment_id)
        self.submissions = [
            each for each in submissions if each["feedback"] and each["feedback"]["files"]
        ]

    def init_dest(self) -> None:
        self.dest_path = self.assignment_folder(self.course_id, self.assignment_id) / "feedback"

    def copy_files(self) -> None:
        if not self.submissions:
            self.log.warning(
                "There is no feedback on %s %s yet", self.course_id, self.assignment_id
            )
        jobs = {each["timestamp"]: partial(self._fetch, each) for each in self.submissions}
        failures = run_all(jobs, self.client.parallel, "Fetching feedback", self.log)
        self.fail_if_any(failures, "Feedback on these submissions could not be fetched")

    def _fetch(self, submission: Mapping[str, Any]) -> None:
        timestamp = folder_name(submission["timestamp"])
        dest = self.dest_path / timestamp
        files = submission["feedback"]["files"]
        if all(has_content(dest / each["path"], each) for each in files):
            self.log.info("Feedback is here already: %s", dest)
            return
        with new_folder(dest) as new:
            whose = (self.course_id, self.assignment_id, submission["student_id"])
            self.client.fetch_feedback(*whose, timestamp, new, files=files)
            keep_others(dest, new)
        self.log.info("Fetched feedback: %s", dest)


def has_content(path: Path, file: Mapping[str, Any]) -> bool:
    """Whether a file is here as the server describes it."""
    return path.is_file() and sha256_of(path) == file["sha256"]


def keep_others(old: Path, new: Path) -> None:
    """Take along what the student has put beside the pages."""
    for path in old.rglob("*"):
        target = new / path.relative_to(old)
        if path.is_file() and path.suffix != ".html" and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)

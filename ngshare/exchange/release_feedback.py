"""`nbgrader release_feedback`: the pages that `generate_feedback` wrote go to the students."""

from __future__ import annotations

import glob
from datetime import timezone
from functools import partial
from pathlib import Path

from nbgrader.exchange import abc

from ngshare import wire
from ngshare.errors import LocalFileError
from ngshare.exchange.base import Exchange
from ngshare.exchange.folders import TIMESTAMP, find_folders
from ngshare.exchange.many import run_all
from ngshare.exchange.recent import forget
from ngshare.exchange.submitted import read_timestamp


class ExchangeReleaseFeedback(Exchange, abc.ExchangeReleaseFeedback):
    """Releases feedback, each student's for the submission that it is about."""

    for_instructors = True

    def init_src(self) -> None:
        self.course_id = self.require_course()
        directory = self.coursedir.feedback_directory
        excluded = self.coursedir.student_id_exclude.split(",")
        students = self.coursedir.student_id or "*"
        self.src_paths = {
            student: folder
            for student, _, folder in find_folders(
                self.coursedir, directory, students, glob.escape(self.assignment_id)
            )
            if student not in excluded and any(folder.glob("*.html"))
        }
        if not self.src_paths:
            names = {name for _, name, _ in find_folders(self.coursedir, directory, students, "*")}
            self.fail_not_found(
                f'There is no feedback on "{self.assignment_id}" to release: run '
                f"`nbgrader generate_feedback {self.assignment_id}` first",
                self.assignment_id,
                names - {self.assignment_id},
            )

    def init_dest(self) -> None:
        """The server knows where feedback belongs."""

    def copy_files(self) -> None:
        jobs = {
            student: partial(self._release, student, folder)
            for student, folder in self.src_paths.items()
        }
        failures = run_all(jobs, self.client.parallel, "Releasing feedback", self.log)
        forget()
        self.fail_if_any(failures, "Feedback for these students could not be released")

    def _release(self, student_id: str, folder: Path) -> None:
        at = read_timestamp(folder)
        if at is None:
            raise LocalFileError(
                f"{folder / TIMESTAMP} does not say which submission this feedback is about: "
                "collect, autograde and generate it again"
            )
        timestamp = wire.format_timestamp(at.replace(tzinfo=timezone.utc))
        files = {path.name: path for path in sorted(folder.glob("*.html"))}
        self.client.release_feedback(
            self.course_id, self.assignment_id, student_id, timestamp, files
        )
        self.log.info(
            "Feedback released: %s %s %s %s",
            self.course_id,
            student_id,
            self.assignment_id,
            timestamp,
        )

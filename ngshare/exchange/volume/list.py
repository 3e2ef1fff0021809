"""`nbgrader list`, and what formgrader and the assignment list of JupyterLab show."""

from __future__ import annotations

import os
from hashlib import md5
from pathlib import Path

from nbgrader.exchange import default

from ngshare.exchange.infos import Info, entry_of, grouped, notebooks_in, submission_info
from ngshare.exchange.list import matches
from ngshare.exchange.volume.base import Exchange
from ngshare.untrusted import read_file
from ngshare.volume import INBOUND, Submission, find_submissions


class ExchangeList(default.ExchangeList, Exchange):
    """Lists what is released, submitted (`inbound`), or submitted from here (`cached`)."""

    def start(self) -> list[Info]:
        with self.telling_failures():  # in the list too, which is made after all else
            return super().start()

    def init_dest(self) -> None:
        if self.inbound:
            self.submissions = self._inbound()
        elif self.cached:
            self.submissions = self.cached_submissions()
        else:
            super().init_dest()

    def _inbound(self) -> list[Submission]:
        student_id = self.coursedir.student_id or "*"
        assignment_id = self.coursedir.assignment_id or "*"
        return [
            submission
            for course in sorted(Path(self.root).iterdir())
            if matches(course.name, self.coursedir.course_id) and (course / INBOUND).is_dir()
            for submission in find_submissions(course, student_id, assignment_id, self.log.warning)
        ]

    def parse_assignments(self) -> list[Info]:
        if not (self.inbound or self.cached):
            return super().parse_assignments()
        student_id = self.coursedir.student_id
        courses = self.authenticator.get_student_courses(student_id) if student_id else None
        wanted = [each for each in self.submissions if courses is None or each.course_id in courses]
        self.assignments = [str(each.folder) for each in wanted]  # what remove_files() removes
        return grouped([self._info(each) for each in wanted])

    def _info(self, submission: Submission) -> Info:
        entry = entry_of(vars(submission))
        notebooks = notebooks_in(submission.folder)
        if not notebooks:
            self.log.warning("No notebooks found in %s", submission.folder)
        pages = {name: self.released_page(submission, name) for name in notebooks}
        checksums = {
            f"{name}.html": md5(content).hexdigest()
            for name, page in pages.items()
            if page and (content := read_file(page)) is not None
        }
        course = entry.course_id if self.path_includes_course else ""
        folder = Path(os.path.abspath(self.assignment_dir), course, entry.assignment_id)
        status = "removed" if self.remove else "submitted"
        return submission_info(entry, status, notebooks, checksums, folder, submission.folder)

"""`nbgrader collect`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from nbgrader.exchange import default
from nbgrader.utils import parse_utc

from ngshare import wire
from ngshare.errors import LocalFileError
from ngshare.exchange.folders import TIMESTAMP, new_folder
from ngshare.exchange.submitted import find_duedate, is_wanted
from ngshare.exchange.volume.base import Exchange, explain
from ngshare.volume import CLOCKS_DIFFER, Submission, find_submissions


@dataclass(frozen=True)
class Candidate:
    """A submission that may be collected.

    Attributes:
        at: when it was handed in; naive, in UTC.
        timestamp: the same for timestamp.txt.
    """

    submission: Submission
    at: datetime
    timestamp: str


class ExchangeCollect(default.ExchangeCollect, Exchange):
    """Collects the latest submission of each student, or the latest before the due date.

    One that can't be copied is left out, and the one before it is collected. A folder is built
    beside the old one, which it then replaces. `check_owner` has no meaning: all submissions
    belong to the same user.
    """

    def init_src(self) -> None:
        course = self.course_folder()
        assignment_id = self.coursedir.assignment_id
        students = self.coursedir.student_id or "*"
        self.candidates: dict[str, list[Candidate]] = defaultdict(list)
        for submission in find_submissions(course, students, assignment_id, self.log.warning):
            try:
                candidate = self._candidate(submission)
            except LocalFileError as error:
                self.log.warning("%s", error.message)
                continue
            self.candidates[submission.student_id].append(candidate)
        self.duedate = None
        if self.before_duedate:
            self.duedate = find_duedate(self.coursedir.db_url, course.name, assignment_id)

    def _candidate(self, submission: Submission) -> Candidate:
        """When a submission was handed in, as far as its name can be believed.

        Raises:
            LocalFileError: nothing can be made of its name.
        """
        folder = submission.folder
        try:
            claimed = parse_utc(submission.timestamp)
            changed = datetime.fromtimestamp(folder.lstat().st_mtime, timezone.utc)
        except (ValueError, ArithmeticError, OSError):
            raise LocalFileError(f"{folder} is left out: it has no time") from None
        now = datetime.now(timezone.utc)
        changed = min(changed, now)
        if claimed - naive(changed) <= CLOCKS_DIFFER:
            return Candidate(submission, claimed, submission.timestamp)
        timestamp = wire.format_timestamp(changed)
        if claimed - naive(now) <= CLOCKS_DIFFER:
            self.log.warning("%s has a later time than its last change, %s", folder, timestamp)
            return Candidate(submission, claimed, submission.timestamp)
        self.log.warning(
            "%s has a time in the future: it counts as of its last change, %s", folder, timestamp
        )
        return Candidate(submission, naive(changed), timestamp)

    def _is_in_time(self, candidate: Candidate) -> bool:
        return self.duedate is None or candidate.at <= self.duedate

    def copy_files(self) -> None:
        what = f"of '{self.coursedir.assignment_id}' for course '{self.coursedir.course_id}'"
        if not self.candidates:
            self.log.warning("No submissions %s to collect", what)
            return
        self.log.info("Processing %d submissions %s", len(self.candidates), what)
        failed = []
        for student_id, candidates in self.candidates.items():
            candidates.sort(key=lambda each: (self._is_in_time(each), each.at), reverse=True)
            try:
                self._collect_first(student_id, candidates)
            except OSError as error:
                self.log.error("%s: %s", student_id, explain(error))
                failed.append(student_id)
        self.fail_if_any(failed, "These students' submissions could not be collected")

    def _collect_first(self, student_id: str, candidates: list[Candidate]) -> None:
        """Collect the first that can be copied, if the options ask for it."""
        assignment_id = self.coursedir.assignment_id
        directory = self.coursedir.submitted_directory
        dest = Path(self.coursedir.format_path(directory, student_id, assignment_id))
        for candidate in candidates:
            if not is_wanted(self, f"{student_id} {assignment_id}", dest, candidate.at):
                return
            try:
                with new_folder(dest, self.coursedir.groupshared) as new:
                    self._copy(candidate, new)
            except LocalFileError as error:
                folder = candidate.submission.folder
                self.log.warning("%s is left out. %s", folder, error.message)
            else:
                return

    def _copy(self, candidate: Candidate, new: Path) -> None:
        self.copy(candidate.submission.folder, new)
        timestamp = new / TIMESTAMP
        if timestamp.is_dir():
            raise LocalFileError(f"{TIMESTAMP} in it is a folder")
        timestamp.write_text(candidate.timestamp, encoding="utf-8")


def naive(at: datetime) -> datetime:
    """A time in UTC as nbgrader has it."""
    return at.replace(tzinfo=None)

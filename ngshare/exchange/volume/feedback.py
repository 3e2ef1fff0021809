"""`nbgrader release_feedback` and `nbgrader fetch_feedback`."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from pathlib import Path

from nbgrader.exchange import default

from ngshare.errors import LocalFileError
from ngshare.exchange.folders import TIMESTAMP, find_folders
from ngshare.exchange.infos import notebooks_in
from ngshare.exchange.volume.base import Exchange, explain
from ngshare.volume import FEEDBACK, SECRET, Submission, find_submissions


class ExchangeReleaseFeedback(default.ExchangeReleaseFeedback, Exchange):
    """Releases each student's feedback into his folder, under a name of the submission's secret.

    What the old plugin submitted has no secret; its name is that of the notebook handed in.
    """

    def init_src(self) -> None:
        assignment_id = self.coursedir.assignment_id
        excluded = self.coursedir.student_id_exclude.split(",")
        found = find_folders(
            self.coursedir,
            self.coursedir.feedback_directory,
            self.coursedir.student_id or "*",
            glob.escape(assignment_id),
        )
        self.src_paths = {
            student_id: folder
            for student_id, _, folder in found
            if student_id not in excluded and any(folder.glob("*.html"))
        }
        if not self.src_paths:
            self.fail(
                f'There is no feedback on "{assignment_id}" to release: run '
                f"`nbgrader generate_feedback {assignment_id}` first"
            )

    def init_dest(self) -> None:
        self.dest_path = self.course_folder() / FEEDBACK

    def copy_files(self) -> None:
        failed = []
        for student_id, folder in self.src_paths.items():
            try:
                self._release(student_id, folder)
            except (LocalFileError, OSError) as error:
                self.log.error("%s: %s", student_id, explain(error))
                failed.append(student_id)
        self.fail_if_any(failed, "Feedback for these students could not be released")

    def _release(self, student_id: str, folder: Path) -> None:
        submission = self._submission(student_id, folder)
        dest = self.dest_path / student_id
        self.ensure_directory(str(dest), 0o755)
        self.require_writable(dest)
        with tempfile.TemporaryDirectory(prefix=".ngshare-", dir=dest) as beside:
            for page in sorted(folder.glob("*.html")):
                names = submission.feedback_names(page.stem)
                if not names:
                    raise LocalFileError(
                        f"{folder} has no {SECRET}, and {page.stem}.ipynb is not to be found as "
                        "it was handed in: collect, autograde and generate feedback again"
                    )
                os.replace(shutil.copy(page, beside), dest / names[0])
                self.log.info("Feedback released to: %s", dest / names[0])

    def _submission(self, student_id: str, feedback: Path) -> Submission:
        """What names feedback: its own folder if it has the secret, else what was submitted."""
        course_id, assignment_id = self.coursedir.course_id, self.coursedir.assignment_id
        timestamp = feedback / TIMESTAMP
        at = timestamp.read_text(encoding="utf-8") if timestamp.is_file() else ""
        graded = Submission(feedback, course_id, student_id, assignment_id, at)
        if graded.read(SECRET):
            return graded
        course = self.course_folder()
        for each in find_submissions(course, student_id, assignment_id, self.log.debug):
            if each.timestamp == at:
                return each
        directory = self.coursedir.submitted_directory
        collected = Path(self.coursedir.format_path(directory, student_id, assignment_id))
        return Submission(collected, course_id, student_id, assignment_id, at)


class ExchangeFetchFeedback(default.ExchangeFetchFeedback, Exchange):
    """Fetches the feedback on what was submitted from here."""

    def init_src(self) -> None:
        self.src_path = str(self.course_folder() / FEEDBACK)
        self.feedback_files = []
        for submission in sorted(self.cached_submissions(), key=lambda each: each.timestamp):
            what = f"{submission.course_id}/{submission.assignment_id}"
            for notebook_id in sorted(notebooks_in(submission.folder)):
                name = f"{what}/{notebook_id} submitted at {submission.timestamp}"
                if page := self.released_page(submission, notebook_id):
                    self.feedback_files.append((notebook_id, submission.timestamp, str(page)))
                    self.log.info("Found feedback on %s", name)
                else:
                    self.log.warning("There is no feedback yet on %s", name)

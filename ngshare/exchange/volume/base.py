"""What all verbs have in common: which folders there are, and how a failure is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbgrader.exchange import default
from nbgrader.utils import check_mode, ignore_patterns

from ngshare.errors import LocalFileError, NgShareError
from ngshare.exchange.cache import Cache
from ngshare.exchange.folders import new_folder
from ngshare.exchange.list import matches
from ngshare.untrusted import copy_folder
from ngshare.volume import FEEDBACK, Submission

ADVICE = (
    "Stop your server in the JupyterHub's control panel and start it again; if that does not "
    "help, tell who looks after the JupyterHub"
)


class Exchange(default.Exchange):
    """Base of the classes. In each of them it comes after nbgrader's own class of the verb."""

    def start(self) -> Any:
        """Do it, and say in one sentence why if it can't be done.

        Raises:
            ExchangeError: it could not be done.
        """
        with self.telling_failures():
            return super().start()

    @contextmanager
    def telling_failures(self) -> Iterator[None]:
        """Let what goes wrong in the block end in an ExchangeError."""
        try:
            yield
        except (LocalFileError, OSError) as error:
            self.fail(explain(error))

    def fail_if_any(self, failed: Sequence[str], message: str) -> None:
        """Fail, with the names of those that failed, after the rest was done."""
        if failed:
            self.fail(f"{message}: {', '.join(failed)}")

    def ensure_root(self) -> None:
        """Only folders below the root are mounted; the root itself need not be writable."""
        if not os.path.isdir(self.root):
            self.fail(f"There is no folder {self.root}, so no course is mounted. {ADVICE}")

    def ensure_directory(self, path: str, mode: int) -> None:
        """Make a folder, unless it is there. Who owns it does not matter: all are one user."""
        if not os.path.isdir(path):
            os.makedirs(path)
            os.chmod(path, mode)

    def require_writable(self, path: str | Path) -> None:
        """Fail unless what is in a folder can be changed."""
        if not check_mode(path, write=True, execute=True):
            self.fail(f"The folder {path} can't be written. {ADVICE}")

    def do_copy(self, src: str, dest: str, log: object = None) -> None:
        """Copy a folder of one's own; it is there as a whole, or not at all."""
        with new_folder(Path(dest), self.coursedir.groupshared) as new:
            self.copy(Path(src).resolve(), new)

    def copy(self, source: Path, target: Path) -> None:
        """Copy what the options of CourseDirectory admit of a folder into an empty one."""
        options = self.coursedir
        leaves_out = ignore_patterns(
            options.ignore, options.include, options.max_file_size, self.log
        )
        copy_folder(source, target, leaves_out, 1000 * options.max_dir_size)

    def course_folder(self) -> Path:
        """The course's part of the exchange.

        Raises:
            ExchangeError: it is not there.
        """
        if not self.coursedir.course_id:
            self.fail(
                "Which course? Name it with --course, or as c.CourseDirectory.course_id in "
                "nbgrader_config.py"
            )
        folder = Path(self.root, self.coursedir.course_id)
        if not folder.is_dir():
            self.fail(f"There is no folder {folder}: check how the course is spelt. {ADVICE}")
        return folder

    def released_page(self, submission: Submission, notebook_id: str) -> Path | None:
        """The page of feedback on a notebook, if there is one."""
        folder = Path(self.root, submission.course_id, FEEDBACK, submission.student_id)
        pages = [folder / name for name in submission.feedback_names(notebook_id)]
        return next((page for page in pages if page.is_file()), None)

    def cached_submissions(self) -> list[Submission]:
        """The copies of what was submitted from here that the options ask for."""
        cache = Cache(self.cache)
        options = self.coursedir
        return [
            Submission(cache.path(entry), **vars(entry))
            for entry in cache
            if matches(entry.course_id, options.course_id)
            and matches(entry.student_id, options.student_id)
            and matches(entry.assignment_id, options.assignment_id)
        ]


def explain(error: LocalFileError | OSError) -> str:
    """A failure in one sentence."""
    if isinstance(error, NgShareError):
        return error.message
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)

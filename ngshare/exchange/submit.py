"""`nbgrader submit`: a student's folder becomes a submission."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nbgrader.exchange import abc

from ngshare.errors import ConnectionLost, NotFound
from ngshare.exchange.base import Exchange
from ngshare.exchange.cache import Cache, Entry
from ngshare.exchange.folders import files_to_send
from ngshare.exchange.recent import forget


class ExchangeSubmit(Exchange, abc.ExchangeSubmit):
    """Hands a folder in, and keeps a copy with the receipt in the cache."""

    def init_src(self) -> None:
        self.course_id = self.require_course()
        course = self.course_id if self.path_includes_course else ""
        self.src_path = Path(
            os.path.abspath(os.path.join(self.assignment_dir, course, self.assignment_id))
        )
        # A path may have been given, as with the names that the shell completes.
        self.coursedir.assignment_id = self.src_path.name
        if not self.src_path.is_dir():
            parent = self.src_path.parent
            names = [path.name for path in parent.iterdir()] if parent.is_dir() else []
            self.fail_not_found(f"There is no folder {self.src_path}", self.src_path.name, names)

    def init_dest(self) -> None:
        self.student_id = self.username
        if self.coursedir.student_id not in ("*", "", self.student_id):
            self.fail(
                f"ngshare knows you as {self.student_id}, and nobody can hand in for somebody "
                "else: leave --student out"
            )

    def copy_files(self) -> None:
        files = files_to_send(self.src_path, self.coursedir, self.log)
        self._compare_notebooks(files)
        try:
            receipt = self.client.submit(self.course_id, self.assignment_id, files)
        except ConnectionLost as error:
            self.fail(
                "The connection to ngshare broke off, and whether your work arrived is not known: "
                f"submit again. {error.message}"
            )
        forget()
        self.timestamp = receipt["timestamp"]
        name = f"{self.course_id} {self.assignment_id} {self.timestamp}"
        self.log.info("Submitted as: %s", name)
        count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
        again = ", the same as in your submission before" if receipt["duplicate"] else ""
        self.log.info("Receipt %s: %s%s", receipt["submission_id"], count, again)
        self._keep_copy(files, receipt)

    def _keep_copy(self, files: dict[str, Path], receipt: dict[str, object]) -> None:
        entry = Entry(self.course_id, self.student_id, self.assignment_id, self.timestamp)
        try:
            Cache(self.cache).add(entry, files, receipt)
        except OSError as error:
            self.log.warning(
                "Your work is handed in, but there is no copy of it in %s: %s",
                self.cache,
                error.strerror,
            )

    def _compare_notebooks(self, files: dict[str, Path]) -> None:
        """Tell which released notebooks are missing, or fail if `strict`, and which are new."""
        try:
            released = self.client.get_assignment(self.course_id, self.assignment_id)["files"]
        except NotFound:
            self.require_released(self.course_id, self.assignment_id)
            raise
        expected = notebooks(entry["path"] for entry in released)
        found = notebooks(files)
        lines = []
        if missing := sorted(expected - found):
            lines.append(f"Missing notebooks: {', '.join(missing)}")
        if extra := sorted(found - expected):
            lines.append(f"Notebooks that were not released: {', '.join(extra)}")
        if missing and self.strict:
            self.fail(f"{self.assignment_id} is not handed in. {'. '.join(lines)}")
        for line in lines:
            self.log.warning("%s", line)


def notebooks(paths: Iterable[str]) -> set[str]:
    """The notebooks among some paths, in folders too."""
    return {path for path in paths if path.endswith(".ipynb")}

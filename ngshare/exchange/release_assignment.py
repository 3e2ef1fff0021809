"""`nbgrader release_assignment`: an instructor's release folder becomes an assignment."""

from __future__ import annotations

from pathlib import Path

from nbgrader.exchange import abc

from ngshare.errors import Conflict
from ngshare.exchange.base import Exchange
from ngshare.exchange.folders import files_to_send, find_folders
from ngshare.exchange.recent import forget


class ExchangeReleaseAssignment(Exchange, abc.ExchangeReleaseAssignment):
    """Releases an assignment; with `force` as a new version, and what was submitted stays."""

    for_instructors = True
    old_section = "ExchangeRelease"

    def init_src(self) -> None:
        directory = self.coursedir.release_directory
        self.src_path = Path(self.coursedir.format_path(directory, ".", self.assignment_id))
        if self.src_path.is_dir():
            return
        source = self.coursedir.source_directory
        if Path(self.coursedir.format_path(source, ".", self.assignment_id)).is_dir():
            self.fail(
                f"{self.src_path} is missing: run `nbgrader generate_assignment "
                f"{self.assignment_id}` first"
            )
        names = [name for _, name, _ in find_folders(self.coursedir, directory, ".", "*")]
        self.fail_not_found(f"There is no folder {self.src_path}", self.assignment_id, names)

    def init_dest(self) -> None:
        self.course_id = self.require_course()

    def copy_files(self) -> None:
        files = files_to_send(self.src_path, self.coursedir, self.log)
        name = f"{self.course_id} {self.assignment_id}"
        try:
            answer = self.client.release_assignment(
                self.course_id, self.assignment_id, files, replace=self.force
            )
        except Conflict as error:
            if error.message != "Assignment already exists":
                raise
            self.fail(f"{name} is released already: add --force to release a new version")
        forget()
        self.log.info("Released as: %s (version %s)", name, answer["version"])

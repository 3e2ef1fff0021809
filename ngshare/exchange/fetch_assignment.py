"""`nbgrader fetch_assignment`: an assignment becomes a student's folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from nbgrader.exchange import abc

from ngshare.errors import NotFound
from ngshare.exchange.base import Exchange
from ngshare.exchange.folders import new_folder


class ExchangeFetchAssignment(Exchange, abc.ExchangeFetchAssignment):
    """Fetches an assignment; never touches a file that the student has already."""

    old_section = "ExchangeFetch"

    def init_src(self) -> None:
        self.course_id = self.require_course()

    def init_dest(self) -> None:
        self.dest_path = self.assignment_folder(self.course_id, self.assignment_id)
        if os.path.lexists(self.dest_path) and not self.dest_path.is_dir():
            self.fail(f"Your file {self.dest_path} is in the way: give it another name")
        if self.dest_path.is_dir() and not self.replace_missing_files:
            self.fail(
                f"You have {self.dest_path} already: add --replace to fetch only the files that "
                "are missing in it"
            )

    def copy_files(self) -> None:
        try:
            answer = self.client.get_assignment(self.course_id, self.assignment_id)
            self.files = answer["files"]
            if self.dest_path.is_dir():
                self._fetch_missing()
            else:
                with new_folder(self.dest_path) as new:
                    self._fetch(new, self._paths())
        except NotFound:
            self.require_released(self.course_id, self.assignment_id)
            raise
        self.log.info("Fetched as: %s %s", self.course_id, self.assignment_id)

    def _paths(self) -> list[str]:
        """What is released, but for what CourseDirectory.ignore names."""
        paths = [entry["path"] for entry in self.files]
        return [path for path in paths if not self._is_ignored(path)]

    def _is_ignored(self, path: str) -> bool:
        parts = PurePosixPath(path).parts
        return any(fnmatch(part, glob) for part in parts for glob in self.coursedir.ignore)

    def _fetch(self, folder: Path, paths: list[str]) -> None:
        self.client.fetch_assignment(self.course_id, self.assignment_id, folder, paths, self.files)

    def _fetch_missing(self) -> None:
        missing = [path for path in self._paths() if not self._is_there(path)]
        with tempfile.TemporaryDirectory(prefix=".ngshare-", dir=self.dest_path.parent) as folder:
            self._fetch(Path(folder), missing)
            for path in missing:
                target = self.dest_path / path
                self._clear_the_way(target)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(folder, path), target)
                self.log.warning("Replacing missing file '%s'", os.path.relpath(target))

    def _is_there(self, path: str) -> bool:
        """Whether the student has something of this name, or keeps its folder elsewhere."""
        target = self.dest_path / path
        folders = list(target.parents)[: len(PurePosixPath(path).parts) - 1]
        return os.path.lexists(target) or any(folder.is_symlink() for folder in folders)

    def _clear_the_way(self, target: Path) -> None:
        """Give another name to a file that has the name of a folder that is needed."""
        for parent in target.parents:
            if parent.is_file():
                number = 1
                while os.path.lexists(backup := Path(f"{parent}.backup{number}")):
                    number += 1
                parent.rename(backup)
                self.log.warning("Your file %s was in the way and is now %s", parent, backup)

"""What was submitted from this computer: the folder `Exchange.cache`.

It is <cache>/<course>/<user>+<assignment>+<timestamp>/, as nbgrader's own exchange has it. Only
the name of a user may have a `+`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngshare.exchange.folders import TIMESTAMP, folder_name, new_folder

RECEIPT = "ngshare_receipt.json"
REMOVED = ".ngshare-removed"


@dataclass(frozen=True)
class Entry:
    """A submission, as far as its place in the cache tells."""

    course_id: str
    student_id: str
    assignment_id: str
    timestamp: str

    @property
    def name(self) -> str:
        return f"{self.student_id}+{self.assignment_id}+{self.timestamp}"

    @property
    def key(self) -> str:
        """Its path below the cache."""
        return f"{self.course_id}/{self.name}"


class Cache:
    """Copies of submissions, and which of them the user does not want to see any more."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def path(self, entry: Entry) -> Path:
        """Where the copy of a submission is, or would be.

        Raises:
            LocalFileError: a name, which may come from the server, leads elsewhere.
        """
        return self._folder / folder_name(entry.course_id) / folder_name(entry.name)

    def __iter__(self) -> Iterator[Entry]:
        for path in self._folder.glob("*/*+*+*/"):
            student_id, assignment_id, timestamp = path.name.rsplit("+", 2)
            yield Entry(path.parent.name, student_id, assignment_id, timestamp)

    def add(self, entry: Entry, files: Mapping[str, Path], receipt: Mapping[str, Any]) -> None:
        """Keep a copy of what was submitted, with the server's time and its receipt."""
        with new_folder(self.path(entry)) as new:
            for path, file in files.items():
                target = new / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            (new / TIMESTAMP).write_text(entry.timestamp, encoding="utf-8")
            (new / RECEIPT).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")

    def remove(self, entry: Entry) -> None:
        """Remove the copy; the server's own record of it is not shown any more either."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / REMOVED).open("a", encoding="utf-8") as removed:
            removed.write(f"{entry.key}\n")
        shutil.rmtree(self.path(entry), ignore_errors=True)

    def removed(self) -> set[str]:
        """The keys of the submissions that the user removed here."""
        path = self._folder / REMOVED
        return set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()

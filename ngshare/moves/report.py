"""What a move has done, told to an admin."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class CourseReport:
    """What there is of a course, and what of it is new.

    Attributes:
        found: how many there are of each kind.
        new: how many of them were not there before.
        size: bytes of all directories.
    """

    found: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    size: int = 0
    _lines: list[str] = field(default_factory=list)

    def count(self, kind: str, path: str, digest: bytes, size: int, is_new: bool = True) -> None:
        """Note a directory.

        Args:
            path: of it in an exchange directory.
            digest: of its manifest (wire.manifest_digest).
        """
        self.found[kind] += 1
        self.new[kind] += is_new
        self.size += size
        self._lines.append(f"{digest.hex()} {path}\n")

    @property
    def digest(self) -> str:
        """SHA-256 over `<digest> <path>` of every directory, a line each, sorted by path."""
        text = "".join(sorted(self._lines, key=lambda line: line.partition(" ")[2]))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


@dataclass
class Report:
    """What a move has done.

    Attributes:
        left_out: how many things were not taken along.
    """

    courses: dict[str, CourseReport] = field(default_factory=dict)
    left_out: int = 0

    def course(self, course_id: str) -> CourseReport:
        return self.courses.setdefault(course_id, CourseReport())

    def leave_out(self, what: object, why: str) -> None:
        """Tell that something is not taken along."""
        self.left_out += 1
        print(f"Left out: {printable(what)}: {why}", file=sys.stderr)

    def note(self, what: object, text: str) -> None:
        """Tell something that is to be known."""
        print(f"Note: {printable(what)}: {text}", file=sys.stderr)

    def lines(self, new: str = "") -> list[str]:
        """What there is of each course.

        Args:
            new: what is said of what was not there before, such as `to be added`.
        """
        lines = []
        for course_id, course in sorted(self.courses.items()):
            counts = (
                f"{number:,} {kind}" + f" ({course.new[kind]:,} {new})" * bool(new)
                for kind, number in course.found.items()
            )
            text = ", ".join(counts) or "nothing"
            lines.append(f"{printable(course_id)}: {text}; {course.size:,} bytes")
            lines.append(f"    sha256 {course.digest}")
        return [*lines, f"Left out: {self.left_out:,}"]


def printable(what: object) -> str:
    """Names of files may be any bytes, and none of them is to move the cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(what))

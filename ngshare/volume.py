"""The per-student volume: an exchange directory of which everybody's pod has only his own part.

    <course>/outbound/<assignment>/                                       what is released
    <course>/inbound/<student>/<student>+<assignment>+<time>[+<random>]/  what was submitted
    <course>/feedback_public/<student>/<digest>.html                      feedback

The layout is that of nbgrader_k8s_exchange; <course>/feedback is nbgrader's own, whose course
directory may be <course>. Until it is collected, a submission is a folder that its student may
change at any time (see ngshare.untrusted).

This is all there is to know of the layout, and nbgrader is not needed for it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ngshare import wire
from ngshare.errors import LocalFileError
from ngshare.untrusted import read_file

OUTBOUND = "outbound"
INBOUND = "inbound"
FEEDBACK = "feedback_public"
SECRET = "submission_secret.txt"
CLOCKS_DIFFER = timedelta(minutes=5)  # at most
ROOT = "/usr/local/share/nbgrader/exchange"  # where nbgrader looks unless configured otherwise

Mount = dict[str, Any]


def mounts(
    user: str,
    courses: Mapping[str, str],
    volume: str = "nbgrader-exchange",
    root: str = ROOT,
) -> list[Mount]:
    """What to mount into somebody's pod, as KubeSpawner's `volume_mounts`.

    A student gets what is released (read-only), the folder of what he submits, and his feedback
    (read-only); an instructor the folder of the course. Nobody gets anything of other courses.

    Args:
        user: the name that the Hub has, which is that of the student.
        courses: course id to `student` or `instructor`; who is both is an instructor.
        volume: the name in KubeSpawner's `volumes`.
        root: `Exchange.root` of nbgrader in the pod.

    Raises:
        LocalFileError: a name that can't be that of a folder.
        ValueError: another role.
    """
    wanted = []
    for course_id, role in sorted(courses.items()):
        for name in (user, course_id):
            _check_name(name)
        if role == "instructor":
            folders = {course_id: False}
        elif role == "student":
            folders = {
                f"{course_id}/{OUTBOUND}": True,
                f"{course_id}/{INBOUND}/{user}": False,
                f"{course_id}/{FEEDBACK}/{user}": True,
            }
        else:
            raise ValueError(f"{role!r} is neither student nor instructor")
        wanted += [
            {"name": volume, "mountPath": f"{root}/{path}", "subPath": path, "readOnly": readonly}
            for path, readonly in folders.items()
        ]
    return wanted


def _check_name(name: str) -> None:
    # KubeSpawner replaces what is in braces, and Kubernetes has no colons in paths.
    if not wire.is_legal_name(name) or any(mark in name for mark in "/\\:{}"):
        raise LocalFileError(f"{name!r} can't be the name of a folder on the exchange's volume")


def prepare(folder: str | Path, mounts: Sequence[Mount]) -> None:
    """Make the folders that are to be mounted.

    Kubernetes would make them for root alone. Run this as the user whom pods run as.

    Args:
        folder: where the whole volume is, here.

    Raises:
        LocalFileError: there is a link in place of a folder.
        OSError: a folder can't be made.
    """
    for mount in mounts:
        path = Path(folder)
        for name in mount["subPath"].split("/"):
            path /= name
            path.mkdir(exist_ok=True)
            if path.is_symlink():
                raise LocalFileError(f"{path} is a link, and is not mounted: remove it")


@dataclass(frozen=True)
class Submission:
    """A folder that was handed in, on the volume or as a copy."""

    folder: Path
    course_id: str
    student_id: str
    assignment_id: str
    timestamp: str

    def feedback_names(self, notebook_id: str) -> list[str]:
        """What the page of feedback on a notebook may be called.

        See notebook_hash and make_unique_key in nbgrader/utils.py. A submission without a secret
        is of an older release, or was handed in by the old plugin; the first name is the newer.
        """
        if secret := self.read(SECRET):
            return [_page_name(secret, notebook_id)]
        notebook = self.read(f"{notebook_id}.ipynb")
        if notebook is None:
            return []
        ids = (self.course_id, self.assignment_id, notebook_id, self.student_id, self.timestamp)
        return [_page_name(notebook, "+".join(ids)), _page_name(notebook)]

    def read(self, name: str) -> bytes | None:
        """The content of a file at the top, or None if there is none, or nothing to be read."""
        return read_file(self.folder / name)


def _page_name(content: bytes, key: str = "") -> str:
    key_bytes = key.encode(errors="surrogateescape")
    return f"{hashlib.md5(content + key_bytes).hexdigest()}.html"


def find_submissions(
    course: Path, student: str, assignment: str, refuse: Callable[[str], None]
) -> Iterator[Submission]:
    """What was handed in in a course, in the order of names.

    Whose it is says the folder of the student, of which each student has only his own.

    Args:
        course: its folder on the volume.
        student: a pattern of the shell's kind, as is `assignment`.
        refuse: is told in a sentence why something is left out.
    """
    for whose in _folders(course / INBOUND, refuse):
        if not _matches(whose.name, student):
            continue
        for folder in _folders(whose, refuse, about=assignment):
            try:
                submission = parse_submission(folder)
            except LocalFileError as error:
                refuse(error.message)
                continue
            if _matches(submission.assignment_id, assignment):
                yield submission


def parse_submission(folder: Path) -> Submission:
    """What the path of a folder on the volume says about a submission.

    Raises:
        LocalFileError: it does not have the student's name, or not the form.
    """
    student_id = folder.parent.name
    rest = folder.name.removeprefix(f"{student_id}+")
    parts = rest.split("+")
    if (
        rest == folder.name
        or len(parts) not in (2, 3)
        or "" in parts
        or not wire.is_legal_name(folder.name)
    ):
        raise LocalFileError(
            f"{str(folder)!r} is left out: what {student_id} hands in is called "
            f"{student_id}+<assignment>+<time>"
        )
    course_id = folder.parents[2].name
    return Submission(folder, course_id, student_id, parts[0], parts[1])


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _folders(parent: Path, refuse: Callable[[str], None], about: str = "") -> list[Path]:
    """The folders in a folder, by name.

    Args:
        about: the assignment that their names have to name, if any.
    """
    try:
        with os.scandir(parent) as entries:
            found = sorted(entries, key=lambda each: each.name)
    except OSError as error:
        refuse(f"{parent} is left out: {error.strerror}")
        return []
    folders = []
    for entry in found:
        is_about = f"+{about}+" in entry.name or fnmatchcase(entry.name, f"*+{about}+*")
        if about and not is_about:
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(parent / entry.name)
        else:
            refuse(f"{entry.path!r} is left out: it is no folder")
    return folders

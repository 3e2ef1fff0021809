"""What the archive of a course says of the course, and of each directory in it."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

import msgspec

from ngshare import wire
from ngshare.errors import InvalidRequest

FORMAT = "ngshare course 1"

_NOT_IN_NAMES = re.compile(r"[/\\:%]|^\.+$")


class Person(msgspec.Struct):
    """Somebody in the roster; `active` tells whether he still is."""

    username: str
    role: str
    active: bool
    first_name: str | None
    last_name: str | None
    email: str | None


class AssignmentEntry(msgspec.Struct):
    """An assignment; one without released_at is un-released."""

    assignment_id: str
    released_at: datetime | None


class CourseRecord(msgspec.Struct):
    """What course.json has."""

    format: str
    course_id: str
    exported_at: datetime
    exported_by: str
    people: list[Person]
    assignments: list[AssignmentEntry]


class FileEntry(msgspec.Struct, omit_defaults=True):
    """A file of a directory; of one that is missing the content was lost before it was exported."""

    path: str
    size: int
    sha256: str
    md5: str
    missing: bool = False


class Directory(msgspec.Struct, kw_only=True):
    """What a release, a submission and feedback have.

    Attributes:
        sha256: of the manifest (wire.manifest_digest), as in a receipt.
        at: when it was released or handed in.
    """

    assignment_id: str
    at: datetime
    sha256: str
    files: list[FileEntry]


class ReleaseRecord(Directory, tag="release", tag_field="kind"):
    """A version of an assignment."""

    version: int
    by: str

    @property
    def place(self) -> str:
        return _join("releases", self.assignment_id, f"version {self.version}")


class SubmissionRecord(Directory, tag="submission", tag_field="kind", omit_defaults=True):
    """A submission: its receipt. `key` is the Idempotency-Key that the client sent with it."""

    student_id: str
    key: str | None = None
    removed_at: datetime | None = None
    removed_by: str | None = None

    @property
    def place(self) -> str:
        return _join("submissions", self.assignment_id, self.student_id, _time(self.at))


class FeedbackRecord(Directory, tag="feedback", tag_field="kind"):
    """Feedback on the submission of a student that was handed in at submitted_at."""

    student_id: str
    submitted_at: datetime
    by: str

    @property
    def place(self) -> str:
        return _join("feedback", self.assignment_id, self.student_id, _time(self.submitted_at))


Record = ReleaseRecord | SubmissionRecord | FeedbackRecord


def _time(at: datetime) -> str:
    return wire.format_timestamp(at).replace(":", ".")


def _join(*names: str) -> str:
    """A path in the archive; ids may have characters that names of folders should not have."""
    return "/".join(_segment(name) for name in names)


def _segment(name: str) -> str:
    if _NOT_IN_NAMES.search(name):
        name = quote(name, safe=" !#$&'()*+,;=@[]{}").replace(".", "%2E")
    return name


def member_path(record: Record, path: str) -> str:
    """Where a file of a directory is in the archive."""
    try:
        wire.check_paths([path])
    except InvalidRequest:  # named by ngshare 0.6
        path = quote(path, safe=" ").replace(".", "%2E")
    return f"{record.place}/{path}"

"""What the archive of a course says of the course, and of each directory in it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from ngshare import wire
from ngshare.errors import InvalidRequest

FORMAT = "ngshare course 1"

Text = Annotated[str, Meta(pattern=rf"^[^{wire.CONTROL}]*\Z")]
Time = Annotated[datetime, Meta(tz=True)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

_NOT_IN_NAMES = re.compile(rf"[/\\:%{wire.CONTROL}]|^\.+$")


class _InUTC(msgspec.Struct):
    """What has times; another zone could lead out of the years that there are."""

    def __post_init__(self) -> None:
        for value in msgspec.structs.astuple(self):
            if isinstance(value, datetime) and value.utcoffset():
                raise ValueError("a time is not in UTC")


class Person(msgspec.Struct):
    """Somebody in the roster; `active` tells whether he still is."""

    username: str
    role: str
    active: bool
    first_name: Text | None
    last_name: Text | None
    email: Text | None


class AssignmentEntry(_InUTC):
    """An assignment; one without released_at is un-released."""

    assignment_id: str
    released_at: Time | None


class CourseRecord(msgspec.Struct):
    """What course.json has."""

    format: str
    course_id: str
    exported_at: Time
    exported_by: str
    people: list[Person]
    assignments: list[AssignmentEntry]


class FileEntry(msgspec.Struct, omit_defaults=True):
    """A file of a directory; of one that is missing the content was lost before it was exported."""

    path: str
    size: Annotated[int, Meta(ge=0, le=1 << 44)]  # so that sums are in range
    sha256: Sha256
    md5: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    missing: bool = False


class Directory(_InUTC, kw_only=True):
    """What a release, a submission and feedback have.

    Attributes:
        sha256: of the manifest (wire.manifest_digest), as in a receipt.
        at: when it was released or handed in.
    """

    assignment_id: str
    at: Time
    sha256: Sha256
    files: list[FileEntry]


class ReleaseRecord(Directory, tag="release", tag_field="kind"):
    """A version of an assignment."""

    version: Annotated[int, Meta(ge=1, lt=1 << 31)]
    by: Text

    @property
    def place(self) -> str:
        return _join("releases", self.assignment_id, f"version {self.version}")


class SubmissionRecord(Directory, tag="submission", tag_field="kind", omit_defaults=True):
    """A submission: its receipt. `key` is the Idempotency-Key that the client sent with it."""

    student_id: str
    key: Annotated[Text, Meta(max_length=255)] | None = None
    removed_at: Time | None = None
    removed_by: Text | None = None

    @property
    def place(self) -> str:
        return _join("submissions", self.assignment_id, self.student_id, _time(self.at))


class FeedbackRecord(Directory, tag="feedback", tag_field="kind"):
    """Feedback on the submission of a student that was handed in at submitted_at."""

    student_id: str
    submitted_at: Time
    by: Text

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
    quoted = _NOT_IN_NAMES.sub(_quote, name)
    if len(quoted.encode()) > wire.MAX_SEGMENT_BYTES:  # no file system could have it
        mark = "~" + hashlib.sha256(name.encode()).hexdigest()[:16]
        room = wire.MAX_SEGMENT_BYTES - len(mark)
        quoted = quoted.encode()[:room].decode(errors="ignore") + mark
    return quoted


def _quote(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def member_path(record: Record, path: str) -> str:
    """Where a file of a directory is in the archive."""
    try:
        wire.check_paths([path])
    except InvalidRequest:  # named by ngshare 0.6
        path = _segment(path)
    return f"{record.place}/{path}"

"""Where an exchange directory has what, in nbgrader's own layout and in that of a volume.

    <course>/outbound/<assignment>/                            what is released
    <course>/inbound/<folder>/                                 what was submitted
    <course>/feedback/<digest>.html                            a page of feedback

where <folder> is <student>+<assignment>+<time>[+<random>], and on a volume of which every student
has his own part

    <course>/inbound/<student>/<folder>/
    <course>/feedback_public/<student>/<digest>.html

See nbgrader/exchange/default/submit.py, and notebook_hash and make_unique_key in nbgrader/utils.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from ngshare.volume import FEEDBACK as FEEDBACK_OF_STUDENTS
from ngshare.volume import INBOUND, OUTBOUND

FEEDBACK = "feedback"
PARTS = (OUTBOUND, INBOUND, FEEDBACK, FEEDBACK_OF_STUDENTS)
TIMESTAMP = "timestamp.txt"
NOTEBOOK = ".ipynb"
PAGE = ".html"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class FolderName:
    """What the name of a folder that was handed in says.

    Attributes:
        timestamp: as it is written there.
        at: the same time, in UTC.
    """

    student_id: str
    assignment_id: str
    timestamp: str
    at: datetime


def parse_folder_name(name: str) -> FolderName | None:
    """What a name says, or None if it is not that of a submission; a student's may have `+`."""
    parts = name.split("+")
    for random in (0, 1):  # how many parts there are after the time
        if len(parts) < 3 + random:
            return None
        *student, assignment_id, timestamp = parts[: len(parts) - random]
        at = parse_time(timestamp)
        student_id = "+".join(student)
        if at is not None and student_id and assignment_id:
            return FolderName(student_id, assignment_id, timestamp, at)
    return None


def parse_time(text: str) -> datetime | None:
    """The time that nbgrader wrote, in UTC, or None; without a zone it is UTC.

    Its form is that of Exchange.timestamp_format and Exchange.timezone, by default
    `2020-01-30 10:30:47.524219 UTC`.
    """
    date, _, rest = text.partition(" ")
    clock, _, zone = rest.partition(" ")
    try:
        naive = datetime.fromisoformat(f"{date} {clock}")
        return naive.replace(tzinfo=naive.tzinfo or _zone(zone)).astimezone(timezone.utc)
    except (ValueError, KeyError, OverflowError, OSError):
        return None


def _zone(name: str) -> ZoneInfo | timezone:
    if name in ("", "UTC", "Z"):
        return timezone.utc
    if name[0] in "+-":
        zone = datetime.strptime(name, "%z").tzinfo
        assert isinstance(zone, timezone)
        return zone
    return ZoneInfo(name)


def from_mtime(nanoseconds: int) -> datetime:
    """A file's time, without what is shorter than a microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def to_mtime(at: datetime) -> int:
    """The nanoseconds that a file's time is to be."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def page_of_secret(secret: bytes, notebook_id: str) -> str:
    """The name of the page on a notebook of a submission with a secret."""
    return hashlib.md5(secret + _encode(notebook_id)).hexdigest() + PAGE


def pages_of_notebook(
    content: Iterable[bytes], course_id: str, folder: FolderName, notebook_id: str
) -> tuple[str, str]:
    """The names of the page on a notebook without a secret: by its unique key, and the oldest."""
    digest = hashlib.md5()
    for piece in content:
        digest.update(piece)
    oldest = digest.hexdigest() + PAGE
    ids = (course_id, folder.assignment_id, notebook_id, folder.student_id, folder.timestamp)
    digest.update(_encode("+".join(ids)))
    return digest.hexdigest() + PAGE, oldest


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")

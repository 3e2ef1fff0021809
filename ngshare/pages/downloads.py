"""What pages give away: directories as zip archives, and feedback to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath

from ngshare import assignments, feedback, submissions
from ngshare.database.snapshots import StoredFile
from ngshare.errors import NotFound
from ngshare.handlers.archives import ZIP
from ngshare.handlers.directories import note_fetch
from ngshare.handlers.sending import attachment, require_complete, send_archive, send_file
from ngshare.pages.base import PageHandler

# Others wrote it, and the Hub's cookies live on this host: it runs no script, sends no form, asks
# no host for anything, and is of no origin.
SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'none'"
)
# What browsers may show of it, by the ending; all else is saved.
SHOWN = {
    ".html": "text/html; charset=UTF-8",
    ".htm": "text/html; charset=UTF-8",
    ".txt": "text/plain; charset=UTF-8",
    ".md": "text/plain; charset=UTF-8",
    ".csv": "text/plain; charset=UTF-8",
    ".py": "text/plain; charset=UTF-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
}


async def send_zip(
    handler: PageHandler, files: Sequence[StoredFile], at: datetime, *names: str
) -> None:
    """Answer with a zip archive, to be saved under these names, joined.

    Raises:
        ContentLost, DamagedContent, NotFound: a content is not to be had.
    """
    require_complete(files)
    try:
        await send_archive(handler, files, ZIP, at, "-".join(names))
    except KeyError:
        raise NotFound("These files were purged just now") from None


class AssignmentZipHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str) -> None:
        where = (self.identity, course_id, assignment_id)
        released = await self.read(assignments.fetch_assignment, *where)
        await send_zip(self, released.files, released.at, assignment_id)
        note_fetch(self, released)


class SubmissionZipHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        timestamp = self.argument("timestamp") or ""
        found = await self.read(submissions.fetch_submission, *where, timestamp)
        await send_zip(self, found.files, found.at, assignment_id, student_id, _name(found.at))


class FeedbackZipHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        found = await self.read(feedback.fetch_feedback, *where, self.argument("timestamp"))
        names = (assignment_id, student_id, _name(found.at), "feedback")
        await send_zip(self, found.files, found.at, *names)


class FeedbackFileHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        found = await self.read(feedback.fetch_feedback, *where, self.argument("timestamp"))
        path = (self.raw_argument("path") or b"").decode(errors="replace")
        file = next((file for file in found.files if file.path == path), None)
        if file is None:
            raise NotFound("File not found")
        name = PurePosixPath(path)
        media_type = SHOWN.get(name.suffix.lower())
        self.set_header("Content-Security-Policy", SANDBOX)
        self.set_header("Content-Type", media_type or "application/octet-stream")
        if media_type is None:
            self.set_header("Content-Disposition", attachment(name.name))
        await send_file(self, file)


def _name(at: datetime) -> str:
    """A time as a part of a file's name."""
    return at.strftime("%Y%m%dT%H%M%SZ")

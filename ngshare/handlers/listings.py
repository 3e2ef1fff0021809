"""/assignments and /submissions: lists over all courses; and /whoami."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ngshare import __version__, listings, wire
from ngshare.errors import InvalidRequest
from ngshare.handlers.base import BaseHandler
from ngshare.listings import Directory, ListedAssignment, ListedSubmission, Part

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ngshare.database.snapshots import StoredFile
    from ngshare.permissions import Identity

T = TypeVar("T", ListedAssignment, ListedSubmission)

LONGEST_PART = 10_000


class ListingHandler(BaseHandler):
    """A list that is cut where it gets too long."""

    def number(self, name: str, default: int) -> int:
        """An argument that counts something.

        Raises:
            InvalidRequest: it is no number.
        """
        text = self.argument(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise InvalidRequest(f"The argument {name} is no number")
        return int(text)

    def part(self) -> Part:
        """Which part of the list the arguments ask for."""
        before = self.argument("before")
        return Part(
            course_id=self.argument("course_id") or None,
            assignment_id=self.argument("assignment_id") or None,
            student_id=self.argument("student_id") or None,
            mine=self.flag("mine"),
            latest=self.flag("latest"),
            before=wire.parse_timestamp(before) if before else None,
            manifest=self.flag("manifest"),
            after=self.number("cursor", 0),
            limit=max(1, min(self.number("limit", LONGEST_PART), LONGEST_PART)),
        )


class AllAssignmentsHandler(ListingHandler):
    async def get(self) -> None:
        self.answer_encoded(await self.read_long(_encode_assignments, self.identity, self.part()))


class AllSubmissionsHandler(ListingHandler):
    async def get(self) -> None:
        self.answer_encoded(await self.read_long(_encode_submissions, self.identity, self.part()))


class WhoAmIHandler(BaseHandler):
    async def get(self) -> None:
        limits = asdict(self.settings["limits"])
        self.answer(
            username=self.identity.name,
            is_service=self.identity.is_service,
            is_admin=self.identity.is_admin,
            version=__version__,
            time=wire.format_timestamp(datetime.now(timezone.utc)),
            limits={**limits, "max_upload_bytes": self.settings["max_upload_bytes"]},
        )


def _encode_assignments(connection: Connection, identity: Identity, part: Part) -> bytes:
    found = listings.list_assignments(connection, identity, _one_more(part))
    return _encode("assignments", _describe_assignment, found, part)


def _encode_submissions(connection: Connection, identity: Identity, part: Part) -> bytes:
    found = listings.list_submissions(connection, identity, _one_more(part))
    return _encode("submissions", _describe_submission, found, part)


def _one_more(part: Part) -> Part:
    """To see whether there is more."""
    assert part.limit is not None
    return replace(part, limit=part.limit + 1)


def _encode(key: str, describe: Callable[[T], dict[str, Any]], found: list[T], part: Part) -> bytes:
    shown = found[: part.limit]
    cursor = str(shown[-1].pk) if len(found) > len(shown) else None
    entries = [describe(entry) for entry in shown]
    return msgspec.json.encode({"success": True, key: entries, "next_cursor": cursor})


def describe_assignments(
    connection: Connection, identity: Identity, part: Part
) -> list[dict[str, Any]]:
    """listings.list_assignments, as the wire has it."""
    return [
        _describe_assignment(listed)
        for listed in listings.list_assignments(connection, identity, part)
    ]


def describe_submissions(
    connection: Connection, identity: Identity, part: Part
) -> list[dict[str, Any]]:
    """listings.list_submissions, as the wire has it."""
    return [
        _describe_submission(listed)
        for listed in listings.list_submissions(connection, identity, part)
    ]


def describe_file(file: StoredFile) -> dict[str, Any]:
    """A file without its content, as the wire has it."""
    return {
        "path": file.path,
        "checksum": file.checksum.hex(),
        "size": file.size,
        "sha256": file.digest.hex(),
    }


def _describe_directory(directory: Directory) -> dict[str, Any]:
    return {
        "sha256": directory.digest.hex(),
        "size": directory.size,
        "file_count": directory.file_count,
        "notebooks": directory.notebooks,
    }


def _describe_assignment(listed: ListedAssignment) -> dict[str, Any]:
    return {
        "course_id": listed.course_id,
        "assignment_id": listed.assignment_id,
        "version": listed.version,
        "released_at": wire.format_timestamp(listed.at),
        **_describe_directory(listed.directory),
    }


def _describe_submission(listed: ListedSubmission) -> dict[str, Any]:
    feedback = listed.feedback and {
        "released_at": wire.format_timestamp(listed.feedback.at),
        "sha256": listed.feedback.digest.hex(),
        "files": list(map(describe_file, listed.feedback.files)),
    }
    entry = {
        "course_id": listed.course_id,
        "assignment_id": listed.assignment_id,
        "student_id": listed.student_id,
        "submission_id": listed.pk,
        "timestamp": wire.format_timestamp(listed.at),
        **_describe_directory(listed.directory),
        "feedback": feedback,
    }
    if listed.files is not None:
        entry["files"] = list(map(describe_file, listed.files))
    return entry

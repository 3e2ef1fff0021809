"""0.6.0's URL for looking into the database, and for sample data while trying it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from tornado.web import HTTPError

from ngshare import dump, sample
from ngshare.errors import InvalidRequest, NotFound, PermissionDenied
from ngshare.handlers.base import BaseHandler
from ngshare.pages.base import PageHandler

# Where the page of a table is now; those that are not here became several, or parts of others.
PAGES = {
    "users": "users",
    "courses": "courses",
    "assignments": "assignments",
    "submissions": "submissions",
    "files": "snapshot_files",
    "instructor_assoc_table": "memberships?column=role&test=is&value=instructor",
    "student_assoc_table": "memberships?column=role&test=is&value=student",
    "assignment_files_assoc_table": "releases",
    "feedback_files_assoc_table": "feedback",
}


class OldDatabaseHandler(PageHandler):
    write_error = BaseHandler.write_error  # for programs it is a call of the API

    async def get(self) -> None:
        action = self.argument("action")
        may_change = self.settings["debug_mode"] or self.stand_alone
        if not may_change and not (self.identity.is_admin and action == "dump"):
            raise PermissionDenied("Debug mode is off")
        if action == "dump" and self.flag("human-readable"):
            self._lead_to_page()
        elif action == "dump":
            await self._dump()
        elif self.request.method == "HEAD":
            raise HTTPError(405)
        elif action == "clear":
            await self.transact(sample.clear)
            self.answer(message="done")
        elif action == "init":
            await self.transact(sample.fill)
            self.answer(message="done")
        else:
            raise InvalidRequest("action should be clear, init, or dump")

    def _lead_to_page(self) -> None:
        name = self._names()[0] if self.argument("table") else ""
        page = f"{self.settings['prefix']}pages/database"
        if name in PAGES:
            page += f"/{PAGES[name]}"
        if self.stand_alone:
            page += ("&" if "?" in page else "?") + urlencode({"user": self.identity.name})
        self.redirect(page)

    async def _dump(self) -> None:
        names = self._names()
        limit = self._number("limit", 0) or None
        offset = (self._number("page", 1) - 1) * (limit or 0)
        tables = {
            name: await self.read_long(dump.read_table, name, limit, offset) for name in names
        }
        self.answer_encoded(await self.compute(_encode_tables, tables))

    def _names(self) -> list[str]:
        """The tables that are asked for."""
        name = self.argument("table")
        if not name:
            return list(dump.TABLES)
        if name not in dump.TABLES:
            raise NotFound(f"Table not found; there are {', '.join(dump.TABLES)}")
        return [name]

    def _number(self, name: str, otherwise: int) -> int:
        text = self.argument(name)
        if not text:
            return otherwise
        if not (
            text.isascii() and text.isdecimal() and len(text) < 8 and 0 < int(text) <= 1_000_000
        ):
            raise InvalidRequest(f"{name} should be a number from 1 to 1,000,000")
        return int(text)


def _encode_tables(tables: dict[str, list[dict[str, Any]]]) -> bytes:
    return msgspec.json.encode({"success": True, **tables})

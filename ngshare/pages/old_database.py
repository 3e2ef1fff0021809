"""0.6.0's URL for looking into the database, and for sample data while trying it."""

from __future__ import annotations

import msgspec
from tornado.web import HTTPError

from ngshare import dump, sample
from ngshare.dump import Page
from ngshare.errors import InvalidRequest, NotFound, PermissionDenied
from ngshare.handlers.base import BaseHandler
from ngshare.pages.base import PageHandler

ROWS_A_PAGE = 100


class OldDatabaseHandler(PageHandler):
    write_error = BaseHandler.write_error  # for programs it is a call of the API

    async def get(self) -> None:
        action = self.argument("action")
        may_change = self.settings["debug_mode"] or self.stand_alone
        if not may_change and not (self.identity.is_admin and action == "dump"):
            raise PermissionDenied("Debug mode is off")
        if action == "dump":
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

    async def _dump(self) -> None:
        names = [self.argument("table")] if self.argument("table") else list(dump.TABLES)
        page_number = self._number("page", 1)
        if self.flag("human-readable"):
            limit: int | None = self._number("limit", ROWS_A_PAGE)
        else:
            limit = self._number("limit", 0) or None
        tables = {}
        for name in names:
            if name not in dump.TABLES:
                raise NotFound(f"Table not found; there are {', '.join(dump.TABLES)}")
            offset = (page_number - 1) * (limit or 0)
            tables[name] = await self.read_long(dump.read_table, name, limit, offset)
        if self.flag("human-readable"):
            self.render_page("dump.html", tables=tables, page_number=page_number, limit=limit)
            return
        self.set_header("Content-Type", "application/json")
        self.finish(await self.compute(_encode_tables, tables))

    def _number(self, name: str, otherwise: int) -> int:
        text = self.argument(name)
        if not text:
            return otherwise
        if not (
            text.isascii() and text.isdecimal() and len(text) < 8 and 0 < int(text) <= 1_000_000
        ):
            raise InvalidRequest(f"{name} should be a number from 1 to 1,000,000")
        return int(text)


def _encode_tables(tables: dict[str, Page]) -> bytes:
    rows = {
        name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for name, table in tables.items()
    }
    return msgspec.json.encode({"success": True, **rows})

"""The audit log, to be looked at and to be taken away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from ngshare import audit, wire
from ngshare.handlers.sending import attachment
from ngshare.pages.base import PageHandler
from ngshare.spreadsheets import encode_file, encode_rows

MAX_ROWS = 100_000
ROWS_AT_ONCE = 1000
HEADINGS = ("time", "by", "action", "course", "assignment", "username", "detail")


class AuditHandler(PageHandler):
    async def get(self) -> None:
        course_id = self.argument("course") or None
        view = replace(self.view(audit.COLUMNS, "-at"), filters={"course": course_id})
        rows = await self.read_long(audit.list_entries, self.identity, view, course_id)
        self.render_page("admin_audit.html", rows=rows, course_id=course_id, max_rows=MAX_ROWS)

    def back(self) -> tuple[str, ...]:
        return ("pages", "admin", "audit")


class AuditCsvHandler(PageHandler):
    """What the page's search finds, newest first, sent as it is read."""

    async def get(self) -> None:
        search, course_id = self.argument("search") or "", self.argument("course") or None
        last = None
        for start in range(0, MAX_ROWS, ROWS_AT_ONCE):
            rows = await self.read_long(
                audit.list_before, self.identity, last, ROWS_AT_ONCE, search, course_id
            )
            if start == 0:
                self.set_header("Content-Type", "text/csv; charset=UTF-8")
                self.set_header("Content-Disposition", attachment("ngshare-audit-log.csv"))
                self.write(encode_file(HEADINGS))
            self.write(_encode(row[:-1] for row in rows))
            await self.flush()
            if len(rows) < ROWS_AT_ONCE:
                break
            last = rows[-1].pk
        self.finish()


def _encode(rows: Iterable[Iterable[Any]]) -> bytes:
    return encode_rows([*map(_plain, row)] for row in rows)


def _plain(value: Any) -> Any:
    return wire.format_timestamp(value) if isinstance(value, datetime) else value

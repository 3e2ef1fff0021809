"""The database, for admins: every table, read-only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from ngshare import raw_rows, raw_tables
from ngshare.errors import InvalidRequest
from ngshare.handlers.sending import attachment
from ngshare.pages.base import PageHandler
from ngshare.permissions import require_admin
from ngshare.raw_rows import Filter, RawView
from ngshare.raw_tables import RawTable
from ngshare.spreadsheets import encode_file, encode_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

EXPORTED_AT_ONCE = 2000  # rows


class DatabaseHandler(PageHandler):
    """All tables."""

    async def get(self) -> None:
        _require_admin(self)
        counts = await self.read_long(raw_rows.count_tables)
        self.render_page(
            "database.html",
            tables=raw_tables.TABLES.values(),
            counts=counts,
            counted=raw_rows.COUNTED,
        )


class TableHandler(PageHandler):
    """The rows of one; or one of them, or all as a file."""

    async def get(self, name: str) -> None:
        _require_admin(self)
        table = raw_tables.get_table(name)
        if key := self._all("row"):
            row = await self.read_long(raw_rows.read_row, table, key)
            self._render("database_row.html", table, key=key, row=row)
            return
        view = self._view(table)
        form = self.argument("format")
        if form:
            await self._export(view, form)
        else:
            rows = await self.read_long(raw_rows.read_rows, view)
            self._render("database_table.html", table, rows=rows, tests=raw_rows.TESTS)

    def _render(self, template: str, table: RawTable, **values: Any) -> None:
        self.render_page(
            template,
            table=table,
            counted=raw_rows.COUNTED,
            plain=raw_tables.plain,
            **values,
        )

    # ---- arguments ----

    def _all(self, name: str) -> tuple[str, ...]:
        """The values of an argument that may be repeated."""
        values = self.request.query_arguments.get(name, [])
        try:
            texts = tuple(value.decode() for value in values)
        except UnicodeDecodeError:
            raise InvalidRequest(f"The argument {name} is no UTF-8") from None
        if "\0" in "".join(texts):  # which PostgreSQL takes in no text
            raise InvalidRequest(f"The argument {name} has a null character")
        return texts

    def _view(self, table: RawTable) -> RawView:
        sort = self.argument("sort") or table.key[0].name
        if sort not in table.columns:
            columns = ", ".join(table.columns)
            raise InvalidRequest(f"{table.name} has no column {sort}; it has {columns}")
        after, before = self._all("after"), self._all("before")
        return RawView(
            table,
            self._filters(),
            sort,
            is_descending=self.argument("order") == "desc",
            beside=after or before,
            backwards=not after and (bool(before) or self.flag("last")),
        )

    def _filters(self) -> tuple[Filter, ...]:
        """As the form repeats them; the last one may be left open."""
        lists = self._all("column"), self._all("test"), self._all("value")
        if len({len(values) for values in lists}) > 1:
            raise InvalidRequest("Every filter is a column, a test and a value")
        filters = map(Filter, *lists)
        return tuple(condition for condition in filters if condition.column)

    # ---- files ----

    async def _export(self, view: RawView, form: str) -> None:
        """Send the rows in the order of their keys, part by part, as the client takes them.

        In that order each part costs the database the same, however long the table is.
        """
        if form not in ENCODERS:
            raise InvalidRequest(f"There is no format {form}; there are {', '.join(ENCODERS)}")
        media_type, encode, opening, closing = ENCODERS[form]
        view = RawView(view.table, view.filters, view.table.key[0].name)
        self.set_header("Content-Type", media_type)
        self.set_header("Content-Disposition", attachment(f"{view.table.name}.{form}"))
        self.write(opening(view.table))
        is_first = True
        while True:
            text, key = await self.read_long(_encode_part, view, encode, is_first)
            self.write(text)
            if key is None:
                break
            await self.flush()
            view, is_first = replace(view, beside=key), False
        self.finish(closing)


def _require_admin(handler: PageHandler) -> None:
    """On a site where ngshare is only tried everybody may look, as the old URL has it."""
    if not (handler.settings["debug_mode"] or handler.stand_alone):
        require_admin(handler.identity)


Encoder = Callable[[RawTable, "list[list[Any]]", bool], str]


def _encode_part(
    connection: Connection, view: RawView, encode: Encoder, is_first: bool
) -> tuple[str, tuple[str, ...] | None]:
    """The next rows of a file, and the key of the last one unless it is the table's."""
    rows = raw_rows.read_part(connection, view, EXPORTED_AT_ONCE)
    key = view.table.key_of(rows[-1]) if len(rows) == EXPORTED_AT_ONCE else None
    return encode(view.table, [[*map(raw_tables.plain, row)] for row in rows], is_first), key


def _encode_csv(_table: RawTable, rows: list[list[Any]], _is_first: bool) -> str:
    return encode_rows(rows).decode()


def _encode_json(table: RawTable, rows: list[list[Any]], is_first: bool) -> str:
    lines = (msgspec.json.encode(dict(zip(table.columns, row, strict=True))) for row in rows)
    text = b",\n".join(lines).decode()
    return text if is_first or not text else ",\n" + text


def _csv_heading(table: RawTable) -> str:
    return encode_file(table.columns).decode()


# By the name of the format: the media type, a part, what comes before and what after all parts.
ENCODERS: dict[str, tuple[str, Encoder, Callable[[RawTable], str], str]] = {
    "csv": ("text/csv; charset=UTF-8", _encode_csv, _csv_heading, ""),
    "json": ("application/json", _encode_json, lambda _: "[\n", "\n]\n"),
}

"""Long tables, of which a page shows a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

ROWS_A_PAGE = 50


@dataclass(frozen=True)
class View:
    """What of a table is shown, and in which order.

    Attributes:
        search: rows must have this text somewhere, capitals or not.
        sort: a column by name.
        page: from 1.
        filters: other arguments of the URL, by name, that stay as they are.
    """

    search: str
    sort: str
    is_descending: bool
    page: int
    filters: Mapping[str, str | None] = field(default_factory=dict)

    def query(self, **changes: object) -> dict[str, Any]:
        """The arguments of the URL of another view of the same table; defaults are None."""
        given = {
            "search": self.search or None,
            "sort": self.sort,
            "order": "desc" if self.is_descending else None,
            "page": self.page,
        }
        return {**given, **self.filters, **changes}

    def sorted_by(self, column: str) -> dict[str, Any]:
        """The same for a click on a heading: by that column; if it is that already, backwards."""
        turns = column == self.sort and not self.is_descending
        return self.query(sort=column, order="desc" if turns else None, page=None)


@dataclass(frozen=True)
class Rows:
    """The rows of a view.

    Attributes:
        total: how many there are on all pages together.
    """

    rows: Sequence[Row[Any]]
    total: int
    view: View

    @property
    def first(self) -> int:
        """The number of the first row shown, from 1."""
        return (self.view.page - 1) * ROWS_A_PAGE + 1

    @property
    def pages(self) -> int:
        return max(1, ceil(self.total / ROWS_A_PAGE))


def find_text(text: str, columns: Sequence[Any]) -> ColumnElement[bool]:
    """Whether one of the columns has this text in it, capitals or not."""
    # SQLite, and PostgreSQL in the locale C, know no capitals beyond ASCII.
    spellings = {text} if text.isascii() else {text, text.lower(), text.upper(), text.title()}
    return or_(
        *(column.icontains(each, autoescape=True) for column in columns for each in spellings)
    )


def load_rows(
    connection: Connection,
    query: Select,
    view: View,
    columns: Mapping[str, Any],
    searched: Sequence[Any],
    tie: Any,
    total: int | None = None,
) -> Rows:
    """The part of a query's rows that a view shows: searched, sorted and cut by the database.

    Args:
        columns: what can be sorted by, by name.
        searched: the columns whose text is searched.
        tie: what orders rows that are equal otherwise.
        total: how many rows the query has, if that is known.
    """
    if view.search:
        query = query.where(find_text(view.search, searched))
    if total is None or view.search:
        total = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    part = cut(query.order_by(*order(view, columns, tie)), view)
    return Rows(connection.execute(part).all(), total, view)


def order(view: View, columns: Mapping[str, Any], tie: Any) -> tuple[Any, Any]:
    """What the rows of a view are ordered by; see load_rows."""
    by = columns[view.sort]
    by = by.desc() if view.is_descending else by.asc()
    # SQLite and PostgreSQL have different minds about where nulls come.
    return by.nulls_last(), tie


def cut(query: Select, view: View) -> Select:
    """Of all rows of a view those on its page."""
    return query.limit(ROWS_A_PAGE).offset((view.page - 1) * ROWS_A_PAGE)

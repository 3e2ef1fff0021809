"""The rows of any table as the database has them, read-only, for admins who look into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from ngshare.errors import InvalidRequest, NotFound
from ngshare.raw_tables import TABLES, RawColumn, RawTable

IS, CONTAINS, IS_EMPTY = TESTS = ("is", "contains", "is empty")
ROWS_A_PAGE = 50
COUNTED = 1_000_000  # rows; to count all of a table that has more takes too long for a page


@dataclass(frozen=True)
class Filter:
    """A condition on one column: one of TESTS."""

    column: str
    test: str
    value: str


@dataclass(frozen=True)
class RawView:
    """Which rows of a table are shown, and in which order.

    Attributes:
        sort: a column; rows that are equal there come in the order of their keys.
        beside: the key of the row that the first one follows; empty for the table's beginning.
        backwards: the last one is followed by that row instead; empty for the table's end.
    """

    table: RawTable
    filters: tuple[Filter, ...]
    sort: str
    is_descending: bool = False
    beside: tuple[str, ...] = ()
    backwards: bool = False

    def query(self, **changes: object) -> dict[str, Any]:
        """The arguments of the URL of the same rows from their beginning; defaults are None."""
        given: dict[str, Any] = {
            "column": [condition.column for condition in self.filters],
            "test": [condition.test for condition in self.filters],
            "value": [condition.value for condition in self.filters],
            "sort": self.sort,
            "order": "desc" if self.is_descending else None,
        }
        return {**given, **changes}

    def sorted_by(self, column: str) -> dict[str, Any]:
        """The same for a click on a heading: by that column; if it is that already, backwards."""
        turns = column == self.sort and not self.is_descending
        return self.query(sort=column, order="desc" if turns else None)

    def without(self, number: int) -> dict[str, Any]:
        """The same with one filter less."""
        filters = self.filters[:number] + self.filters[number + 1 :]
        return replace(self, filters=filters).query()


@dataclass(frozen=True)
class RawRows:
    """The rows of a view.

    Attributes:
        rows: the values of each in the order of the columns.
        names: of the rows that they refer to, by column and key, where those have a name.
        total: how many rows fit the filters; COUNTED + 1 if that many or more do.
        has_previous, has_next: whether there are rows before and after these.
    """

    view: RawView
    rows: Sequence[Sequence[Any]]
    names: Mapping[str, Mapping[Any, str]]
    total: int
    has_previous: bool
    has_next: bool


@dataclass(frozen=True)
class RawRow:
    """One row, and how many rows refer to it by each of the table's `referred_by`."""

    row: Sequence[Any]
    names: Mapping[str, Mapping[Any, str]]
    referring: Sequence[int]


def count_tables(connection: Connection) -> dict[str, int]:
    """How many rows each table has, up to COUNTED + 1; one statement."""
    counts = [_count(table.source, [], name) for name, table in TABLES.items()]
    return dict(connection.execute(select(*counts)).one()._mapping)


def read_rows(connection: Connection, view: RawView) -> RawRows:
    """The rows that a view shows, and how many fit; see read_part for what it may raise.

    The database goes to a page by the key of the row beside it: a page at the end of a long table
    costs what one at its beginning does.
    """
    rows = read_part(connection, view, ROWS_A_PAGE + 1)
    has_more = len(rows) > ROWS_A_PAGE
    rows = rows[:ROWS_A_PAGE]
    if view.backwards:
        rows = rows[::-1]
    total = connection.scalar(select(_count(view.table.source, _conditions(connection, view))))
    is_beside = bool(view.beside)
    return RawRows(
        view,
        rows,
        _names(connection, view.table, rows),
        total or 0,
        has_previous=has_more if view.backwards else is_beside,
        has_next=is_beside if view.backwards else has_more,
    )


def read_part(connection: Connection, view: RawView, limit: int) -> Sequence[Sequence[Any]]:
    """The next rows of a view, away from the row that they are beside.

    Raises:
        InvalidRequest: a filter or a key has a value that the column can't have.
        NotFound: the row beside them is gone.
    """
    table, by = view.table, view.table.columns[view.sort]
    keys = [column for column in table.key if column is not by]
    conditions = _conditions(connection, view)
    down = view.is_descending is not view.backwards
    if view.beside:
        conditions.append(_is_beyond(view, by, keys, _find_place(connection, view, by), down))
    order = [column.shown.desc() if down else column.shown.asc() for column in (by, *keys)]
    if by.is_nullable:  # nulls come last; SQLite and PostgreSQL have different minds about that
        is_null = by.shown.is_(None)
        order.insert(0, is_null.desc() if view.backwards else is_null.asc())
    return connection.execute(_select(table, conditions).order_by(*order).limit(limit)).all()


def read_row(connection: Connection, table: RawTable, key: Sequence[str]) -> RawRow:
    """One row, by its key.

    Raises:
        InvalidRequest: the key is none of this table.
        NotFound: there is no such row.
    """
    condition = _is_row(table, key)
    row = connection.execute(_select(table, [condition])).one_or_none()
    if row is None:
        raise NotFound(f"There is no row {', '.join(key)} in {table.name}")
    counts = [
        _count(
            TABLES[name].source, [TABLES[name].columns[column].shown == table.key[0].parse(key[0])]
        )
        for name, column in table.referred_by
    ]
    referring = connection.execute(select(*counts)).one() if counts else ()
    return RawRow(row, _names(connection, table, [row]), referring)


def _select(table: RawTable, conditions: Iterable[ColumnElement[bool]]) -> Select[Any]:
    shown = (column.shown.label(column.name) for column in table.columns.values())
    return select(*shown).where(*conditions)


def _count(
    source: FromClause, conditions: Iterable[ColumnElement[bool]], label: str = "total"
) -> ColumnElement[int]:
    one = select(literal(1)).select_from(source).where(*conditions).limit(COUNTED + 1).subquery()
    return select(func.count()).select_from(one).scalar_subquery().label(label)


def _conditions(connection: Connection, view: RawView) -> list[ColumnElement[bool]]:
    return [_condition(connection, view.table, condition) for condition in view.filters]


def _condition(connection: Connection, table: RawTable, condition: Filter) -> ColumnElement[bool]:
    if condition.column not in table.columns:
        raise InvalidRequest(
            f"{table.name} has no column {condition.column}; it has {', '.join(table.columns)}"
        )
    column = table.columns[condition.column]
    if condition.test == IS:
        return column.shown == column.parse(condition.value)
    if condition.test == CONTAINS:
        return _as_text(connection, column).icontains(condition.value, autoescape=True)
    if condition.test == IS_EMPTY:
        is_null = column.shown.is_(None)
        return or_(is_null, column.shown == "") if column.kind is str else is_null
    raise InvalidRequest(f"A filter is one of: {', '.join(TESTS)}")


def _as_text(connection: Connection, column: RawColumn) -> ColumnElement[str]:
    """What is shown, as the database writes it: of times, in UTC."""
    if column.kind is str:
        return column.shown
    if column.kind is bool:
        return case((column.shown, "true"), else_="false")
    is_sqlite = connection.dialect.name == "sqlite"
    if column.kind is bytes:
        return func.hex(column.shown) if is_sqlite else func.encode(column.shown, "hex")
    if column.kind is datetime and not is_sqlite:
        return func.to_char(func.timezone("UTC", column.shown), "YYYY-MM-DD HH24:MI:SS.US")
    return cast(column.shown, Text)


def _is_row(table: RawTable, key: Sequence[str]) -> ColumnElement[bool]:
    if len(key) != len(table.key):
        raise InvalidRequest(
            f"A row of {table.name} is named by {', '.join(column.name for column in table.key)}"
        )
    return and_(
        *(column.shown == column.parse(text) for column, text in zip(table.key, key, strict=True))
    )


def _find_place(connection: Connection, view: RawView, by: RawColumn) -> Any:
    """What the row beside the view's has in the column that sorts them."""
    is_row = _is_row(view.table, view.beside)
    if by in view.table.key:
        return by.parse(view.beside[list(view.table.key).index(by)])
    row = connection.execute(select(by.shown).where(is_row)).one_or_none()
    if row is None:
        raise NotFound("The row at which this page begins is gone; go back to the first page")
    return row[0]


def _is_beyond(
    view: RawView, by: RawColumn, keys: Sequence[RawColumn], place: Any, down: bool
) -> ColumnElement[bool]:
    """Whether a row comes after the one beside the view's, in the order in which they are read."""
    texts = dict(zip((column.name for column in view.table.key), view.beside, strict=True))
    values = [(column, column.parse(texts[column.name])) for column in keys]
    is_null = by.shown.is_(None)
    if place is None:
        beyond = and_(is_null, _compare(values, down))
        return or_(beyond, by.shown.is_not(None)) if view.backwards else beyond
    beyond = _compare([(by, place), *values], down)
    return or_(beyond, is_null) if by.is_nullable and not view.backwards else beyond


def _compare(values: Sequence[tuple[RawColumn, Any]], down: bool) -> ColumnElement[bool]:
    """Compare rows as a whole, for which both databases use an index."""
    columns = tuple_(*(column.shown for column, _ in values))
    place = tuple_(*(literal(value, column.shown.type) for column, value in values))
    return columns < place if down else columns > place


def _names(
    connection: Connection, table: RawTable, rows: Sequence[Sequence[Any]]
) -> dict[str, dict[Any, str]]:
    """Of what some rows refer to; a statement for each column that leads to a table of names."""
    names = {}
    for position, column in enumerate(table.columns.values()):
        target = TABLES[column.refers_to] if column.refers_to else None
        if target is not None and "name" in target.columns:
            key = target.key[0].shown
            query = select(key, target.columns["name"].shown).where(
                key.in_({row[position] for row in rows})
            )
            names[column.name] = dict(connection.execute(query).all())
    return names

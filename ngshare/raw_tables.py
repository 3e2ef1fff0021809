"""What every table of the database is like, read from the models: a new one appears by itself.

Bytes are never shown, but for hashes: what is shown of others is how many they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    LargeBinary,
    func,
    type_coerce,
)

from ngshare import wire
from ngshare.database.models import Base
from ngshare.errors import InvalidRequest, NotFound

HASHES = ("digest", "checksum")

_NUMBER = re.compile("-?[0-9]{1,18}")


@dataclass(frozen=True)
class RawColumn:
    """A column.

    Attributes:
        shown: what is shown, sorted and filtered: the value, or how many bytes it has.
        kind: of what is shown: int, str, bool, datetime, or bytes for a hash.
        is_size: whether the value itself is not shown.
        refers_to: the table one of whose rows it names, by that row's key.
    """

    name: str
    shown: ColumnElement[Any]
    kind: type
    is_size: bool
    is_nullable: bool
    refers_to: str | None

    def parse(self, text: str) -> Any:
        """A value, written as `plain` writes it.

        Raises:
            InvalidRequest: it can't be one of this column.
        """
        if self.kind is int and _NUMBER.fullmatch(text):
            return int(text)
        if self.kind is bool and text in ("true", "false"):
            return text == "true"
        if self.kind is datetime:
            return wire.parse_timestamp(text)
        if self.kind is bytes:
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise InvalidRequest(f"{self.name} is a hash, in hexadecimal") from None
        if self.kind in (int, bool):
            words = "a number" if self.kind is int else "true or false"
            raise InvalidRequest(f"{self.name} is {words}")
        return text


@dataclass(frozen=True)
class RawTable:
    """A table.

    Attributes:
        purpose: what it is for, in a sentence or two.
        key: the columns of its primary key.
        referred_by: table and column of each foreign key that leads here.
    """

    name: str
    purpose: str
    columns: Mapping[str, RawColumn]
    key: Sequence[RawColumn]
    referred_by: Sequence[tuple[str, str]]
    source: FromClause

    def key_of(self, row: Sequence[Any]) -> tuple[str, ...]:
        """What names a row of the table, given its values."""
        values = dict(zip(self.columns, row, strict=True))
        return tuple(str(plain(values[column.name])) for column in self.key)


def _describe_column(column: Column[Any]) -> RawColumn:
    is_size = isinstance(column.type, LargeBinary) and column.name not in HASHES
    kind = int if is_size else column.type.python_type
    shown: ColumnElement[Any] = func.length(column) if is_size else column
    if kind is int:  # else PostgreSQL refuses to compare a short one with a number that is too long
        shown = type_coerce(shown, BigInteger)
    targets = [key.column for key in column.foreign_keys]
    named = [target.table for target in targets if list(target.table.primary_key) == [target]]
    return RawColumn(
        column.name,
        shown,
        kind,
        is_size,
        bool(column.nullable),
        str(named[0]) if named else None,
    )


def _describe_tables() -> dict[str, RawTable]:
    purposes = {
        str(mapper.local_table): (mapper.class_.__doc__ or "").split("\n\n")[0]
        for mapper in Base.registry.mappers
    }
    columns = {
        name: {column.name: _describe_column(column) for column in table.columns}
        for name, table in Base.metadata.tables.items()
    }
    return {
        name: RawTable(
            name,
            " ".join(purposes.get(name, "").split()),
            columns[name],
            [columns[name][column.name] for column in table.primary_key],
            [
                (other, column.name)
                for other, its_columns in columns.items()
                for column in its_columns.values()
                if column.refers_to == name
            ],
            table,
        )
        for name, table in Base.metadata.tables.items()
    }


TABLES = _describe_tables()


def get_table(name: str) -> RawTable:
    """One of TABLES.

    Raises:
        NotFound: there is no such table.
    """
    if name not in TABLES:
        raise NotFound(f"There is no table {name}; there are {', '.join(TABLES)}")
    return TABLES[name]


def plain(value: Any) -> Any:
    """A value as text, number, boolean or None."""
    if isinstance(value, datetime):
        return wire.format_timestamp(value)
    return value.hex() if isinstance(value, bytes) else value

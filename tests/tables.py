"""What is in the database, table by table: how tests see that a call changed nothing."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, delete, event, insert, select

from ngshare.database import blobs, snapshots
from ngshare.database.engine import Database
from ngshare.database.models import Base
from ngshare.database.snapshots import PackedSnapshot

Tables = dict[str, list[tuple[Any, ...]]]


def read_tables(database: Database, but: str = "") -> Tables:
    """Every row of every table but one."""
    with database.engine.connect() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in Base.metadata.sorted_tables
            if table.name != but
        }


def restore_tables(database: Database, tables: Tables) -> None:
    """Bring back what read_tables saw."""
    ordered = Base.metadata.sorted_tables
    with database.engine.execution_options(writes=True).begin() as connection:
        for table in reversed(ordered):
            connection.execute(delete(table))
        for table in ordered:
            names = [column.name for column in table.columns]
            rows = [dict(zip(names, row, strict=True)) for row in tables[table.name]]
            if rows:
                connection.execute(insert(table), rows)


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """Collects the SQL that is sent while it lasts, without the beginnings of transactions."""
    statements: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def pack_directory(files: Iterable[tuple[str, bytes]]) -> PackedSnapshot:
    """A directory ready to be stored, from paths and contents."""
    return snapshots.pack({path: blobs.pack(content) for path, content in files})


def read_csv(content: bytes) -> list[dict[str, str]]:
    """The rows of a file for spreadsheets, which has to begin with the mark of UTF-8."""
    assert content.startswith(codecs.BOM_UTF8)
    assert content.count(codecs.BOM_UTF8) == 1
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))

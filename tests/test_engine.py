"""Engines: which databases, and what every connection is like."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from ngshare.database.engine import (
    READERS,
    Database,
    _prepare_sqlite,
    make_engine,
    normalize_url,
)
from ngshare.database.models import STUDENT, Course, Membership, User

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ---- URLs ----


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("sqlite:////srv/ngshare/ngshare.db", "sqlite:////srv/ngshare/ngshare.db"),
        ("sqlite:///ngshare.db", "sqlite:///ngshare.db"),
        ("postgresql://u:p%40@h:5433/d", "postgresql+psycopg://u:p%40@h:5433/d"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@/d?host=/run/pg", "postgresql+psycopg://u@/d?host=%2Frun%2Fpg"),
    ],
)
def test_a_url_names_the_driver_that_is_meant(url: str, meant: str) -> None:
    assert normalize_url(url).render_as_string(hide_password=False) == meant


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is not given as a URL"),
        ("/srv/ngshare/ngshare.db", "is not given as a URL"),
        ("postgresql://u:secret@h:port/d", "is not given as a URL"),
        ("mysql://u:secret@h/d", "can't use the database mysql: use sqlite or postgresql"),
        ("postgresql+psycopg2://u:secret@h/d", "can't use the database postgresql[+]psycopg2"),
        ("sqlite://", "needs a database in a file"),
        ("sqlite:///", "needs a database in a file"),
        ("sqlite:///:memory:", "needs a database in a file"),
    ],
)
def test_other_urls_are_refused_without_telling_the_password(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        normalize_url(url)
    assert "secret" not in str(refusal.value)


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"folder {tmp_path}/no/where does not exist"):
        make_engine(f"sqlite:///{tmp_path}/no/where/ngshare.db")
    assert list(tmp_path.iterdir()) == []


# ---- connections ----


@on_sqlite
def test_every_connection_is_durable_and_checks_foreign_keys(database: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    connections = [database.engine.connect() for _ in range(READERS + 1)]
    for connection in connections:
        pragmas = {name: connection.scalar(text(f"PRAGMA {name}")) for name in wanted}
        assert pragmas == wanted
    for connection in connections:
        connection.close()


def test_there_is_a_connection_for_every_thread_and_no_more(database: Database) -> None:
    assert database.engine.pool.size() == READERS + 2  # type: ignore[attr-defined]


def test_what_is_erased_is_overwritten_whatever_sqlite_does_by_itself(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        _prepare_sqlite(connection, None)
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_foreign_keys_are_enforced(database: Database) -> None:
    def orphan(connection: Connection) -> None:
        row = insert(Membership).values(course_pk=7, user_pk=7, role=STUDENT, active=True)
        connection.execute(row)

    with pytest.raises(IntegrityError):
        database.write(orphan)


def test_roles_are_checked_by_the_database_too(database: Database) -> None:
    def intruder(connection: Connection) -> None:
        connection.execute(insert(Course).values(pk=1, name="c"))
        connection.execute(insert(User).values(pk=1, name="u"))
        row = insert(Membership).values(course_pk=1, user_pk=1, role="owner", active=True)
        connection.execute(row)

    with pytest.raises(IntegrityError):
        database.write(intruder)
    assert database.read(lambda connection: connection.scalars(select(User.name)).all()) == []


def test_names_are_told_apart_and_sorted_by_their_code_points(database: Database) -> None:
    names = [
        "a",
        "B",
        "b",
        "A",
        "\u00e9",
        "e\u0301",
        "Z",
        "_",
        "1",
        "10",
        "2",
        "\U0001f600",
        "\uffee",
    ]

    def add(connection: Connection) -> None:
        connection.execute(insert(Course), [{"name": name} for name in names])

    def ordered(connection: Connection) -> list[str]:
        return list(connection.scalars(select(Course.name).order_by(Course.name)))

    database.write(add)
    assert database.read(ordered) == sorted(names)


def test_times_come_back_aware_in_utc_and_to_the_microsecond(database: Database) -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    given = datetime(2020, 1, 1, 3, 4, 5, 678901, tzinfo=east)

    def add(connection: Connection) -> None:
        connection.execute(insert(Course).values(name="c", deleted_at=given))

    database.write(add)
    stored = database.read(lambda connection: connection.scalars(select(Course.deleted_at)).one())
    assert stored == given
    assert stored is not None
    assert stored.tzinfo is timezone.utc

"""Migrations: from nothing to this release's tables, and nothing done to anybody else's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from ngshare.database.engine import make_engine
from ngshare.database.models import Base
from ngshare.database.upgrade import (
    UpgradeError,
    check,
    current_revision,
    head_revision,
    open_database,
    upgrade,
)

PROCESSES = 3
OURS = {table.name for table in Base.metadata.sorted_tables}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = request.getfixturevalue("postgresql")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_url)
    yield engine
    engine.dispose()


def describe(connection: Connection) -> dict[str, Any]:
    """The tables as the database tells of them."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": {
                column["name"]: (
                    str(column["type"]),
                    getattr(column["type"], "collation", None),
                    column["nullable"],
                    column["default"],
                )
                for column in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table),
            "foreign keys": by_name(inspector.get_foreign_keys(table)),
            "unique": by_name(inspector.get_unique_constraints(table)),
            "checks": by_name(inspector.get_check_constraints(table)),
            "indexes": by_name(inspector.get_indexes(table)),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def by_name(rows: Any) -> list[Any]:
    return sorted(rows, key=lambda row: row["name"])


def execute(engine: Engine, *statements: str) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_alembic_finds_nothing_to_migrate_after_an_upgrade(empty: Engine) -> None:
    upgrade(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_build_exactly_the_tables_of_the_models(empty: Engine) -> None:
    upgrade(empty)
    with empty.connect() as connection:
        migrated = describe(connection)
    execute(empty, "DROP TABLE alembic_version")
    with empty.execution_options(writes=True).begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    with empty.connect() as connection:
        assert describe(connection) == migrated
    assert set(migrated) == OURS


def test_a_second_upgrade_changes_nothing(empty: Engine) -> None:
    upgrade(empty)
    execute(empty, "INSERT INTO users (name) VALUES ('kevin')")
    upgrade(empty)
    check(empty)
    with empty.connect() as connection:
        assert current_revision(connection) == head_revision() == "0006"
        assert connection.scalar(text("SELECT name FROM users")) == "kevin"


def test_processes_may_upgrade_one_empty_database_at_once(empty_url: str, empty: Engine) -> None:
    script = (
        "import sys; from ngshare.database.upgrade import open_database;"
        "print('ready', flush=True); sys.stdin.readline();"
        "open_database(sys.argv[1], may_upgrade=True).close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, ends
    check(empty)


def test_downgrade_removes_every_table_and_upgrade_brings_them_back(empty: Engine) -> None:
    upgrade(empty)
    config = Config()
    config.set_main_option("script_location", "ngshare:migrations")
    with empty.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with empty.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    upgrade(empty)
    check(empty)


def test_marks_of_unused_blobs_come_while_the_previous_release_goes_on(empty: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "ngshare:migrations")
    with empty.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    insert = (  # as the previous release does
        "INSERT INTO blobs (digest, size, checksum, encoding, stored_size)"
        " VALUES ('{}', 1, 'x', 'identity', 1)"
    )
    execute(empty, insert.format("before"))
    upgrade(empty)
    execute(empty, insert.format("after"))
    with empty.connect() as connection:
        rows = connection.execute(text("SELECT unused_since FROM blobs")).all()
    assert [row.unused_since for row in rows] == [None, None]


def test_a_failing_upgrade_leaves_the_database_as_it_was(empty: Engine) -> None:
    execute(empty, "CREATE TABLE feedback (note TEXT)")  # what the migration makes last
    with pytest.raises(Exception, match="feedback"):
        upgrade(empty)
    with empty.connect() as connection:
        assert inspect(connection).get_table_names() == ["feedback"]


def test_tables_of_something_else_are_in_the_way_and_told_of(empty_url: str, empty: Engine) -> None:
    execute(empty, "CREATE TABLE users (note TEXT)")
    with pytest.raises(UpgradeError, match=r"can't be opened: .*users"):
        open_database(empty_url, may_upgrade=True)


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        (None, "The database has the schema of an empty database and this release needs 0006"),
        ("0000", "The database has the schema 0000 and this release needs 0006"),
        ("9999", "The database has the schema 9999 and this release needs 0006"),
    ],
)
def test_without_an_upgrade_another_schema_is_refused(
    empty_url: str, empty: Engine, revision: str | None, says: str
) -> None:
    if revision:
        upgrade(empty)
        execute(empty, f"UPDATE alembic_version SET version_num = '{revision}'")
    with pytest.raises(UpgradeError) as refusal:
        open_database(empty_url, may_upgrade=False)
    if revision is None and empty.dialect.name == "sqlite":
        says = f"There is no database {empty.url.database}. To make an empty one: ngshare upgrade-"
    assert str(refusal.value).startswith(says)
    if revision is None:
        with empty.connect() as connection:
            assert inspect(connection).get_table_names() == []


def test_the_schema_of_a_newer_release_is_left_alone(empty: Engine) -> None:
    upgrade(empty)
    execute(empty, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UpgradeError, match=r"has the schema 9999, .* written by a newer one"):
        upgrade(empty)
    with empty.connect() as connection:
        assert current_revision(connection) == "9999"


@pytest.mark.parametrize(
    "tables",
    [
        ["CREATE TABLE courses (id TEXT PRIMARY KEY)"],
        [
            "CREATE TABLE courses (_id INTEGER PRIMARY KEY, id TEXT)",
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            "INSERT INTO alembic_version VALUES ('1921a169739b')",
        ],
        [
            "CREATE TABLE users (id TEXT PRIMARY KEY)",
            "CREATE TABLE courses (_id INTEGER PRIMARY KEY, id TEXT)",
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            "INSERT INTO alembic_version VALUES ('aa00db20c10a')",
        ],
    ],
    ids=["no revision", "0.6", "0.5"],
)
def test_a_database_of_an_earlier_ngshare_is_refused_and_unchanged(
    empty: Engine, tables: list[str]
) -> None:
    execute(empty, *tables)
    with empty.connect() as connection:
        before = describe(connection)
        revision = current_revision(connection)
    with pytest.raises(UpgradeError, match=r"written by ngshare 0\.5 or 0\.6"):
        upgrade(empty)
    with empty.connect() as connection:
        assert describe(connection) == before
        assert current_revision(connection) == revision


@pytest.mark.parametrize("folder", ["50% of it", "%s %(here)s", "a#b;c", "it's \u00fc \U0001f600"])
def test_a_path_with_odd_characters_is_a_path_like_any_other(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    open_database(f"sqlite:///{tmp_path}/{folder}/ngshare.db", may_upgrade=True).close()
    assert (tmp_path / folder / "ngshare.db").stat().st_size > 0


def test_a_password_with_odd_characters_does_not_break_the_migration(postgresql: Any) -> None:
    url = postgresql.create_database()
    with_password = url.replace("ngshare@", "ngshare:100%25%40%2F%3A%23%28here%29s@")
    assert with_password != url
    open_database(with_password, may_upgrade=True).close()
    postgresql.drop_database(url)


def test_postgresql_does_not_try_to_compress_what_is_compressed(postgresql: Any) -> None:
    url = postgresql.create_database()
    engine = make_engine(url)
    upgrade(engine)
    with engine.connect() as connection:
        storage = connection.scalar(
            text(
                "SELECT attstorage FROM pg_attribute"
                " WHERE attrelid = 'blob_chunks'::regclass AND attname = 'data'"
            )
        )
    assert storage == "e"
    engine.dispose()
    postgresql.drop_database(url)

"""Brings a database to the schema of this release, or says why it can't."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ngshare.database.engine import Database, make_engine

# Any constant will do, as long as every replica asks for the same one.
ADVISORY_LOCK = 0x6E67_7368_6172_65

OLD_REVISIONS = {"aa00db20c10a", "1921a169739b"}  # written by ngshare 0.5 and 0.6


class UpgradeError(Exception):
    """The database can't be used, and was left as it is; the message says why."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    folder = Path(__file__).parent.parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """The revision that this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def current_revision(connection: Connection) -> str | None:
    """The revision that the database has; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def is_there(database: Database) -> bool:
    """False if the file of SQLite was removed, which those who have it open don't notice."""
    return not database.is_sqlite or Path(str(database.engine.url.database)).exists()


def open_database(url: str, may_upgrade: bool) -> Database:
    """A database with this release's schema.

    Raises:
        UpgradeError: it can't be reached, or its schema is another one.
    """
    try:
        engine = make_engine(url)
    except ValueError as error:
        raise UpgradeError(str(error)) from None
    except ModuleNotFoundError:
        raise UpgradeError(
            "PostgreSQL's driver is missing: pip install 'ngshare[postgresql]'"
        ) from None
    try:
        if may_upgrade:
            upgrade(engine)
        else:
            check(engine)
    except (UpgradeError, DBAPIError) as error:
        engine.dispose()
        if isinstance(error, UpgradeError):
            raise
        raise UpgradeError(f"The database can't be opened: {error.orig}") from None
    return Database(engine)


def upgrade(engine: Engine) -> None:
    """Upgrade to this release's schema in one transaction; replicas wait for one another.

    Raises:
        UpgradeError: the database was written by something else.
    """
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": ADVISORY_LOCK})
        _refuse_foreign(connection)
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as error:
            raise UpgradeError(
                f"The database has the schema {current_revision(connection)}, which this release "
                "of ngshare does not know: it was written by a newer one"
            ) from error


def check(engine: Engine) -> None:
    """Raise UpgradeError unless the schema is this release's."""
    with engine.connect() as connection:
        _refuse_foreign(connection)
        current = current_revision(connection)
    if current != head_revision():
        raise UpgradeError(
            f"The database has the schema {current or 'of an empty database'} and this release "
            f"needs {head_revision()}: start ngshare once without --no-upgrade-db"
        )


def _refuse_foreign(connection: Connection) -> None:
    current = current_revision(connection)
    tables = set(inspect(connection).get_table_names())
    if current in OLD_REVISIONS or (current is None and "courses" in tables):
        raise UpgradeError(
            "The database was written by ngshare 0.5 or 0.6, which this development version "
            "can't take over yet: nothing was changed; give another --database"
        )

"""Brings a database to the schema of this release, or says why it can't."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ngshare.database import backup
from ngshare.database.engine import Database, make_engine
from ngshare.database.takeover import Report, TakeOverError, is_old, take_over

# Any constant will do, as long as every replica asks for the same one.
ADVISORY_LOCK = 0x6E67_7368_6172_65

OLD_REVISIONS = {"aa00db20c10a", "1921a169739b"}  # of ngshare 0.5 and 0.6

NOWHERE = Path("/nonexistent")

log = logging.getLogger("ngshare")


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


def known_revisions() -> set[str]:
    """The revisions of this release and of those before."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def current_revision(connection: Connection) -> str | None:
    """The revision that the database has; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def open_database(url: str, may_upgrade: bool, storage: Path = NOWHERE) -> Database:
    """A database with this release's schema.

    Args:
        storage: the folder of files, if ngshare 0.5 or 0.6 wrote the database.

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
        if engine.dialect.name == "sqlite":
            _make_file(engine, may_upgrade)
        if may_upgrade:
            upgrade(engine, storage)
        else:
            check(engine, storage)
    except (UpgradeError, DBAPIError) as error:
        engine.dispose()
        if isinstance(error, UpgradeError):
            raise
        raise UpgradeError(f"The database can't be opened: {error.orig}") from None
    return Database(engine)


def _make_file(engine: Engine, may_make: bool) -> None:
    """Make SQLite's file if there is none, for this user alone: it holds everybody's work."""
    path = Path(str(engine.url.database))
    if path.exists():
        return
    if not may_make:
        raise UpgradeError(
            f"There is no database {path}. To make an empty one: "
            f"ngshare upgrade-db --database {_url(engine)}"
        )
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise UpgradeError(f"The database {path} can't be made: {error.strerror}") from None
    log.warning("There was no database %s: a new, empty one is made", path)


def upgrade(engine: Engine, storage: Path = NOWHERE) -> None:
    """Upgrade to this release's schema in one transaction; replicas wait for one another.

    Args:
        storage: see open_database.

    Raises:
        UpgradeError: the database was written by something else.
    """
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": ADVISORY_LOCK})
        if engine.dialect.name == "sqlite" and is_old(connection):
            copy, report = _take_over(engine, connection, storage)
        else:
            _upgrade_ours(connection)
            return
    log.info("The old database is in %s", copy)
    report.log()


def _upgrade_ours(connection: Connection) -> None:
    _refuse_foreign(connection)
    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise UpgradeError(
            f"The database has the schema {current_revision(connection)}, which this release "
            "of ngshare does not know: it was written by a newer one"
        ) from error


def check(engine: Engine, storage: Path = NOWHERE) -> None:
    """Raise UpgradeError unless the schema is this release's."""
    with engine.connect() as connection:
        if is_old(connection):
            raise UpgradeError(
                "The database was written by ngshare 0.5 or 0.6. To take it over: "
                f"ngshare upgrade-db --database {_url(engine)} --storage {storage}"
            )
        _refuse_foreign(connection)
        current = current_revision(connection)
    if current != head_revision():
        raise UpgradeError(
            f"The database has the schema {current or 'of an empty database'} and this release "
            f"needs {head_revision()}. To upgrade it: ngshare upgrade-db --database {_url(engine)}"
        )


def _url(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _take_over(engine: Engine, connection: Connection, storage: Path) -> tuple[Path, Report]:
    """Where the copy of the old database is, and what was carried over."""
    path = Path(str(engine.url.database))
    copy = path.with_name(f"{path.name}.before-1.0.{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
    log.info("%s is of ngshare 0.5 or 0.6 and is taken over, with the files in %s", path, storage)
    try:
        backup.copy_sqlite(str(engine.url), copy)
        try:
            report = take_over(
                connection, storage, lambda: command.upgrade(_config(connection), "head")
            )
        except BaseException:
            with suppress(OSError):  # nothing is committed, and there may be many attempts
                copy.unlink()
            raise
    except (TakeOverError, backup.BackupError) as error:
        raise UpgradeError(
            "The database of ngshare 0.5 or 0.6 can't be taken over, and was left as it was: "
            f"{error}"
        ) from None
    return copy, report


def _refuse_foreign(connection: Connection) -> None:
    current = current_revision(connection)
    names = set(inspect(connection).get_table_names())
    if current in OLD_REVISIONS or (current is None and "courses" in names):
        raise UpgradeError(
            "The database was written by ngshare 0.5 or 0.6, but lacks some of its tables, or is "
            "no SQLite file: it can't be taken over; nothing was changed"
        )

"""Copies of a database in use."""

from __future__ import annotations

import os
import shlex
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from ngshare.database.engine import BUSY_TIMEOUT_SECONDS, normalize_url

SECRETS = ("password", "sslpassword")


class BackupError(Exception):
    """There is no backup; the message says why."""


def is_sqlite(url: str) -> bool:
    """Whether a URL is that of an SQLite file.

    Raises:
        ValueError: see normalize_url.
    """
    return normalize_url(url).drivername == "sqlite"


def pg_dump_command(url: str, target: Path) -> str:
    """The command line that dumps a PostgreSQL database; without the password."""
    parsed = normalize_url(url).set(drivername="postgresql")
    without = parsed._replace(password=None).difference_update_query(SECRETS)
    dbname = without.render_as_string(hide_password=False)
    return shlex.join(["pg_dump", "--format=custom", f"--file={target}", f"--dbname={dbname}"])


def copy_sqlite(url: str, target: Path) -> dict[str, int]:
    """Write a consistent copy of an SQLite database, of the moment when this begins.

    The schema may be any; whoever writes meanwhile is not held up.

    Returns:
        How many rows each table of the copy has.

    Raises:
        BackupError: nothing was left behind.
    """
    source = Path(str(normalize_url(url).database)).resolve()
    if not source.is_file():
        raise BackupError(f"There is no database {source}")
    _refuse_existing(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.resolve().parent)
        os.close(handle)
        try:
            _copy(source, name)
            counts = _inspect(name)
            _sync(name)
            _refuse_existing(target)
            os.rename(name, target)
            _sync(target.resolve().parent)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"The backup to {target} failed: {error}") from None
    return counts


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise BackupError(f"{target} exists and was left as it is: give the backup another name")


def _copy(source: Path, name: str) -> None:
    with (
        closing(sqlite3.connect(source, timeout=BUSY_TIMEOUT_SECONDS)) as original,
        closing(sqlite3.connect(name)) as copy,
    ):
        # All pages in one step, in one reading transaction: others may write beside it. After a
        # pause between steps it would have to begin again whenever somebody had written.
        original.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, complete without a -wal


def _inspect(name: str) -> dict[str, int]:
    with closing(sqlite3.connect(name)) as copy:
        try:
            verdict = copy.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            verdict = str(error)
        if verdict != "ok":
            first = " ".join(verdict.split())[:200]
            raise BackupError(
                f"The copy is damaged, and so surely is the database ({first}): "
                "see what ngshare check says"
            )
        tables = copy.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        return {
            table: copy.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            for (table,) in tables.fetchall()
        }


def _sync(path: str | Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

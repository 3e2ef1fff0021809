"""What SQLite leaves in its files of rows that are gone, and how to be rid of most of it at once.

https://www.sqlite.org/pragma.html#pragma_secure_delete. Copies of rows that SQLite left behind
when it moved them to other pages, earlier, stay until VACUUM.
"""

from __future__ import annotations

from sqlalchemy import Connection, event

from ngshare.database.engine import Database

LOG_SECONDS = 5  # to wait for those who read; others can't write meanwhile


def overwrite_deleted(database: Database) -> None:
    """Let what this process deletes from now on be overwritten with zeros."""
    if database.is_sqlite:
        event.listen(database.engine, "begin", _overwrite)


def _overwrite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA secure_delete=ON").close()


def empty_log(database: Database) -> bool:
    """Empty the -wal, which has pages as they were; False if somebody is reading from it."""
    if not database.is_sqlite:
        return True
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={LOG_SECONDS * 1000}")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        is_busy, _, _ = cursor.fetchone()
        return not is_busy
    finally:
        connection.close()

"""The -wal beside SQLite's file, which has pages as they were before something was erased."""

from __future__ import annotations

from ngshare.database.engine import Database

PATIENCE_MILLISECONDS = 5_000  # for those who read; nobody can write meanwhile


def empty_log(database: Database) -> bool:
    """Bring all of it into the file, and empty it; False if somebody reads from it for long."""
    if not database.is_sqlite:
        return True
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={PATIENCE_MILLISECONDS}")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        answer = cursor.fetchone()
        return answer is not None and answer[0] == 0
    finally:
        connection.close()

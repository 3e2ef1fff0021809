"""What admins see of the database's health: its kind, its schema, and who is connected."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from ngshare.database.engine import APPLICATION
from ngshare.database.upgrade import current_revision, head_revision
from ngshare.permissions import Identity, require_admin


@dataclass(frozen=True)
class Process:
    """A process of some replica that is connected.

    Attributes:
        name: release, process id and host, as the engine makes it; PostgreSQL cuts it at 63 bytes.
        address: where PostgreSQL sees it; None by a local socket.
    """

    name: str
    address: str | None
    connections: int


@dataclass(frozen=True)
class Vitals:
    """Of the database.

    Attributes:
        revision: of the schema; None for an empty database.
        needed_revision: the one of this release.
        processes: those of ngshare that are connected; None if the database can't tell.
    """

    kind: str
    revision: str | None
    needed_revision: str
    processes: Sequence[Process] | None


# Others' connections are seen by members of the role that made them, and replicas share a role.
_PROCESSES = text(
    """
    SELECT application_name, host(client_addr), count(*)
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE :pattern
    GROUP BY 1, 2 ORDER BY 1, 2
    """
)


def read_vitals(connection: Connection, identity: Identity) -> Vitals:
    """For admins.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    if connection.dialect.name == "sqlite":
        kind, processes = f"SQLite {sqlite3.sqlite_version}", None
    else:
        kind = f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"
        rows = connection.execute(_PROCESSES, {"pattern": f"{APPLICATION} %"})
        processes = [Process(*row) for row in rows]
    return Vitals(kind, current_revision(connection), head_revision(), processes)

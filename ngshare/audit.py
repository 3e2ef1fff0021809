"""The audit log: who changed what, and when.

An entry is written in the transaction of the change, so there is none without the other. It names
people, courses and assignments in words: it outlives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import Connection, insert, select

from ngshare.database.models import AuditEntry
from ngshare.permissions import Identity, require_admin
from ngshare.tables import Rows, View, load_rows


@dataclass(frozen=True)
class Change:
    """What is changed.

    Attributes:
        action: verb and object, for example `release assignment`.
        username: whom it is about, if that is not the one who does it.
        detail: what else is to know, in a few words.
    """

    action: str
    course_id: str | None = None
    assignment_id: str | None = None
    username: str | None = None
    detail: str | None = None


_INSERT = insert(AuditEntry)


def record(connection: Connection, identity: Identity, *changes: Change) -> None:
    """Note who changes something now."""
    now = datetime.now(timezone.utc)
    rows = [{"at": now, "by": str(identity), **vars(change)} for change in changes]
    if rows:
        connection.execute(_INSERT, rows)


COLUMNS = {
    column.name: column
    for column in (
        AuditEntry.at,
        AuditEntry.by,
        AuditEntry.action,
        AuditEntry.course_id,
        AuditEntry.assignment_id,
        AuditEntry.username,
    )
}


def list_entries(connection: Connection, identity: Identity, view: View) -> Rows:
    """The entries that a view shows, for admins.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    query = select(*COLUMNS.values(), AuditEntry.detail)
    searched = [column for name, column in COLUMNS.items() if name != "at"]
    return load_rows(connection, query, view, COLUMNS, searched, AuditEntry.pk.desc())

"""The audit log: who changed what, and when.

An entry is written in the transaction of the change, so there is none without the other. It names
people, courses and assignments in words: it outlives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import Connection, Row, Select, insert, select

from ngshare.database.models import AuditEntry
from ngshare.permissions import Identity, require_admin
from ngshare.tables import Rows, View, find_text, load_rows


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


_SHOWN = (*COLUMNS.values(), AuditEntry.detail)
_SEARCHED = _SHOWN[1:]  # all but the time


def list_entries(
    connection: Connection, identity: Identity, view: View, course_id: str | None = None
) -> Rows:
    """The entries that a view shows, of one course or of all, for admins.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    query = _select(course_id)
    return load_rows(connection, query, view, COLUMNS, _SEARCHED, AuditEntry.pk.desc())


def list_before(
    connection: Connection,
    identity: Identity,
    before: int | None,
    limit: int,
    search: str = "",
    course_id: str | None = None,
) -> Sequence[Row]:
    """So many entries, newest first, each with its pk; for admins.

    Args:
        before: the pk that the part before this one ended with.
        search, course_id: as list_entries has them.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    query = _select(course_id).add_columns(AuditEntry.pk)
    if search:
        query = query.where(find_text(search, _SEARCHED))
    if before is not None:
        query = query.where(AuditEntry.pk < before)
    return connection.execute(query.order_by(AuditEntry.pk.desc()).limit(limit)).all()


def _select(course_id: str | None) -> Select:
    query = select(*_SHOWN)
    return query if course_id is None else query.where(AuditEntry.course_id == course_id)

"""Erasing people: all that somebody has handed in, everywhere, and the name in what stays.

What somebody released, graded or removed belongs to a course, and the audit log to everybody: these
stay, without the name.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, update

from ngshare import audit, people, removals
from ngshare.audit import Change
from ngshare.database import garbage, snapshots
from ngshare.database.engine import Database
from ngshare.database.models import (
    REMOVED,
    AuditEntry,
    Feedback,
    Fetch,
    Membership,
    Removal,
    Snapshot,
    Submission,
    Upload,
    User,
)
from ngshare.errors import NotFound
from ngshare.people import Person
from ngshare.permissions import Identity

ERASED = "(erased)"  # no Hub is likely to call anybody so
COMMAND = Identity("ngshare erase-person", is_admin=True)
NO_ROW = 0  # the key of no user: admins may have acted without ever being in a course

# What one transaction erases at most, so that nobody who stores something waits for long.
SUBMISSIONS_AT_ONCE = 100
BYTES_AT_ONCE = 64 << 20

_MOVES = ("rename person", "deactivate person", "merge person")
_NOW = (1 << 63) - 1


class Span(NamedTuple):
    """A name, and the entries of the audit log (by their keys) in which it is a certain person's.

    Afterwards another person was called so, or will be, and before perhaps, too.
    """

    name: str
    after: int
    until: int


@dataclass(frozen=True)
class Traces:
    """What there is of somebody.

    Attributes:
        out_of_sight: how many of the submissions somebody removed.
        size: in bytes, of the files of all submissions and of the feedback on them.
        removals: how many submissions of anybody this person removed.
        former_names: which the audit log has, too.
        entries: those of the audit log that have a name of this person: as they are without it.
    """

    person: Person
    out_of_sight: int
    size: int
    fetches: int
    removals: int
    former_names: Sequence[str]
    entries: Sequence[dict[str, Any]]

    @property
    def is_teaching(self) -> bool:
        """Whether there is something that others keep."""
        by_name = self.person.by_name
        return bool(by_name["releases"] or by_name["feedback"] or self.removals)


def survey(connection: Connection, name: str) -> Traces:
    """What there is of somebody.

    Raises:
        NotFound: nobody has this name, and nothing bears it.
    """
    pk = connection.scalar(select(User.pk).where(User.name == name)) or NO_ROW
    person = people.describe(connection, pk, name)
    mine = Submission.user_pk == pk
    is_removed = Submission.pk.in_(REMOVED)
    feedback = select(Feedback.snapshot_pk).join(
        Submission, Submission.pk == Feedback.submission_pk
    )
    files = or_(
        Snapshot.pk.in_(select(Submission.snapshot_pk).where(mine)),
        Snapshot.pk.in_(feedback.where(mine)),
    )
    counts = {
        "out_of_sight": select(func.count()).select_from(Submission).where(mine, is_removed),
        "size": select(func.coalesce(func.sum(Snapshot.size), 0)).where(files),
        "fetches": select(func.count()).select_from(Fetch).where(Fetch.user_pk == pk),
        "removals": select(func.count()).select_from(Removal).where(Removal.by == name),
    }
    row = connection.execute(
        select(*(count.scalar_subquery().label(label) for label, count in counts.items()))
    ).one()
    spans = _find_spans(connection, name)
    traces = Traces(
        person,
        former_names=sorted({span.name for span in spans} - {name}),
        entries=_find_entries(connection, spans),
        **{label: int(number) for label, number in row._mapping.items()},
    )
    if pk == NO_ROW and not (traces.is_teaching or traces.entries or person.by_name["uploads"]):
        raise NotFound(f"There is nobody with the user name {name}")
    return traces


def _find_spans(connection: Connection, name: str) -> list[Span]:
    """This name of somebody and those before, as the audit log tells of the changes."""
    spans = []
    waiting = [(name, _NOW)]
    while waiting:
        name, until = waiting.pop()
        # What else a change notes for each course comes before it, in the same transaction.
        moves = AuditEntry.action.in_(_MOVES) & AuditEntry.course_id.is_(None)
        passed_on = moves & (AuditEntry.username == name) & (AuditEntry.pk < until)
        after = connection.scalar(select(func.max(AuditEntry.pk)).where(passed_on)) or 0
        spans.append(Span(name, after, until))
        became = or_(
            AuditEntry.detail == f"now {name}",
            AuditEntry.detail.startswith(f"into {name}; courses: ", autoescape=True),
        )
        earlier = select(AuditEntry.username, AuditEntry.pk).where(
            moves, became, AuditEntry.pk > after, AuditEntry.pk < until
        )
        waiting += [(row.username, row.pk) for row in connection.execute(earlier)]
    return spans


def _find_entries(connection: Connection, spans: Sequence[Span]) -> list[dict[str, Any]]:
    """The entries of the audit log that have one of the names: their keys, and what to store."""
    found: dict[int, dict[str, Any]] = {}
    for name, after, until in spans:
        # What somebody became (people, mergers), and who teaches (courses): details have no others.
        in_detail = re.compile(rf"(^now |^into |instructors: |, ){re.escape(name)}(?=$|, |; )")
        entries = select(
            AuditEntry.pk, AuditEntry.by, AuditEntry.username, AuditEntry.detail
        ).where(
            AuditEntry.pk > after,
            AuditEntry.pk <= until,
            or_(
                AuditEntry.by == name,
                AuditEntry.username == name,
                AuditEntry.detail.contains(name, autoescape=True),
            ),
        )
        for pk, *texts in connection.execute(entries):
            old = found.get(pk) or dict(zip(("by", "username", "detail"), texts, strict=True))
            new = {key: ERASED if text == name else text for key, text in old.items()}
            if old["detail"] is not None:
                new["detail"] = in_detail.sub(rf"\g<1>{ERASED}", old["detail"])
            if new != old:
                found[pk] = new
    return [{"entry": pk, **texts} for pk, texts in found.items()]


def erase(database: Database, name: str) -> Traces:
    """Erase somebody. The name goes last: stopped at any moment, the same call completes it.

    Feedback that was replaced is nobody's any more, so all garbage is removed first.

    Returns:
        What there was when it began.

    Raises:
        NotFound: nobody has this name, and nothing bears it.
    """
    traces = database.read(survey, name)
    for _ in range(2):  # the first marks, the second removes
        deque(garbage.collect(database, grace_seconds=0), maxlen=0)
    while not database.write(_erase_part, name):
        pass
    return traces


def _erase_part(connection: Connection, name: str) -> bool:
    """Erase some submissions, and with the last of them all the rest; whether that was done."""
    # Whoever is about to refer to the row, or to write under the name, waits, and looks again.
    locked = select(User.pk).where(User.name == name).with_for_update()
    pk = connection.scalar(locked) or NO_ROW
    if pk == NO_ROW:
        survey(connection, name)  # raises if another run has erased all of it meanwhile
    removals.erase(connection, _take_submissions(connection, pk))
    others = select(Submission.pk).where(Submission.user_pk == pk).limit(1)
    if connection.scalar(others) is not None:
        return False
    _erase_rest(connection, pk, name)
    return True


def _take_submissions(connection: Connection, user_pk: int) -> list[Row]:
    rows = connection.execute(
        select(Submission.pk, Submission.snapshot_pk, Snapshot.size)
        .join(Snapshot, Snapshot.pk == Submission.snapshot_pk)
        .where(Submission.user_pk == user_pk)
        .order_by(Submission.pk)
        .limit(SUBMISSIONS_AT_ONCE)
        .with_for_update(of=Submission)
    )
    taken: list[Row] = []
    size = 0
    for row in rows:
        if taken and size + row.size > BYTES_AT_ONCE:
            break
        taken.append(row)
        size += row.size
    return taken


def _erase_rest(connection: Connection, pk: int, name: str) -> None:
    connection.execute(delete(Upload).where(Upload.by == name))
    snapshots.remove_unused(connection)
    people.pass_on(connection, name, ERASED)
    connection.execute(delete(Membership).where(Membership.user_pk == pk))
    connection.execute(delete(User).where(User.pk == pk))
    # Last, so that what others noted while this waited for them is among the entries.
    entries = _find_entries(connection, _find_spans(connection, name))
    if entries:
        without = update(AuditEntry).where(AuditEntry.pk == bindparam("entry"))
        connection.execute(without, entries)
    audit.record(connection, COMMAND, Change("erase person"))

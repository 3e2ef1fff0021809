"""People as admins see them: everybody, and what to do when names of the Hub change hands.

A person is a row of users. Who renames, merges (see mergers) or deactivates one locks the row
first: whoever is about to refer to it, or to submit under its name, waits and looks again (users,
submissions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, func, select, update
from sqlalchemy.orm import aliased

from ngshare import audit, wire
from ngshare.audit import Change
from ngshare.database.models import (
    Assignment,
    Course,
    Feedback,
    Membership,
    Release,
    Removal,
    Submission,
    Upload,
    User,
)
from ngshare.errors import Conflict, NotFound
from ngshare.permissions import Identity, require_admin
from ngshare.tables import Rows, View, load_rows


class Role(NamedTuple):
    """What somebody is, or was, in a course; is_hidden tells that the course is deleted."""

    course_id: str
    role: str
    active: bool
    is_hidden: bool


@dataclass(frozen=True)
class Work:
    """What of somebody there is in a course: submissions, removed or not, and feedback on them."""

    course_id: str
    submissions: int
    feedback: int


@dataclass(frozen=True)
class Person:
    """Somebody, with all that a change of the name moves.

    Attributes:
        by_name: how much bears the name alone: releases, feedback, contents sent ahead.
    """

    username: str
    roles: Sequence[Role]
    work: Sequence[Work]
    by_name: Mapping[str, int]

    @property
    def active_roles(self) -> int:
        return sum(role.active for role in self.roles)

    @property
    def submissions(self) -> int:
        return sum(work.submissions for work in self.work)

    @property
    def feedback(self) -> int:
        return sum(work.feedback for work in self.work)


def _in_rosters(text: Any) -> Any:
    """Of a user: a text of one of his memberships."""
    return select(func.max(text)).where(Membership.user_pk == User.pk).scalar_subquery()


_full_name = func.trim(
    func.coalesce(Membership.first_name, "") + " " + func.coalesce(Membership.last_name, "")
)
_COLUMNS = {
    "username": User.name,
    "name": func.coalesce(_in_rosters(_full_name), ""),
    "email": func.coalesce(_in_rosters(Membership.email), ""),
    "courses": select(func.count())
    .where(Membership.user_pk == User.pk, Membership.active)
    .scalar_subquery(),
    "submissions": select(func.count()).where(Submission.user_pk == User.pk).scalar_subquery(),
}
COLUMNS = tuple(_COLUMNS)


def list_people(
    connection: Connection, identity: Identity, view: View
) -> tuple[Rows, dict[str, list[Role]]]:
    """The people that a view shows, and what they are in their courses by user name; for admins.

    Raises:
        PermissionDenied: the caller is no admin.
    """
    require_admin(identity)
    query: Select = select(User.pk, *(column.label(name) for name, column in _COLUMNS.items()))
    searched = [_COLUMNS[name] for name in ("username", "name", "email")]
    rows = load_rows(connection, query, view, _COLUMNS, searched, User.pk)
    roles = _list_roles(connection, [row.pk for row in rows.rows])
    return rows, {row.username: roles[row.pk] for row in rows.rows}


def _list_roles(connection: Connection, user_pks: Sequence[int]) -> dict[int, list[Role]]:
    found: dict[int, list[Role]] = {pk: [] for pk in user_pks}
    for pk, course_id, role, active, is_hidden in connection.execute(
        select(
            Membership.user_pk,
            Course.name,
            Membership.role,
            Membership.active,
            Course.deleted_at.is_not(None),
        )
        .join(Course, Course.pk == Membership.course_pk)
        .where(Membership.user_pk.in_(user_pks))
        .order_by(Course.name)
    ):
        found[pk].append(Role(course_id, role, active, is_hidden))
    return found


def get_person(connection: Connection, identity: Identity, name: str) -> Person:
    """Somebody, with what would move along with the name; for admins.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: nobody has this name.
    """
    require_admin(identity)
    return describe(connection, get_pk(connection, name), name)


def get_pk(connection: Connection, name: str) -> int:
    pk = connection.scalar(select(User.pk).where(User.name == name))
    if pk is None:
        raise NotFound(f"There is nobody with the user name {name}")
    return pk


def describe(connection: Connection, pk: int, name: str) -> Person:
    work = connection.execute(
        select(Course.name, func.count(), func.count(Feedback.submission_pk))
        .select_from(Submission)
        .join(Assignment, Assignment.pk == Submission.assignment_pk)
        .join(Course, Course.pk == Assignment.course_pk)
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .where(Submission.user_pk == pk)
        .group_by(Course.name)
        .order_by(Course.name)
    )
    by_name = connection.execute(
        select(
            *(
                select(func.count()).where(table.by == name).scalar_subquery().label(label)
                for label, table in (
                    ("releases", Release),
                    ("feedback", Feedback),
                    ("uploads", Upload),
                )
            )
        )
    ).one()
    roles = _list_roles(connection, [pk])[pk]
    return Person(name, roles, [Work(*row) for row in work], by_name._asdict())


# ---- another name ----


def rename(connection: Connection, identity: Identity, name: str, new_name: str) -> None:
    """Give somebody, with all work and roles, the name that the Hub has now; for admins.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: nobody has this name.
        InvalidRequest: nobody can be called so.
        Conflict: somebody is called so already.
    """
    require_admin(identity)
    wire.check_name(new_name)
    pks = lock(connection, name, new_name)
    if new_name in pks:
        raise Conflict(
            f"There is somebody called {new_name} already; if the two are one person, merge them"
        )
    _change_name(connection, pks[name], name, new_name)
    audit.record(
        connection, identity, Change("rename person", username=name, detail=f"now {new_name}")
    )


def lock(connection: Connection, name: str, *others: str) -> dict[str, int]:
    """The primary keys of users who are there, by name; nobody may refer to them meanwhile.

    Raises:
        NotFound: the first is not.
    """
    rows = connection.execute(
        select(User.name, User.pk)
        .where(User.name.in_([name, *others]))
        .order_by(User.pk)
        .with_for_update()
    )
    pks = {row.name: row.pk for row in rows}
    if name not in pks:
        raise NotFound(f"There is nobody with the user name {name}")
    return pks


def _change_name(connection: Connection, pk: int, name: str, new_name: str) -> None:
    connection.execute(update(User).where(User.pk == pk).values(name=new_name))
    pass_on(connection, name, new_name)


def pass_on(connection: Connection, name: str, new_name: str) -> None:
    """What bears somebody's name alone: it must not become that of the next one called so."""
    same = aliased(Upload)
    both_sent = select(same.pk).where(
        same.course_pk == Upload.course_pk,
        same.snapshot_pk == Upload.snapshot_pk,
        same.by == new_name,
    )
    connection.execute(delete(Upload).where(Upload.by == name, both_sent.exists()))
    for table in (Upload, Release, Feedback, Removal):
        connection.execute(update(table).where(table.by == name).values(by=new_name))


def deactivate(connection: Connection, identity: Identity, name: str) -> str:
    """Set somebody aside who has left, so that the user name can be another person's; for admins.

    Returns:
        The name that the person has now; the work and the courses of the past stay under it.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: nobody has this name.
    """
    require_admin(identity)
    pk = lock(connection, name)[name]
    new_name = _free_name(connection, name)
    roles = [role for role in _list_roles(connection, [pk])[pk] if role.active]
    _change_name(connection, pk, name, new_name)
    connection.execute(update(Membership).where(Membership.user_pk == pk).values(active=False))
    detail = f"now {new_name}"
    removed = (Change(f"remove {r.role}", r.course_id, username=name, detail=detail) for r in roles)
    change = Change("deactivate person", username=name, detail=detail)
    audit.record(connection, identity, *removed, change)
    return new_name


def _free_name(connection: Connection, name: str) -> str:
    """One that no Hub is likely to give anybody."""
    today = datetime.now(timezone.utc).date().isoformat()
    number = 1
    while True:
        mark = f" (deactivated {today})" if number == 1 else f" (deactivated {today}, {number})"
        room = wire.MAX_SEGMENT_BYTES - len(mark)
        new_name = name.encode()[:room].decode(errors="ignore") + mark
        if connection.scalar(select(User.pk).where(User.name == new_name)) is None:
            return new_name
        number += 1

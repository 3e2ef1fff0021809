"""Two user names of one person: the work and the courses of one become those of the other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Row, delete, literal, select, update
from sqlalchemy.orm import aliased

from ngshare import audit
from ngshare.audit import Change
from ngshare.database.engine import insert
from ngshare.database.models import INSTRUCTOR, Fetch, Key, Membership, Submission, User
from ngshare.errors import InvalidRequest, NotFound
from ngshare.people import Person, Role, describe, get_pk, lock, pass_on
from ngshare.permissions import Identity, require_admin


@dataclass(frozen=True)
class Merger:
    """What merging somebody into another person would do.

    Attributes:
        roles: what the other one would be in his courses then.
        gained: what the other one is not in now.
    """

    person: Person
    other: Person
    roles: Sequence[Role]

    @property
    def gained(self) -> list[Role]:
        return [role for role in self.roles if role.active and role not in self.other.roles]

    @property
    def digest(self) -> str:
        """Differs where the rights that it gives do."""
        roles = [*self.person.roles], [*self.other.roles]
        return hashlib.sha256(repr(roles).encode("utf-8", "replace")).hexdigest()


def preview_merger(connection: Connection, identity: Identity, name: str, into: str) -> Merger:
    """What `merge` would do now, for admins; raises as it does."""
    require_admin(identity)
    _require_two(name, into)
    pks = [get_pk(connection, each) for each in (name, into)]
    person, other = (
        describe(connection, pk, each) for pk, each in zip(pks, (name, into), strict=True)
    )
    roles = {role.course_id: role for role in person.roles}
    for role in other.roles:
        mine = roles.get(role.course_id)
        roles[role.course_id] = role if mine is None else _combine(mine, role)
    return Merger(person, other, [roles[course_id] for course_id in sorted(roles)])


def _require_two(name: str, into: str) -> None:
    if name == into:
        raise InvalidRequest("These are the same name; a merger needs two")


def _combine(one: Role, other: Role) -> Role:
    """Of two roles in a course: of those that are active the one with more rights."""
    active = [role.role for role in (one, other) if role.active]
    role = INSTRUCTOR if INSTRUCTOR in active else [*active, other.role][0]
    return other._replace(role=role, active=bool(active))


def merge_planned(
    connection: Connection, identity: Identity, name: str, into: str, digest: str
) -> tuple[Merger, bool]:
    """`merge`, unless that would give other rights now than a preview told.

    Args:
        digest: of the preview.

    Returns:
        The preview as it is now, and whether it was done.
    """
    require_admin(identity)
    _require_two(name, into)
    _lock_memberships(connection, lock(connection, name, into).values())
    merger = preview_merger(connection, identity, name, into)
    if merger.digest != digest:
        return merger, False
    merge(connection, identity, name, into)
    return merger, True


def merge(connection: Connection, identity: Identity, name: str, into: str) -> None:
    """Make the work and the courses of one user those of another, who is the same person.

    Times and contents of submissions stay as they are; of two of the very same moment, which are
    of no person's doing, the one that moves becomes a microsecond later. For admins.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: nobody has one of these names.
        InvalidRequest: they are the same.
    """
    require_admin(identity)
    _require_two(name, into)
    pks = lock(connection, name, into)
    if into not in pks:
        raise NotFound(f"There is nobody with the user name {into}")
    pk, into_pk = pks[name], pks[into]
    person = describe(connection, pk, name)
    courses = _merge_memberships(connection, pk, into_pk)
    _make_distinct(connection, pk, into_pk)
    moved = connection.execute(
        update(Submission).where(Submission.user_pk == pk).values(user_pk=into_pk)
    )
    _move_fetches(connection, pk, into_pk)
    pass_on(connection, name, into)
    connection.execute(delete(User).where(User.pk == pk))
    affected = {role.course_id for role in person.roles} | {work.course_id for work in person.work}
    of_courses = (
        Change("merge person", course_id, username=name, detail=f"into {into}")
        for course_id in sorted(affected)
    )
    detail = f"into {into}; courses: {courses}, submissions: {moved.rowcount}"
    change = Change("merge person", username=name, detail=detail)
    audit.record(connection, identity, *of_courses, change)


def _merge_memberships(connection: Connection, pk: int, into_pk: int) -> int:
    """Of two in one course, the row of the one who stays is kept; how many moved or went."""
    rows = _lock_memberships(connection, [pk, into_pk])
    kept = {row.course_pk: row for row in rows if row.user_pk == into_pk}
    moving = [row for row in rows if row.user_pk == pk]
    both = [row for row in moving if row.course_pk in kept]
    connection.execute(delete(Membership).where(Membership.pk.in_([row.pk for row in both])))
    connection.execute(update(Membership).where(Membership.user_pk == pk).values(user_pk=into_pk))
    for row in both:
        mine = kept[row.course_pk]
        role = _combine(_role_of(row), _role_of(mine))
        texts = {
            text: getattr(mine, text) or getattr(row, text)
            for text in ("first_name", "last_name", "email")
        }
        connection.execute(
            update(Membership)
            .where(Membership.pk == mine.pk)
            .values(role=role.role, active=role.active, **texts)
        )
    return len(moving)


def _lock_memberships(connection: Connection, user_pks: Collection[int]) -> Sequence[Row]:
    locked = select(Membership).where(Membership.user_pk.in_(user_pks))
    return connection.execute(locked.order_by(Membership.pk).with_for_update()).all()


def _move_fetches(connection: Connection, pk: int, into_pk: int) -> None:
    """Of a version that both have fetched, the first time stays; the rest goes with the user."""
    columns = (Fetch.assignment_pk, literal(into_pk, Key).label("user_pk"), Fetch.version, Fetch.at)
    row = insert(connection, Fetch)
    connection.execute(
        row.from_select(
            ["assignment_pk", "user_pk", "version", "at"],
            select(*columns).where(Fetch.user_pk == pk),
        ).on_conflict_do_update(
            index_elements=["assignment_pk", "user_pk", "version"],
            set_={"at": row.excluded.at},
            where=row.excluded.at < Fetch.at,
        )
    )


def _role_of(membership: Row) -> Role:
    return Role("", membership.role, membership.active, is_hidden=False)


def _make_distinct(connection: Connection, pk: int, into_pk: int) -> None:
    """Let no submission that is to move have a time or a key that the other one's have."""
    theirs = aliased(Submission)
    same_assignment = (
        theirs.assignment_pk == Submission.assignment_pk,
        theirs.user_pk == into_pk,
    )
    moving = Submission.user_pk == pk
    same_key = select(theirs.pk).where(
        *same_assignment, theirs.idempotency_key == Submission.idempotency_key
    )
    connection.execute(
        update(Submission).where(moving, same_key.exists()).values(idempotency_key=None)
    )
    same_time = select(theirs.pk).where(*same_assignment, theirs.at == Submission.at)
    meeting = connection.execute(
        select(Submission.pk, Submission.assignment_pk, Submission.at)
        .where(moving, same_time.exists())
        .order_by(Submission.at)
    ).all()
    taken = {
        tuple(row)
        for row in connection.execute(
            select(Submission.assignment_pk, Submission.at).where(
                Submission.user_pk.in_([pk, into_pk]),
                Submission.assignment_pk.in_({row.assignment_pk for row in meeting}),
            )
        )
    }
    for row in meeting:
        at = row.at
        while (row.assignment_pk, at) in taken:
            at += timedelta(microseconds=1)
        taken.add((row.assignment_pk, at))
        connection.execute(update(Submission).where(Submission.pk == row.pk).values(at=at))

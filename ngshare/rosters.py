"""Rosters: the instructors and students of a course."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, select, update

from ngshare import audit, wire
from ngshare.audit import Change
from ngshare.database.engine import insert
from ngshare.database.models import INSTRUCTOR, STUDENT, Course, Membership, User
from ngshare.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ngshare.permissions import (
    Access,
    Identity,
    enter_course,
    require_admin,
    require_instructor,
    require_member,
    require_self_or_instructor,
)
from ngshare.users import ensure_users, in_batches

NOT_AS_STUDENT = "Cannot add instructor as student"


@dataclass(frozen=True)
class Person:
    """Somebody in a roster; what nobody has told yet is None."""

    username: str
    first_name: str | None
    last_name: str | None
    email: str | None

    def complete(self) -> Person:
        """The same person with tidy texts.

        Raises:
            InvalidRequest: one of the texts is missing.
        """
        if self.first_name is None:
            raise InvalidRequest("Please supply first name")
        if self.last_name is None:
            raise InvalidRequest("Please supply last name")
        if self.email is None:
            raise InvalidRequest("Please supply email")
        return Person(
            self.username,
            wire.clean_text(self.first_name),
            wire.clean_text(self.last_name),
            wire.clean_text(self.email),
        )


def _people(course_pk: int, role: str) -> Select:
    """The active members with a role, in the order of being added."""
    return (
        select(User.name, Membership.first_name, Membership.last_name, Membership.email)
        .join(Membership, Membership.user_pk == User.pk)
        .where(Membership.course_pk == course_pk, Membership.role == role, Membership.active)
        .order_by(Membership.pk)
    )


def _get_person(connection: Connection, course_pk: int, role: str, user_name: str) -> Person:
    row = connection.execute(_people(course_pk, role).where(User.name == user_name)).one_or_none()
    if row is None:
        raise NotFound(f"{role.capitalize()} not found")
    return Person(*row)


def _store(
    connection: Connection, access: Access, course_id: str, role: str, people: Sequence[Person]
) -> None:
    """Add or update members; the last of several rows for one person counts."""
    pks = ensure_users(connection, [person.username for person in people])
    changes = _changes(connection, access.course_pk, course_id, role, people)
    audit.record(connection, access.identity, *changes)
    row = insert(connection, Membership)
    columns = ("role", "first_name", "last_name", "email", "active")
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["course_pk", "user_pk"],
            set_={column: row.excluded[column] for column in columns},
        ),
        [
            {
                "course_pk": access.course_pk,
                "user_pk": pks[person.username],
                "role": role,
                "first_name": person.first_name,
                "last_name": person.last_name,
                "email": person.email,
                "active": True,
            }
            for person in people
        ],
    )


def _changes(
    connection: Connection, course_pk: int, course_id: str, role: str, people: Sequence[Person]
) -> Iterator[Change]:
    """What storing these people is about to change."""
    wanted = {person.username: person for person in people}
    as_they_are = _people(course_pk, role)
    found: dict[str, Person] = {}
    for names in in_batches(list(wanted)):
        for row in connection.execute(as_they_are.where(User.name.in_(names))):
            found[row.name] = Person(*row)
    for name, person in wanted.items():
        if name not in found:
            yield Change(f"add {role}", course_id, username=name)
        elif person != found[name]:
            yield Change(f"edit {role}", course_id, username=name)


def lock(connection: Connection, course_pk: int) -> None:
    """Let no one else change the roster before this transaction ends."""
    connection.execute(
        select(Course.pk).where(Course.pk == course_pk).with_for_update(key_share=True)
    )


def _remove(
    connection: Connection, access: Access, course_id: str, role: str, user_name: str
) -> None:
    lock(connection, access.course_pk)
    _get_person(connection, access.course_pk, role, user_name)
    user_pk = select(User.pk).where(User.name == user_name).scalar_subquery()
    connection.execute(
        update(Membership)
        .where(Membership.course_pk == access.course_pk, Membership.user_pk == user_pk)
        .values(active=False)
    )
    audit.record(
        connection, access.identity, Change(f"remove {role}", course_id, username=user_name)
    )


def list_instructors(connection: Connection, identity: Identity, course_id: str) -> list[Person]:
    """The instructors of a course, for its members."""
    access = require_member(connection, identity, course_id)
    return [Person(*row) for row in connection.execute(_people(access.course_pk, INSTRUCTOR))]


def get_instructor(connection: Connection, identity: Identity, course_id: str, name: str) -> Person:
    """One instructor, for the members of the course.

    Raises:
        NotFound: no such course, or no such instructor in it.
    """
    access = require_member(connection, identity, course_id)
    return _get_person(connection, access.course_pk, INSTRUCTOR, name)


def _as_new(connection: Connection, course_pk: int, role: str, person: Person) -> Person:
    """Somebody who is to be new in a role; what is not told now stays as it was in another one.

    Raises:
        Conflict: the person has this role already.
    """
    row = connection.execute(
        select(Membership)
        .join(User, User.pk == Membership.user_pk)
        .where(Membership.course_pk == course_pk, User.name == person.username)
    ).one_or_none()
    if row is None:
        return person
    if row.active and row.role == role:
        a_role = "an instructor" if role == INSTRUCTOR else "a student"
        raise Conflict(f"{person.username} is {a_role} of this course already")
    return Person(
        person.username,
        person.first_name or row.first_name,
        person.last_name or row.last_name,
        person.email or row.email,
    )


def add_instructor(
    connection: Connection,
    identity: Identity,
    course_id: str,
    person: Person,
    replace: bool = True,
) -> None:
    """Appoint or update an instructor: admins anybody, instructors themselves.

    A student of the course becomes an instructor.

    Args:
        replace: whether the person may be an instructor already; if not, texts that are empty stay
            as they were.

    Raises:
        PermissionDenied: the caller is neither.
        InvalidRequest: a text is missing.
        Conflict: the person is an instructor already, and not to be replaced.
    """
    access = require_instructor(connection, identity, course_id)
    if not identity.is_admin and not access.is_self(person.username):
        raise PermissionDenied("Permission denied")
    person = person.complete()
    lock(connection, access.course_pk)
    if not replace:
        person = _as_new(connection, access.course_pk, INSTRUCTOR, person)
    _store(connection, access, course_id, INSTRUCTOR, [person])


def remove_instructor(
    connection: Connection, identity: Identity, course_id: str, name: str
) -> None:
    """Remove an instructor, for admins; what he submitted stays.

    Raises:
        PermissionDenied: the caller is no admin; looked at before the course.
        NotFound: no such course, or no such instructor in it.
    """
    require_admin(identity)
    access = enter_course(connection, identity, course_id)
    _remove(connection, access, course_id, INSTRUCTOR, name)


def list_students(connection: Connection, identity: Identity, course_id: str) -> list[Person]:
    """The students of a course, for its instructors."""
    access = require_instructor(connection, identity, course_id)
    return [Person(*row) for row in connection.execute(_people(access.course_pk, STUDENT))]


def get_student(connection: Connection, identity: Identity, course_id: str, name: str) -> Person:
    """One student, for instructors and the student.

    Raises:
        NotFound: no such course, or no such student in it.
    """
    access = require_self_or_instructor(connection, identity, course_id, name)
    return _get_person(connection, access.course_pk, STUDENT, name)


def add_student(
    connection: Connection,
    identity: Identity,
    course_id: str,
    person: Person,
    replace: bool = True,
) -> None:
    """Add or update a student, for instructors.

    Args:
        replace: whether the person may be a student already; if not, texts that are empty stay as
            they were.

    Raises:
        InvalidRequest: a text is missing.
        Conflict: the person is an instructor of the course, or is a student already and not to
            be replaced.
    """
    access = require_instructor(connection, identity, course_id)
    person = person.complete()
    lock(connection, access.course_pk)
    teaches = _people(access.course_pk, INSTRUCTOR).where(User.name == person.username)
    if connection.execute(teaches).one_or_none():
        raise Conflict(NOT_AS_STUDENT)
    if not replace:
        person = _as_new(connection, access.course_pk, STUDENT, person)
    _store(connection, access, course_id, STUDENT, [person])


def add_students(
    connection: Connection, identity: Identity, course_id: str, people: Sequence[Person]
) -> list[str | None]:
    """Add or update many students, for instructors; for each row None or why it was left out."""
    access = require_instructor(connection, identity, course_id)
    lock(connection, access.course_pk)
    refusals = find_refusals(connection, access.course_pk, people)
    accepted = [p.complete() for p, refused in zip(people, refusals, strict=True) if not refused]
    if accepted:
        _store(connection, access, course_id, STUDENT, accepted)
    return refusals


def find_refusals(
    connection: Connection, course_pk: int, people: Sequence[Person]
) -> list[str | None]:
    """For each who is to be a student None, or why that can't be."""
    instructors = {name for name, *_ in connection.execute(_people(course_pk, INSTRUCTOR))}

    def refusal(person: Person) -> str | None:
        if person.username in instructors:
            return NOT_AS_STUDENT
        try:
            wire.check_name(person.username)
        except InvalidRequest as error:
            return error.message
        return None

    return [refusal(person) for person in people]


def remove_student(connection: Connection, identity: Identity, course_id: str, name: str) -> None:
    """Remove a student, for instructors; the work stays, visible to instructors.

    Raises:
        NotFound: no such course, or no such student in it.
    """
    access = require_instructor(connection, identity, course_id)
    _remove(connection, access, course_id, STUDENT, name)

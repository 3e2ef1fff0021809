"""Courses: list, create, delete."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timezone

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from ngshare import assignments, audit, rosters, wire
from ngshare.audit import Change
from ngshare.database.engine import insert
from ngshare.database.models import INSTRUCTOR, Assignment, Course, Membership, Upload, User
from ngshare.errors import Conflict, InvalidRequest, NotFound
from ngshare.permissions import Identity, enter_course, require_admin
from ngshare.users import ensure_users

EXISTS = "Course already exists"


_ALL_COURSES = select(Course.name).where(Course.deleted_at.is_(None)).order_by(Course.name)
_IS_MEMBER = Course.pk.in_(
    select(Membership.course_pk)
    .join(User, User.pk == Membership.user_pk)
    .where(User.name == bindparam("user_name"), Membership.active)
)
_COURSES_OF_MEMBER = _ALL_COURSES.where(_IS_MEMBER)
_COURSES_OF_USER = _ALL_COURSES.where(
    or_(Course.name.in_(bindparam("by_hub", expanding=True)), _IS_MEMBER)
)


def list_courses(connection: Connection, identity: Identity) -> list[str]:
    """The ids of the courses that the caller is in, or of all for an admin; sorted."""
    if identity.is_admin:
        return list(connection.scalars(_ALL_COURSES))
    by_hub = list(identity.taught | identity.attended)
    user = {"user_name": None if identity.is_service else identity.name}
    if not by_hub:  # few sites have such groups, and a list of names takes time to be put in
        return list(connection.scalars(_COURSES_OF_MEMBER, user))
    return list(connection.scalars(_COURSES_OF_USER, {**user, "by_hub": by_hub}))


def require_new_course(connection: Connection, identity: Identity, course_id: str) -> bool:
    """Whether there is a deleted course of this id, which comes back when it is created.

    Raises:
        PermissionDenied: the caller is no admin.
        Conflict: the course exists.
    """
    require_admin(identity)
    query = select(Course.deleted_at).where(Course.name == course_id)
    found = connection.execute(query).one_or_none()
    if found and found.deleted_at is None:
        raise Conflict(EXISTS)
    return found is not None


def create_course(
    connection: Connection, identity: Identity, course_id: str, instructors: Collection[str]
) -> None:
    """Create a course with its instructors.

    A deleted course comes back with its students and their work; its instructors are those named
    now, and no others.

    Raises:
        PermissionDenied: the caller is no admin.
        Conflict: the course exists.
    """
    comes_back = require_new_course(connection, identity, course_id)
    # Two creations at once: the row is locked by the first; the second finds it in sight and
    # changes nothing, so that there is no primary key to return.
    statement = insert(connection, Course).values(name=course_id, deleted_at=None)
    course_pk = connection.scalar(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"deleted_at": None},
            where=Course.deleted_at.is_not(None),
        ).returning(Course.pk)
    )
    if course_pk is None:
        raise Conflict(EXISTS)
    connection.execute(
        update(Membership)
        .where(Membership.course_pk == course_pk, Membership.role == INSTRUCTOR)
        .values(active=False)
    )
    pks = ensure_users(connection, instructors)
    teachers = f"instructors: {', '.join(pks)}" if pks else "no instructors"
    detail = f"again, with what was in it; {teachers}" if comes_back else teachers
    audit.record(connection, identity, Change("create course", course_id, detail=detail))
    _appoint(connection, course_pk, pks)


def _appoint(connection: Connection, course_pk: int, user_pks: Mapping[str, int]) -> None:
    """Make users instructors; what the roster says of them otherwise stays."""
    if not user_pks:
        return
    row = insert(connection, Membership)
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["course_pk", "user_pk"],
            set_={"role": row.excluded.role, "active": True},
        ),
        [
            {"course_pk": course_pk, "user_pk": pk, "role": INSTRUCTOR, "active": True}
            for pk in user_pks.values()
        ],
    )


_TEACHING = select(Membership.user_pk).where(
    Membership.course_pk == bindparam("course_pk"),
    Membership.role == INSTRUCTOR,
    Membership.active,
)


def appoint_instructors(
    connection: Connection, identity: Identity, course_id: str, names: Collection[str]
) -> None:
    """Make users instructors of a course, for admins; their names and addresses stay.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: no such course.
        InvalidRequest: nobody is named, or somebody can't be called so.
    """
    require_admin(identity)
    course_pk = enter_course(connection, identity, course_id).course_pk
    if not names:
        raise InvalidRequest("Please supply the user names of the instructors")
    for name in names:
        wire.check_name(name)
    rosters.lock(connection, course_pk)
    pks = ensure_users(connection, names)
    teaching = set(connection.scalars(_TEACHING, {"course_pk": course_pk}))
    new = {name: pk for name, pk in pks.items() if pk not in teaching}
    _appoint(connection, course_pk, new)
    changes = (Change("add instructor", course_id, username=name) for name in new)
    audit.record(connection, identity, *changes)


def delete_course(connection: Connection, identity: Identity, course_id: str, purge: bool) -> None:
    """Take a course out of sight; with purge, erase it with all its work.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: no such course.
    """
    require_admin(identity)
    if purge:
        found = select(Course.pk).where(Course.name == course_id).with_for_update()
        course_pk = connection.scalar(found)
        if course_pk is None:
            raise NotFound("Course not found")
        in_course = select(Assignment.pk).where(Assignment.course_pk == course_pk)
        assignments.erase(connection, connection.scalars(in_course).all())
        for table in (Upload, Membership):
            connection.execute(delete(table).where(table.course_pk == course_pk))
        connection.execute(delete(Course).where(Course.pk == course_pk))
        audit.record(connection, identity, Change("purge course", course_id))
        return
    deleted = connection.scalar(
        update(Course)
        .where(Course.name == course_id, Course.deleted_at.is_(None))
        .values(deleted_at=datetime.now(timezone.utc))
        .returning(Course.pk)
    )
    if deleted is None:
        raise NotFound("Course not found")
    audit.record(connection, identity, Change("delete course", course_id))


def restore_course(connection: Connection, identity: Identity, course_id: str) -> None:
    """Bring a deleted course back as it was, with its people, its instructors and its work.

    Raises:
        PermissionDenied: the caller is no admin.
        NotFound: no such course.
        Conflict: it was not deleted.
    """
    require_admin(identity)
    _lock_deleted(connection, course_id)
    connection.execute(update(Course).where(Course.name == course_id).values(deleted_at=None))
    audit.record(connection, identity, Change("restore course", course_id))


def purge_deleted_course(
    connection: Connection, identity: Identity, course_id: str, typed: str
) -> None:
    """Erase a deleted course with all its work.

    Args:
        typed: the course's id once more, by hand.

    Raises:
        InvalidRequest: what was typed is something else.
        others: see restore_course.
    """
    require_admin(identity)
    _lock_deleted(connection, course_id)
    if typed != course_id:
        raise InvalidRequest(f"Type the id of the course, {course_id}; nothing was erased")
    delete_course(connection, identity, course_id, purge=True)


def _lock_deleted(connection: Connection, course_id: str) -> None:
    """Keep a deleted course as it is until this transaction ends."""
    query = select(Course.pk, Course.deleted_at).where(Course.name == course_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("Course not found")
    if row.deleted_at is None:
        raise Conflict("This course is not deleted")

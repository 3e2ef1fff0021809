"""The whole policy: who may do what.

Rights come from the caller's identity and from the course that the request names, looked up anew
on every call. There are three rights in a course; each call's function asks for one of them:

- member: students, instructors and admins,
- instructor: instructors and admins,
- self or instructor: also the person whom the request is about.

An admin may do all an instructor may, in every course, and alone may create and delete courses
and appoint instructors. A service has no roles: it is an admin (if configured so) or nobody.

Where the configuration says so (`course_groups`), the Hub gives roles beside the roster: who is in
its group `formgrade-<course>` is an instructor, who is in `nbgrader-<course>` a student. These are
nbgrader's names for them (nbgrader/auth/jupyterhub.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, select

from ngshare.database.models import INSTRUCTOR, STUDENT, Course, Membership, User
from ngshare.errors import NotFound, PermissionDenied


@dataclass(frozen=True)
class Identity:
    """Who is calling.

    Attributes:
        name: of the user, or of the service; the same name may be both, and means two callers.
        is_service: whether a service of the Hub is calling.
        is_admin: whether the configuration names this caller as an admin.
        taught, attended: courses in which the Hub makes the caller an instructor or a student.
    """

    name: str
    is_service: bool = False
    is_admin: bool = False
    taught: frozenset[str] = frozenset()
    attended: frozenset[str] = frozenset()

    def role_by_hub(self, course_id: str) -> str | None:
        """The role that the Hub gives the caller in a course."""
        if course_id in self.taught:
            return INSTRUCTOR
        return STUDENT if course_id in self.attended else None

    def __str__(self) -> str:
        return f"service {self.name}" if self.is_service else self.name


@dataclass(frozen=True)
class Access:
    """What a caller is in one course.

    Attributes:
        user_pk: None for a service, and for who was never in any course.
        role: models.INSTRUCTOR, models.STUDENT, or None for an outsider or former member.
        was_member: whether the caller is or has been in the course.
    """

    identity: Identity
    course_pk: int
    user_pk: int | None
    role: str | None
    was_member: bool

    @property
    def is_member(self) -> bool:
        return self.identity.is_admin or self.role is not None

    @property
    def is_instructor(self) -> bool:
        return self.identity.is_admin or self.role == INSTRUCTOR

    def is_self(self, user_name: str) -> bool:
        return not self.identity.is_service and self.identity.name == user_name


# Built once, as are others that many calls need: to build a statement takes longer than to run it.
_ENTER = (
    select(Course.pk, User.pk.label("user_pk"), Membership.role, Membership.active)
    .select_from(Course)
    .outerjoin(User, User.name == bindparam("user_name"))
    .outerjoin(Membership, and_(Membership.course_pk == Course.pk, Membership.user_pk == User.pk))
    .where(Course.name == bindparam("course_id"), Course.deleted_at.is_(None))
)


def better_role(one: str | None, other: str | None) -> str | None:
    """Of two roles in a course the one with more rights."""
    return INSTRUCTOR if INSTRUCTOR in (one, other) else one or other


def require_admin(identity: Identity) -> None:
    """Raise PermissionDenied unless the caller is an admin."""
    if not identity.is_admin:
        raise PermissionDenied("Permission denied")


def enter_course(connection: Connection, identity: Identity, course_id: str) -> Access:
    """What the caller is in the course; one statement.

    Raises:
        NotFound: no such course.
    """
    user_name = None if identity.is_service else identity.name
    names = {"course_id": course_id, "user_name": user_name}
    row = connection.execute(_ENTER, names).one_or_none()
    if row is None:
        raise NotFound("Course not found")
    by_hub = identity.role_by_hub(course_id)
    return Access(
        identity,
        course_pk=row.pk,
        user_pk=row.user_pk,
        role=better_role(row.role if row.active else None, by_hub),
        was_member=row.role is not None or by_hub is not None,
    )


def require_member(connection: Connection, identity: Identity, course_id: str) -> Access:
    """Enter the course as a student, an instructor or an admin.

    Raises:
        NotFound: no such course.
        PermissionDenied: the caller is none of them.
    """
    access = enter_course(connection, identity, course_id)
    if not access.is_member:
        raise PermissionDenied("Permission denied")
    return access


def require_instructor(connection: Connection, identity: Identity, course_id: str) -> Access:
    """Enter the course as an instructor or an admin; raises as require_member does."""
    access = enter_course(connection, identity, course_id)
    if not access.is_instructor:
        raise PermissionDenied("Permission denied")
    return access


def require_self_or_instructor(
    connection: Connection, identity: Identity, course_id: str, user_name: str
) -> Access:
    """Enter the course as an instructor, an admin, or the named user.

    Raises:
        NotFound: no such course; or the caller asks about himself and never was in the course,
            so that outsiders learn nothing more about it.
        PermissionDenied: the caller asks about somebody else.
    """
    access = enter_course(connection, identity, course_id)
    if access.is_instructor:
        return access
    if not access.is_self(user_name):
        raise PermissionDenied("Permission denied")
    if not access.was_member:
        raise NotFound("Student not found")
    return access

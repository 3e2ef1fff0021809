"""What instructors see of a course: its people, its assignments and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Select, Subquery, bindparam, distinct, exists, func, select
from sqlalchemy.orm import aliased

from ngshare.assignments import get_assignment
from ngshare.database.models import (
    REMOVED,
    Assignment,
    Feedback,
    Membership,
    Release,
    Snapshot,
    Submission,
    User,
)
from ngshare.errors import NotFound
from ngshare.permissions import Access, Identity, require_instructor
from ngshare.tables import Rows, View, load_rows

SEARCHED = (User.name, Membership.first_name, Membership.last_name, Membership.email)
# What load_people can sort by.
PEOPLE = {
    "name": User.name,
    "first_name": func.lower(func.nullif(Membership.first_name, "")),
    "last_name": func.lower(func.nullif(Membership.last_name, "")),
    "email": func.lower(func.nullif(Membership.email, "")),
    "role": Membership.role,
}


@dataclass(frozen=True)
class AssignmentOverview:
    """An assignment and what came of it.

    Attributes:
        released_at: None while it is un-released.
        version, version_at: the newest version, and since when it is there.
        students: how many people submitted.
        submissions, feedback: how many there are.
    """

    assignment_id: str
    released_at: datetime | None
    version: int
    version_at: datetime
    students: int
    submissions: int
    feedback: int


def _people(course_pk: int) -> Select:
    return (
        select(*SEARCHED, Membership.role)
        .join(Membership, Membership.user_pk == User.pk)
        .where(Membership.course_pk == course_pk, Membership.active)
    )


def load_people(connection: Connection, identity: Identity, course_id: str, view: View) -> Rows:
    """A part of the roster, for instructors.

    Returns:
        Rows of name, first_name, last_name, email and role.
    """
    access = require_instructor(connection, identity, course_id)
    return load_rows(connection, _people(access.course_pk), view, PEOPLE, SEARCHED, User.name)


def get_person(connection: Connection, identity: Identity, course_id: str, name: str) -> Row:
    """The same of one person in the roster.

    Raises:
        NotFound: no such course, or no such person in it.
    """
    access = require_instructor(connection, identity, course_id)
    row = connection.execute(_people(access.course_pk).where(User.name == name)).one_or_none()
    if row is None:
        raise NotFound("Person not found")
    return row


def list_assignments(
    connection: Connection, identity: Identity, course_id: str
) -> list[AssignmentOverview]:
    """All assignments, for instructors: in the order of release, then those un-released."""
    access = require_instructor(connection, identity, course_id)
    return _overviews(connection, access)


def _overviews(
    connection: Connection, access: Access, assignment_id: str | None = None
) -> list[AssignmentOverview]:
    wanted = select(Assignment.pk).where(Assignment.course_pk == access.course_pk)
    if assignment_id is not None:
        wanted = wanted.where(Assignment.name == assignment_id)
    newest, work = _newest(wanted), _work(wanted)
    query = (
        select(
            Assignment.name,
            Assignment.released_at,
            newest.c.version,
            newest.c.at,
            func.coalesce(work.c.students, 0),
            func.coalesce(work.c.submissions, 0),
            func.coalesce(work.c.feedback, 0),
        )
        .join(newest, newest.c.assignment_pk == Assignment.pk)
        .outerjoin(work, work.c.assignment_pk == Assignment.pk)
        .order_by(Assignment.released_at.nulls_last(), Assignment.pk)
    )
    return [AssignmentOverview(*row) for row in connection.execute(query)]


def _newest(assignment_pks: Select) -> Subquery:
    return (
        select(
            Release.assignment_pk,
            func.max(Release.version).label("version"),
            func.max(Release.at).label("at"),
        )
        .where(Release.assignment_pk.in_(assignment_pks))
        .group_by(Release.assignment_pk)
        .subquery()
    )


def _work(assignment_pks: Select) -> Subquery:
    return (
        select(
            Submission.assignment_pk,
            func.count(distinct(Submission.user_pk)).label("students"),
            func.count().label("submissions"),
            func.count(Feedback.submission_pk).label("feedback"),
        )
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .where(Submission.assignment_pk.in_(assignment_pks), Submission.pk.not_in(REMOVED))
        .group_by(Submission.assignment_pk)
        .subquery()
    )


def load_versions(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> tuple[AssignmentOverview, Sequence[Row]]:
    """An assignment, also an un-released one, and its versions, the newest first.

    Returns:
        The assignment, and rows of version, at, by, size and file_count.

    Raises:
        NotFound: no such course, or no such assignment.
    """
    access = require_instructor(connection, identity, course_id)
    found = _overviews(connection, access, assignment_id)
    if not found:
        raise NotFound("Assignment not found")
    versions = (
        select(Release.version, Release.at, Release.by, Snapshot.size, Snapshot.file_count)
        .join(Snapshot, Snapshot.pk == Release.snapshot_pk)
        .join(Assignment, Assignment.pk == Release.assignment_pk)
        .where(Assignment.course_pk == access.course_pk, Assignment.name == assignment_id)
        .order_by(Release.version.desc())
    )
    return found[0], connection.execute(versions).all()


_later = aliased(Submission)
_LATEST = (
    select(User.name.label("student_id"), Submission.at, Snapshot.digest, Snapshot.file_count)
    .join(User, User.pk == Submission.user_pk)
    .join(Snapshot, Snapshot.pk == Submission.snapshot_pk)
    .where(
        Submission.assignment_pk == bindparam("assignment_pk"),
        Submission.pk.not_in(REMOVED),
        ~exists(_later.pk).where(
            _later.assignment_pk == Submission.assignment_pk,
            _later.user_pk == Submission.user_pk,
            _later.at > Submission.at,
            _later.pk.not_in(REMOVED),
        ),
    )
    .order_by(User.name)
)


def latest_submissions(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> Sequence[Row]:
    """Everybody's newest submission, sorted by user name, for instructors.

    Returns:
        student_id, at, and the digest and file_count of the directory.
    """
    access = require_instructor(connection, identity, course_id)
    where = {"assignment_pk": get_assignment(connection, access, assignment_id)}
    return connection.execute(_LATEST, where).all()

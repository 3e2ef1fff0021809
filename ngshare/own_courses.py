"""What a person has in his courses: as a student, and at one glance as an instructor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from ngshare.assignments import get_assignment
from ngshare.database.models import (
    INSTRUCTOR,
    REMOVED,
    STUDENT,
    Assignment,
    Course,
    Feedback,
    Membership,
    Release,
    Snapshot,
    Submission,
)
from ngshare.listings import courses_of, user_pk_of
from ngshare.permissions import Identity, require_member, require_self_or_instructor
from ngshare.submissions import get_student_pk
from ngshare.tables import Rows, View, load_rows

_IN_SIGHT = Submission.pk.not_in(REMOVED)


@dataclass(frozen=True)
class Work:
    """A released assignment, and what the caller has submitted to it.

    Attributes:
        version, version_at: the newest version, and since when it is there.
        submissions, feedback: how many there are.
        submitted_at, feedback_at: of the latest, None if there is none.
        feedback_for: the time of the latest submission that has feedback.
        is_mine: whether the caller is a student of the course.
    """

    course_id: str
    assignment_id: str
    version: int
    version_at: datetime
    submissions: int
    submitted_at: datetime | None
    feedback: int
    feedback_at: datetime | None
    feedback_for: datetime | None
    is_mine: bool


@dataclass(frozen=True)
class Attended:
    """What a student sees at first.

    Attributes:
        courses: those that the caller is a student of, sorted, each with its assignments, the
            latest released first.
        others: what the caller has submitted to courses that he is in no more.
    """

    courses: dict[str, list[Work]]
    others: list[Work]


def load_attended(connection: Connection, identity: Identity) -> Attended:
    """The courses that the caller is a student of."""
    is_student = _is_student(identity)
    names = connection.scalars(
        select(Course.name).where(is_student, Course.deleted_at.is_(None)).order_by(Course.name)
    )
    courses: dict[str, list[Work]] = {name: [] for name in names}
    others = []
    was_member = Course.pk.not_in(courses_of(identity))
    query = _select_work(identity)
    submitted = query.selected_columns.submissions > 0
    for row in connection.execute(query.where(or_(is_student, and_(was_member, submitted)))):
        work = Work(*row)
        if work.is_mine:
            courses[work.course_id].append(work)
        else:
            others.append(work)
    return Attended(courses, others)


def list_work(connection: Connection, identity: Identity, course_id: str) -> list[Work]:
    """The assignments of one course, the latest released first, for members."""
    access = require_member(connection, identity, course_id)
    query = _select_work(identity).where(Course.pk == access.course_pk)
    return [Work(*row) for row in connection.execute(query)]


def _is_student(identity: Identity) -> Any:
    taught = courses_of(identity, INSTRUCTOR)
    return and_(Course.pk.in_(courses_of(identity)), Course.pk.not_in(taught))


def _select_work(identity: Identity) -> Select:
    has_feedback = case((Feedback.submission_pk.is_not(None), Submission.at))
    mine = (
        select(
            Submission.assignment_pk,
            func.count().label("submissions"),
            func.max(Submission.at).label("submitted_at"),
            func.count(Feedback.submission_pk).label("feedback"),
            func.max(Feedback.at).label("feedback_at"),
            func.max(has_feedback).label("feedback_for"),
        )
        .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
        .where(Submission.user_pk == user_pk_of(identity), _IN_SIGHT)
        .group_by(Submission.assignment_pk)
        .subquery()
    )
    later = aliased(Release)
    is_later = and_(later.assignment_pk == Assignment.pk, later.version > Release.version)
    return (
        select(
            Course.name.label("course_id"),
            Assignment.name.label("assignment_id"),
            Release.version,
            Release.at.label("version_at"),
            func.coalesce(mine.c.submissions, 0).label("submissions"),
            mine.c.submitted_at,
            func.coalesce(mine.c.feedback, 0).label("feedback"),
            mine.c.feedback_at,
            mine.c.feedback_for,
            _is_student(identity).label("is_mine"),
        )
        .join(Assignment, Assignment.course_pk == Course.pk)
        .join(Release, Release.assignment_pk == Assignment.pk)
        .outerjoin(mine, mine.c.assignment_pk == Assignment.pk)
        .where(Assignment.released_at.is_not(None), Course.deleted_at.is_(None))
        .where(~select(later.version).where(is_later).exists())
        .order_by(Course.name, Assignment.released_at.desc(), Assignment.pk.desc())
    )


# What load_submissions can sort by.
SUBMISSIONS = {"at": Submission.at}


_given = aliased(Snapshot)
_SUBMISSIONS = (
    select(
        Submission.pk,
        Submission.at,
        Snapshot.size,
        Snapshot.file_count,
        Snapshot.digest,
        Feedback.at.label("feedback_at"),
        _given.file_count.label("feedback_count"),
    )
    .join(Snapshot, Snapshot.pk == Submission.snapshot_pk)
    .outerjoin(Feedback, Feedback.submission_pk == Submission.pk)
    .outerjoin(_given, _given.pk == Feedback.snapshot_pk)
    .where(_IN_SIGHT)
)


def load_submissions(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    student_id: str | None,
    view: View,
) -> Rows:
    """One person's submissions to an assignment, for instructors and that person.

    Args:
        student_id: None for the caller, who must be a member then.

    Returns:
        Rows of pk, at, size, file_count, digest, feedback_at and feedback_count, the last of
        which is the number of files.

    Raises:
        NotFound: no such course, assignment, or person in the course.
    """
    if student_id is None:
        access = require_member(connection, identity, course_id)
        assignment_pk = get_assignment(connection, access, assignment_id)
        is_theirs = Submission.user_pk == user_pk_of(identity)
    else:
        access = require_self_or_instructor(connection, identity, course_id, student_id)
        assignment_pk = get_assignment(connection, access, assignment_id)
        student_pk = get_student_pk(connection, access, assignment_pk, student_id)
        is_theirs = Submission.user_pk == student_pk
    query = _SUBMISSIONS.where(Submission.assignment_pk == assignment_pk, is_theirs)
    return load_rows(connection, query, view, SUBMISSIONS, [], Submission.pk.desc())


def _count_members(role: str) -> Any:
    return (
        select(func.count())
        .where(Membership.course_pk == Course.pk, Membership.active, Membership.role == role)
        .scalar_subquery()
    )


_OF_COURSE = and_(
    Assignment.pk == Submission.assignment_pk,
    Assignment.course_pk == Course.pk,
    Assignment.released_at.is_not(None),
    _IN_SIGHT,
)
_COURSES = {
    "course_id": Course.name,
    "students": _count_members(STUDENT),
    "instructors": _count_members(INSTRUCTOR),
    "assignments": select(func.count())
    .where(Assignment.course_pk == Course.pk, Assignment.released_at.is_not(None))
    .scalar_subquery(),
    "submissions": select(func.count(Submission.pk)).where(_OF_COURSE).scalar_subquery(),
    "submitted_at": select(func.max(Submission.at)).where(_OF_COURSE).scalar_subquery(),
}
# What load_taught can sort by.
COURSES = {name: column.label(name) for name, column in _COURSES.items()}


def load_taught(connection: Connection, identity: Identity, view: View, every: bool) -> Rows:
    """The courses that the caller teaches, at one glance.

    Args:
        every: all courses, if the caller is an admin.

    Returns:
        Rows of course_id, and the numbers of students, instructors, released assignments and
        submissions to them; submitted_at is when the latest came.
    """
    query = select(*COURSES.values()).where(Course.deleted_at.is_(None))
    if not (every and identity.is_admin):
        query = query.where(Course.pk.in_(courses_of(identity, INSTRUCTOR)))
    return load_rows(connection, query, view, COURSES, [Course.name], Course.name)

"""Submissions: submit, list, collect. A submission is never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, func, insert, or_, select

from ngshare import audit, references, wire
from ngshare.assignments import get_assignment
from ngshare.audit import Change
from ngshare.database import snapshots
from ngshare.database.models import REMOVED, Membership, Snapshot, Submission, User
from ngshare.database.snapshots import PackedSnapshot, StoredFile
from ngshare.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ngshare.limits import UNLIMITED, Limits
from ngshare.permissions import (
    Access,
    Identity,
    require_instructor,
    require_member,
    require_self_or_instructor,
)
from ngshare.users import ensure_users

OTHER_FILES = "This Idempotency-Key stands for a submission of other files"


class Listed(NamedTuple):
    """A submission as the lists of a course show it."""

    student_id: str
    at: datetime


@dataclass(frozen=True)
class Receipt:
    """What was recorded.

    Attributes:
        digest: of the directory.
        is_duplicate: whether it is equal to the one that the same person submitted before.
    """

    submission_pk: int
    at: datetime
    digest: bytes
    is_duplicate: bool


@dataclass(frozen=True)
class TimedFiles:
    """A directory that belongs to the submission of a certain time."""

    submission_pk: int
    at: datetime
    files: list[StoredFile]


def require_submitter(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> int:
    """The assignment's primary key, if the caller may submit to it.

    Raises:
        NotFound: no such course or assignment.
        PermissionDenied: no member of the course, or a service, which can't be a student.
    """
    return _enter(connection, identity, course_id, assignment_id, keep=False)[1]


def _enter(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str, keep: bool
) -> tuple[Access, int]:
    access = require_member(connection, identity, course_id)
    if identity.is_service:
        raise PermissionDenied("Permission denied")
    return access, get_assignment(connection, access, assignment_id, keep)


# One submission of a user at a time, so that their times grow.
_LOCK_USER = select(User.pk).where(User.name == bindparam("name")).with_for_update(key_share=True)
_WHOSE = (
    Submission.assignment_pk == bindparam("assignment_pk"),
    Submission.user_pk == bindparam("user_pk"),
)
_IN_SIGHT = Submission.pk.not_in(REMOVED)
_LAST_SNAPSHOT = (
    select(Submission.snapshot_pk).where(*_WHOSE, _IN_SIGHT).order_by(Submission.at.desc()).limit(1)
)
# What was removed makes room, but for the clock and for the count of a minute it stays.
_SO_FAR = select(
    func.count().filter(_IN_SIGHT),
    # Those of a clock that was ahead don't count.
    func.sum(case((Submission.at.between(bindparam("minute_ago"), bindparam("now")), 1), else_=0)),
    func.max(Submission.at),
    _LAST_SNAPSHOT.correlate(None).scalar_subquery(),
).where(*_WHOSE)
_INSERT = insert(Submission).returning(Submission.pk)
_BEFORE = _LAST_SNAPSHOT.where(Submission.at < bindparam("at"))
_BY_KEY = (
    select(
        Submission.pk,
        Submission.at,
        Submission.snapshot_pk,
        Snapshot.digest,
        Submission.pk.in_(REMOVED).label("is_removed"),
    )
    .join(Snapshot, Snapshot.pk == Submission.snapshot_pk)
    .where(*_WHOSE, Submission.idempotency_key == bindparam("key"))
)


def submit(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    directory: PackedSnapshot,
    limits: Limits = UNLIMITED,
    key: str | None = None,
) -> Receipt:
    """Record what the caller hands in, with the time of the server's clock.

    Args:
        key: the client's name for this submission; another call with it gets the same receipt.

    Raises:
        Conflict: the key stands for another directory, or for a submission that was removed.
        MissingContent: see references.resolve.
        TooManyRequests, TooLarge: one of the limits is reached.
        others: see require_submitter.
    """
    # Before the rights are looked up: a name may pass to another person while this waits.
    user_pk = connection.scalar(_LOCK_USER, {"name": identity.name})
    access, assignment_pk = _enter(connection, identity, course_id, assignment_id, keep=True)
    if user_pk is None:  # an admin who has never been in a course
        user_pk = _make_user(connection, identity.name)
    whose = {"assignment_pk": assignment_pk, "user_pk": user_pk}
    if key is not None and (earlier := _find(connection, whose, key)):
        if earlier.digest != directory.digest:
            raise Conflict(OTHER_FILES)
        return earlier
    directory = references.resolve(connection, access, directory, limits)
    now = datetime.now(timezone.utc)
    minute = {"minute_ago": now - timedelta(minutes=1), "now": now}
    so_far = connection.execute(_SO_FAR, {**whose, **minute})
    count, recent, last, last_snapshot_pk = so_far.one()
    limits.check_submissions(count, recent or 0)
    at = now if last is None else max(now, last + timedelta(microseconds=1))
    snapshot_pk = snapshots.put(connection, directory)
    row = {**whose, "at": at, "snapshot_pk": snapshot_pk, "idempotency_key": key}
    pk = connection.scalars(_INSERT, row).one()
    limits.check_course(connection, access.course_pk)
    change = Change("submit", course_id, assignment_id, detail=wire.format_timestamp(at))
    audit.record(connection, identity, change)
    return Receipt(pk, at, directory.digest, is_duplicate=last_snapshot_pk == snapshot_pk)


def _find(connection: Connection, whose: dict[str, int], key: str) -> Receipt | None:
    """The receipt of the submission of this name.

    Raises:
        Conflict: it was removed. A receipt would say that it is there, and to record it once more
            would undo what an instructor has done, perhaps by a call that was long on its way.
    """
    row = connection.execute(_BY_KEY, {**whose, "key": key}).one_or_none()
    if row is None:
        return None
    if row.is_removed:
        raise Conflict("An instructor has removed this submission; hand it in anew if you like")
    before = connection.scalar(_BEFORE, {**whose, "at": row.at})
    return Receipt(row.pk, row.at, row.digest, is_duplicate=before == row.snapshot_pk)


def _make_user(connection: Connection, name: str) -> int:
    ensure_users(connection, [name])
    return connection.execute(_LOCK_USER, {"name": name}).scalar_one()


def list_submissions(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str
) -> list[Listed]:
    """Everybody's submissions in the order of time, for instructors.

    Raises:
        NotFound: no such course or assignment.
    """
    access = require_instructor(connection, identity, course_id)
    return _list(connection, get_assignment(connection, access, assignment_id))


def list_student_submissions(
    connection: Connection, identity: Identity, course_id: str, assignment_id: str, student_id: str
) -> list[Listed]:
    """One person's submissions in the order of time, for instructors and that person.

    Raises:
        NotFound: no such course, assignment, or person in the course.
    """
    access = require_self_or_instructor(connection, identity, course_id, student_id)
    assignment_pk = get_assignment(connection, access, assignment_id)
    student_pk = get_student_pk(connection, access, assignment_pk, student_id)
    return _list(connection, assignment_pk, student_pk)


def fetch_submission(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    student_id: str,
    timestamp: str,
) -> TimedFiles:
    """The files of a submission, for instructors and its author.

    Args:
        timestamp: of the submission as the wire has it; empty for the latest.

    Raises:
        NotFound: no such course, assignment, person in the course, or submission.
        InvalidRequest: the timestamp can't be read.
    """
    access = require_self_or_instructor(connection, identity, course_id, student_id)
    row = get_submission(connection, access, assignment_id, student_id, timestamp)
    return TimedFiles(row.pk, row.at, snapshots.list_files(connection, row.snapshot_pk))


def get_submission(
    connection: Connection,
    access: Access,
    assignment_id: str,
    student_id: str,
    timestamp: str | None,
    keep: bool = False,
    to_erase: bool = False,
) -> Row:
    """The pk, at and snapshot_pk of a submission.

    Args:
        timestamp: as the wire has it; empty for the latest, None where it was to be supplied.
        keep: see get_assignment.
        to_erase: also find one that is out of sight, and let nobody refer to it any more.

    Raises: see fetch_submission.
    """
    assignment_pk = get_assignment(connection, access, assignment_id, keep)
    student_pk = get_student_pk(connection, access, assignment_pk, student_id)
    if timestamp is None:
        raise InvalidRequest("Please supply timestamp")
    query = select(Submission.pk, Submission.at, Submission.snapshot_pk).where(
        Submission.assignment_pk == assignment_pk, Submission.user_pk == student_pk
    )
    query = query.with_for_update() if to_erase else query.where(_IN_SIGHT)
    if timestamp:
        query = query.where(Submission.at == wire.parse_timestamp(timestamp))
    row = connection.execute(query.order_by(Submission.at.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound("Submission not found")
    return row


def get_student_pk(
    connection: Connection, access: Access, assignment_pk: int, student_id: str
) -> int:
    """The primary key of a person who is or was in the course, or submitted all the same.

    Raises:
        NotFound: there is no such person.
    """
    was_member = select(Membership.pk).where(
        Membership.course_pk == access.course_pk, Membership.user_pk == User.pk
    )
    submitted = select(Submission.pk).where(
        Submission.assignment_pk == assignment_pk, Submission.user_pk == User.pk
    )
    pk = connection.scalar(
        select(User.pk).where(User.name == student_id, or_(was_member.exists(), submitted.exists()))
    )
    if pk is None:
        raise NotFound("Student not found")
    return pk


def _list(connection: Connection, assignment_pk: int, user_pk: int | None = None) -> list[Listed]:
    query = (
        select(User.name, Submission.at)
        .join(Submission, Submission.user_pk == User.pk)
        .where(Submission.assignment_pk == assignment_pk, _IN_SIGHT)
        .order_by(Submission.at, Submission.pk)
    )
    if user_pk is not None:
        query = query.where(Submission.user_pk == user_pk)
    return [Listed(*row) for row in connection.execute(query)]

"""What adding many students would do, told before it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ngshare import rosters
from ngshare.permissions import Identity, require_instructor
from ngshare.rosters import Person


@dataclass(frozen=True)
class Plan:
    """What rosters.add_students would do.

    Attributes:
        changed: students as they are and as they would be.
        unchanged: how many are as they would be.
        refused: who would be left out, and why.
    """

    added: list[Person]
    changed: list[tuple[Person, Person]]
    unchanged: int
    refused: list[tuple[Person, str]]

    @property
    def digest(self) -> str:
        """Differs where the plan does."""
        return hashlib.sha256(repr(self).encode("utf-8", "replace")).hexdigest()


def plan_students(
    connection: Connection, identity: Identity, course_id: str, people: Sequence[Person]
) -> Plan:
    """What adding or updating these students would do, for instructors; nothing is changed.

    Raises:
        InvalidRequest: a text is missing.
    """
    access = require_instructor(connection, identity, course_id)
    students = {p.username: p for p in rosters.list_students(connection, identity, course_id)}
    refusals = rosters.find_refusals(connection, access.course_pk, people)
    added, changed, refused = [], [], []
    for person, refusal in zip(people, refusals, strict=True):
        after, before = person.complete(), students.get(person.username)
        if refusal is not None:
            refused.append((person, refusal))
        elif before is None:
            added.append(after)
        elif _texts(before) != _texts(after):
            changed.append((before, after))
    unchanged = len(people) - len(added) - len(changed) - len(refused)
    return Plan(added, changed, unchanged, refused)


def _texts(person: Person) -> list[str]:
    """What nobody has told yet is nothing."""
    return [text or "" for text in (person.first_name, person.last_name, person.email)]


def add_planned(
    connection: Connection,
    identity: Identity,
    course_id: str,
    people: Sequence[Person],
    digest: str,
) -> tuple[Plan, bool]:
    """Add or update students as a plan told, unless that would be another plan now.

    Args:
        digest: of the plan.

    Returns:
        The plan as it is now, and whether it was done.
    """
    access = require_instructor(connection, identity, course_id)
    rosters.lock(connection, access.course_pk)
    plan = plan_students(connection, identity, course_id, people)
    if plan.digest != digest:
        return plan, False
    wanted = [*plan.added, *(after for _, after in plan.changed)]
    if wanted:
        rosters.add_students(connection, identity, course_id, wanted)
    return plan, True

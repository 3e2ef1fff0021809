"""Fetches: who has got files of which version of an assignment, and when for the first time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from ngshare.database.engine import insert
from ngshare.database.models import Fetch, Release, User


class Fetched(NamedTuple):
    """A version of an assignment, and a user who gets files of it.

    Attributes:
        released_at: of the version: after a purge the same keys may be those of another one.
    """

    assignment_pk: int
    version: int
    released_at: datetime
    user_pk: int


def record_fetches(connection: Connection, fetches: Mapping[Fetched, datetime]) -> None:
    """Note when versions were fetched; of one that is noted already the first time stays.

    What was purged since then, or merged into another person, is left out.
    """
    assignment_pks = {fetched.assignment_pk for fetched in fetches}
    versions = connection.execute(
        select(Release.assignment_pk, Release.version, Release.at).where(
            Release.assignment_pk.in_(assignment_pks)
        )
    )
    user_pks = {fetched.user_pk for fetched in fetches}
    users = set(connection.scalars(select(User.pk).where(User.pk.in_(user_pks))))
    are_there = {tuple(version) for version in versions}
    rows = [
        {
            "assignment_pk": fetched.assignment_pk,
            "user_pk": fetched.user_pk,
            "version": fetched.version,
            "at": at,
        }
        # In one order everywhere, so that two transactions don't deadlock.
        for fetched, at in sorted(fetches.items())
        if fetched[:3] in are_there and fetched.user_pk in users
    ]
    if rows:
        connection.execute(insert(connection, Fetch).on_conflict_do_nothing(), rows)

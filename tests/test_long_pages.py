"""Pages of a course with 5,000 students and 20,000 submissions."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import Connection, insert, select

from ngshare import rosters
from ngshare.database.engine import Database
from ngshare.database.models import Assignment, Feedback, Fetch, Snapshot, Submission, User
from ngshare.permissions import Identity
from ngshare.rosters import Person
from tests.api import Api

STUDENTS = [f"s{number:04}" for number in range(5000)]
START = datetime(2026, 3, 2, tzinfo=timezone.utc)
CHALLENGE = "pages/assignment/course1/challenge"
PAGES = {
    "kevin": [
        "",
        "pages/course/course1",
        "pages/course/course1?search=s49",
        CHALLENGE,
        f"{CHALLENGE}?show=missing",
        f"{CHALLENGE}?sort=submitted&order=desc",
        f"{CHALLENGE}?search=s49",
        "pages/submission/course1/challenge/s0000",
    ],
    "s0000": ["", CHALLENGE],
    "root": [
        "pages/admin",
        "pages/admin/course/course1",
        "pages/admin/people",
        "pages/admin/people?search=s49",
        "pages/admin/people/s0000",
        "pages/admin/storage",
        "pages/admin/audit",
        "pages/database",
        "pages/database/submissions",
    ],
}
CPU_SECONDS = 0.1


def fill(connection: Connection) -> None:
    """Four submissions each of all but some, with feedback on every other."""
    people = [Person(name, "First", f"Last {name}", f"{name}@x.org") for name in STUDENTS]
    rosters.add_students(connection, Identity("kevin"), "course1", people)
    assignment_pk = connection.scalar(select(Assignment.pk))
    snapshot_pk = connection.scalar(select(Snapshot.pk))
    of_students = User.name.in_(STUDENTS)
    user_pks = connection.scalars(select(User.pk).where(of_students).order_by(User.name)).all()
    handed_in = [*user_pks[:-100], *user_pks[:100]]
    rows = [
        {
            "pk": number + 1,
            "assignment_pk": assignment_pk,
            "user_pk": handed_in[number % 5000],
            "at": START + timedelta(seconds=37 * number),
            "snapshot_pk": snapshot_pk,
        }
        for number in range(20_000)
    ]
    connection.execute(insert(Submission), rows)
    given = {"snapshot_pk": snapshot_pk, "at": START, "by": "kevin"}
    answers = [{"submission_pk": row["pk"], **given} for row in rows[::2]]
    connection.execute(insert(Feedback), answers)
    fetched = {"assignment_pk": assignment_pk, "version": 1, "at": START}
    connection.execute(insert(Fetch), [{"user_pk": user_pk, **fetched} for user_pk in user_pks])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_first_page_takes_less_than_100_ms_of_the_processor(
    course: Api, database: Database
) -> None:
    """On SQLite, whose work is part of this process, as are the callers'."""
    database.write(fill)
    slow = {}
    for name, paths in PAGES.items():
        caller = course.user(name)
        for path in paths:
            seconds = []
            for _ in range(5):
                start = time.process_time()
                response = caller.call("GET", path, headers={"Accept": "text/html"})
                seconds.append(time.process_time() - start)
                assert response.status_code == 200, path
            print(f"{min(seconds) * 1000:5.0f} ms {name} {path}")
            if min(seconds) > CPU_SECONDS:
                slow[f"{name} {path}"] = min(seconds)
    assert slow == {}

"""What a site may look like, always the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, insert

from ngshare import assignments, audit, courses, feedback, rosters, submissions, wire
from ngshare.database.engine import Database, make_engine
from ngshare.database.models import User
from ngshare.database.snapshots import PackedSnapshot
from ngshare.database.upgrade import upgrade
from ngshare.fetches import record_fetches
from ngshare.permissions import Identity
from ngshare.rosters import Person
from tests.integration.hub import ADMIN
from tests.tables import pack_directory

COURSE, OTHER, EMPTY, DELETED = "calculus", "linear-algebra", "discrete-maths", "calculus-2025"
OLD_NAME = "old/name"  # nobody could have it now
LONG = "introduction-to-statistics-for-the-social-sciences-winter-2026"
ODD = "<script>alert(1)</script>"
INSTRUCTOR, STUDENT, FRIEND, LONG_NAME = "grace", "alice", "bob", "maximiliane.von-hohenstein"
FIRST_DAY = datetime(2026, 9, 28, 8, tzinfo=timezone.utc)
WEEK = timedelta(weeks=1)
NEW, EMPTY_ASSIGNMENT, UNRELEASED = "ps5-series", "ps6-power-series", "practice-exam"
ASSIGNMENTS = ["ps1-limits", "ps2-derivatives", "ps3-chain-rule", "ps4-integrals", NEW]

DATA = b"x,y\n" + b"".join(b"%d,%d\n" % (n, n * n % 9973) for n in range(12_000))

NAMES = """
    Alice Adams, Bob Brown, Amara Okafor, Ana Gutiérrez, Benjamin Weiß, Chiara Ferrari,
    Chloé Lefèvre, Daniel Kim, Dmitri Volkov, Eleni Papadopoulou, Emma Johansson, Fatima El-Amin,
    Finn O'Sullivan, Gabriel Silva, Hannah Schneider, Hiroshi Tanaka, Ingrid Nilsen, Isaac Mensah,
    James Walker, Jana Nováková, Kofi Asante, Lan Nguyễn, Layla Haddad, Liam Murphy, Łukasz Wójcik,
    Mei Chen, Mohammed Rahman, Noah Fischer, Olivia Martin, Priya Raghunathan, Rafael Costa,
    Sara Lindqvist, Tomás Herrera, Wei Zhang, Yasmin Demir, Zoë de Vries
"""


class Clock(datetime):
    """Shows what it was set to."""

    shown = FIRST_DAY

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.shown


@contextmanager
def clock() -> Iterator[type[Clock]]:
    """A clock for all that notes the time of a change."""
    with ExitStack() as stack:
        for module in (assignments, audit, courses, feedback, submissions):
            stack.enter_context(patch.object(module, "datetime", Clock))
        yield Clock


def people() -> list[Person]:
    """The students of the course; one has a long name, and one has no address."""
    found = []
    for name in " ".join(NAMES.split()).split(", "):
        first, last = name.split(" ", 1)
        short = first if first.lower() in (STUDENT, FRIEND) else first[0] + last
        username = "".join(each for each in short.lower() if each.isascii() and each.isalpha())
        email = "" if last == "Weiß" else f"{username}@example.edu"
        found.append(Person(username, first, last, email))
    last = "Freifrau von und zu Hohenstein-Waldenburg"
    address = "maximiliane-charlotte.von-hohenstein-waldenburg@students.example.edu"
    return [*found, Person(LONG_NAME, "Maximiliane Charlotte", last, address)]


def notebook(name: str, *cells: str) -> tuple[str, bytes]:
    source = [{"cell_type": "code", "source": cell, "outputs": []} for cell in cells]
    return f"{name}.ipynb", json.dumps({"cells": source, "nbformat": 4}).encode()


def _feedback(chance: random.Random, title: str, name: str) -> bytes:
    points = [chance.randint(3, 10) for _ in range(3)]
    said = chance.choice(["Well argued.", "Mind the sign.", "Nice plot! Label its axes, please."])
    rows = "".join(f"<li>Question {n}: {p} / 10</li>" for n, p in enumerate(points, 1))
    page = (
        "<!doctype html><meta charset=utf-8><style>body{font:16px sans-serif;margin:2rem}</style>"
        f"<h1>{title}</h1><p>{name}: {sum(points)} / 30</p><ul>{rows}</ul><p>{said}</p>"
        "<script>document.title = 'mine'</script>"
    )
    return page.encode()


Event = tuple[datetime, Callable[..., Any], tuple[Any, ...]]


def _plan_course(chance: random.Random) -> Iterator[Event]:
    """All that happens in the large course, in no order."""
    grace, everybody = Identity(INSTRUCTOR), people()
    left = Person("rpetrov", "Radka", "Petrova", "rpetrov@example.edu")
    yield FIRST_DAY, rosters.add_students, (grace, COURSE, [*everybody, left])
    for number, name in enumerate(ASSIGNMENTS):
        students = [*everybody, left] if number == 0 else everybody
        yield from _plan_assignment(chance, name, FIRST_DAY + number * WEEK, students)
    at = FIRST_DAY + len(ASSIGNMENTS) * WEEK
    for name in (EMPTY_ASSIGNMENT, UNRELEASED):
        directory = pack_directory([notebook(name, "# YOUR CODE HERE")])
        yield at, assignments.release_assignment, (grace, COURSE, name, directory)
    later = at + timedelta(hours=1)
    yield later, assignments.unrelease_assignment, (grace, COURSE, UNRELEASED, False)
    yield later, rosters.remove_student, (grace, COURSE, left.username)


def _plan_assignment(
    chance: random.Random, name: str, released: datetime, students: list[Person]
) -> Iterator[Event]:
    where = (Identity(INSTRUCTOR), COURSE, name)
    files = [notebook(name, "# YOUR CODE HERE"), ("data/measurements.csv", DATA)]
    yield released, assignments.release_assignment, (*where, pack_directory(files))
    if name == ASSIGNMENTS[1]:
        mended = pack_directory([*files, ("errata.md", b"In question 2, read sin for cos.\n")])
        args = (*where, mended, submissions.UNLIMITED, True)
        yield released + timedelta(days=2), assignments.release_assignment, args
    due = released + timedelta(days=14, hours=9)
    for person in students:
        who = Identity(person.username)
        is_missing = person.username != STUDENT and chance.random() < 0.1
        if not is_missing or chance.random() < 0.6:
            fetched = released + timedelta(hours=chance.uniform(1, 96))
            yield fetched, _fetch, (who, COURSE, name)
        if is_missing:
            continue
        for _ in range(chance.choice([1, 1, 2, 3])):
            at = due - timedelta(hours=min(chance.expovariate(1 / 40), 220) - 3)
            plot = chance.randbytes(chance.randint(2_000, 9_000)).hex()
            solution = notebook(name, f"answer = {chance.random()}", f"plot = {plot!r}")
            directory = pack_directory([solution, files[1]])
            yield at, submissions.submit, (who, COURSE, name, directory)
        if name != NEW and chance.random() < 0.95:
            page = pack_directory([(f"{name}.html", _feedback(chance, name, person.username))])
            back = due + timedelta(days=3, minutes=chance.randint(0, 40))
            yield back, _give_feedback, (*where, person.username, page)


def _fetch(connection: Connection, identity: Identity, course_id: str, assignment_id: str) -> None:
    found = assignments.fetch_assignment(connection, identity, course_id, assignment_id)
    assert found.fetched
    record_fetches(connection, {found.fetched: Clock.shown})


def _give_feedback(
    connection: Connection,
    identity: Identity,
    course_id: str,
    assignment_id: str,
    name: str,
    directory: PackedSnapshot,
) -> None:
    """On the latest submission."""
    found = submissions.list_student_submissions(
        connection, identity, course_id, assignment_id, name
    )
    at = wire.format_timestamp(max(each.at for each in found))
    feedback.release_feedback(connection, identity, course_id, assignment_id, name, at, directory)


def _plan_others() -> Iterator[Event]:
    root, emmy = Identity(ADMIN, is_admin=True), Identity("emmy")
    taught = {COURSE: ["grace", "alan"], EMPTY: ["grace"], OTHER: ["emmy"], LONG: ["emmy", "grace"]}
    before = FIRST_DAY - timedelta(days=3)
    for course_id, instructors in {DELETED: ["alan"], **taught}.items():
        yield before, courses.create_course, (root, course_id, instructors)
    yield before, courses.delete_course, (root, DELETED, False)
    for name, first, last in (("grace", "Grace", "Hopper"), ("alan", "Alan", "Turing")):
        person = Person(name, first, last, f"{name}.{last.lower()}@example.edu")
        yield before, rosters.add_instructor, (root, COURSE, person)
    for course_id, count in ((OTHER, 12), (LONG, 3)):
        yield before, rosters.add_students, (emmy, course_id, people()[:count])
    yield before, _let_in, (OLD_NAME,)
    directory = pack_directory([notebook("vectors", "# YOUR CODE HERE")])
    for name in ("week-1", "week-2-a-longer-name-for-matrices-and-their-inverses"):
        at = FIRST_DAY + WEEK
        yield at, assignments.release_assignment, (emmy, OTHER, name, directory)
    directory = pack_directory([notebook("vectors", "norm(v)")])
    args = (Identity(STUDENT), OTHER, "week-1", directory)
    yield FIRST_DAY + 2 * WEEK, submissions.submit, args


def _let_in(connection: Connection, name: str) -> None:
    """As ngshare 0.6 did, whatever the name."""
    connection.execute(insert(User).values(name=name))


def plan_odd() -> Iterator[Event]:
    """Everything is called ODD; two have submitted, one has feedback."""
    grace, at, name = Identity(INSTRUCTOR), FIRST_DAY, ODD.replace("/", "")
    yield at, courses.create_course, (Identity(ADMIN, is_admin=True), ODD, [INSTRUCTOR])
    students = [Person(each, ODD, ODD, f"{ODD}@example.edu") for each in (STUDENT, ODD)]
    yield at, rosters.add_students, (grace, ODD, students)
    directory = pack_directory([(f"{name}/{name}.ipynb", b"{}")])
    yield at, assignments.release_assignment, (grace, ODD, ODD, directory)
    for student in (STUDENT, ODD):
        yield at, submissions.submit, (Identity(student), ODD, ODD, directory)
    page = pack_directory([(f"{name}.html", b"Well done")])
    yield at, _give_feedback, (grace, ODD, ODD, STUDENT, page)


def plan() -> Iterator[Event]:
    """What a site looks like in the middle of a term."""
    yield from _plan_others()
    yield from _plan_course(random.Random(1))


def fill(url: str, *plans: Iterator[Event]) -> None:
    """Make the tables of a new database, and let it all happen, in the order of time."""
    engine = make_engine(url)
    upgrade(engine)
    database = Database(engine)
    events = sorted(chain(*plans), key=lambda event: event[0])
    with clock() as now:
        database.write(_let_happen, events, now)
    database.close()


def _let_happen(connection: Connection, events: list[Event], now: type[Clock]) -> None:
    for now.shown, change, args in events:
        change(connection, *args)

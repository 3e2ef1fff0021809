"""The people of courses that are imported: from a CSV file, or from groups of the Hub."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from ngshare import rosters, wire
from ngshare.database.engine import Database
from ngshare.database.models import INSTRUCTOR, STUDENT, Course, Membership, User
from ngshare.errors import HubUnavailable, LocalFileError
from ngshare.moves.report import Report, printable
from ngshare.permissions import Identity
from ngshare.roster_files import read_rows
from ngshare.spreadsheets import from_cell

COURSE_COLUMN = "course_id"
ROLE_COLUMN = "role"
PREFIXES = {"formgrade-": INSTRUCTOR, "nbgrader-": STUDENT}  # see permissions
GROUPS_A_PAGE = 200
HUB_TIMEOUT_SECONDS = 30
NAMES_IN_A_NOTE = 20
SCOPES = "the token in JUPYTERHUB_API_TOKEN needs the scopes list:groups and read:groups"

Roster = dict[str, list["Entry"]]


@dataclass(frozen=True)
class Entry:
    """Somebody who is to be in a course, unless he is or was."""

    username: str
    role: str = STUDENT
    first_name: str = ""
    last_name: str = ""
    email: str = ""


def read_csv(path: Path) -> Roster:
    """People by course from a CSV file, whose first line names the columns.

    They are those of roster_files, `course_id`, and, if not all are students, `role`.

    Raises:
        LocalFileError: something in it can't be understood; the message says which line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LocalFileError(f"{path} can't be read: {error.strerror}") from None
    roster: defaultdict[str, list[Entry]] = defaultdict(list)
    for line, row in read_rows(content, str(path)):
        if COURSE_COLUMN not in row:
            raise LocalFileError(f"{path}, line 1: there is no column {COURSE_COLUMN}")
        texts = {name: from_cell(text or "") for name, text in row.items() if name is not None}
        course_id, role = texts[COURSE_COLUMN], texts.get(ROLE_COLUMN, "") or STUDENT
        if not course_id or not wire.is_legal_name(texts["student_id"]):
            raise LocalFileError(f"{path}, line {line}: there is no course_id or student_id")
        if role not in PREFIXES.values():
            raise LocalFileError(f"{path}, line {line}: a role is {STUDENT} or {INSTRUCTOR}")
        names = (texts[name] for name in ("first_name", "last_name", "email"))
        roster[course_id].append(Entry(texts["student_id"], role, *names))
    return dict(roster)


def ask_hub(api_url: str, token: str) -> Roster:
    """People by course from the Hub's groups formgrade-COURSE and nbgrader-COURSE.

    Args:
        token: with the scopes `list:groups` and `read:groups`.

    Raises:
        HubUnavailable: the Hub does not tell.
    """
    roster: defaultdict[str, list[Entry]] = defaultdict(list)
    offset: int | None = 0
    while offset is not None:
        page = _ask(f"{api_url.rstrip('/')}/groups", token, offset)
        try:
            for group in page["items"]:
                for prefix, role in PREFIXES.items():
                    if group["name"].startswith(prefix):
                        entries = [Entry(name, role) for name in sorted(group["users"])]
                        roster[group["name"].removeprefix(prefix)] += entries
            following = page["_pagination"]["next"]
        except (KeyError, TypeError):
            raise HubUnavailable(f"The Hub does not tell who is in its groups: {SCOPES}") from None
        offset = following and following["offset"]
    return dict(roster)


def _ask(url: str, token: str, offset: int) -> Any:
    request = urllib.request.Request(
        f"{url}?{urlencode({'offset': offset, 'limit': GROUPS_A_PAGE})}",
        headers={
            "Authorization": f"token {token}",
            "Accept": "application/jupyterhub-pagination+json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise HubUnavailable(f"The Hub does not tell its groups ({error.code}): {SCOPES}") from None
    except (OSError, ValueError) as error:
        raise HubUnavailable(f"The Hub at {url} can't be asked: {error}") from None


_MEMBERS = (
    select(User.name, Membership.role)
    .join(Membership, Membership.user_pk == User.pk)
    .join(Course, Course.pk == Membership.course_pk)
)


def _known(connection: Connection, course_id: str) -> dict[str, str]:
    """Who is or was in a course, and as what."""
    rows = connection.execute(_MEMBERS.where(Course.name == course_id))
    return {row.name: row.role for row in rows}


def add(
    database: Database,
    identity: Identity,
    course_id: str,
    entries: Sequence[Entry],
    report: Report,
    dry_run: bool,
) -> None:
    """Add those to a course who never were in it; who teaches and learns, teaches."""
    known = database.read(_known, course_id)
    wanted: dict[str, Entry] = {}
    for entry in entries:
        if entry.username not in wanted or entry.role == INSTRUCTOR:
            wanted[entry.username] = entry
    new = [entry for name, entry in wanted.items() if name not in known]
    if wanted:
        counts = report.course(course_id)
        counts.found["people"] += len(wanted)
        counts.new["people"] += len(new)
    for name, entry in wanted.items():
        if known.get(name, entry.role) != entry.role:
            report.note(f"{course_id}: {name}", f"is or was {known[name]} there, and stays so")
    if new and not dry_run:
        for name, why in database.write(_add, identity, course_id, new):
            report.leave_out(f"{course_id}: {name}", why)


def _add(
    connection: Connection, identity: Identity, course_id: str, entries: Sequence[Entry]
) -> list[tuple[str, str]]:
    """Add people; who could not be added, and why."""
    known = _known(connection, course_id)
    students = []
    for entry in entries:
        person = rosters.Person(entry.username, entry.first_name, entry.last_name, entry.email)
        if entry.username in known:
            continue
        if entry.role == STUDENT or not wire.is_legal_name(entry.username):
            students.append(person)  # which refuses an illegal name
        else:
            rosters.add_instructor(connection, identity, course_id, person)
    refusals = rosters.add_students(connection, identity, course_id, students)
    names = (person.username for person in students)
    return [(name, why) for name, why in zip(names, refusals, strict=True) if why]


def note_strangers(
    database: Database, course_id: str, students: Collection[str], report: Report
) -> None:
    """Tell who has submitted and is in no roster."""
    strangers = sorted(set(students) - database.read(_known, course_id).keys())
    if strangers:
        names = ", ".join(map(printable, strangers[:NAMES_IN_A_NOTE]))
        more = f" and {len(strangers) - NAMES_IN_A_NOTE:,} more" * (
            len(strangers) > NAMES_IN_A_NOTE
        )
        report.note(
            course_id,
            f"{len(strangers):,} who have submitted are not in its roster and can't get at it "
            f"unless groups of the Hub let them: {names}{more}",
        )

"""The command ngshare-course-management: courses and rosters, for admins and instructors.

Its subcommands, their arguments and its CSV files are those of ngshare_exchange 0.5.3.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ngshare.client import STUDENTS_A_CALL, NgShareClient
from ngshare.errors import (
    ForeignAnswer,
    HubUnavailable,
    NgShareError,
    NotConfigured,
    NotFound,
    ServerUnreachable,
    Unauthenticated,
)
from ngshare.roster_files import COLUMNS, Person, read_csv, warning_of_capitals
from ngshare.workplace import LocalGradebook, connect

Command = Callable[[NgShareClient, argparse.Namespace], int]

WRONG_SETUP = (
    ForeignAnswer,
    HubUnavailable,
    NotConfigured,
    ServerUnreachable,
    Unauthenticated,
)


# ---- the subcommands: each returns how many things went wrong ----


def create_course(client: NgShareClient, args: argparse.Namespace) -> int:
    warn_of_capitals(args.instructors)
    client.create_course(args.course_id, args.instructors)
    print(f"Created the course {args.course_id}")
    return 0


def add_instructor(client: NgShareClient, args: argparse.Namespace) -> int:
    warn_of_capitals([args.instructor_id])
    person = person_of(args, args.instructor_id, client.get_instructor)
    client.add_instructor(args.course_id, **asdict(person))
    print(f"{person.username} is an instructor of {args.course_id}")
    return 0


def remove_instructor(client: NgShareClient, args: argparse.Namespace) -> int:
    client.remove_instructor(args.course_id, args.instructor_id)
    print(f"{args.instructor_id} is no longer an instructor of {args.course_id}")
    return 0


def add_student(client: NgShareClient, args: argparse.Namespace) -> int:
    warn_of_capitals([args.student_id])
    with gradebook_for(args) as gradebook:
        person = person_of(args, args.student_id, client.get_student)
        client.add_student(args.course_id, **asdict(person))
        print(f"{person.username} is a student of {args.course_id}")
        put(gradebook, person)
    return 0


def add_students(client: NgShareClient, args: argparse.Namespace) -> int:
    people, problems = read_csv(args.csv_file)
    for problem in problems:
        complain(problem)
    warn_of_capitals([person.username for person in people])
    refused = 0
    with gradebook_for(args) as gradebook:
        for start in range(0, len(people), STUDENTS_A_CALL):
            batch = people[start : start + STUDENTS_A_CALL]
            try:
                status = client.add_students(args.course_id, [asdict(person) for person in batch])
            except NgShareError:
                complain(f"Stopped after {start:,} of {len(people):,} students")
                raise
            for person, row in zip(batch, status, strict=True):
                if row["success"]:
                    put(gradebook, person)
                else:
                    refused += 1
                    complain(f"{person.username} was not added: {row['message']}")
    print(f"Added or updated {len(people) - refused:,} students of {args.course_id}")
    return refused + len(problems)


def remove_students(client: NgShareClient, args: argparse.Namespace) -> int:
    refused = 0
    with gradebook_for(args) as gradebook:
        roster = {person["username"] for person in client.list_students(args.course_id)}
        for student_id in dict.fromkeys(args.students):
            has_grades = gradebook.has_grades(student_id) if gradebook else None
            if student_id not in roster and has_grades is None:
                refused += 1
                complain(f"{student_id} is no student of {args.course_id}")
            elif has_grades and not args.force:
                refused += 1
                complain(
                    f"{student_id} was not removed: the gradebook has grades of this student. "
                    "--force deletes them, --no-gb leaves the gradebook as it is"
                )
            else:
                if student_id in roster:
                    client.remove_student(args.course_id, student_id)
                if gradebook and has_grades is not None:
                    gradebook.remove(student_id)
                print(f"{student_id} is no longer a student of {args.course_id}")
    return refused


def list_courses(client: NgShareClient, args: argparse.Namespace) -> int:
    courses = client.list_courses()
    show_table(["course", "role"], [[each["course_id"], each["role"]] for each in courses])
    return 0


def show_course(client: NgShareClient, args: argparse.Namespace) -> int:
    rows = []
    for role, people in (
        ("instructor", client.list_instructors(args.course_id)),
        ("student", client.list_students(args.course_id)),
    ):
        fields = ("username", "first_name", "last_name", "email")
        rows += [[role, *(person[field] or "" for field in fields)] for person in people]
    show_table(["role", "name", "first name", "last name", "e-mail"], rows)
    return 0


# ---- what they have in common ----


def complain(message: str) -> None:
    print(f"ngshare-course-management: {message}", file=sys.stderr)


def warn_of_capitals(names: Sequence[str]) -> None:
    if warning := warning_of_capitals(names):
        complain(f"Warning: {warning}")


def person_of(
    args: argparse.Namespace, username: str, get: Callable[[str, str], dict[str, Any]]
) -> Person:
    """Who is to be added; what the command does not tell stays as it is."""
    given = {name: getattr(args, name) for name in ("first_name", "last_name", "email")}
    known: dict[str, Any] = {}
    if None in given.values():
        with suppress(NotFound):  # a course that is not there is told when adding is refused
            known = get(args.course_id, username)
    texts = {name: known.get(name) or "" if text is None else text for name, text in given.items()}
    return Person(username, **texts)


def gradebook_for(args: argparse.Namespace) -> AbstractContextManager[LocalGradebook | None]:
    """The gradebook to be kept in step; it is opened before anything is changed."""
    if args.no_gb:
        return nullcontext()
    try:
        return LocalGradebook()
    except NotConfigured as error:
        raise NotConfigured(f"{error.message}. --no-gb leaves the gradebook alone") from None


def put(gradebook: LocalGradebook | None, person: Person) -> None:
    if gradebook:
        texts = asdict(person)
        gradebook.put(texts.pop("username"), **texts)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: in a terminal as a table, else separated by tabs and without the columns."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    Console().print(table)


# ---- the command ----

COMMANDS: list[tuple[Command, str, str, str]] = [
    (list_courses, "list", "", "List your courses; for admins, all courses"),
    (show_course, "show", "course_id", "Show who is in a course"),
    (create_course, "create_course", "course_id instructors", "Create a course, for admins"),
    (
        add_instructor,
        "add_instructor",
        "course_id instructor_id --first_name --last_name --email",
        "Add or update an instructor of a course",
    ),
    (
        remove_instructor,
        "remove_instructor",
        "course_id instructor_id",
        "Remove an instructor from a course",
    ),
    (
        add_student,
        "add_student",
        "course_id student_id --first_name --last_name --email --no-gb",
        "Add or update a student of a course",
    ),
    (
        add_students,
        "add_students",
        "course_id csv_file --no-gb",
        "Add or update the students in a CSV file",
    ),
    (
        remove_students,
        "remove_students",
        "course_id students --no-gb --force",
        "Remove students from a course",
    ),
]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "course_id": {"metavar": "COURSE_ID", "help": "the name of the course"},
    "instructors": {
        "metavar": "INSTRUCTOR",
        "nargs": "*",
        "help": "user names of the instructors",
    },
    "instructor_id": {"metavar": "INSTRUCTOR_ID", "help": "the user name"},
    "student_id": {"metavar": "STUDENT_ID", "help": "the user name"},
    "students": {"metavar": "STUDENT", "nargs": "+", "help": "user names of students"},
    "csv_file": {
        "metavar": "CSV_FILE",
        "help": f"a file whose first line is {','.join(COLUMNS)}",
    },
    "--first_name": {"help": "the first name"},
    "--last_name": {"help": "the last name"},
    "--email": {"help": "the e-mail address"},
    "--no-gb": {"action": "store_true", "help": "leave nbgrader's gradebook as it is"},
    "--force": {
        "action": "store_true",
        "help": "remove students from the gradebook even if that deletes their grades",
    },
}
SHORT = {"--first_name": "-f", "--last_name": "-l", "--email": "-e"}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ngshare-course-management",
        description="Create courses, and add people to them or remove them.",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for function, name, arguments, description in COMMANDS:
        subparser = subparsers.add_parser(name, help=description, description=f"{description}.")
        subparser.set_defaults(run=function)
        for argument in arguments.split():
            names = [SHORT[argument], argument] if argument in SHORT else [argument]
            subparser.add_argument(*names, **ARGUMENTS[argument])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 all is done, 1 something is not, 2 misused."""
    args = make_parser().parse_args(argv)
    try:
        with connect() as client:
            return 1 if args.run(client, args) else 0
    except NgShareError as error:
        complain(error.message)
        if isinstance(error, WRONG_SETUP):
            complain("`ngshare doctor` tells more")
        return 1


if __name__ == "__main__":
    sys.exit(main())

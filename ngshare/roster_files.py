"""Rosters as CSV files, such as spreadsheets write them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ngshare.errors import LocalFileError
from ngshare.spreadsheets import from_cell

COLUMNS = ("student_id", "first_name", "last_name", "email")


@dataclass(frozen=True)
class Person:
    """A row of a roster."""

    username: str
    first_name: str
    last_name: str
    email: str


@dataclass(frozen=True)
class Roster:
    """What a file says: the people, and what is wrong with the other lines; both by line."""

    people: dict[int, Person]
    problems: dict[int, str]


def read_csv(path: str) -> tuple[list[Person], list[str]]:
    """The students in a CSV file, and what is wrong with the other lines.

    Raises:
        LocalFileError: see parse_csv; or the file can't be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LocalFileError(f"{path} can't be read: {error.strerror}") from None
    roster = parse_csv(content, path)
    problems = [f"{path}, line {line}: {text}" for line, text in roster.problems.items()]
    return list(roster.people.values()), problems


def parse_csv(content: bytes, name: str) -> Roster:
    """The students in a CSV file.

    The first line names the columns, in any order; COLUMNS are needed.

    Args:
        name: of the file, for messages.

    Raises:
        LocalFileError: nothing of the file can be used.
    """
    roster = Roster({}, {})
    known = set()
    for line, row in read_rows(content, name):
        texts = [from_cell(row[column] or "") for column in COLUMNS]
        student_id = texts[0]
        if None in row.values() or any(row.get(None, [])):
            roster.problems[line] = "it has not as many columns as the first line"
        elif not student_id:
            roster.problems[line] = "there is no student_id"
        elif student_id in known:
            roster.problems[line] = f"{student_id} is there already"
        else:
            known.add(student_id)
            roster.people[line] = Person(*texts)
    return roster


def read_rows(content: bytes, name: str) -> Iterator[tuple[int, dict[Any, Any]]]:
    """The lines after the first one, with their numbers; empty ones are left out."""
    text = read_text(content, name)
    first = text.partition("\n")[0]
    # Spreadsheets write semicolons where people write decimals with a comma.
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 0  # up to which all is well
    try:
        names = [column.strip() for column in reader.fieldnames or []]
        if missing := [column for column in COLUMNS if column not in names]:
            raise LocalFileError(
                f"{name}, line 1: there is no column {', '.join(missing)}; the first line should "
                f"be {','.join(COLUMNS)}"
            )
        reader.fieldnames = names
        line = reader.line_num
        for row in reader:
            line = reader.line_num
            if any(row.values()):
                yield line, row
    except csv.Error as error:
        raise LocalFileError(f"{name}, line {line + 1}: {error}") from None


def read_text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")  # spreadsheets begin a file with a mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LocalFileError(f"{name}, line {line}: the file is not in UTF-8") from None


def warning_of_capitals(names: Iterable[str]) -> str | None:
    """JupyterHub makes the names of those who log in lower-case, unless it is told otherwise."""
    capital = [name for name in names if name != name.lower()]
    if not capital:
        return None
    return (
        f"JupyterHub usually has names in lower case, unlike {', '.join(capital)}: "
        "who can't get at the course should be added by that name"
    )

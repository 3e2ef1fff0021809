"""Rosters as CSV files, such as spreadsheets write them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ngshare.errors import LocalFileError

COLUMNS = ("student_id", "first_name", "last_name", "email")


@dataclass(frozen=True)
class Person:
    """A row of a roster."""

    username: str
    first_name: str
    last_name: str
    email: str


def read_csv(path: str) -> tuple[list[Person], list[str]]:
    """The students in a CSV file, and what is wrong with the other lines.

    The first line names the columns, in any order; COLUMNS are needed.

    Raises:
        LocalFileError: nothing of the file can be used.
    """
    people: dict[str, Person] = {}
    problems = []
    for line, row in read_rows(path):
        texts = [(row[column] or "").strip() for column in COLUMNS]
        student_id = texts[0]
        if None in row.values() or any(row.get(None, [])):
            problems.append(f"{path}, line {line}: it has not as many columns as the first line")
        elif not student_id:
            problems.append(f"{path}, line {line}: there is no student_id")
        elif student_id in people:
            problems.append(f"{path}, line {line}: {student_id} is there already")
        else:
            people[student_id] = Person(*texts)
    return list(people.values()), problems


def read_rows(path: str) -> Iterator[tuple[int, dict[Any, Any]]]:
    """The lines after the first one, with their numbers; empty ones are left out."""
    reader = csv.DictReader(StringIO(read_text(path), newline=""), strict=True)
    line = 0  # up to which all is well
    try:
        names = [name.strip() for name in reader.fieldnames or []]
        if missing := [column for column in COLUMNS if column not in names]:
            raise LocalFileError(
                f"{path}, line 1: there is no column {', '.join(missing)}; the first line should "
                f"be {','.join(COLUMNS)}"
            )
        reader.fieldnames = names
        line = reader.line_num
        for row in reader:
            line = reader.line_num
            if any(row.values()):
                yield line, row
    except csv.Error as error:
        raise LocalFileError(f"{path}, line {line + 1}: {error}") from None


def read_text(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LocalFileError(f"{path} can't be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")  # spreadsheets begin a file with a mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LocalFileError(f"{path}, line {line}: the file is not in UTF-8") from None

"""What an instructor has collected already, and whether to collect anew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.exchange import abc
from nbgrader.utils import parse_utc

from ngshare.exchange.folders import TIMESTAMP


def is_wanted(verb: abc.ExchangeCollect, name: str, dest: Path, there: datetime) -> bool:
    """Whether to collect a submission: there is none, or the options ask for this one.

    Args:
        verb: has the options `update` and `before_duedate`.
        name: of the student and the assignment, for the log.
        dest: the folder for it.
        there: when the submission was handed in; naive, in UTC.
    """
    if not dest.is_dir():
        verb.log.info("Collecting submission: %s", name)
        return True
    here = read_timestamp(dest)
    is_newer = here is None or there > here
    if (verb.update and is_newer) or (verb.before_duedate and there != here):
        verb.log.info("Updating submission: %s", name)
        return True
    if verb.update:
        verb.log.info("No newer submission to collect: %s", name)
    else:
        verb.log.info("Submission already exists, use --update to update: %s", name)
    return False


def find_duedate(db_url: str, course_id: str, assignment_id: str) -> datetime | None:
    """When an assignment is due, as the gradebook has it: naive, in UTC."""
    with Gradebook(db_url, course_id) as gradebook:
        try:
            return gradebook.find_assignment(assignment_id).duedate
        except MissingEntry:
            return None


def read_timestamp(folder: Path) -> datetime | None:
    """When the submission in a folder was handed in, or None if that is not to be read.

    Returns:
        A naive datetime in UTC, as nbgrader has it.
    """
    try:
        return parse_utc((folder / TIMESTAMP).read_text(encoding="utf-8").strip())
    except (OSError, ValueError, OverflowError):
        return None

"""The form of nbgrader's lists of submissions.

It is that of nbgrader/exchange/default/list.py, as the readers of the lists expect it:
nbgrader/server_extensions/assignment_list/handlers.py and nbgrader/apps/api.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from ngshare.exchange.cache import Entry

Info = dict[str, Any]

IDS = ("course_id", "student_id", "assignment_id")


def submission_info(
    entry: Entry,
    status: str,
    notebooks: list[str],
    checksums: Mapping[str, str],
    folder: Path,
    copy: Path | None,
) -> Info:
    """What is known about a submission.

    Args:
        notebooks: their names, without the extension.
        checksums: the MD5 of each page of feedback that there is, by `<notebook>.html`.
        folder: the student's, with the assignment.
        copy: the copy of the submission on this computer.
    """
    pages = folder / "feedback" / entry.timestamp
    infos = [notebook_info(name, copy, pages, checksums) for name in sorted(notebooks)]
    has_local = bool(infos) and all(info["has_local_feedback"] for info in infos)
    return {
        **vars(entry),
        "status": status,
        "path": copy and str(copy),
        "notebooks": infos,
        "has_local_feedback": has_local,
        "has_exchange_feedback": bool(infos)
        and all(info["has_exchange_feedback"] for info in infos),
        "feedback_updated": any(info["feedback_updated"] for info in infos),
        "local_feedback_path": str(pages) if has_local else None,
    }


def grouped(submissions: list[Info]) -> list[Info]:
    """Submissions by course, student and assignment, in the order of time."""
    key = itemgetter(*IDS)
    submissions.sort(key=itemgetter(*IDS, "timestamp"))
    return [
        {**dict(zip(IDS, ids, strict=True)), "status": group[0]["status"], "submissions": group}
        for ids, group in ((ids, list(group)) for ids, group in groupby(submissions, key))
    ]


def ids_of(info: Info) -> str:
    """Which submission this is, in a line of the log."""
    return " ".join(info[key] for key in (*IDS, "timestamp"))


def entry_of(record: Mapping[str, Any]) -> Entry:
    """Which submission a record is about."""
    return Entry(*(record[key] for key in (*IDS, "timestamp")))


def notebook_info(name: str, copy: Path | None, pages: Path, checksums: Mapping[str, str]) -> Info:
    """What is known about the feedback on one notebook of a submission.

    Args:
        copy: the copy of the submission on this computer.
        pages: where its feedback is, once it is fetched.
        checksums: the MD5 of each page that the server has.
    """
    page = pages / f"{name}.html"
    local = hashlib.md5(page.read_bytes()).hexdigest() if page.is_file() else None
    released = checksums.get(page.name)
    return {
        "notebook_id": name,
        "path": copy and str(copy / f"{name}.ipynb"),
        "has_local_feedback": local is not None,
        "has_exchange_feedback": released is not None,
        "local_feedback_path": str(page) if local else None,
        "feedback_updated": None not in (local, released) and local != released,
    }


def notebooks_in(folder: Path) -> list[str]:
    """The names of the notebooks at the top of a folder."""
    return [path.stem for path in folder.glob("*.ipynb")]

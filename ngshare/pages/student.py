"""A student's pages: what is released, submitting, what was submitted, feedback."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import replace

from ngshare import assignments, feedback, own_courses, rosters, wire
from ngshare.errors import InvalidRequest, NgShareError, StorageFull
from ngshare.handlers.submissions import submit
from ngshare.listings import NOTEBOOK
from ngshare.pages.base import PageHandler
from ngshare.permissions import enter_course
from ngshare.submissions import OTHER_FILES
from ngshare.tables import View

MOST_FILES = 200  # that a page lists
NAMED = 3  # of many files
REUSED = "You have submitted other files by this form already"
ADVICE = {
    400: "",
    409: "Open the assignment's page again and submit from there.",
    413: (
        "Submit fewer or smaller files: leave out data that can be fetched again, and clear the "
        "outputs of notebooks that have grown large."
    ),
    507: "Try again later, and tell your instructor if that does not help.",
}


async def show_course(handler: PageHandler, course_id: str) -> None:
    """Answer with the page of a course, for its students."""
    work = await handler.read(own_courses.list_work, handler.identity, course_id)
    instructors = await handler.read(rosters.list_instructors, handler.identity, course_id)
    handler.render_page(
        "student_course.html", course_id=course_id, work=work, instructors=instructors
    )


async def show_assignment(handler: PageHandler, course_id: str, assignment_id: str) -> None:
    """Answer with the page of an assignment, for students."""
    where = (handler.identity, course_id, assignment_id)
    released = await handler.read(assignments.fetch_assignment, *where)
    rows = await handler.read(own_courses.load_submissions, *where, None, _newest_first(handler))
    limits = handler.settings["limits"]
    totals = (limits.max_submission_bytes, handler.settings["max_upload_bytes"])
    handler.render_page(
        "student_assignment.html",
        course_id=course_id,
        assignment_id=assignment_id,
        released=released,
        most_files=MOST_FILES,
        submissions=rows,
        limits=limits,
        max_total=min(filter(None, totals)),
        key=secrets.token_urlsafe(16),
    )


def _newest_first(handler: PageHandler) -> View:
    return replace(handler.view(own_courses.SUBMISSIONS, "at"), is_descending=True)


class SubmitHandler(PageHandler):
    """The form is on the assignment's page; here it can take files."""

    long_bodies = True

    async def get(self, course_id: str, assignment_id: str) -> None:
        await show_assignment(self, course_id, assignment_id)

    async def act(self, course_id: str, assignment_id: str) -> None:
        key = self.argument("key") or None
        check_names([name for name, _ in self.body.files])
        where = (self.identity, course_id, assignment_id)
        released = await self.read(assignments.fetch_assignment, *where)
        receipt, directory = await submit(self, course_id, assignment_id, key)
        count = len(directory.files)
        self.done(
            f"Submitted {assignment_id} at {wire.format_timestamp(receipt.at)}: "
            f"{count:,} file{'' if count == 1 else 's'}, SHA-256 {receipt.digest.hex()}."
            + (" They are the same as those before." if receipt.is_duplicate else "")
            + _lacking((file.path for file in released.files), directory.files),
            "pages",
            "assignment",
            course_id,
            assignment_id,
        )

    def explain(self, error: NgShareError) -> str:
        if self.request.method != "POST":
            return error.message
        if error.status >= 500 and not isinstance(error, StorageFull):
            return (
                f"{error.message}. Look whether your submission is on the assignment's page, "
                "and submit again if it is not."
            )
        message = REUSED if error.message == OTHER_FILES else error.message
        return f"{message}. Nothing was submitted. {ADVICE.get(error.status, '')}".strip()

    def back(self) -> tuple[str, ...]:
        return ("pages", "submit", *self.path_args)


def check_names(names: list[str]) -> None:
    """Raise InvalidRequest unless the files that were chosen can be kept in one directory."""
    if names == [""]:
        raise InvalidRequest("Choose the files to submit first")
    if len(set(names)) < len(names):
        raise InvalidRequest("Two of the files have the same name: rename one of them")
    for name in names:
        try:
            wire.check_paths([name])
        except InvalidRequest:
            raise InvalidRequest(
                f"Rename the file {name[:80]!r}: names have no backslashes, colons or control "
                f"characters, and at most {wire.MAX_SEGMENT_BYTES} bytes"
            ) from None


def _lacking(released: Iterable[str], submitted: Collection[str]) -> str:
    """A sentence on the assignment's notebooks that are not among what was submitted."""
    notebooks = [path for path in released if path.endswith(NOTEBOOK) and "/" not in path]
    lacking = [path for path in notebooks if path not in submitted]
    if not lacking:
        return ""
    named = ", ".join(lacking[:NAMED])
    more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
    return f" Not among them, but part of the assignment: {named}{more}."


class SubmissionsHandler(PageHandler):
    """One person's submissions, for instructors and that person."""

    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        rows = await self.read(own_courses.load_submissions, *where, _newest_first(self))
        self.render_page(
            "submissions.html",
            course_id=course_id,
            assignment_id=assignment_id,
            student_id=student_id,
            submissions=rows,
            is_member=(await self.read(enter_course, self.identity, course_id)).is_member,
        )


class FeedbackHandler(PageHandler):
    async def get(self, course_id: str, assignment_id: str, student_id: str) -> None:
        where = (self.identity, course_id, assignment_id, student_id)
        found = await self.read(feedback.fetch_feedback, *where, self.argument("timestamp"))
        self.render_page(
            "feedback.html",
            course_id=course_id,
            assignment_id=assignment_id,
            student_id=student_id,
            feedback=found,
            is_member=(await self.read(enter_course, self.identity, course_id)).is_member,
        )

"""How much a call may bring, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, union

from ngshare.database.models import Assignment, Feedback, Release, Snapshot, Submission
from ngshare.errors import TooLarge, TooManyRequests


@dataclass(frozen=True)
class Limits:
    """The options of the same names; 0 stands for no limit."""

    max_file_bytes: int = 0
    max_submission_bytes: int = 0
    max_files: int = 0
    max_course_bytes: int = 0
    max_submissions: int = 0
    max_submissions_per_minute: int = 0

    def check_file(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Pass a content on, piece by piece.

        Raises:
            TooLarge: it is over the limit.
        """
        size = 0
        for piece in content:
            size += len(piece)
            self.check_size("The file", size)
            yield piece

    def check_size(self, name: str, size: int) -> None:
        """Raise TooLarge for a file of too many bytes."""
        if 0 < self.max_file_bytes < size:
            raise TooLarge(f"{name} is over the limit max_file_bytes = {self.max_file_bytes:,}")

    def check_file_count(self, count: int) -> None:
        """Raise TooLarge for a directory of too many files."""
        if 0 < self.max_files < count:
            raise TooLarge(
                f"These are {count:,} files, over the limit max_files = {self.max_files:,}"
            )

    def check_total(self, size: int) -> None:
        """Raise TooLarge for a directory of too many bytes."""
        if 0 < self.max_submission_bytes < size:
            raise TooLarge(
                f"These files have {size:,} bytes together, over the limit "
                f"max_submission_bytes = {self.max_submission_bytes:,}"
            )

    def check_course(self, connection: Connection, course_pk: int) -> None:
        """Raise TooLarge if the course has more than its quota, with what was just added."""
        if not self.max_course_bytes:
            return
        in_course = (
            select(table.snapshot_pk)
            .select_from(table)
            .join(Assignment, Assignment.pk == assignment_pk)
            .where(Assignment.course_pk == course_pk)
            for table, assignment_pk in (
                (Release, Release.assignment_pk),
                (Submission, Submission.assignment_pk),
            )
        )
        of_feedback = (
            select(Feedback.snapshot_pk)
            .join(Submission, Submission.pk == Feedback.submission_pk)
            .join(Assignment, Assignment.pk == Submission.assignment_pk)
            .where(Assignment.course_pk == course_pk)
        )
        snapshots = union(*in_course, of_feedback).subquery()
        used = connection.scalar(
            select(func.sum(Snapshot.size)).where(Snapshot.pk.in_(select(snapshots)))
        )
        if (used or 0) > self.max_course_bytes:
            raise TooLarge(
                f"The course would have {used:,} bytes then, over its quota "
                f"max_course_bytes = {self.max_course_bytes:,}"
            )

    def check_submissions(self, count: int, recent: int) -> None:
        """Raise TooManyRequests if a user may not submit to an assignment again.

        Args:
            count: how many submissions to it there are.
            recent: how many of them the last minute brought.
        """
        if 0 < self.max_submissions <= count:
            raise TooManyRequests(
                f"You have {count:,} submissions to this assignment, the limit "
                f"max_submissions = {self.max_submissions:,}; your instructor can help"
            )
        if 0 < self.max_submissions_per_minute <= recent:
            raise TooManyRequests(
                f"You have submitted {recent} times within a minute, the limit "
                f"max_submissions_per_minute = {self.max_submissions_per_minute}; "
                "wait a minute and submit again",
                retry_after_seconds=60,
            )


UNLIMITED = Limits()

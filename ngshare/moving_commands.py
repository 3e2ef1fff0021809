"""The subcommands of `ngshare` that carry whole sites and courses in and out."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from traitlets import Bool, Unicode

from ngshare.app import NgShare
from ngshare.commands import Command, show_progress
from ngshare.limits import Limits
from ngshare.moves import people
from ngshare.moves.course_export import export_course
from ngshare.moves.course_import import import_course
from ngshare.moves.exporting import export_exchange
from ngshare.moves.importing import import_exchange
from ngshare.moves.people import Roster
from ngshare.moves.report import Report
from ngshare.service import StartError

LEFT_OUT = 2  # the status of a command that has left something out

show_directories = partial(show_progress, unit="directories")


class MovingCommand(Command):
    """A subcommand that ends with a report."""

    usage = ""

    def arguments(self, number: int) -> list[str]:
        """What was given beside the options.

        Raises:
            StartError: not as many as there must be.
        """
        if len(self.extra_args) != number:
            raise StartError(f"The command is: {self.usage}")
        return self.extra_args

    def finish(self, report: Report, new: str = "") -> None:
        """Print the report (see Report.lines), and end with the status that stands for it."""
        print("\n".join(report.lines(new)))
        if report.left_out:
            sys.exit(LEFT_OUT)


class ImportExchange(MovingCommand):
    """Add what is in an exchange directory of nbgrader, and exit; the service may be running."""

    name = "ngshare import-exchange"
    usage = "ngshare import-exchange DIR"
    description = """Add the courses, releases, submissions and feedback in nbgrader's exchange
        directory DIR; the service may be running. Nothing is removed, neither here nor there, and
        a second run adds what is new. Exits with 2 if something was left out, with 1 if it
        failed."""
    examples = (
        "ngshare import-exchange /srv/nbgrader/exchange "
        "--database sqlite:////srv/ngshare/ngshare.db --dry-run"
    )
    max_arguments = 1

    dry_run = Bool(False, help="Change nothing; tell what would be added.").tag(config=True)

    roster = Unicode(
        help="""A CSV file of people who are to be in the courses, with the columns course_id,
        student_id, first_name, last_name, email and, if there are instructors among them, role
        (student or instructor). Whoever is or was in a course stays
        what they are there."""
    ).tag(config=True)

    hub_groups = Bool(
        False,
        help="""Let those be in a course who are in the Hub's groups formgrade-COURSE (instructors)
        and nbgrader-COURSE (students) now. The Hub is asked with the token in the environment
        variable JUPYTERHUB_API_TOKEN, which needs the scopes list:groups and read:groups.""",
    ).tag(config=True)

    aliases = {**NgShare.aliases, "roster": "ImportExchange.roster"}
    flags = {
        **NgShare.flags,
        "dry-run": (
            {"ImportExchange": {"dry_run": True}},
            "Change nothing; tell what would be added.",
        ),
        "hub-groups": (
            {"ImportExchange": {"hub_groups": True}},
            "Let the Hub's groups be the rosters.",
        ),
    }

    def run(self) -> None:
        [folder] = self.arguments(1)
        report = Report()
        roster = self.read_roster()
        with closing(self.open()) as database:
            import_exchange(
                database,
                Path(folder),
                roster,
                report,
                show_directories,
                self.dry_run,
                Limits(self.max_file_bytes, self.max_submission_bytes, max_files=self.max_files),
            )
        self.finish(report, "to be added" if self.dry_run else "new")

    def read_roster(self) -> Roster:
        """People by course, from the file and from the Hub."""
        roster: Roster = people.read_csv(Path(self.roster)) if self.roster else {}
        if self.hub_groups:
            url = self.hub_api_url or os.environ.get("JUPYTERHUB_API_URL", "")
            token = os.environ.get("JUPYTERHUB_API_TOKEN", "")
            if not url or not token:
                raise StartError(
                    "--hub-groups needs the environment variables JUPYTERHUB_API_URL and "
                    "JUPYTERHUB_API_TOKEN"
                )
            # Of groups that are no course of the directory, nothing is said.
            for course_id, entries in people.ask_hub(url, token).items():
                roster[course_id] = roster.get(course_id, []) + entries
        return roster


class ExportExchange(MovingCommand):
    """Write all courses as an exchange directory of nbgrader; the service may be running."""

    name = "ngshare export-exchange"
    usage = "ngshare export-exchange DIR"
    description = """Write all courses as an exchange directory of nbgrader, as of one moment; the
        service may be running. DIR is new or empty. Exits with 2 if something was left out, with
        1 if it failed."""
    examples = (
        "ngshare export-exchange /srv/nbgrader/exchange "
        "--database sqlite:////srv/ngshare/ngshare.db"
    )
    max_arguments = 1

    volume = Bool(
        False,
        help="""Give each student a folder for submissions and for feedback, as
        exchanges on a volume have it of which students see only their part.""",
    ).tag(config=True)

    flags = {
        **NgShare.flags,
        "volume": (
            {"ExportExchange": {"volume": True}},
            "Give each student a folder of their own.",
        ),
    }

    def run(self) -> None:
        [folder] = self.arguments(1)
        report = Report()
        with closing(self.open()) as database:
            is_written = export_exchange(
                database, Path(folder), self.volume, report, show_directories
            )
        print(f"Wrote {folder}" if is_written else f"{folder} has all this already")
        self.finish(report)


class ExportCourse(MovingCommand):
    """Write a course to an archive; the service may be running."""

    name = "ngshare export-course"
    usage = "ngshare export-course COURSE FILE.tar"
    description = """Write a course to an archive that can be read without ngshare: all versions
        of releases, submissions with their receipts, feedback, and the roster; the service may be
        running. Exits with 2 if something was left out, with 1 if it failed."""
    examples = (
        "ngshare export-course math101 /archive/math101.tar "
        "--database sqlite:////srv/ngshare/ngshare.db"
    )
    max_arguments = 2

    def run(self) -> None:
        course_id, file = self.arguments(2)
        report = Report()
        with closing(self.open()) as database:
            digest = export_course(database, course_id, Path(file), report, show_directories)
        print(f"Wrote {file}, {Path(file).stat().st_size:,} bytes; its sums have sha256 {digest}")
        self.finish(report)


class ImportCourse(MovingCommand):
    """Make a course of an archive; the service may be running."""

    name = "ngshare import-course"
    usage = "ngshare import-course FILE.tar"
    description = """Verify an archive that ngshare export-course has written, and make the course
        that is in it; the service may be running. Nobody sees the course before all of it is
        there. Exits with 1, and without a change, if the archive is damaged or there is a course
        of this name."""
    examples = (
        "ngshare import-course /archive/math101.tar --name math101-2026 "
        "--database sqlite:////srv/ngshare/ngshare.db"
    )
    max_arguments = 1

    dry_run = Bool(False, help="Only verify the archive.").tag(config=True)

    new_name = Unicode(
        help="The name that the course is to have; by default the one that it had."
    ).tag(config=True)

    aliases = {**NgShare.aliases, "name": "ImportCourse.new_name"}
    flags = {
        **NgShare.flags,
        "dry-run": ({"ImportCourse": {"dry_run": True}}, "Only verify the archive."),
    }

    def run(self) -> None:
        [file] = self.arguments(1)
        report = Report()
        with closing(self.open()) as database:
            digest = import_course(
                database, Path(file), self.new_name, report, show_directories, self.dry_run
            )
        print(f"{file} is whole; its sums have sha256 {digest}")
        self.finish(report, "to be added" if self.dry_run else "new")

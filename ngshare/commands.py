"""What `ngshare` does besides serving: one class a subcommand.

Each inherits the options of the service, so that all of them read one configuration file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TimeRemainingColumn,
)
from sqlalchemy.exc import DBAPIError
from traitlets import Bool
from traitlets.config import Application

from ngshare import doctor, erasures
from ngshare.app import NgShare
from ngshare.database import backup, garbage, integrity, wiping
from ngshare.database.engine import Database
from ngshare.database.upgrade import UpgradeError, open_database
from ngshare.erasures import ERASED, Traces
from ngshare.errors import NgShareError
from ngshare.service import StartError

NOT_REACHED = """Not reached: backups, logs, exported archives and directories, what instructors and
  others have copied or written, and free room in the database until VACUUM"""
WAL_STAYS = """Somebody, perhaps a backup, reads from the database for long: the file -wal beside it
  has pages as they were until ngshare is stopped"""

SECONDS_A_LINE = 10  # of progress, where no terminal shows a bar


class Command(NgShare):
    """A subcommand: work on the database, then exit."""

    subcommands = {}

    def start(self) -> None:
        if self.generate_config:
            super().start()
            return
        self.set_up_logging()
        try:
            self.run()
        except NgShareError as error:
            raise StartError(error.message) from None
        except DBAPIError as error:
            raise StartError(f"The database fails: {error.orig}") from None

    def run(self) -> None:
        raise NotImplementedError

    def open(self, may_upgrade: bool = False) -> Database:
        """The site's database.

        Raises:
            StartError: it can't be used as it is.
        """
        try:
            return open_database(self.database, may_upgrade, Path(self.storage))
        except UpgradeError as error:
            raise StartError(str(error)) from None


class UpgradeDb(Command):
    """Bring the database to the schema of this release, and exit."""

    name = "ngshare upgrade-db"
    description = "Bring the database to the schema of this release, and exit."
    examples = "ngshare upgrade-db --database sqlite:////srv/ngshare/ngshare.db"

    def run(self) -> None:
        self.open(may_upgrade=True).close()
        print("The database has the schema of this release", file=sys.stderr)


class CollectGarbage(Command):
    """Remove what nothing refers to any more, and exit; the service may be running."""

    name = "ngshare collect-garbage"
    description = "Remove what nothing refers to any more; the service may be running."
    examples = "ngshare collect-garbage --database sqlite:////srv/ngshare/ngshare.db"

    def run(self) -> None:
        with closing(self.open()) as database:
            self.collect(database)

    def collect(self, database: Database) -> None:
        removed = sum(garbage.collect(database, self.garbage_grace_seconds), garbage.Removed())
        waiting = database.read(integrity.survey).unused_blobs
        print(f"Removed {removed}")
        if waiting:
            print(
                f"{waiting:,} contents are unused, and go when they have been so for "
                f"{self.garbage_grace_seconds:g} seconds and this is run again"
            )


class Check(CollectGarbage):
    """Verify that all that was stored is there, and exit; the service may be running."""

    name = "ngshare check"
    description = """Verify that all that was stored is there, byte for byte; the service may be
        running. Exits with 1 if something is damaged."""
    examples = "ngshare check --database sqlite:////srv/ngshare/ngshare.db"

    repair = Bool(
        False,
        help="""Afterwards remove what nothing refers to, as ngshare collect-garbage does, with
        the usual garbage_grace_seconds. What something refers to is left alone, however damaged
        it is.""",
    ).tag(config=True)

    flags = {
        **NgShare.flags,
        "repair": (
            {"Check": {"repair": True}},
            "Afterwards remove what nothing refers to, as collect-garbage does.",
        ),
    }

    def run(self) -> None:
        with closing(self.open()) as database:
            damaged = self.report(integrity.check_file(database))  # before it can't be read on
            survey = database.read(integrity.survey)
            with show_progress(survey.size) as advance:
                damaged += self.report(integrity.check(database, advance))
            print(
                f"Looked at {survey.blobs:,} contents ({survey.size:,} bytes) in "
                f"{survey.snapshots:,} directories\n"
                f"Damages: {damaged:,}\n"
                f"Lost before this database was made: {survey.missing_blobs:,} contents\n"
                f"Nothing refers to {survey.unused_snapshots:,} directories and "
                f"{survey.unused_blobs:,} contents"
            )
            if self.repair:
                self.collect(database)
        if damaged:
            sys.exit(1)

    def report(self, findings: Iterable[integrity.Finding]) -> int:
        """Print the findings as they come; how many of them are damages."""
        damaged = 0
        for finding in findings:
            damaged += finding.is_damage
            print(("DAMAGED: " if finding.is_damage else "Missing: ") + finding.what)
            for use in finding.uses:
                print(f"    {use}")
            if not finding.uses:
                print("    (no release, submission or feedback is affected)")
        return damaged


class Backup(Command):
    """Copy the database to a file while the service runs."""

    name = "ngshare backup"
    description = """Copy an SQLite database to FILE while the service runs; for PostgreSQL, print
        the command that does so."""
    examples = (
        "ngshare backup /backups/ngshare-today.db --database sqlite:////srv/ngshare/ngshare.db"
    )
    max_arguments = 1

    def run(self) -> None:
        if not self.extra_args:
            raise StartError("Say where to: ngshare backup FILE")
        target = Path(self.extra_args[0])
        try:
            if not backup.is_sqlite(self.database):
                print(backup.pg_dump_command(self.database, target))
                print(
                    "Run this line; it makes a copy while the service runs. Give it the password "
                    "by the environment variable PGPASSWORD or the file ~/.pgpass",
                    file=sys.stderr,
                )
                return
            counts = backup.copy_sqlite(self.database, target)
        except (ValueError, backup.BackupError) as error:
            raise StartError(str(error)) from None
        print(f"Wrote {target}, {target.stat().st_size:,} bytes")
        print("; ".join(f"{table} {count:,}" for table, count in sorted(counts.items())))


class ErasePerson(Command):
    """Erase a person, with all that was handed in; the service may be running."""

    name = "ngshare erase-person"
    description = """Erase the person NAME with all that was handed in, and the name in all that
        stays; the service may be running. Without --yes nothing is changed, and it tells what there
        is."""
    examples = "ngshare erase-person bob --database sqlite:////srv/ngshare/ngshare.db"
    max_arguments = 1

    yes = Bool(False, help="Erase, for ever; without it nothing is changed.").tag(config=True)

    flags = {
        **NgShare.flags,
        "yes": (
            {"ErasePerson": {"yes": True}},
            "Erase, for ever; without it nothing is changed.",
        ),
    }

    def run(self) -> None:
        if not self.extra_args:
            raise StartError("Say whom: ngshare erase-person NAME")
        [name] = self.extra_args
        with closing(self.open()) as database:
            if self.yes:
                traces = erasures.erase(database, name)
                print(f"Erased {name}:")
                self.report(traces)
                if not wiping.empty_log(database):
                    print(WAL_STAYS)
            else:
                traces = database.read(erasures.survey, name)
                print(f"What there is of {name}:")
                self.report(traces)
                print("Nothing was changed; with --yes it is erased, for ever")

    def report(self, traces: Traces) -> None:
        person = traces.person
        courses = (
            f"{role.course_id} ({role.role}{'' if role.active else ', removed'}"
            f"{', in a deleted course' if role.is_hidden else ''})"
            for role in person.roles
        )
        print(
            f"  courses: {', '.join(courses) or 'none'}\n"
            f"  submissions: {person.submissions:,}, of which {traces.out_of_sight:,} were removed "
            f"from sight; feedback on them: {person.feedback:,}; {traces.size:,} bytes\n"
            f"  versions of assignments fetched: {traces.fetches:,}; "
            f"contents sent ahead: {person.by_name['uploads']:,}\n"
            f"What stays, with {ERASED} in place of the name:\n"
            f"  entries of the audit log: {len(traces.entries):,}"
        )
        if traces.former_names:
            print(f"    also those with earlier names: {', '.join(traces.former_names)}")
        if traces.is_teaching:
            print(
                f"  as of somebody who teaches: releases {person.by_name['releases']:,}, feedback "
                f"{person.by_name['feedback']:,}, removals of submissions {traces.removals:,}"
            )
        print(NOT_REACHED)


class Doctor(Application):
    """Tell what a user's environment knows of ngshare, and what is wrong with it."""

    name = "ngshare doctor"
    description = """Tell what this environment knows of ngshare: where the server is, who it
        takes you for, your courses; and what to do about what is wrong. Exits with 1 then."""
    examples = "ngshare doctor"

    def start(self) -> None:
        sys.exit(doctor.main())


@contextmanager
def show_progress(total: int, unit: str = "bytes") -> Iterator[Callable[[int], object]]:
    """Shows on stderr how much of `total` is done: yields what to tell of each part done."""
    if sys.stderr.isatty():
        so_far = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (BarColumn(), so_far, TimeRemainingColumn())
        console = Console(stderr=True)
        # Findings are printed above the bar, but not if they go to a file.
        into_terminal = sys.stdout.isatty()
        with Progress(*columns, console=console, redirect_stdout=into_terminal) as progress:
            task = progress.add_task("", total=total)
            yield lambda size: progress.advance(task, size)
        return
    done, told = 0, time.monotonic()

    def advance(size: int) -> None:
        nonlocal done, told
        done += size
        if time.monotonic() - told >= SECONDS_A_LINE:
            told = time.monotonic()
            print(f"{done:,} of {total:,} {unit}", file=sys.stderr)

    yield advance

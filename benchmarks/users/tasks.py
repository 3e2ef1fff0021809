"""What users type, how it is made ready, and what must be true afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..course import TEACHER
from ..processes import BenchmarkError
from . import files
from .exchanges import OLD, Exchange
from .files import MEGABYTE, NOTEBOOK, notebook, page
from .people import Person

NOBODY = "nobody"
LISTED_STUDENT = "lister"
DATA_STUDENT = "carrier"
DATA_COURSE = "data"
DATA_FILES = 4


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is."""

    courses: int = 50
    assignments: int = 10
    submissions: int = 5
    data_bytes: int = 200 * MEGABYTE
    students: int = 500
    shared_bytes: int = 10 * MEGABYTE
    updated_students: int = 10
    fetching_students: int = 20

    def of(self, exchange: Exchange) -> Sizes:
        """0.6.0 takes no forms over 100 MiB, and would need minutes for a class of 500."""
        if exchange.name != OLD:
            return self
        data_bytes = min(self.data_bytes, 60 * MEGABYTE)
        return replace(self, data_bytes=data_bytes, students=min(self.students, 50))


QUICK = Sizes(5, 4, 2, 20 * MEGABYTE, 30, MEGABYTE, 3, 3)


@dataclass(frozen=True)
class Task:
    """A line of the table.

    Attributes:
        people: who runs the command, one after the other.
        command: what they type; `{round}` is the number of the round.
        check: gets the round and what was printed; raises BenchmarkError if the command has not
            done its work.
        prepare: called before each round.
        factor: what the time is multiplied by, since less was done than the title says.
        scaled: what was done, where that is less.
        most_calls, most_server_seconds, most_wire_bytes: targets of ours.
        is_compared: whether the targets for all tasks are this one's, too.
    """

    title: str
    people: Sequence[Person]
    command: Sequence[str]
    check: Callable[[int, str], None]
    prepare: Callable[[int], object] = lambda number: None
    factor: float = 1
    scaled: str = ""
    most_calls: int | None = None
    most_server_seconds: float | None = None
    most_wire_bytes: int | None = None
    is_compared: bool = True


def nothing(exchange: Exchange, sizes: Sizes, folder: Path) -> Iterator[Task]:
    """What the plugins need before they do anything."""
    nobody = Person(NOBODY, exchange, folder / NOBODY)
    check = partial(check_lines, [])
    yield Task("list: nothing, in no course", [nobody], ["list"], check, is_compared=False)


def check_lines(expected: Sequence[str], number: int, output: str) -> None:
    """Whether a list was printed with exactly these lines, in any order."""
    lines = [line.partition("] ")[2] for line in output.splitlines()]
    listed = [line for line in lines if line and not line.endswith("assignments:")]
    if sorted(listed) != sorted(expected):
        wrong = sorted(set(listed) ^ set(expected)) or ["a line comes twice"]
        raise BenchmarkError(f"{len(listed)} lines for {len(expected)}: {wrong[0]!r}")


def lists(exchange: Exchange, sizes: Sizes, folder: Path) -> Iterator[Task]:
    """A student of many courses; the last submission to each assignment has feedback."""
    student = Person(LISTED_STUDENT, exchange, folder / LISTED_STUDENT)
    teacher = Person(TEACHER, exchange, folder / TEACHER)
    work = {NOTEBOOK: notebook(2000, "list")}
    released, submitted = [], []
    for course in (f"course{number:02}" for number in range(sizes.courses)):
        exchange.create_course(course, [LISTED_STUDENT])
        for assignment in (f"assignment{number}" for number in range(sizes.assignments)):
            exchange.release(course, assignment, work)
            released.append(f"{course} {assignment}")
            for number in range(sizes.submissions):
                receipt = exchange.submit(course, assignment, LISTED_STUDENT, work)
                student.keep_copy(course, assignment, receipt, work)
                state = "no feedback available"
                if number == sizes.submissions - 1:
                    exchange.release_feedback(course, assignment, receipt, page("list"))
                    state = "feedback ready to be fetched"
                names = f"{course} {LISTED_STUDENT} {assignment} {receipt.timestamp}"
                submitted.append(f"{names} ({state})")
    for person, command, lines, what in (
        (student, ["list"], released, "assignments"),
        (student, ["list", "--cached"], submitted, "submissions"),
        (teacher, ["list", "--inbound"], submitted, "submissions"),
    ):
        title = f"{' '.join(command)}: {len(lines):,} {what} in {sizes.courses} courses"
        check = partial(check_lines, lines)
        yield Task(title, [person], command, check, most_calls=1, most_server_seconds=1)


class Data:
    """An assignment with a notebook of 1 MB beside data that nobody changes."""

    def __init__(self, exchange: Exchange, sizes: Sizes, folder: Path) -> None:
        self.exchange = exchange
        self.bytes = sizes.of(exchange).data_bytes
        exchange.create_course(DATA_COURSE, [DATA_STUDENT])
        self.student = Person(DATA_STUDENT, exchange, folder / DATA_STUDENT, DATA_COURSE)
        self.teacher = Person(TEACHER, exchange, folder / TEACHER, DATA_COURSE)
        self.fetched = self.student.work / "exercise0"

    def release_folder(self, number: int) -> Path:
        return self.teacher.work / "release" / f"exercise{number}"

    def prepare_release(self, number: int) -> None:
        size = self.bytes // DATA_FILES
        data = {f"data/{each}.bin": os.urandom(size) for each in range(DATA_FILES)}
        files.write(self.release_folder(number), data)
        files.write(self.release_folder(number), {NOTEBOOK: notebook(MEGABYTE, f"r{number}")})

    def check_release(self, number: int, output: str) -> None:
        released = self.exchange.released(DATA_COURSE, f"exercise{number}")
        files.check_same(released, files.read(self.release_folder(number)), "released")
        if number:  # the first is for the student
            shutil.rmtree(self.release_folder(number))

    def prepare_fetch(self, number: int) -> None:
        shutil.rmtree(self.fetched, ignore_errors=True)

    def prepare_replace(self, number: int) -> None:
        (self.fetched / NOTEBOOK).unlink()

    def check_fetch(self, number: int, output: str) -> None:
        files.check_same(files.read(self.fetched), files.read(self.release_folder(0)), "fetched")

    def prepare_submit(self, number: int) -> None:
        files.write(self.fetched, {NOTEBOOK: notebook(MEGABYTE, f"s{number}")})

    def check_submit(self, number: int, output: str) -> None:
        mine = files.read(self.fetched)
        submitted = self.exchange.submitted(DATA_COURSE, "exercise0", DATA_STUDENT)
        files.check_same(submitted, mine, "submitted")
        copies = sorted((self.student.cache / DATA_COURSE).iterdir())
        files.check_same(files.read(copies[-1]), mine, copies[-1])


def data(exchange: Exchange, sizes: Sizes, folder: Path) -> Iterator[Task]:
    """The way of an assignment with a notebook of 1 MB beside data that nobody changes."""
    site = Data(exchange, sizes, folder)
    what = f"1 MB notebook, {sizes.data_bytes // MEGABYTE} MB data"
    task = Task(
        f"release_assignment: {what}",
        [site.teacher],
        ["release_assignment", "exercise{round}"],
        site.check_release,
        site.prepare_release,
    )
    if site.bytes < sizes.data_bytes:
        factor = (MEGABYTE + sizes.data_bytes) / (MEGABYTE + site.bytes)
        task = replace(task, factor=factor, scaled=f"{site.bytes // MEGABYTE} MB data")
    yield task
    task = replace(task, people=[site.student])
    yield replace(
        task,
        title=f"fetch_assignment: {what}",
        command=["fetch_assignment", "exercise0"],
        check=site.check_fetch,
        prepare=site.prepare_fetch,
    )
    task = replace(task, most_wire_bytes=2 * MEGABYTE)
    yield replace(
        task,
        title=f"fetch_assignment --replace: the notebook is gone, {what}",
        command=["fetch_assignment", "exercise0", "--replace"],
        check=site.check_fetch,
        prepare=site.prepare_replace,
    )
    yield replace(
        task,
        title=f"submit: the notebook changed, {what}",
        command=["submit", "exercise0"],
        check=site.check_submit,
        prepare=site.prepare_submit,
    )

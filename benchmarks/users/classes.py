"""A class that hands in, and gets feedback: what instructors wait for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..course import TEACHER
from ..processes import BenchmarkError
from . import files
from .exchanges import Contents, Exchange, Receipt
from .files import NOTEBOOK, PAGE, notebook, page
from .people import Person
from .tasks import Sizes, Task

COURSE = "class"
EXERCISE = "exercise"
CLASSMATES = [f"classmate{number:04}" for number in range(500)]
NOTEBOOK_BYTES = 50_000


class Class:
    """Every student has a notebook of his own, and the same data as everybody."""

    def __init__(self, exchange: Exchange, sizes: Sizes, folder: Path) -> None:
        self.exchange = exchange
        self.students = CLASSMATES[: sizes.of(exchange).students]
        self.updated = self.students[: sizes.updated_students]
        self._shared = os.urandom(sizes.shared_bytes)
        self._versions: dict[str, str] = {}
        self._receipts: dict[str, Receipt] = {}
        self._pages: dict[str, bytes] = {}
        self.teacher = Person(TEACHER, exchange, folder / TEACHER, COURSE)
        self.teacher.nbgrader("db", "student", "list")  # there is a gradebook
        exchange.create_course(COURSE, self.students)
        exchange.release(COURSE, EXERCISE, {NOTEBOOK: b"{}", "shared.bin": self._shared})
        for student in self.students:
            self._submit(student, "first")

    def _submit(self, student: str, version: str) -> None:
        self._versions[student] = version
        handed_in = self._handed_in(student)
        self._receipts[student] = self.exchange.submit(COURSE, EXERCISE, student, handed_in)

    def _handed_in(self, student: str) -> Contents:
        own = notebook(NOTEBOOK_BYTES, f"{student} {self._versions[student]}")
        return {NOTEBOOK: own, "shared.bin": self._shared}

    # ---- collect ----

    def prepare_collect(self, number: int) -> None:
        shutil.rmtree(self.teacher.work / "submitted", ignore_errors=True)

    def check_collect(self, number: int, output: str) -> None:
        for student in self.students:
            folder = self.teacher.work / "submitted" / student / EXERCISE
            files.check_same(files.read(folder), self._handed_in(student), folder)

    def check_nothing_new(self, number: int, output: str) -> None:
        if output.count("No newer submission to collect") != len(self.students):
            raise BenchmarkError("it has not looked at every student")

    def prepare_update(self, number: int) -> None:
        for student in self.updated:
            self._submit(student, f"version {number}")

    def check_update(self, number: int, output: str) -> None:
        if output.count("Updating submission") != len(self.updated):
            raise BenchmarkError("it has not updated what changed")
        self.check_collect(number, output)

    # ---- feedback ----

    def prepare_release(self, number: int) -> None:
        for student, receipt in self._receipts.items():
            self._pages[student] = page(f"{student} {number}")
            folder = self.teacher.work / "feedback" / student / EXERCISE
            files.write(folder, {**receipt.files(), PAGE: self._pages[student]})

    def check_release(self, number: int, output: str) -> None:
        for student, receipt in self._receipts.items():
            expected = self._pages[student]
            if not self.exchange.has_feedback(COURSE, EXERCISE, receipt, expected):
                raise BenchmarkError(f"{student} has not got the feedback")

    def join(self, student: str, folder: Path) -> Person:
        """Somebody of the class, with the copy of what was submitted."""
        person = Person(student, self.exchange, folder / student, COURSE)
        person.keep_copy(COURSE, EXERCISE, self._receipts[student], self._handed_in(student))
        return person

    def check_fetched(self, people: Sequence[Person], number: int, output: str) -> None:
        for person in people:
            feedback = files.read(person.work / EXERCISE / "feedback")
            if [*feedback.values()] != [self._pages[person.name]]:
                raise BenchmarkError(f"{person.name} has not fetched the feedback")
            shutil.rmtree(person.work / EXERCISE)


def classes(exchange: Exchange, sizes: Sizes, folder: Path) -> Iterator[Task]:
    """Collect what a class handed in, release feedback on it, and let the students fetch it."""
    site = Class(exchange, sizes, folder)
    count = f"{sizes.students} students"
    scaled = f"{len(site.students)} students" if len(site.students) < sizes.students else ""
    collect = Task(
        f"collect: {count}, a notebook each and {sizes.shared_bytes / 1e6:g} MB that all share",
        [site.teacher],
        ["collect", EXERCISE],
        site.check_collect,
        site.prepare_collect,
        factor=sizes.students / len(site.students),
        scaled=scaled,
    )
    yield collect
    yield replace(
        collect,
        title=f"collect --update: {count}, nothing new",
        command=["collect", EXERCISE, "--update"],
        check=site.check_nothing_new,
        prepare=lambda number: None,
    )
    yield replace(
        collect,
        title=f"collect --update: {count}, {len(site.updated)} have submitted again",
        command=["collect", EXERCISE, "--update"],
        check=site.check_update,
        prepare=site.prepare_update,
        factor=1,
    )
    yield replace(
        collect,
        title=f"release_feedback: {count}",
        command=["release_feedback", EXERCISE],
        check=site.check_release,
        prepare=site.prepare_release,
    )
    people = [site.join(name, folder) for name in site.students[: sizes.fetching_students]]
    fetch = Task(
        "fetch_feedback: one student",
        people[:1],
        ["fetch_feedback", EXERCISE],
        partial(site.check_fetched, people[:1]),
    )
    yield fetch
    yield replace(
        fetch,
        title=f"fetch_feedback: {count}, one after the other",
        people=people,
        check=partial(site.check_fetched, people),
        factor=sizes.students / len(people),
        scaled=f"{len(people)} students",
    )

"""The manual's ways through a term, walked with nbgrader."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from nbformat import NotebookNode, writes
from nbformat.v4 import new_code_cell, new_notebook

from ngshare import course_management
from tests.exchange.people import Person, School
from tests.test_manual import blocks, load_configuration

COURSE = "math101"


def sheet() -> bytes:
    """A notebook with a task that is graded by running it."""
    graded = {"grade_id": "sum", "points": 1, "schema_version": 3, "locked": False}
    graded |= {"grade": True, "solution": True, "task": False, "cell_type": "code"}
    source = "### BEGIN SOLUTION\nassert 1 + 1 == 2\n### END SOLUTION"
    cell: NotebookNode = new_code_cell(source, metadata={"nbgrader": graded})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return writes(new_notebook(cells=[cell], metadata={"kernelspec": kernel})).encode()


def type_in(someone: Person, example: str) -> None:
    for line in example.splitlines():
        command, *arguments = shlex.split(line)
        if command == "nbgrader":
            someone.nbgrader(*arguments)
            continue
        assert command == "ngshare-course-management"
        with someone.at_work(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("NGSHARE_URL", someone.url)
            assert course_management.main(arguments) == 0


def test_the_pages_for_instructors_and_students_lead_through_a_term(school: School) -> None:
    grace, alice = school.grace, school.alice
    school.create_course(COURSE, "grace")
    for someone in (grace, alice):
        someone.configure(course=COURSE)
    roster = b"student_id,first_name,last_name,email\nbob,Bob,Brown,bob@example.org\n"
    grace.write(".", {"roster.csv": roster, "source/ps1/ps1.ipynb": sheet()})
    people, release, again, collect, feedback = blocks("instructors.md", "sh")
    [learning] = blocks("students.md", "sh")
    until_submitted, _, afterwards = learning.partition("nbgrader list --inbound")
    for example in (people, release):
        type_in(grace, example)
    type_in(alice, until_submitted)
    for example in (again, collect, feedback):
        type_in(grace, example)
    type_in(alice, f"nbgrader list --inbound{afterwards}")
    [page] = Path(alice.work, "ps1/feedback").rglob("*.html")
    assert "assert 1 + 1" not in page.read_text()


@pytest.mark.parametrize("page", ["exchange.md", "helm.md"])
def test_the_configuration_in_the_manual_makes_nbgrader_use_ngshare(page: str) -> None:
    nbgrader, *others = load_configuration(page)
    assert nbgrader.ExchangeFactory.submit == "ngshare.exchange.ExchangeSubmit"
    assert nbgrader.CourseDirectory.course_id
    assert all(others)

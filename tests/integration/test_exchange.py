"""A course at a real Hub in which some have our plugin and some the published one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import NewHub, Site
from tests.integration.hub import ADMIN
from tests.integration.people import Person, UserOfOurs

pytestmark = pytest.mark.story

COURSE = "Küche 101"
EXERCISE = "Übung 1"
FILES = {"Größe.ipynb": b"{}", "data/Maße.csv": b"1,2\n"}


@dataclass
class School:
    admin: UserOfOurs
    grace: UserOfOurs
    """Teaches."""
    alice: UserOfOurs
    bob: Person
    """Has ngshare_exchange 0.5.3."""


@pytest.fixture(scope="module")
def school(new_hub: NewHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("homes")
    with new_hub(Site("sqlite", base_url="/jupyterhub/")) as hub:
        yield School(
            admin=UserOfOurs.join(hub, ADMIN, folder),
            grace=UserOfOurs.join(hub, "grace", folder, COURSE),
            alice=UserOfOurs.join(hub, "alice+zoë@example.org", folder, COURSE),
            bob=Person.join(hub, "bob", folder, COURSE),
        )


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def timestamp_of(school: School, student: Person) -> str:
    [submission] = school.grace.get("submissions", COURSE, EXERCISE, student.name)["submissions"]
    return submission["timestamp"]


def test_the_course_is_made_and_its_first_assignment_released(school: School) -> None:
    school.admin.manage("create_course", COURSE, "grace")
    for student in (school.alice, school.bob):
        school.grace.manage("add_student", COURSE, student.name, "--no-gb")
    write(school.grace.work / "release" / EXERCISE, FILES)
    school.grace.nbgrader("release_assignment", EXERCISE)
    assert "released already" in school.grace.nbgrader("release_assignment", EXERCISE, status=1)


def test_everybody_fetches_it(school: School) -> None:
    for student in (school.alice, school.bob):
        student.nbgrader("fetch_assignment", EXERCISE)
        assert tree(student.work / EXERCISE) == FILES
    assert "already downloaded" in school.alice.nbgrader("list")


def test_everybody_hands_it_in(school: School) -> None:
    for student in (school.alice, school.bob):
        write(student.work / EXERCISE, {"mine.txt": student.name.encode()})
        assert "Submitted as" in student.nbgrader("submit", EXERCISE)
        line = f"{COURSE} {student.name} {EXERCISE} {timestamp_of(school, student)}"
        assert line in school.grace.nbgrader("list", "--inbound")


def test_all_of_it_is_collected(school: School) -> None:
    school.grace.nbgrader("collect", EXERCISE)
    for student in (school.alice, school.bob):
        assert tree(school.grace.work / "submitted" / student.name / EXERCISE) == {
            **FILES,
            "mine.txt": student.name.encode(),
            "timestamp.txt": timestamp_of(school, student).encode(),
        }


def test_everybody_gets_the_feedback(school: School) -> None:
    for student in (school.alice, school.bob):
        times = {"timestamp.txt": timestamp_of(school, student).encode()}
        pages = {"Größe.html": student.name.encode()}
        write(school.grace.work / "feedback" / student.name / EXERCISE, {**times, **pages})
    school.grace.nbgrader("release_feedback", EXERCISE)
    for student in (school.alice, school.bob):
        assert "feedback ready to be fetched" in student.nbgrader("list", "--cached")
        student.nbgrader("fetch_feedback", EXERCISE)
        timestamp = timestamp_of(school, student)
        fetched = tree(student.work / EXERCISE / "feedback")
        assert fetched == {f"{timestamp}/Größe.html": student.name.encode()}
        assert "feedback already fetched" in student.nbgrader("list", "--cached")


def test_a_new_version_keeps_the_work(school: School) -> None:
    write(school.grace.work / "release" / EXERCISE, {"hint.txt": b"think"})
    school.grace.nbgrader("release_assignment", EXERCISE, "--force")
    for student in (school.alice, school.bob):
        student.nbgrader("fetch_assignment", EXERCISE, "--replace")
        assert (student.work / EXERCISE / "hint.txt").read_bytes() == b"think"
        assert timestamp_of(school, student)


def test_students_do_not_get_at_more(school: School) -> None:
    for command in (["collect", EXERCISE], ["list", "--remove"], ["release_feedback", EXERCISE]):
        write(
            school.alice.work / "feedback" / "bob" / EXERCISE, {"x.html": b"", "timestamp.txt": b""}
        )
        school.alice.nbgrader(*command, status=1)
    assert EXERCISE in school.bob.nbgrader("list")

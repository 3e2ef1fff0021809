"""ngshare-course-management and `ngshare doctor` beside a real nbgrader."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ngshare.client import NgShareClient
from tests.api import Api
from tests.fake_hub import token_of
from tests.integration.hub import ROOT, clean_environment, require

PYTHON = ROOT / ".venv-exchange" / "bin" / "python"
NBGRADER = ROOT / ".venv-nbgrader" / "bin" / "python"
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "course1"\n'


@dataclass
class Place:
    """An instructor's folder, with a course of nbgrader."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def configure(self, *lines: str) -> None:
        (self.folder / "nbgrader_config.py").write_text(CONFIG + "\n".join(lines))

    def run(
        self, module: str, *arguments: str, status: int = 0, python: Path = PYTHON
    ) -> tuple[str, str]:
        """What a command prints and complains of; nobody answers if it asks something."""
        done = subprocess.run(
            [require(python), "-m", module, *arguments],
            cwd=self.folder,
            env={**clean_environment(), "HOME": str(self.folder), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr.replace("ngshare-course-management: ", "")

    def manage(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        return self.run("ngshare.course_management", *arguments, status=status)

    def students(self) -> dict[str, tuple[str | None, ...]]:
        """The gradebook's students: first name, last name and e-mail address by name."""
        query = "SELECT id, first_name, last_name, email FROM student"
        gradebook = sqlite3.connect(self.folder / "gradebook.db")
        rows = gradebook.execute(query).fetchall()
        gradebook.close()
        return {name: texts for name, *texts in rows}  # type: ignore[misc]

    def give_grades(self, student_id: str) -> None:
        """Record a submission, as autograde would."""
        script = """
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db", "course1") as gradebook:
    gradebook.update_or_create_assignment("challenge")
    gradebook.add_submission("challenge", STUDENT)
"""
        self.environment["PATH"] = f"{PYTHON.parent}:{os.environ['PATH']}"
        subprocess.run(
            [PYTHON, "-c", script.replace("STUDENT", repr(student_id))],
            cwd=self.folder,
            env={**clean_environment(), **self.environment},
            check=True,
        )


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """SQLite alone: which database it is makes no difference here."""
    shutil.copy(sqlite_template, tmp_path / "ngshare.db")
    return f"sqlite:///{tmp_path}/ngshare.db"


@pytest.fixture
def place(course: Api, tmp_path: Path) -> Place:
    folder = tmp_path / "course1"
    folder.mkdir()
    token = {"NGSHARE_URL": course.url, "JUPYTERHUB_API_TOKEN": token_of("kevin")}
    place = Place(folder, token)
    place.configure()
    return place


def names(people: list[dict[str, str]]) -> list[str]:
    return [person["username"] for person in people]


def test_students_are_in_the_course_and_in_the_gradebook(
    place: Place, kevin: NgShareClient
) -> None:
    (place.folder / "roster.csv").write_text(
        "student_id,first_name,last_name,email\nmia,Mia,Moon,mia@example.org\nkevin,,,\nbob,,,\n"
    )
    place.manage("add_student", "course1", "mia", "-f", "Maria", "-e", "old@example.org")
    assert list(place.students()["mia"]) == ["Maria", None, "old@example.org"]
    _, complaints = place.manage("add_students", "course1", "roster.csv", status=1)
    assert complaints == "kevin was not added: Cannot add instructor as student\n"
    assert set(place.students()) == {"mia", "bob"}
    assert list(place.students()["mia"]) == ["Mia", "Moon", "mia@example.org"]
    assert names(kevin.list_students("course1"))[2:] == ["mia", "bob"]

    place.manage("add_student", "course1", "zoe", "--no-gb")
    place.manage("remove_students", "course1", "mia", "zoe")
    assert set(place.students()) == {"bob"}
    place.manage("remove_students", "course1", "bob", "--no-gb")
    assert set(place.students()) == {"bob"}
    said, _ = place.manage("remove_students", "course1", "bob")  # is in the gradebook alone
    assert said == "bob is no longer a student of course1\n"
    assert place.students() == {}
    assert names(kevin.list_students("course1")) == ["lawrence", "eric"]


def test_a_student_with_grades_is_removed_by_force_alone(
    place: Place, kevin: NgShareClient
) -> None:
    place.manage("add_student", "course1", "eric")
    place.give_grades("eric")
    _, complaints = place.manage("remove_students", "course1", "eric", "lawrence", status=1)
    assert complaints == (
        "eric was not removed: the gradebook has grades of this student. --force deletes them, "
        "--no-gb leaves the gradebook as it is\n"
    )
    assert names(kevin.list_students("course1")) == ["eric"]
    assert set(place.students()) == {"eric"}
    place.manage("remove_students", "course1", "eric", "--force")
    assert (kevin.list_students("course1"), place.students()) == ([], {})


def test_where_the_gradebook_cannot_be_used_nothing_is_changed(
    place: Place, kevin: NgShareClient
) -> None:
    (place.folder / "gradebook.db").write_text("no database at all, and long enough to be one\n")
    for arguments in (("add_student", "course1", "mia"), ("remove_students", "course1", "eric")):
        _, complaints = place.manage(*arguments, status=1)
        assert complaints.startswith("nbgrader's gradebook can't be used: ")
        assert "file is not a database" in complaints
    assert names(kevin.list_students("course1")) == ["lawrence", "eric"]
    place.configure("c.CourseDirectory.nonsense =")
    _, complaints = place.manage("add_student", "course1", "mia", status=1)
    assert complaints.startswith("nbgrader_config.py fails with SyntaxError: invalid syntax")
    assert complaints.splitlines()[0].endswith("--no-gb leaves the gradebook alone")


def test_the_url_may_be_in_the_configuration_of_the_old_plugin(place: Place, course: Api) -> None:
    old = next((NBGRADER.parent.parent / "lib").glob("python3*")) / "site-packages"
    plugin = place.folder / "ngshare_exchange"
    plugin.symlink_to(old / "ngshare_exchange")
    place.environment |= {"NGSHARE_URL": "", "USER": "jovyan"}
    place.configure(
        "import ngshare_exchange", f"ngshare_exchange.configureExchange(c, {course.url!r})"
    )
    assert place.manage("list") == ("course1\tinstructor\n", "")
    said, _ = place.run("ngshare.doctor", status=1)
    assert f"URL:       {course.url} (from nbgrader's configuration)" in said
    assert "WRONG:     nbgrader uses the old plugin ngshare_exchange. Replace" in said


def test_the_doctor_sees_whether_nbgrader_uses_ngshare(place: Place) -> None:
    wrong = place.run("ngshare.doctor", status=1)[0].splitlines()[-1]
    assert wrong.startswith(
        "WRONG:     nbgrader does not use ngshare, but nbgrader.exchange.default"
    )
    place.configure('c.ExchangeFactory.list = "nothing.such"')
    said, complaints = place.run("ngshare.doctor", status=1)
    assert "can't be loaded: No module named 'nothing'" in said.splitlines()[-1]
    assert complaints == ""


def test_the_doctor_knows_that_the_volume_exchange_does_not_use_the_server(place: Place) -> None:
    place.configure(
        "from ngshare.exchange import configure_exchange",
        "configure_exchange(c)",
        'c.ExchangeFactory.list = "ngshare.exchange.volume.ExchangeList"',
    )
    wrong = place.run("ngshare.doctor", status=1)[0].splitlines()[-1]
    assert "does not use ngshare, but ngshare.exchange.volume.list.ExchangeList. Write" in wrong


def test_where_nbgrader_uses_ngshare_all_is_well(place: Place, course: Api) -> None:
    place.environment["NGSHARE_URL"] = ""
    place.configure(
        "from ngshare.exchange import configure_exchange", f"configure_exchange(c, {course.url!r})"
    )
    said, complaints = place.run("ngshare.doctor")
    lines = said.splitlines()
    assert lines[0] == f"URL:       {course.url} (from nbgrader's configuration)"
    assert lines[-1] == "nbgrader:  uses ngshare"
    assert complaints == ""
    assert place.manage("list") == ("course1\tinstructor\n", "")
    place.environment["NGSHARE_URL"] = "http://127.0.0.1:9/"  # which counts more
    assert "Nothing listens at http://127.0.0.1:9/" in place.manage("list", status=1)[1]
    said, _ = place.run("ngshare.doctor", status=1)
    assert f"WRONG:     nbgrader uses another server, {course.url}, than other commands." in said

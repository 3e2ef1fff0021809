"""Makes exchange.tar.xz, by the real nbgrader: `python -m tests.data.make_exchange`.

To be run where nbgrader is (.venv-exchange). The archive holds an exchange directory with three
courses: in each, twenty students have handed in ps1 twice and ps2 once, and have feedback on all of
it. The pages are not those of nbgrader's autograder, but it has released them.
"""

from __future__ import annotations

import random
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.auth import Authenticator
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import default
from traitlets.config import Config

ARCHIVE = Path(__file__).with_name("exchange.tar.xz")
COURSES = ("chem101", "math101", "phys 101")
STUDENTS = [f"student{number:02}" for number in range(18)] + ["zoë", "o'neil"]
ROUNDS = ("ps1", "ps1", "ps2")

words = random.Random(1)


def notebook(text: str) -> str:
    return nbformat.writes(new_notebook(cells=[new_code_cell(text, id="only")]))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Course:
    """A course with a folder of its instructor's, and one for all its students.

    Args:
        verbs: the exchange's classes.
    """

    def __init__(
        self, course_id: str, folder: Path, root: Path, verbs: ModuleType = default
    ) -> None:
        self.verbs = verbs
        self.home = folder / course_id
        self.work = folder / f"work of {course_id}"
        self.config = Config()
        self.config.Exchange.root = str(root)
        self.config.Exchange.assignment_dir = str(self.work)
        self.config.Exchange.cache = str(folder / "cache")
        self.config.CourseDirectory.root = str(self.home)
        self.config.CourseDirectory.course_id = course_id
        self.home.mkdir(parents=True)
        self.work.mkdir()

    def run(self, verb: type, assignment_id: str, student_id: str = "*", **options: bool) -> None:
        course = CourseDirectory(config=self.config)
        course.assignment_id, course.student_id = assignment_id, student_id
        exchange = verb(course, Authenticator(config=self.config), config=self.config)
        for name, value in options.items():
            setattr(exchange, name, value)
        exchange.start()

    def release(self, assignment_id: str) -> None:
        folder = self.home / "release" / assignment_id
        write(folder / f"{assignment_id}.ipynb", notebook(f"# {assignment_id}"))
        write(folder / "data" / "x.csv", "1,2\n3,4\n")
        self.run(self.verbs.ExchangeReleaseAssignment, assignment_id)

    def submit(self, assignment_id: str, student_id: str) -> None:
        folder = self.work / assignment_id
        write(folder / f"{assignment_id}.ipynb", notebook(f"x = {words.getrandbits(32)}"))
        write(folder / "data" / "x.csv", "1,2\n3,4\n")
        write(folder / "empty", "")
        self.run(self.verbs.ExchangeSubmit, assignment_id, student_id)

    def give_feedback(self, assignment_id: str) -> None:
        """Collect what is newest, and release feedback on it."""
        self.run(self.verbs.ExchangeCollect, assignment_id, update=True, check_owner=False)
        for folder in sorted(self.home.glob(f"submitted/*/{assignment_id}")):
            feedback = self.home / "feedback" / folder.parent.name / assignment_id
            for name in ("timestamp.txt", "submission_secret.txt"):
                write(feedback / name, (folder / name).read_text(encoding="utf-8"))
            page = f"<p>{words.getrandbits(32)} points</p>"
            write(feedback / f"{assignment_id}.html", page)
        self.run(self.verbs.ExchangeReleaseFeedback, assignment_id)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "exchange")
        root.mkdir()
        root.chmod(0o777)
        for course_id in COURSES:
            course = Course(course_id, Path(name), root)
            for assignment_id in sorted(set(ROUNDS)):
                course.release(assignment_id)
            for assignment_id in ROUNDS:
                for student_id in STUDENTS:
                    course.submit(assignment_id, student_id)
                course.give_feedback(assignment_id)
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            archive.add(root, "exchange", filter=without_owner)
        folders = len(list(root.glob("*/inbound/*")))
        print(f"{folders} submissions, {ARCHIVE.stat().st_size:,} bytes")


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()

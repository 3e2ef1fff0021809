"""People who work with nbgrader: each with a token, a home and a folder with a configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.tests import run_nbgrader

from tests.api import Api, Caller, encode, person
from tests.fake_hub import token_of

COURSE = "phys101"

CONFIG = """
from ngshare.exchange import configure_exchange

c = get_config()
configure_exchange(c, {url!r})
c.CourseDirectory.course_id = {course!r}
"""


@dataclass
class Person:
    """Somebody at a computer; nbgrader's commands run in this process, as nbgrader's tests do."""

    name: str
    api: Caller
    home: Path
    url: str

    @property
    def work(self) -> Path:
        """Where commands are typed: a student's notebooks, an instructor's course."""
        return self.home / "work"

    @property
    def cache(self) -> Path:
        return self.home / "data" / "nbgrader_cache"

    def environment(self) -> dict[str, str]:
        """What a notebook server's processes have."""
        kept = {name: os.environ[name] for name in ("LANG", "USER") if name in os.environ}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTERHUB_USER": self.name,
            "JUPYTERHUB_API_TOKEN": token_of(self.name),
        }

    def configure(self, *lines: str, course: str = COURSE) -> None:
        """Write nbgrader_config.py, with some lines more."""
        config = CONFIG.format(url=self.url, course=course) + "\n".join(lines) + "\n"
        (self.work / "nbgrader_config.py").write_text(config, encoding="utf-8")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Be this person, in the working folder."""
        before = Path.cwd()
        with mock.patch.dict(os.environ, self.environment(), clear=True):
            os.chdir(self.work)
            try:
                yield
            finally:
                os.chdir(before)

    def nbgrader(self, *arguments: str, status: int = 0) -> str:
        """Run a command, which must end with this status; what it logged."""
        with self.at_work():
            return run_nbgrader(list(arguments), retcode=status)

    def write(self, folder: str, files: Mapping[str, bytes]) -> Path:
        """Write files below a folder of the working folder."""
        for name, content in files.items():
            path = self.work / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self.work / folder

    def files(self, folder: str) -> dict[str, bytes]:
        """Every file below a folder of the working folder: relative path and content."""
        return tree(self.work / folder)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder: its relative path and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def notebook(source: str = "") -> bytes:
    """A small notebook."""
    cell = new_code_cell(source, id="only")
    return nbformat.writes(new_notebook(cells=[cell])).encode()


PS1 = {"p1.ipynb": notebook("x = 1"), "data/x.csv": b"1,2\n", "data/ps1/deep.txt": b"deep"}


@dataclass
class School:
    """A course with its people, on a server."""

    api: Api
    home: Path
    url: str

    def __post_init__(self) -> None:
        self.root = self.join("root")
        self.create_course(COURSE, "grace", "alice", "bob")
        self.grace = self.join("grace")
        self.alice = self.join("alice")
        self.bob = self.join("bob")

    def join(self, name: str, computer: str = "", url: str | None = None) -> Person:
        """Somebody with a home, on another computer if one is named."""
        home = self.home / (computer or name)
        someone = Person(name, self.api.user(name), home, url or self.url)
        someone.work.mkdir(parents=True)
        someone.configure()
        return someone

    def create_course(self, course: str, instructor: str, *students: str) -> None:
        root = self.api.user("root")
        root.ok("POST", f"course/{course}", instructors=f'["{instructor}"]')
        for student in students:
            root.ok("POST", f"student/{course}/{student}", **person(student))

    def release(self, assignment: str = "ps1", course: str = COURSE, **files: bytes) -> None:
        """An assignment, released without nbgrader."""
        root = self.api.user("root")
        root.ok("PUT", f"assignment/{course}/{assignment}", files=encode(files or PS1))

    def submit(self, student: str, files: Mapping[str, bytes], assignment: str = "ps1") -> str:
        """A submission, made without nbgrader; its timestamp."""
        return self.api.user(student).submit(COURSE, assignment, files)

    def release_feedback(
        self, student: str, timestamp: str, files: Mapping[str, bytes], assignment: str = "ps1"
    ) -> None:
        """Feedback, released without nbgrader."""
        self.api.user("root").ok(
            "POST",
            f"feedback/{COURSE}/{assignment}/{student}",
            timestamp=timestamp,
            files=encode(files),
        )

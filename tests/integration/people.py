"""People at a Hub: each with a token, a home and nbgrader with a plugin for ngshare."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import requests

from tests.integration.hub import ROOT, Hub, require


@dataclass
class Outcome:
    """How a command ended, and all that it printed."""

    status: int
    output: str


@dataclass
class Person:
    """Somebody with a Hub token, a home, a working folder and the commands of nbgrader.

    The plugin is the published one.
    """

    bin: ClassVar[Path] = ROOT / ".venv-nbgrader" / "bin"
    plugin: ClassVar[str] = "ngshare_exchange"

    name: str
    token: str
    url: str
    home: Path
    course_id: str = ""

    @classmethod
    def join(cls, hub: Hub, name: str, folder: Path, course_id: str = "") -> "Person":
        """Give a new user of the Hub a home that is configured as ngshare's manual says."""
        require(cls.bin / "nbgrader")
        home = folder / re.sub(r"\W", "_", name)
        person = cls(name, hub.new_user(name), hub.ngshare_url, home, course_id)
        person.work.mkdir(parents=True)
        person.configure()
        return person

    @property
    def work(self) -> Path:
        """The working folder: a student's notebooks, an instructor's course."""
        return self.home / "work"

    def configure(self) -> None:
        lines = [
            f"import {self.plugin}",
            "c = get_config()",
            f"{self.plugin}.configureExchange(c, {self.url!r})",
            f"c.CourseDirectory.course_id = {self.course_id!r}",
        ]
        (self.work / "nbgrader_config.py").write_text("\n".join(lines), encoding="utf-8")

    def run(self, command: str, *arguments: str, status: int = 0) -> str:
        """Run a command as this person's terminal would, and give back what it printed."""
        outcome = self.attempt(command, *arguments)
        assert outcome.status == status, f"{command} {arguments}: {outcome.output}"
        return outcome.output

    def attempt(self, command: str, *arguments: str) -> Outcome:
        """Run a command that may fail."""
        environment = {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "USER": "jovyan",
            "LANG": "C.UTF-8",
            "JUPYTERHUB_USER": self.name,
            "JUPYTERHUB_API_TOKEN": self.token,
        }
        done = subprocess.run(
            [str(require(self.bin / command)), *arguments],
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=180,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode("utf-8", errors="replace"))

    def nbgrader(self, *arguments: str, status: int = 0) -> str:
        return self.run("nbgrader", *arguments, status=status)

    def manage(self, *arguments: str, status: int = 0) -> str:
        return self.run("ngshare-course-management", *arguments, status=status)

    def call(
        self, method: str, *segments: str, query: dict | None = None, form: dict | None = None
    ) -> requests.Response:
        """A call of ngshare's REST API with this person's token."""
        path = "/".join(quote(segment, safe="") for segment in segments)
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(
            method, f"{self.url}/{path}", headers=headers, params=query, data=form, timeout=60
        )

    def get(self, *segments: str, **query: str) -> dict:
        """The answer of a GET that must succeed."""
        response = self.call("GET", *segments, query=query)
        assert response.status_code == 200, f"{segments}: {response.text}"
        answer = response.json()
        assert answer["success"] is True
        return answer


class UserOfOurs(Person):
    """Somebody who has this ngshare, with its plugin and its commands."""

    bin = ROOT / ".venv-exchange" / "bin"
    plugin = "ngshare.exchange"

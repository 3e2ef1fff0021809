"""A volume with courses, and people in pods, each with the mounts that the manual's hook makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from tests.exchange.volume.pod import GID, HOME, PASSWD, UID

MANUAL = Path(__file__).parents[3] / "docs" / "volume-exchange.md"
HUB_CONFIG, NBGRADER_CONFIG = re.findall(
    r"^```python\n(.*?)^```$", MANUAL.read_text(), re.MULTILINE | re.DOTALL
)
VOLUME_NAME = "nbgrader-exchange"
EXCHANGE = "/usr/local/share/nbgrader/exchange"
SPAWN = """
import asyncio, json, logging
from types import SimpleNamespace
from traitlets.config import Config

config = Config()
exec({config!r}, {{"get_config": lambda: config}})
groups = [SimpleNamespace(name=group) for group in {groups!r}]
user = SimpleNamespace(name={name!r}, groups=groups)
spawner = SimpleNamespace(user=user, volume_mounts={mounted!r}, log=logging.getLogger())
asyncio.run(config.KubeSpawner.pre_spawn_hook(spawner))
print(json.dumps(spawner.volume_mounts))
"""
HOME_MOUNT = {"name": "home", "mountPath": str(HOME)}

TIME = "2026-11-21 10:00:00.000000 UTC"


def notebook(source: str = "") -> bytes:
    """A small notebook."""
    return nbformat.writes(new_notebook(cells=[new_code_cell(source, id="only")])).encode()


@dataclass
class Pod:
    """Somebody's server: commands are typed in the home folder, by the user whom all are."""

    site: Site
    name: str
    mounts: list[dict[str, object]]

    @property
    def home(self) -> Path:
        return self.site.folder / "homes" / self.name

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command, which must end with this status; what it printed."""
        pod = {
            "volume": str(self.site.volume),
            "mounts": self.mounts,
            "home": str(self.home),
            "passwd": str(self.site.folder / "passwd"),
            "name": self.name,
            "is_hub": self.name == "hub",
        }
        found, output = self.site.ask(pod, command)
        assert found == status, output
        return output

    def nbgrader(self, *arguments: str, status: int = 0) -> str:
        return self.run("nbgrader", *arguments, status=status)

    def shell(self, script: str, status: int = 0) -> str:
        """Run a script, in which $R is the exchange."""
        return self.run("sh", "-euc", f"R={EXCHANGE}/phys101; {script}", status=status)

    def configure(self, *lines: str, course: str = "phys101") -> None:
        """Write nbgrader_config.py, with some lines more."""
        course_line = f"c.CourseDirectory.course_id = {course!r}"
        config = "\n".join([NBGRADER_CONFIG, course_line, *lines, ""])
        self.write("", {"nbgrader_config.py": config.encode()})

    def write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files below a folder of the home folder."""
        self.site.write(self.home / folder, files)

    def files(self, folder: str) -> dict[str, bytes]:
        return tree(self.home / folder)


class Site:
    """A volume, homes and pods."""

    def __init__(self, pods: subprocess.Popen[str], folder: Path) -> None:
        self._pods = pods
        self.folder = folder
        self.volume = folder / "volume"
        for each in (self.volume, folder / "homes"):
            each.mkdir()
            os.chown(each, UID, GID)
        (folder / "passwd").write_text(PASSWD)
        self.hub = Pod(self, "hub", [])
        self.write(self.hub.home, {})
        self.grace = self.spawn("grace", "formgrade-phys101")
        self.alice = self.spawn("alice", "nbgrader-phys101")
        self.bob = self.spawn("bob", "nbgrader-phys101")

    @property
    def course(self) -> Path:
        """The course on the volume, as nobody but the Hub sees it."""
        return self.volume / "phys101"

    def ask(self, pod: Mapping[str, object], command: tuple[str, ...]) -> tuple[int, str]:
        assert self._pods.stdin
        assert self._pods.stdout
        self._pods.stdin.write(json.dumps([pod, command]) + "\n")
        self._pods.stdin.flush()
        status, output = json.loads(self._pods.stdout.readline())
        return status, output

    def spawn(self, name: str, *groups: str, mounted: object = (HOME_MOUNT,)) -> Pod:
        """Somebody's pod, mounted as the Hub's hook says for these groups."""
        mounted = list(mounted) if isinstance(mounted, tuple) else mounted
        script = SPAWN.format(config=HUB_CONFIG, name=name, groups=groups, mounted=mounted)
        *self.hub_log, answer = self.hub.run("python", script).splitlines()
        wanted = json.loads(answer)
        pod = Pod(self, name, [each for each in wanted if each["name"] == VOLUME_NAME])
        assert [each for each in wanted if each not in pod.mounts] == [HOME_MOUNT]
        pod.configure()
        return pod

    def write(self, folder: Path, files: Mapping[str, bytes]) -> None:
        """Write files, as the user whom all pods run as."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, UID, GID, follow_symlinks=False)
        for parent in folder.parents:
            if self.folder in parent.parents:
                os.chown(parent, UID, GID)

    def release(self, assignment: str = "ps1") -> None:
        """An assignment with the notebook p1, which alice and bob have fetched."""
        self.grace.write(f"release/{assignment}", {"p1.ipynb": notebook("x = 1")})
        self.grace.nbgrader("release_assignment", assignment)
        for student in (self.alice, self.bob):
            student.write(assignment, {"p1.ipynb": notebook(f"x = {student.name!r}")})

    def submitted(self, student: str = "alice") -> list[Path]:
        """The folders that a student has submitted."""
        return sorted((self.course / "inbound" / student).iterdir())


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder: its relative path and its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

"""People who type nbgrader's commands: each has a home, a cache and a folder to work in."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..hub import token_of
from ..processes import BenchmarkError, die_with_parent, environment
from . import files

if TYPE_CHECKING:
    from .exchanges import Exchange, Receipt

PATIENCE_SECONDS = 900
CONFIG = """
{exchange}
c = get_config()
c.CourseDirectory.course_id = {course!r}
c.CourseDirectory.max_dir_size = 500000
"""


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        server_seconds: processor time of the server.
        calls, wire_bytes: None where they were not counted.
    """

    seconds: float
    server_seconds: float
    calls: int | None = None
    wire_bytes: int | None = None


@dataclass
class Person:
    """Somebody at a computer with nbgrader, in one course or, if that is empty, in all."""

    name: str
    exchange: Exchange
    home: Path
    course: str = ""

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True)
        lines = self.exchange.configuration(self.name)
        config = CONFIG.format(exchange="\n".join(lines), course=self.course)
        (self.work / "nbgrader_config.py").write_text(config)

    @property
    def work(self) -> Path:
        """Where commands are typed: a student's assignments, an instructor's course."""
        return self.home / "work"

    @property
    def cache(self) -> Path:
        return self.home / "data" / "nbgrader_cache"

    def keep_copy(
        self, course: str, assignment: str, receipt: Receipt, contents: Mapping[str, bytes]
    ) -> None:
        """What `nbgrader submit` leaves in the cache."""
        copy = self.cache / course / f"{self.name}+{assignment}+{receipt.timestamp}"
        files.write(copy, contents)
        files.write(copy, receipt.files())

    def nbgrader(self, *arguments: str, is_counted: bool = False) -> tuple[str, Usage]:
        """Run a command: what it printed, and what it took.

        Args:
            is_counted: call the server through a proxy that counts.

        Raises:
            BenchmarkError: it failed.
        """
        variables = {
            "PATH": f"{self.exchange.nbgrader.parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTERHUB_USER": self.name,
            "JUPYTERHUB_API_TOKEN": token_of(self.name),
        }
        os.sync()  # what was written before is not this command's
        with self.exchange.watched(is_counted) as watch:
            start = time.perf_counter()
            try:
                done = subprocess.run(
                    [str(self.exchange.nbgrader), *arguments],
                    cwd=self.work,
                    env=environment(**variables, NGSHARE_URL=watch.url),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=PATIENCE_SECONDS,
                    check=False,
                    preexec_fn=die_with_parent,
                )
            except subprocess.TimeoutExpired:
                what = " ".join(arguments)
                raise BenchmarkError(f"{what}: not done in {PATIENCE_SECONDS} s") from None
            seconds = time.perf_counter() - start
        output = done.stdout.decode(errors="replace")
        if done.returncode:
            last = " | ".join(output.strip().splitlines()[-3:])
            raise BenchmarkError(f"{' '.join(arguments)}: status {done.returncode}: {last}")
        return output, watch.usage(seconds)

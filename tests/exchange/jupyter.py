"""A real Jupyter server with nbgrader's server extensions, as somebody has it on a Hub."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from tests.exchange.people import Person
from tests.integration.hub import wait_until
from tests.ports import reserve_port

TOKEN = "the-token-of-the-notebook-server"


class Jupyter:
    """Somebody's Jupyter server; use it in a `with` statement."""

    def __init__(self, someone: Person, **environment: str) -> None:
        self._someone = someone
        port = reserve_port()
        self.url = f"http://127.0.0.1:{port}/"
        self._log = someone.home / "jupyter.log"
        command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"]
        command += [f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=someone.work,
                env={**someone.environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Jupyter:
        wait_until(self._is_ready, "the Jupyter server")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log()
        with suppress(requests.ConnectionError):
            return self.call("GET", "api/status").status_code == 200
        return False

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def call(self, verb: str, path: str, **options: Any) -> requests.Response:
        """One request, as a page of this server makes it."""
        headers = {"Authorization": f"token {TOKEN}"}
        return requests.request(verb, self.url + path, headers=headers, timeout=60, **options)

    def json(self, verb: str, path: str, **options: Any) -> Any:
        """The answer to a request that must succeed."""
        response = self.call(verb, path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    @property
    def root(self) -> Path:
        return self._someone.work

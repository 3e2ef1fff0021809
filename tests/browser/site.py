"""What `make demo` starts, in a folder and on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ngshare.client import NgShareClient
from tests.integration.hub import ROOT, clean_environment, wait_until
from tests.ports import reserve_port

START = """
from pathlib import Path

from tests.integration.hub import LOOK_EVERY_SECOND
from tools import demo

demo.FOLDER, demo.PORT = Path({folder!r}), {port}
demo.HUB_CONFIG = LOOK_EVERY_SECOND + demo.HUB_CONFIG
demo.main()
"""


class Site:
    """The demo; it can be started and stopped again and again.

    Attributes:
        command: what starts it.
        printed: what it told to do.
        url: where to log in.
        password: for everybody.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = reserve_port()
        script = START.format(folder=str(folder), port=self._port)
        self.command = [sys.executable, "-c", script]
        self._output = folder.with_suffix(".txt")

    def start(self) -> None:
        """Come back when it has told what to do."""
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._is_ready, "the demo", seconds=240)
        self.printed = self._output.read_text()
        self.url = self._find(r"(http://\S+)\n")
        self.password = self._find(r"password is (\w+)")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._output.read_text() + self.log()
        return "Stop it with Ctrl-C" in self._output.read_text()

    def _find(self, pattern: str) -> str:
        match = re.search(pattern, self.printed)
        assert match, self.printed
        return match[1]

    def stop(self) -> None:
        """Press Ctrl-C: all must end, and end well."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(60)
        survivors = self.processes()
        for pid in survivors:
            os.kill(pid, signal.SIGKILL)
        assert (status, survivors) == (0, {})

    def log(self) -> str:
        path = self.folder / "hub.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def home(self, name: str) -> Path:
        return self.folder / "homes" / name

    def admin(self) -> NgShareClient:
        """ngshare, as the demo itself sees it."""
        config = (self.folder / "jupyterhub_config.py").read_text()
        token = re.search(r'"demo", "api_token": "(\w+)"', config)
        assert token
        return NgShareClient(f"{self.url}services/ngshare/", token[1], tries=1)

    def processes(self) -> dict[int, str]:
        """The processes that belong to this demo, with their command lines."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (path / "environ").read_bytes()
                place = os.readlink(path / "cwd")
                if place.startswith(str(self.folder)) or os.fsencode(self.folder) in environment:
                    command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(path.name)] = command.decode(errors="replace")
        return found

    @contextmanager
    def without_ngshare(self) -> Iterator[None]:
        """ngshare is killed, and does not come back before the end of the block."""
        [pid] = [pid for pid, command in self.processes().items() if "bin/ngshare " in command]
        config = (self.folder / "jupyterhub_config.py").read_text()
        port = re.search(r'"ngshare",\s+"url": "http://127.0.0.1:(\d+)"', config)
        assert port
        os.kill(pid, signal.SIGKILL)
        with wait_until(lambda: _listen(int(port[1])), "the end of ngshare") as squatter:
            thread = threading.Thread(target=_hang_up, args=[squatter])
            thread.start()
            try:
                yield
            finally:
                squatter.shutdown(socket.SHUT_RDWR)
                thread.join()
        with self.admin() as ngshare:
            wait_until(ngshare.is_alive, "a new ngshare", seconds=60)


def _listen(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def _hang_up(listener: socket.socket) -> None:
    """Take every call, and end it at once."""
    with suppress(OSError):
        while True:
            listener.accept()[0].close()

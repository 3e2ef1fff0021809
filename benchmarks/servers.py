"""The two servers that are compared, and the stand-in Hub that both ask who is calling."""

import http.client
import json
import subprocess
import sys
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .hub import SERVICE_NAME, SERVICE_TOKEN, token_of
from .processes import ROOT, BenchmarkError, free_port, spawn, stop, tail

OLD_VERSION = "0.6.0"
FLOOR = "floor"
OLD_VENV = ROOT / ".venv-old"
OLD_REQUIREMENTS = (f"ngshare=={OLD_VERSION}", "SQLAlchemy<2")
PREFIX = f"/services/{SERVICE_NAME}/"
ADMIN = "admin"
START_SECONDS = 60.0
CALL_SECONDS = 120.0


def call(
    port: int, method: str, path: str, user: str = "", form: dict[str, str] | None = None
) -> dict[str, Any]:
    """One call of the API, outside any measurement; returns the decoded answer.

    Raises BenchmarkError if it is not a success.
    """
    headers = {"Authorization": f"token {token_of(user)}"} if user else {}
    body = urlencode(form) if form is not None else None
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{method} {path}: {type(error).__name__} {error}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise BenchmarkError(f"{method} {path}: {response.status} {text[:200]!r}")
    answer: dict[str, Any] = json.loads(text)
    return answer


def wait_until_up(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    """Wait for the first good answer; raises BenchmarkError with the end of the log."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            call(port, "GET", path)
            return
        except BenchmarkError:
            time.sleep(0.1)
    raise BenchmarkError(f"it did not start (exit status {process.poll()}): {tail(log)}")


class Hub:
    """The stand-in Hub, in a process of its own."""

    def __init__(self, folder: Path, users: list[str], delay: float) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._log = folder / "hub.log"
        options = [f"--port={self._port}", f"--delay={delay}", f"--users={','.join(users)}"]
        command = [sys.executable, "-m", "benchmarks.hub", *options]
        self._process = spawn(command, self._log, ROOT)

    def start(self) -> None:
        wait_until_up(self._process, self._port, "/hub/api/", self._log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        stop(self._process)


@dataclass
class Server:
    """One ngshare behind the Hub, on SQLite in a folder of its own.

    `state` is where measurements note what they left behind for later ones (an upload to fetch).
    """

    name: str
    command: list[str]
    folder: Path
    hub_url: str
    import_path: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    @property
    def pid(self) -> int:
        if self._process is None or self._process.poll() is not None:
            raise BenchmarkError(f"it has ended: {tail(self.log)}")
        return self._process.pid

    def start(self) -> None:
        """Start it, on the database that it had; returns when it answers."""
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        port = [f"--port={self.port}"] if self.name == FLOOR else []
        command = [*self.command, *port]
        self._process = spawn(command, self.log, self.folder, **self._variables())
        wait_until_up(self._process, self.port, PREFIX + "healthz", self.log)

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def ensure_running(self) -> None:
        """Start it again if the measurement before has killed it."""
        if self._process is None or self._process.poll() is not None:
            self.restart()

    def call(
        self, method: str, path: str, user: str, form: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """One call of the API, outside any measurement (path without the prefix)."""
        return call(self.port, method, PREFIX + path, user, form)

    def _variables(self) -> dict[str, str]:
        variables = {
            "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
            "JUPYTERHUB_API_URL": f"{self.hub_url}/hub/api",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": f"service-{SERVICE_NAME}",
            "JUPYTERHUB_SERVICE_NAME": SERVICE_NAME,
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{self.port}/",
        }
        return {**variables, "PYTHONPATH": self.import_path} if self.import_path else variables


# A student of the benchmark submits as often as a whole class, and longer files.
UNLIMITED = [
    "--NgShare.max_submissions_per_minute=0",
    "--NgShare.max_submissions=0",
    "--NgShare.max_file_bytes=0",
    "--NgShare.max_submission_bytes=0",
    f"--NgShare.max_upload_bytes={4 << 30}",
]


def our_server(folder: Path, hub_url: str, database: str = "") -> Server:
    """The ngshare of this repository, on the Python that runs the benchmark."""
    database = database or f"sqlite:///{folder}/ngshare.db"
    command = [sys.executable, "-m", "ngshare", f"--database={database}"]
    options = [f"--admins={ADMIN}", *UNLIMITED]
    return Server("ours", [*command, *options], folder, hub_url, str(ROOT))


def old_server(folder: Path, hub_url: str) -> Server:
    """ngshare 0.6.0 in its own environment; started in its folder, so that it imports itself."""
    command = [str(old_python()), "-m", "ngshare", f"--database=sqlite:///{folder}/ngshare.db"]
    options = [f"--storage={folder}/files", f"--admins={ADMIN}"]
    return Server(OLD_VERSION, [*command, *options], folder, hub_url)


def old_python() -> Path:
    """The Python of 0.6.0's environment, which is made if it isn't there."""
    python = OLD_VENV / "bin" / "python"
    if not has_old_version(python):
        print(f"Installing ngshare {OLD_VERSION} into {OLD_VENV.name}/ ...", file=sys.stderr)
        venv.create(OLD_VENV, with_pip=True, clear=True)
        install = [str(python), "-I", "-m", "pip", "install", "--quiet", *OLD_REQUIREMENTS]
        if subprocess.run(install, check=False).returncode:
            raise BenchmarkError(f"pip could not install {' '.join(OLD_REQUIREMENTS)}")
    return python


def has_old_version(python: Path) -> bool:
    return python.exists() and versions(python, "ngshare").get("ngshare") == OLD_VERSION


def versions(python: Path, *packages: str) -> dict[str, str]:
    """The versions of packages that a Python has; those that it lacks are left out."""
    lines = subprocess.run(
        [str(python), "-I", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        check=False,
    ).stdout
    listed = {entry["name"].lower(): entry["version"] for entry in json.loads(lines or b"[]")}
    return {name: listed[name.lower()] for name in packages if name.lower() in listed}


def floor_server(folder: Path, hub_url: str) -> Server:
    """A bare Tornado handler."""
    return Server(FLOOR, [sys.executable, "-m", "benchmarks.floor"], folder, hub_url, str(ROOT))

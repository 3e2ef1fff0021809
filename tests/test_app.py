"""The command `ngshare`: its options, its environment, its start and its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import requests
from tornado.testing import bind_unused_port

from ngshare import __version__
from ngshare.app import NgShare
from tests.api import encode
from tests.fake_hub import FakeHub, token_of
from tests.ports import reserve_port
from tests.postgres import PostgreSQL

HUB_VARIABLES = ["API_TOKEN", "API_URL", "BASE_URL", "CLIENT_ID", "SERVICE_PREFIX", "SERVICE_URL"]


def environment(hub_variables: dict[str, str] | None = None) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTERHUB_")}
    return {**plain, **(hub_variables or {}), "PYTHONWARNINGS": "error"}


@pytest.fixture
def hub_variables(hub: FakeHub) -> dict[str, str]:
    variables = {k: v for k, v in os.environ.items() if k.startswith("JUPYTERHUB_")}
    return {**variables, "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{reserve_port()}"}


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    options.setdefault("env", environment())
    return subprocess.run(
        [sys.executable, "-m", "ngshare", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        **options,  # type: ignore[call-overload]
    )


def complains(said: str, *arguments: str, **options: object) -> None:
    """The command ends with one clear line, not a traceback."""
    result = run(*arguments, **options)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("ngshare: ")


class Service:
    """The command, running."""

    def __init__(self, url: str, log: Path, *arguments: str, env: dict[str, str]) -> None:
        self.url, self.log = url, log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ngshare", *arguments], env=env, stdout=file, stderr=file
            )
        try:
            self.wait()
        except BaseException:
            self.kill()
            raise

    def wait(self) -> None:
        """Come back when it works."""
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(self.url + "readyz", timeout=5).json() == {"success": True}:
                    return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


ServiceT = TypeVar("ServiceT", bound=Service)


@contextlib.contextmanager
def managed(
    variables: dict[str, str],
    folder: Path,
    *arguments: str,
    database: str | None = None,
    kind: type[ServiceT] = Service,  # type: ignore[assignment]
) -> Iterator[ServiceT]:
    """The command as the Hub starts it."""
    url = variables["JUPYTERHUB_SERVICE_URL"] + variables["JUPYTERHUB_SERVICE_PREFIX"]
    database = database or f"sqlite:///{folder}/ngshare.db"
    options = ("--database", database, "--admins", "root,alice", *arguments)
    service = kind(url, folder / "log", *options, env=environment(variables))
    try:
        yield service
    finally:
        service.kill()


def headers(name: str) -> dict[str, str]:
    return {"Authorization": f"token {token_of(name)}"}


def test_the_version_is_told() -> None:
    assert run("--version").stdout.strip() == __version__


def test_every_option_has_help() -> None:
    told = run("--help-all").stdout
    for name, trait in NgShare.class_own_traits(config=True).items():
        assert trait.help, name
        assert f"--NgShare.{name}" in told
    for flag in ("database", "storage", "admins", "jupyterhub_api_url", "prefix", "host", "port"):
        assert f"--{flag}=" in told
    for flag in ("--debug", "--no-upgrade-db", "--vngshare"):
        assert flag in told


@pytest.mark.parametrize("name", HUB_VARIABLES)
def test_a_missing_variable_is_one_clear_line(
    hub_variables: dict[str, str], tmp_path: Path, name: str
) -> None:
    del hub_variables[f"JUPYTERHUB_{name}"]
    complains(
        f"The environment variable JUPYTERHUB_{name} is not set",
        *("--database", f"sqlite:///{tmp_path}/ngshare.db"),
        env=environment(hub_variables),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prefix", "api/"], "must begin and end with a slash"),
        (["--prefix", "/api"], "must begin and end with a slash"),
        (["--prefix", "/healthz/x/"], "must not begin with /healthz/"),
        (["--prefix", "/readyz/x/"], "must not begin with /readyz/"),
        (["--host", "0.0.0.0"], "--allow-remote allows it"),
        (["--database", "nonsense"], "is not given as a URL"),
        (["--database", "mysql://u:secret@host/db"], "can't use the database mysql"),
        (["--database", "sqlite://"], "needs a database in a file"),
        (["--database", "sqlite:////no/such/folder/x.db"], "/no/such/folder does not exist"),
        (["--database", "postgresql://u:secret@127.0.0.1:9/x"], "The database can't be opened"),
        (["--config", "/no/such/file.py"], "There is no configuration file /no/such/file.py"),
        (["surplus"], "Unknown arguments: surplus"),
    ],
)
def test_what_can_not_work_is_refused_with_one_line(arguments: list[str], said: str) -> None:
    result = run("--vngshare", f"--port={reserve_port()}", *arguments)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret" not in result.stderr


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    sock, port = bind_unused_port()
    database = f"sqlite:///{tmp_path}/ngshare.db"
    with sock:
        result = run("--vngshare", "--port", str(port), "--database", database)
    assert result.returncode == 1
    assert f"Can't listen on 127.0.0.1:{port}: Address already in use" in result.stderr
    assert not (tmp_path / "ngshare.db").exists()  # the process that listens may still use it


def test_a_new_database_is_told_of_and_for_its_owner_alone(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path) as service:
        path = tmp_path / "ngshare.db"
        assert f"There was no database {path}: a new, empty one is made" in service.log.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        requests.post(service.url + "course/c", headers=headers("root"), timeout=5)
        assert (tmp_path / "ngshare.db-wal").stat().st_mode & 0o777 == 0o600


def test_a_command_makes_no_database_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mistyped.db"
    complains(f"There is no database {path}", "check", "--database", f"sqlite:///{path}")
    assert not path.exists()


def test_a_database_that_hangs_does_not_keep_the_process_from_ending(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path, "--NgShare.drain_seconds=1") as service:
        requests.get(service.url + "courses", headers=headers("root"), timeout=5)
        with sqlite3.connect(tmp_path / "ngshare.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            path = service.url + "course/c"
            with ThreadPoolExecutor(1) as threads:
                call = threads.submit(requests.post, path, headers=headers("root"), timeout=20)
                time.sleep(1)
                start = time.monotonic()
                assert service.stop() == 1
                assert time.monotonic() - start < 10
                assert isinstance(call.exception(), requests.ConnectionError)
        other.close()
        assert "The database hangs; ended without waiting for it" in service.log.read_text()


def test_no_upgrade_db_refuses_a_database_without_tables(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/ngshare.db"
    complains(
        "ngshare upgrade-db --database", "--vngshare", "--no-upgrade-db", "--database", database
    )


def test_stand_alone_mode_needs_no_hub_and_warns(tmp_path: Path) -> None:
    port = reserve_port()
    service = Service(
        f"http://127.0.0.1:{port}/api/",
        tmp_path / "log",
        *("--vngshare", "--port", str(port), "--admins", "root"),
        *("--database", f"sqlite:///{tmp_path}/ngshare.db"),
        env=environment(),
    )
    requests.post(service.url + "course/c", data={"user": "root"}, timeout=5).raise_for_status()
    answer = requests.get(service.url + "courses", params={"user": "root"}, timeout=5)
    assert answer.json() == {"success": True, "courses": ["c"]}
    assert service.stop() == 0
    assert "no passwords" in service.log.read_text()


def test_the_old_flags_still_work(hub_variables: dict[str, str], tmp_path: Path) -> None:
    hub_api = hub_variables.pop("JUPYTERHUB_API_URL")
    flags = ["--storage", str(tmp_path), "--jupyterhub_api_url", hub_api, "--debug"]
    flags += ["--prefix", hub_variables["JUPYTERHUB_SERVICE_PREFIX"]]
    with managed(hub_variables, tmp_path, *flags) as service:
        for admin in ("root", "alice"):
            url = f"{service.url}course/by-{admin}"
            requests.post(url, headers=headers(admin), timeout=5).raise_for_status()
        dump = requests.get(
            service.url + "initialize-Data6ase?action=dump", headers=headers("anybody"), timeout=5
        )
        assert [course["id"] for course in dump.json()["courses"]] == ["by-root", "by-alice"]
        assert service.stop() == 0


def test_the_database_comes_from_the_environment() -> None:
    env = environment({"NGSHARE_DATABASE": "sqlite:////nowhere/ngshare.db\n"})
    complains("The database's folder /nowhere does not exist", "check", env=env)


def test_a_configuration_file_sets_options_and_can_be_written(tmp_path: Path) -> None:
    config = tmp_path / "my_config.py"
    assert run("--generate-config", "--config", str(config)).returncode == 0
    text = config.read_text()
    for name in NgShare.class_own_traits(config=True):
        assert f"# c.NgShare.{name} = " in text
    config.write_text(text + '\nc.NgShare.host = "192.0.2.1"\n')
    complains("won't listen on 192.0.2.1", "--vngshare", "--config", str(config))
    complains("exists; it was left as it is", "--generate-config", "--config", str(config))


@pytest.mark.parametrize("text", ["c.NgShare.require_scope = True\nnonsense(", "1 / 0"])
def test_a_configuration_file_that_fails_is_not_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    complains("broken.py fails", "--vngshare", "--config", str(tmp_path / "broken.py"))


def test_a_service_url_with_tls_is_refused(hub_variables: dict[str, str]) -> None:
    hub_variables["JUPYTERHUB_SERVICE_URL"] = "https://127.0.0.1:10101"
    complains("ngshare speaks no TLS", env=environment(hub_variables))


def test_an_installed_package_has_all_it_needs(tmp_path: Path) -> None:
    """Not this folder, but what pip installs from it."""
    sources = tmp_path / "sources"
    ignored = shutil.ignore_patterns(".*", "node_modules", "build", "*.egg-info", "tests")
    shutil.copytree(Path(__file__).parents[1], sources, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "-qq", "install", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path / "installed", sources], check=True, timeout=120)
    code = f"""
import ngshare, ngshare.pages.base as pages
from ngshare.database.upgrade import open_database
assert "installed" in ngshare.__file__
open_database("sqlite:///{tmp_path}/ngshare.db", may_upgrade=True).close()
pages._templates.get_template("home.html")
"""
    env = {**environment(), "PYTHONPATH": str(tmp_path / "installed")}
    env.pop("PYTHONWARNINGS")
    subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=tmp_path, timeout=60)
    assert (tmp_path / "installed/ngshare/static/ngshare.css").is_file()


def test_a_call_that_is_running_at_the_end_is_finished(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    body = ("instructors=" + "%20" * 40_000 + "[]").encode()
    with managed(hub_variables, tmp_path) as service:
        address = ("127.0.0.1", int(service.url.split(":")[2].split("/")[0]))
        with socket.create_connection(address) as client:
            client.sendall(
                b"POST /services/ngshare/course/late HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Authorization: " + headers("root")["Authorization"].encode() + b"\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body[:1000]
            )
            time.sleep(0.3)
            service.process.terminate()
            wait_for(service.log, "Stopping; 1 calls to finish")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            client.sendall(body[1000:])
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert service.process.wait(10) == 0


def test_a_second_start_finds_what_the_first_stored(
    hub_variables: dict[str, str], tmp_path: Path
) -> None:
    with managed(hub_variables, tmp_path) as service:
        files = {"files": encode({"a.ipynb": b"1"})}
        for path, data in (("course/c", {}), ("assignment/c/a", files)):
            requests.post(service.url + path, data, headers=headers("root"), timeout=5)
        service.process.kill()
        service.process.wait()
    with managed(hub_variables, tmp_path, "--no-upgrade-db") as service:
        answer = requests.get(service.url + "assignment/c/a", headers=headers("root"), timeout=5)
        assert answer.json()["files"][0]["content"] == "MQ==\n"


def test_neither_tokens_nor_passwords_are_logged(
    hub_variables: dict[str, str], tmp_path: Path, postgresql: PostgreSQL
) -> None:
    database = postgresql.create_database().replace("ngshare@", "ngshare:pass%25word@")
    with managed(hub_variables, tmp_path, "--debug", database=database) as service:
        for name in ("root", "unknown"):
            token = {"Authorization": f"token {token_of(name)}" if name == "root" else "token xyz"}
            requests.get(service.url + "courses?token=secret-in-url", headers=token, timeout=5)
        requests.get(service.url, headers={"Accept": "text/html"}, timeout=5, allow_redirects=False)
        service.stop()
    log = service.log.read_text()
    assert " user=root " in log
    for secret in (token_of("root"), "xyz", "secret-in-url", "pass%25word", "pass%word"):
        assert secret not in log
    assert hub_variables["JUPYTERHUB_API_TOKEN"] not in log


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)

"""The probe of the database, and the log as JSON."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from sqlalchemy import Connection

from ngshare import courses
from ngshare.database.engine import Database
from ngshare.errors import DatabaseUnavailable
from ngshare.log_format import JsonFormatter
from ngshare.permissions import Identity
from tests.api import Api
from tests.postgres import PostgreSQL
from tests.test_app import headers, hub_variables, managed, wait_for  # noqa: F401, a fixture

ROOT = Identity("root", is_admin=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GONE = 1.1  # seconds after which an answer is asked for anew


def obstacle(api: Api) -> str:
    started = time.monotonic()
    response = api.nobody.call("GET", "readyz")
    assert time.monotonic() - started < 2
    assert response.status_code == 503
    answer = response.json()
    assert (answer["success"], answer["code"]) == (False, "not_ready")
    assert answer["request_id"] == response.headers["X-Request-Id"]
    return answer["message"]


def test_readyz_is_for_everybody_under_the_prefix_and_at_the_root(api: Api) -> None:
    at_the_root = Api(api.url.split("/services/")[0], api.session)
    assert api.nobody.ok("GET", "readyz") == {"success": True}
    assert at_the_root.nobody.ok("GET", "/readyz") == {"success": True}


def test_another_schema_is_not_ready_and_an_answer_holds_for_a_second(
    api: Api, database: Database
) -> None:
    api.nobody.ok("GET", "readyz")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    api.nobody.ok("GET", "readyz")
    time.sleep(GONE)
    assert obstacle(api) == "The database does not have the schema of this release"


def test_the_schema_of_a_newer_release_is_ready_for_this_one_too(
    api: Api, database: Database
) -> None:
    """A rolling upgrade must not take all replicas of the previous release out at once."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    api.nobody.ok("GET", "readyz")


def lose(path: Path, how: str) -> None:
    """Remove SQLite's file, or put a copy in its place."""
    if how == "is gone":
        path.unlink()
        return
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


@on_sqlite
@pytest.mark.parametrize("how", ["is gone", "was replaced"])
@pytest.mark.parametrize("before", [("POST", "course/before"), ("GET", "courses"), None])
def test_nothing_is_stored_in_a_file_that_is_gone(
    api: Api, database: Database, how: str, before: tuple[str, str] | None
) -> None:
    path = Path(str(database.engine.url.database))
    if before:
        api.user("root").ok(*before)
    lose(path, how)
    response = api.user("root").send("POST", "course/after")
    assert response.status_code == 503
    assert f"The database's file {path} {how}" in response.json()["message"]


@on_sqlite
@pytest.mark.parametrize("how", ["is gone", "was replaced"])
def test_what_is_stored_while_the_file_goes_is_not_acknowledged(
    database: Database, how: str
) -> None:
    path = Path(str(database.engine.url.database))

    def write(connection: Connection) -> None:
        courses.create_course(connection, ROOT, "course1", [])
        lose(path, how)

    with pytest.raises(DatabaseUnavailable, match=how):
        database.write(write)


@on_sqlite
def test_a_file_that_is_gone_is_not_made_anew(database: Database) -> None:
    path = Path(str(database.engine.url.database))
    database.read(courses.list_courses, ROOT)
    database.engine.dispose()
    path.unlink()
    with pytest.raises(DatabaseUnavailable, match="is gone"):
        database.read(courses.list_courses, ROOT)
    assert not path.exists()


def test_a_database_that_is_gone_is_not_ready_but_the_process_is_alive(
    api: Api, database: Database
) -> None:
    url = database.engine.url
    if not database.is_sqlite:
        return  # a lost PostgreSQL is the next test
    api.nobody.ok("GET", "readyz")
    Path(str(url.database)).unlink()
    time.sleep(GONE)
    assert obstacle(api).startswith(f"The database's file {url.database} is gone")
    api.nobody.ok("GET", "healthz")


@contextmanager
def frozen(server: PostgreSQL) -> Iterator[None]:
    """The server and all its children, stopped."""
    assert server._process
    parent = server._process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    pids = [parent, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_postgresql_that_hangs_or_is_lost_is_not_ready(
    hub_variables: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    server = PostgreSQL()
    try:
        with managed(hub_variables, tmp_path, database=server.create_database()) as service:
            api = Api(service.url, requests.Session())
            api.nobody.ok("GET", "readyz")
            time.sleep(GONE)
            with frozen(server):
                for _ in range(2):
                    assert obstacle(api) == "The database does not answer"
                api.nobody.ok("GET", "healthz")
            time.sleep(GONE)
            api.nobody.ok("GET", "readyz")
            server.stop()
            time.sleep(GONE)
            assert obstacle(api) == "The database cannot be reached"
            server.start()
            time.sleep(GONE)
            api.nobody.ok("GET", "readyz")
            api.session.close()
    finally:
        server.close()


def test_a_process_that_stops_is_not_ready(
    hub_variables: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    with managed(hub_variables, tmp_path) as service:
        api = Api(service.url, requests.Session())
        api.nobody.ok("GET", "readyz")
        service.process.terminate()
        wait_for(service.log, "Stopping")
        assert obstacle(api) == "ngshare is stopping"
        api.session.close()


def test_every_line_of_the_json_log_is_an_object_without_secrets(
    hub_variables: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    with managed(hub_variables, tmp_path, "--log-json") as service:
        kevin = {**headers("kevin"), "X-Evil": "x"}
        url = service.url + "course/a%0Ab?token=secret-in-url"
        request_id = requests.delete(url, headers=kevin, timeout=5).headers["X-Request-Id"]
        service.stop()
    text = service.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert text.isascii()
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(line)
        assert line["time"].endswith("Z")
    [call] = [line for line in lines if line.get("request_id") == request_id]
    assert (call["method"], call["route"], call["user"]) == ("DELETE", "/course/*", "kevin")
    assert call["path"] == "/services/ngshare/course/a%0Ab"
    assert call["status"] == 400
    assert {"in_bytes", "out_bytes", "duration_ms"} <= set(call)
    for secret in ("secret-in-url", "token-of-", hub_variables["JUPYTERHUB_API_TOKEN"]):
        assert secret not in text


def test_a_json_record_is_one_line_whatever_is_in_it() -> None:
    try:
        raise ValueError("first\nsecond\u2028third\udc80")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "a\nb %s", ("c\r\nd",), info)
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    entry = json.loads(line)
    assert entry["message"] == "a\nb c\r\nd"
    assert entry["traceback"].startswith("Traceback")
    assert "second" in entry["traceback"]


def test_the_metrics_token_comes_from_the_environment(
    hub_variables: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    with managed({**hub_variables, "NGSHARE_METRICS_TOKEN": "a-secret\n"}, tmp_path) as service:
        for token, status in (("a-secret", 200), ("another", 401)):
            given = {"X-Forwarded-For": "x", "Authorization": f"Bearer {token}"}
            answer = requests.get(service.url + "metrics", headers=given, timeout=5)
            assert answer.status_code == status

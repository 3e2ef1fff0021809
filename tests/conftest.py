"""Servers and databases for all tests.

A test that takes `database_url`, or anything made from it, runs on SQLite and on PostgreSQL, on a
database of its own that migrations built.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Connection

from ngshare import assignments, courses, rosters
from ngshare.app import NgShare
from ngshare.client import NgShareClient
from ngshare.database.engine import Database, make_engine
from ngshare.database.upgrade import upgrade
from ngshare.fetch_log import FetchLog
from ngshare.permissions import Identity
from ngshare.rosters import Person
from ngshare.service import make_application, make_authenticator
from tests.api import Api
from tests.conformity import PREFIX, check_conformity
from tests.fake_hub import SERVICE_TOKEN, FakeHub, LoopThread, RunningServer, token_of
from tests.faults import report
from tests.neighbours import Proxy, Reply, Stranger
from tests.postgres import PostgreSQL
from tests.tables import pack_directory

pytest_plugins = ["tests.story"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="faults as `make faults` has them")
    parser.addoption(
        "--fault-seed",
        type=int,
        default=report.DEFAULT_SEED,
        help="what faults leave to chance depends on it (%(default)s)",
    )


def pytest_report_header(config: pytest.Config) -> str:
    return f"faults: --fault-seed {config.getoption('--fault-seed')}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if lines := report.lines():
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSQL) -> str:
    """The name of a database with the tables and no rows."""
    url = postgresql.create_database()
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url.split("@/")[1].partition("?")[0]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the tables and no rows."""
    path = tmp_path_factory.mktemp("template") / "ngshare.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path / "ngshare.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.create_database(request.getfixturevalue("postgresql_template"))
    yield url
    server.drop_database(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(make_engine(database_url))
    yield database
    database.close()


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


class FetchLogs:
    """Of several servers what they have noted and not written yet."""

    def __init__(self, thread: LoopThread) -> None:
        self.logs: list[FetchLog] = []
        self._thread = thread

    def write(self) -> None:
        for each in self.logs:
            self._thread.call(each.write)

    def close(self) -> None:
        for each in self.logs:
            self._thread.call(each.close)


@pytest.fixture(scope="session")
def the_hub(loop_thread: LoopThread) -> Iterator[FakeHub]:
    hub = FakeHub(loop_thread)
    yield hub
    hub.close()


@pytest.fixture
def hub(the_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A Hub in good health, and its environment for a service."""
    the_hub.reset()
    for name, value in {
        "API_TOKEN": SERVICE_TOKEN,
        "API_URL": the_hub.api_url,
        "CLIENT_ID": "service-ngshare",
        "SERVICE_NAME": "ngshare",
        "SERVICE_PREFIX": PREFIX,
        "BASE_URL": "/",
    }.items():
        monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
    return the_hub


@pytest.fixture
def fetch_logs(
    database: Database, loop_thread: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FetchLogs]:
    """Those of the servers that `serve` starts; they write when they are told to, or closed."""
    monkeypatch.setattr("ngshare.fetch_log.DELAY_SECONDS", 3600)
    logs = FetchLogs(loop_thread)
    yield logs
    logs.close()


@pytest.fixture
def serve(
    hub: FakeHub, database: Database, loop_thread: LoopThread, fetch_logs: FetchLogs
) -> Iterator[Callable[..., Api]]:
    """Start a server with some options of NgShare; several may share the database."""
    running: list[RunningServer] = []
    sessions: list[requests.Session] = []

    def start(**options: Any) -> Api:
        options.setdefault("admins", ["root"])
        options.setdefault("max_submissions_per_minute", 0)  # tests are faster than people
        app = NgShare(**options)
        prefix = "/api/" if app.stand_alone else PREFIX

        def build() -> Any:
            return make_application(app, prefix, make_authenticator(app, prefix), database)

        application = loop_thread.call(build)
        fetch_logs.logs.append(application.settings["fetch_log"])
        server = RunningServer(loop_thread, application)
        running.append(server)
        session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(check_conformity)
        sessions.append(session)
        return Api(server.url + prefix, session)

    yield start
    for session in sessions:
        session.close()
    for server in running:
        server.close()


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    """A server in its default configuration, with the admin root."""
    return serve()


@pytest.fixture
def course(api: Api, database: Database) -> Api:
    """The server with course1 (instructor kevin, students lawrence and eric) and course2.

    In course1 the assignment `challenge` is released; course2 is abigail's, with her student eric.
    """
    database.write(_fill)
    return api


def _fill(connection: Connection) -> None:
    root = Identity("root", is_admin=True)
    courses.create_course(connection, root, "course1", ["kevin"])
    courses.create_course(connection, root, "course2", ["abigail"])
    for course_id, student in (("course1", "lawrence"), ("course1", "eric"), ("course2", "eric")):
        person = Person(student, student.title(), "Student", f"{student}@example.org")
        rosters.add_student(connection, root, course_id, person)
    directory = pack_directory([("file2", b"22222")])
    assignments.release_assignment(connection, Identity("kevin"), "course1", "challenge", directory)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that try again almost at once."""
    monkeypatch.setattr("ngshare.client.transport.FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def connect(quick: None) -> Iterator[Callable[..., NgShareClient]]:
    """A client for somebody of the fake Hub, at some URL."""
    with ExitStack() as stack:
        yield lambda url, name, **options: stack.enter_context(
            NgShareClient(url, token_of(name), **options)
        )


@pytest.fixture
def root(course: Api, connect: Callable[..., NgShareClient]) -> NgShareClient:
    return connect(course.url, "root")


@pytest.fixture
def kevin(course: Api, connect: Callable[..., NgShareClient]) -> NgShareClient:
    return connect(course.url, "kevin")


@pytest.fixture
def lawrence(course: Api, connect: Callable[..., NgShareClient]) -> NgShareClient:
    return connect(course.url, "lawrence")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def proxy(course: Api) -> Iterator[Proxy]:
    """What clients reach the server `course` through."""
    proxy = Proxy(course.url)
    yield proxy
    proxy.close()


@pytest.fixture
def meet() -> Iterator[Callable[..., Stranger]]:
    """Start servers that are no ngshare."""
    strangers: list[Stranger] = []

    def start(*replies: Reply, **options: object) -> Stranger:
        strangers.append(Stranger(*replies, **options))  # type: ignore[arg-type]
        return strangers[-1]

    yield start
    for stranger in strangers:
        stranger.close()

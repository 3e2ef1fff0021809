"""Request ids, the access log, what a fault of ours tells to whom; and no secrets anywhere."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest
import requests

from ngshare.database.engine import Database
from tests.api import Api, Caller, encode
from tests.fake_hub import SERVICE_TOKEN, LoopThread

PASSWORD = "the-password-of-the-database"
FEEDBACK = "feedback/course1/challenge/kevin"


@pytest.fixture
def database_url(database_url: str) -> str:
    """With a password, where the database takes one (it takes any)."""
    return database_url.replace("postgresql://ngshare@", f"postgresql://ngshare:{PASSWORD}@")


class Logs:
    """What the server logged until now."""

    def __init__(self, caplog: pytest.LogCaptureFixture, loop_thread: LoopThread) -> None:
        self._caplog = caplog
        self._loop_thread = loop_thread

    def records(self, name: str) -> list[logging.LogRecord]:
        # A client may have the answer before the line is written: let the server's loop go on.
        self._loop_thread.call(lambda: None)
        return [record for record in self._caplog.records if record.name == name]

    def text(self) -> str:
        """Everything, without the lines of the tests' own HTTP client."""
        self._loop_thread.call(lambda: None)
        formatted = self._caplog.handler.format
        records = self._caplog.records
        return "\n".join(formatted(r) for r in records if not r.name.startswith("urllib3"))


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, loop_thread: LoopThread) -> Logs:
    caplog.set_level(logging.DEBUG)
    return Logs(caplog, loop_thread)


@pytest.fixture
def broken(course: Api, database: Database) -> Api:
    """The course on a server whose table of feedback is gone."""
    course.user("kevin").submit("course1", "challenge", {"a": b"x"})
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE feedback")
    return course


def fault(api: Api) -> requests.Response:
    return api.user("kevin").call("GET", FEEDBACK, params={"timestamp": ""})


# ---- request ids ----


def test_every_answer_has_a_request_id_of_its_own(course: Api) -> None:
    kevin = course.user("kevin")
    ids = {
        caller.call(verb, path).headers["X-Request-Id"]
        for caller, verb, path in (
            (kevin, "GET", "courses"),
            (kevin, "GET", "courses"),
            (kevin, "GET", ""),
            (kevin, "GET", "unknown"),
            (kevin, "PUT", "courses"),
            (kevin, "GET", "students/course2"),
            (kevin, "POST", "submission/course1/challenge"),
            (course.nobody, "GET", "courses"),
            (course.nobody, "GET", "healthz"),
        )
    }
    assert len(ids) == 9
    assert all(ids)


def test_a_fault_of_ours_is_500_with_the_request_id_in_header_and_body(broken: Api) -> None:
    response = fault(broken)
    answer = response.json()
    assert (response.status_code, answer["success"]) == (500, False)
    assert response.headers["Content-Type"] == "application/json"
    assert answer["request_id"] == response.headers["X-Request-Id"]
    assert answer["request_id"] in answer["message"]


def test_a_fault_of_ours_is_logged_with_its_traceback_under_the_request_id(
    broken: Api, logs: Logs
) -> None:
    request_id = fault(broken).headers["X-Request-Id"]
    (record,) = (r for r in logs.records("ngshare") if r.levelno == logging.ERROR)
    assert request_id in record.getMessage()
    assert "/feedback/course1/challenge/kevin" in record.getMessage()
    assert record.exc_info
    assert "feedback.py" in logs.text()
    assert "Traceback (most recent call last)" in logs.text()


@pytest.mark.parametrize("debug", [False, True])
def test_the_answer_to_a_fault_tells_nothing_of_the_inside(
    broken: Api, serve: Callable[..., Api], debug: bool
) -> None:
    text = fault(serve(debug=debug)).text.lower()
    for inside in ("traceback", "select", "sqlalchemy", "table", 'file "', PASSWORD):
        assert inside not in text


def test_the_server_goes_on_after_a_fault(broken: Api) -> None:
    assert fault(broken).status_code == 500
    assert broken.user("kevin").ok("GET", "courses")["courses"] == ["course1"]


# ---- the access log ----


@pytest.mark.parametrize(
    ("user", "verb", "path", "status"),
    [
        ("kevin", "GET", "courses", 200),
        ("kevin", "GET", "", 200),
        ("kevin", "GET", "assignment/course1/challenge", 200),
        ("root", "POST", "course/new", 200),
        ("lawrence", "GET", "students/course1", 403),
        ("kevin", "GET", "students/nowhere", 404),
        ("kevin", "POST", "submission/course1/challenge", 400),
        ("kevin", "DELETE", "assignment/course1/challenge", 200),
        ("kevin", "DELETE", "submission/course1/challenge/eric", 400),
        ("-", "GET", "courses", 401),
        ("-", "GET", "healthz", 200),
        ("-", "GET", "unknown", 404),
        ("-", "GET", "course/%FF", 400),
    ],
)
def test_each_call_is_one_line_with_user_call_status_bytes_and_time(
    course: Api, logs: Logs, user: str, verb: str, path: str, status: int
) -> None:
    caller = course.nobody if user == "-" else course.user(user)
    before = len(logs.records("ngshare.access"))
    response = caller.call(verb, path)
    assert response.status_code == status
    (record,) = logs.records("ngshare.access")[before:]
    line = record.getMessage()
    assert line.startswith(f"{status} {verb} /services/ngshare/{path} user={user} ")
    assert f" out={len(response.content)} " in line
    assert re.search(r" \d+\.\d ms ", line)
    assert line.endswith(response.headers["X-Request-Id"])


def test_the_access_log_counts_the_bytes_of_uploads(course: Api, logs: Logs) -> None:
    data = {"files": encode({"a": bytes(2 << 20)})}
    response = course.user("kevin").call("POST", "submission/course1/challenge", data=data)
    assert response.status_code == 200
    line = logs.records("ngshare.access")[-1].getMessage()
    assert f" in={len(response.request.body or '')} " in line


def test_a_stand_alone_call_is_logged_with_its_user(serve: Callable[..., Api], logs: Logs) -> None:
    api = serve(stand_alone=True)
    api.nobody.ok("GET", "courses", user="kevin")
    assert api.nobody.call("GET", "").status_code == 200
    lines = [record.getMessage() for record in logs.records("ngshare.access")]
    assert " user=kevin " in lines[0]
    assert " user=user " in lines[1]


# ---- secrets ----


def test_no_token_cookie_or_password_is_in_any_log_or_answer(broken: Api, logs: Logs) -> None:
    secrets = ["token-of-", "an-unknown-token", "a-secret-cookie", SERVICE_TOKEN, PASSWORD]
    callers = [
        broken.user("kevin"),
        broken.nobody,
        Caller(broken, {"Authorization": "Bearer token-of-kevin"}),
        Caller(broken, {"Authorization": "token an-unknown-token"}),
        Caller(broken, {"Cookie": "ngshare=a-secret-cookie; _xsrf=a-secret-cookie"}),
        Caller(broken, {"Cookie": "service-ngshare-oauth-state=a-secret-cookie"}),
    ]
    for caller in callers:
        for verb, path in (
            ("GET", "courses"),
            ("GET", f"{FEEDBACK}?timestamp="),
            ("GET", "courses?token=an-unknown-token"),
            ("GET", "unknown?token=an-unknown-token"),
            ("PUT", "courses?token=an-unknown-token"),
            ("POST", "submission/course1/challenge?token=an-unknown-token"),
            ("GET", "oauth_callback?code=x&state=y"),
        ):
            answer = caller.call(verb, path)
            for secret in secrets:
                assert secret not in answer.text
    text = logs.text()
    assert "GET /services/ngshare/courses" in text
    for secret in secrets:
        assert secret not in text

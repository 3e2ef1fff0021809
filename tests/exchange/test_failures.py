"""Servers that are away, silent, break off, or lie: one sentence, status 1, and nothing changed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.exchange.people import COURSE, PS1, Person, School, tree
from tests.fake_hub import FakeHub
from tests.neighbours import Proxy, Reply, Stranger, json_reply

AWAY = "http://127.0.0.1:9/services/ngshare/"
CANNOT = "ngshare can't be reached, try again in a few minutes"
COMMANDS = [
    ("release_assignment", "ps1"),
    ("fetch_assignment", "ps2"),
    ("submit", "ps1"),
    ("collect", "ps1"),
    ("list",),
    ("list", "--inbound"),
    ("list", "--cached"),
    ("list", "--remove"),
    ("release_feedback", "ps1"),
    ("fetch_feedback", "ps1"),
    ("list", "--inbound", "--remove"),
]

pytestmark = pytest.mark.usefixtures("impatient")


def everything(folder: Path) -> dict[str, bytes]:
    """All files but the database that nbgrader makes by itself."""
    return {name: data for name, data in tree(folder).items() if not name.endswith(".db")}


@pytest.fixture
def everybody(school: School) -> Person:
    """Somebody with all that any command needs, who teaches the course."""
    school.release("ps1")
    school.release("ps2")
    grace = school.join("grace", "office")
    timestamp = school.submit("grace", PS1)
    grace.write("release/ps1", PS1)
    grace.write("ps1", PS1)
    grace.write("submitted/alice/ps1", PS1)
    grace.write("feedback/grace/ps1", {"timestamp.txt": timestamp.encode(), "p1.html": b"good"})
    school.release_feedback("grace", timestamp, {"p1.html": b"released"})
    return grace


def fails(someone: Person, command: tuple[str, ...]) -> str:
    """What is said when a command fails, which must be one sentence and change nothing."""
    before = everything(someone.home)
    output = someone.nbgrader(*command, status=1)
    assert everything(someone.home) == before
    assert "Traceback" not in output
    assert output.count("CRITICAL") == 1
    return output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_server_that_is_away_is_told(everybody: Person, command: tuple[str, ...]) -> None:
    everybody.url = AWAY
    everybody.configure()
    output = fails(everybody, command)
    assert CANNOT in output or "could not be released: grace" in output
    assert "Nothing listens at" in output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_silent_server_is_given_up(
    everybody: Person, proxy: Proxy, command: tuple[str, ...]
) -> None:
    everybody.url = proxy.url
    everybody.configure()
    proxy.is_silent = True
    started = time.monotonic()
    output = fails(everybody, command)
    assert time.monotonic() - started < 5
    assert "was silent for 0.5 seconds" in output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_connection_that_breaks_off_every_time_is_told(
    everybody: Person, proxy: Proxy, command: tuple[str, ...]
) -> None:
    everybody.url = proxy.url
    everybody.configure()
    proxy.cut_answers_after(*[100] * 99)
    assert "broke off" in fails(everybody, command)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_ill_hub_is_told_from_an_unknown_token(
    everybody: Person, the_hub: FakeHub, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    the_hub.mode = "error"
    everybody.name = f"grace's new token for {' '.join(command)}"
    assert "JupyterHub" in fails(everybody, command)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_somebody_whose_token_is_unknown_is_told_what_to_do(
    everybody: Person, the_hub: FakeHub, command: tuple[str, ...]
) -> None:
    the_hub.mode = "refuses"
    everybody.name = f"grace's old token for {' '.join(command)}"
    output = fails(everybody, command)
    assert "stop your server in the JupyterHub's control panel and start it again" in output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_address_of_something_else_is_told(
    everybody: Person, the_hub: FakeHub, command: tuple[str, ...]
) -> None:
    everybody.url = the_hub.api_url
    everybody.configure()
    assert "is no ngshare" in fails(everybody, command)


def test_a_connection_that_breaks_off_once_is_not_noticed(
    everybody: Person, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # be patient
    everybody.url = proxy.url
    everybody.configure()
    for command in COMMANDS[1:7]:
        proxy.cut_answers_after(100)
        everybody.nbgrader(*command)
        assert proxy.cuts_left == 0, command


def submission(**changes: object) -> dict[str, object]:
    """A record of a submission, as a server lists it."""
    files = [{"path": "p1.ipynb", "size": 1, "sha256": "0" * 64, "checksum": "0" * 32}]
    return {
        "course_id": COURSE,
        "assignment_id": "ps1",
        "student_id": "alice",
        "submission_id": 1,
        "timestamp": "2030-01-30 10:30:47.524219 UTC",
        "notebooks": ["p1"],
        "feedback": {"files": files},
        "files": files,
        **changes,
    }


@pytest.mark.parametrize(
    "record",
    [
        submission(student_id="../../evil"),
        submission(student_id=".."),
        submission(student_id="/evil"),
        submission(files=[{"path": "../../evil", "size": 0, "sha256": "0" * 64}]),
        submission(timestamp="../../../evil"),
    ],
)
def test_a_server_that_names_other_places_writes_nothing(
    tmp_path: Path, school: School, record: dict[str, object]
) -> None:
    answers = {
        "courses": json_reply(details=[{"course_id": COURSE, "role": "instructor"}]),
        "whoami": json_reply(username="grace", is_service=False),
        "assignments": json_reply(assignments=[], next_cursor=None),
        "submissions": json_reply(submissions=[record], next_cursor=None),
    }
    absent = json_reply(404, message="Submission not found")

    def reply(_: str, path: str) -> Reply:
        word = path.removeprefix("/services/ngshare/").partition("?")[0]
        return answers.get(word, absent)

    stranger = Stranger(reply=reply)
    victim = school.join("grace", "victim/home", stranger.url)
    before = everything(tmp_path)
    for command in (("collect", "ps1"), ("fetch_feedback", "ps1")):
        victim.nbgrader(*command, status=1)
    for mode in ("--inbound", "--cached"):
        victim.nbgrader("list", mode)
    stranger.close()
    assert everything(tmp_path) == before

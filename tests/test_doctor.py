"""`ngshare doctor`: each thing that can be wrong, and what it says to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from ngshare import __version__
from ngshare.client import NgShareClient
from ngshare.doctor import main
from tests.api import Api
from tests.fake_hub import FakeHub, token_of
from tests.neighbours import Reply, Stranger, html_reply, json_reply

REFUSING = "http://127.0.0.1:9/"  # the port discard, where nobody listens


class Patient:
    """Somebody's environment, and what the doctor says of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        for name in list(os.environ):
            if name.startswith(("JUPYTERHUB_", "NGSHARE_", "PROXY_PUBLIC")):
                monkeypatch.delenv(name)
        self.has, self._capsys = monkeypatch.setenv, capsys
        self.lines: list[str] = []

    def is_well(self) -> list[str]:
        """The lines of a doctor who finds nothing wrong."""
        assert main() == 0
        lines = self._capsys.readouterr().out.splitlines()
        assert not [line for line in lines if line.startswith("WRONG")]
        return lines

    def suffers(self) -> str:
        """The one line with what is wrong."""
        assert main() == 1
        self.lines = self._capsys.readouterr().out.splitlines()
        [wrong] = [line for line in self.lines if line.startswith("WRONG")]
        return wrong.removeprefix("WRONG:").strip()


@pytest.fixture
def patient(
    course: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quick: None
) -> Patient:
    patient = Patient(monkeypatch, capsys)
    patient.has("NGSHARE_URL", course.url)
    patient.has("JUPYTERHUB_API_TOKEN", token_of("lawrence"))
    return patient


def test_where_all_is_well_it_is_told_who_one_is(patient: Patient, course: Api) -> None:
    url, server, identity, clock, *rest = patient.is_well()
    assert url == f"URL:       {course.url} (from the environment variable NGSHARE_URL)"
    assert server == f"Server:    ngshare {__version__}"
    assert identity == "You are:   lawrence, a user"
    assert clock == "Its clock: the same as yours"
    assert rest[0] == "Course:    course1 (student)"


def test_services_and_admins_are_told_that_they_are(patient: Patient, hub: FakeHub) -> None:
    patient.has("JUPYTERHUB_API_TOKEN", token_of("root"))
    assert "You are:   root, a user, an admin of ngshare" in patient.is_well()
    hub.services.add("grader")
    patient.has("JUPYTERHUB_API_TOKEN", token_of("grader"))
    assert patient.suffers().startswith("grader is in no course. Ask an instructor")


def test_of_many_courses_some_are_told(patient: Patient, root: NgShareClient) -> None:
    for number in range(20):
        root.create_course(f"new{number}")
    patient.has("JUPYTERHUB_API_TOKEN", token_of("root"))
    courses = [line for line in patient.is_well() if line.startswith("Course:")]
    assert (len(courses), courses[-1]) == (21, "Course:    and 2 more")


def test_no_url(patient: Patient) -> None:
    patient.has("NGSHARE_URL", "")
    wrong = patient.suffers()
    assert wrong.startswith("Nothing tells where ngshare is")
    assert "set the environment variable NGSHARE_URL" in wrong
    assert "c.Exchange.ngshare_url in nbgrader_config.py" in wrong


def test_a_url_that_is_none(patient: Patient) -> None:
    patient.has("NGSHARE_URL", "hub.example.org")
    assert "'hub.example.org' is no URL of an ngshare" in patient.suffers()


def test_nothing_listens(patient: Patient) -> None:
    patient.has("NGSHARE_URL", REFUSING)
    wrong = patient.suffers()
    assert wrong.startswith(f"Nothing listens at {REFUSING}. Ask the admin whether ngshare runs")


def test_only_the_proxy_answers(meet: Callable[..., Stranger], patient: Patient) -> None:
    patient.has("NGSHARE_URL", meet(html_reply(503)).url)
    assert "the proxy runs, but ngshare does not answer it. Ask the admin" in patient.suffers()


def test_something_else_than_ngshare_answers(
    meet: Callable[..., Stranger], patient: Patient
) -> None:
    patient.has("NGSHARE_URL", meet(html_reply()).url)
    wrong = patient.suffers()
    assert "is no ngshare: it answers 200 OK, text/html. Ask the admin for ngshare's URL" in wrong


def test_an_old_server(meet: Callable[..., Stranger], patient: Patient) -> None:
    def reply(verb: str, path: str) -> Reply:  # as 0.6.0 does
        return json_reply() if path.endswith("/healthz") else html_reply(404)

    patient.has("NGSHARE_URL", meet(reply=reply).url)
    assert patient.suffers().startswith("The server is ngshare 0.6 or older. Ask the admin")


def test_an_unknown_token(patient: Patient) -> None:
    patient.has("JUPYTERHUB_API_TOKEN", "nonsense")
    wrong = patient.suffers()
    assert wrong.startswith("The server does not know the token in JUPYTERHUB_API_TOKEN")
    assert "nonsense" not in wrong


def test_no_token(patient: Patient) -> None:
    patient.has("JUPYTERHUB_API_TOKEN", "")
    assert patient.suffers().startswith("There is no token: the environment variable JUPYTERHUB_")


def test_a_hub_that_is_down(patient: Patient, hub: FakeHub) -> None:
    hub.mode = "error"
    patient.has("JUPYTERHUB_API_TOKEN", token_of("somebody-new"))
    assert "The JupyterHub at" in (wrong := patient.suffers())
    assert "Ask the admin to look at the JupyterHub" in wrong


def test_no_courses(patient: Patient) -> None:
    patient.has("JUPYTERHUB_API_TOKEN", token_of("Lawrence"))
    assert patient.suffers().startswith("Lawrence is in no course. Ask an instructor to add this")


@pytest.mark.parametrize(
    ("time", "told"),
    [("2020-01-01 00:00:00.000000 UTC", "behind"), ("2220-01-01 00:00:00.000000 UTC", "ahead of")],
)
def test_clocks_that_differ(
    meet: Callable[..., Stranger], patient: Patient, time: str, told: str
) -> None:
    identity = {"username": "mia", "is_service": False, "is_admin": True, "version": "1.0"}
    patient.has(
        "NGSHARE_URL", meet(reply=lambda *_: json_reply(**identity, time=time, details=[])).url
    )
    assert patient.suffers().startswith("The clocks differ by ")
    assert f" s {told} yours" in patient.lines[3]


def test_it_is_a_command_of_its_own_and_of_ngshare(course: Api) -> None:
    environment = {
        **os.environ,
        "NGSHARE_URL": course.url,
        "JUPYTERHUB_API_TOKEN": token_of("lawrence"),
    }
    outputs = []
    for command in (["ngshare.doctor"], ["ngshare", "doctor"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout)
    assert "lawrence, a user" in outputs[0]
    assert outputs[0] == outputs[1]
    environment["NGSHARE_URL"] = REFUSING
    done = subprocess.run([sys.executable, "-m", "ngshare", "doctor"], env=environment)
    assert done.returncode == 1

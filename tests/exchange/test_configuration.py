"""How nbgrader is told of the plugin, and what nbgrader does with its classes."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from nbgrader.exchange import ExchangeFactory, abc
from traitlets.config import Config, PyFileConfigLoader

import ngshare.exchange
from ngshare.exchange import configure_exchange, configureExchange
from tests.exchange.people import COURSE, PS1, School

URL = "http://ngshare.example.org/services/ngshare/"
VERBS = {
    "collect": "ExchangeCollect",
    "exchange": "Exchange",
    "fetch_assignment": "ExchangeFetchAssignment",
    "fetch_feedback": "ExchangeFetchFeedback",
    "list": "ExchangeList",
    "release_assignment": "ExchangeReleaseAssignment",
    "release_feedback": "ExchangeReleaseFeedback",
    "submit": "ExchangeSubmit",
}

VOLUMES = {"untrusted", "volume"}


@pytest.fixture
def config() -> Config:
    config = Config()
    configure_exchange(config, URL)
    return config


def test_the_configuration_is_names_alone_so_that_formgrader_can_write_it_as_json(
    config: Config,
) -> None:
    classes = {verb: f"ngshare.exchange.{name}" for verb, name in VERBS.items()}
    assert json.loads(json.dumps(config)) == {
        "ExchangeFactory": classes,
        "Exchange": {"ngshare_url": URL},
    }


def test_the_name_and_the_arguments_that_ngshare_exchange_had_still_work(config: Config) -> None:
    old = Config()
    configureExchange(old, URL)
    assert old == config


def test_the_image_of_notebook_servers_has_every_course_of_the_ngshare_that_the_hub_names() -> None:
    image = Path(__file__).parents[2] / "images" / "singleuser"
    expected = Config()
    configure_exchange(expected)
    expected.CourseDirectory.course_id = "*"
    assert PyFileConfigLoader("nbgrader_config.py", str(image)).load_config() == expected


@pytest.mark.parametrize(("verb", "name"), VERBS.items())
def test_nbgrader_finds_a_class_of_its_own_kind_for_each_verb(
    config: Config, verb: str, name: str
) -> None:
    kind = getattr(ExchangeFactory(config=config), verb)
    assert kind is getattr(ngshare.exchange, name)
    assert issubclass(kind, getattr(abc, name))
    assert issubclass(kind, ngshare.exchange.Exchange)


@pytest.mark.parametrize("verb", VERBS)
def test_classes_are_made_without_course_and_with_names_that_nbgrader_misspells(
    config: Config, verb: str
) -> None:
    kind = getattr(ExchangeFactory(config=config), verb)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = kind(authentictor=object(), config=config)
    assert made.coursedir is None
    assert made.authenticator is None
    assert made.ngshare_url == URL


@pytest.mark.parametrize("section", ["Exchange", "ExchangeList"])
def test_options_reach_a_class_by_its_own_section_and_by_that_of_all(section: str) -> None:
    config = Config({section: {"assignment_dir": "here", "path_includes_course": True}})
    made = ngshare.exchange.ExchangeList(config=config)
    assert (made.assignment_dir, made.path_includes_course) == ("here", True)


def test_the_urls_source_is_the_configuration_or_else_the_environment(
    monkeypatch: pytest.MonkeyPatch, config: Config
) -> None:
    monkeypatch.setenv("NGSHARE_URL", "http://elsewhere/services/ngshare")
    assert ngshare.exchange.ExchangeList().client.url == "http://elsewhere/services/ngshare/"
    assert ngshare.exchange.ExchangeList(config=config).client.url == URL


def test_formgrader_shows_the_url_as_the_place_of_the_exchange_whatever_folder_was_configured(
    config: Config,
) -> None:
    config.Exchange.root = "/srv/nbgrader/exchange"
    assert ngshare.exchange.ExchangeList(config=config).root == URL


def test_without_a_url_there_is_one_sentence_that_tells_how_to_name_one(school: School) -> None:
    school.alice.configure("c.Exchange.ngshare_url = ''")
    output = school.alice.nbgrader("list", status=1)
    assert "NGSHARE_URL" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "command",
    [
        "release_assignment",
        "fetch_assignment",
        "submit",
        "collect",
        "list",
        "release_feedback",
        "fetch_feedback",
    ],
)
def test_every_command_has_its_help(school: School, command: str) -> None:
    school.alice.nbgrader(command, "--help-all")


@pytest.mark.parametrize("loudness", ["--debug", "--quiet", "--log-level=WARN"])
def test_nbgraders_common_options_work_with_every_command(school: School, loudness: str) -> None:
    folder = school.grace.work / "course"
    common = ("--course", COURSE, f"--course-dir={folder}", f"--db=sqlite:///{folder}/grades.db")
    common += ("--timezone=Europe/Berlin", "--assignment=ps1", "--notebook=p1", loudness)
    school.grace.configure("c.ExchangeCollect.check_owner = False", course="elsewhere")
    school.grace.write("course/release/ps1", PS1)
    school.grace.nbgrader("release_assignment", *common)
    school.grace.nbgrader("fetch_assignment", *common)
    school.grace.nbgrader("submit", *common)
    school.grace.nbgrader("collect", "--student=grace", *common)
    collected = school.grace.files("course/submitted/grace/ps1")
    assert collected.keys() == {*PS1, "timestamp.txt"}
    timestamp = collected["timestamp.txt"]
    pages = {"timestamp.txt": timestamp, "p1.html": b"good"}
    school.grace.write("course/feedback/grace/ps1", pages)
    school.grace.nbgrader("release_feedback", "--student=grace", *common)
    school.grace.nbgrader("fetch_feedback", *common)
    assert school.grace.files(f"ps1/feedback/{timestamp.decode()}") == {"p1.html": b"good"}
    for mode in ([], ["--inbound"], ["--cached"]):
        school.grace.nbgrader("list", *mode, *common)


def test_a_student_may_keep_assignments_elsewhere(school: School) -> None:
    school.release()
    elsewhere = school.alice.work / "my" / "courses"
    school.alice.configure(f"c.Exchange.assignment_dir = {str(elsewhere)!r}")
    school.alice.nbgrader("fetch_assignment", "ps1")
    assert school.alice.files("my/courses/ps1") == PS1
    assert "phys101 ps1 (already downloaded)" in school.alice.nbgrader("list")
    school.alice.nbgrader("submit", "ps1")
    path = f"submission/{COURSE}/ps1/alice"
    answer = school.grace.api.ok("GET", path)
    assert school.grace.api.files(path) == PS1
    school.release_feedback("alice", answer["timestamp"], {"p1.html": b"good"})
    school.alice.nbgrader("fetch_feedback", "ps1")
    feedback = school.alice.files("my/courses/ps1/feedback")
    assert feedback == {f"{answer['timestamp']}/p1.html": b"good"}


def test_sections_of_old_nbgraders_are_still_read(school: School) -> None:
    school.release()
    school.alice.write("ps1", {"p1.ipynb": b"mine"})
    school.alice.configure("c.ExchangeFetch.replace_missing_files = True")
    school.alice.nbgrader("fetch_assignment", "ps1")
    assert (school.alice.work / "ps1" / "data" / "x.csv").exists()
    school.grace.configure("c.ExchangeRelease.force = True")
    school.grace.write("release/ps1", {"new.txt": b"new"})
    school.grace.nbgrader("release_assignment", "ps1")
    assert school.grace.api.files(f"assignment/{COURSE}/ps1") == {"new.txt": b"new"}


def test_a_command_without_a_course_asks_for_one(school: School) -> None:
    school.alice.configure(course="")
    for command in ("fetch_assignment", "submit", "fetch_feedback"):
        assert "Which course?" in school.alice.nbgrader(command, "ps1", status=1)


def test_a_star_is_the_one_course_that_somebody_teaches(school: School) -> None:
    school.release()
    school.grace.configure(course="*")
    school.create_course("other", "oscar", "grace")
    school.submit("alice", {"p1.ipynb": b"a"})
    school.grace.nbgrader("collect", "ps1")
    assert (school.grace.work / "submitted" / "alice" / "ps1" / "p1.ipynb").exists()


def test_a_star_names_the_courses_if_there_are_several(school: School) -> None:
    school.create_course("math", "grace")
    school.grace.configure(course="*")
    output = school.grace.nbgrader("collect", "ps1", status=1)
    assert "You teach several courses; name one with --course: math, phys101" in output
    school.alice.configure(course="*")
    assert "You teach no course" in school.alice.nbgrader("collect", "ps1", status=1)


@pytest.mark.parametrize(
    ("module", "needs"), [("ngshare.exchange", set()), ("ngshare.exchange.volume", VOLUMES)]
)
def test_importing_the_plugin_loads_nothing_of_the_server(module: str, needs: set[str]) -> None:
    script = f"""
import sys
import {module}
print(*sorted(name for name in sys.modules if name.startswith("ngshare.")))
"""
    root = Path(ngshare.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    parts = {name.split(".")[1] for name in done.stdout.split()}
    assert parts == {"client", "errors", "exchange", "wire", "workplace"} | needs

"""The manual's pages for users do what they say."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from ngshare.app import NgShare
from ngshare.client import NgShareClient
from ngshare.course_management import COMMANDS, make_parser
from ngshare.database.engine import Database
from ngshare.database.models import Base
from ngshare.roster_files import read_csv
from tests.api import Api, encode, write_files
from tests.fake_hub import token_of
from tests.test_app import run

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS.parent / "examples"
# Whose examples in which languages run, and in which tests.
RUN = {
    ("backup.md", "sh"): "tests/test_manual.py",
    ("client.md", "python"): "tests/test_manual.py",
    ("course-management.md", "sh"): "tests/test_manual.py",
    ("course-management.md", "text"): "tests/test_manual.py",
    ("exchange.md", "python"): "tests/exchange/test_manual.py",
    ("helm.md", "python"): "tests/exchange/test_manual.py",
    ("helm.md", "yaml"): "tests/chart/test_notes.py",
    ("install.md", "python"): "tests/test_manual.py",
    ("instructors.md", "python"): "tests/test_manual.py",
    ("instructors.md", "sh"): "tests/exchange/test_manual.py",
    ("moving.md", "sh"): "tests/test_moves_course.py",
    ("operations.md", "yaml"): "tests/test_manual.py",
    ("privacy.md", "python"): "tests/test_manual.py",
    ("privacy.md", "sh"): "tests/test_manual.py",
    ("students.md", "sh"): "tests/exchange/test_manual.py",
    ("upgrade.md", "sh"): "tests/test_manual.py",
    ("volume-exchange.md", "python"): "tests/exchange/volume/site.py",
    ("../examples/base-url/README.md", "yaml"): "tests/chart/test_notes.py",
    ("../examples/compose/README.md", "bash"): "tests/test_images.py",
}
TYPED = "".join(path.read_text() for path in (DOCS.parent / "tests/examples").glob("test_*.py"))
PAGES = [path.name for path in DOCS.glob("*.md")]
PAGES += [f"../examples/{path.parent.name}/README.md" for path in EXAMPLES.glob("*/README.md")]
COMMAND = re.compile(r"(?:ngshare|nbgrader|python3?|pip|make|helm|kubectl|docker|curl|sqlite3) ")


def blocks(page: str, language: str) -> list[str]:
    """The page's examples in a language."""
    fence = rf"^( *)```{language}\n(.*?)^\1```$"
    found = re.findall(fence, (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return [textwrap.dedent(example) for _, example in found]


def runs(page: str, language: str) -> bool:
    """Whether a test runs the page's examples in a language; recipes are followed as a whole."""
    recipe = Path(page).parent.name
    return (page, language) in RUN or (language in ("sh", "python") and f'"{recipe}"' in TYPED)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_example_of_the_manual_is_run_or_says_why_not(page: str) -> None:
    example, untold = False, []
    reason, before = False, ""
    for line in (DOCS / page).read_text().splitlines():
        fence = re.match(r" *```(.*)", line)
        if fence and not example and not fence[1].startswith("{"):
            if not reason and not runs(page, fence[1]):
                untold.append(line)
        elif not example and line.startswith("    ") and not (before.strip() or reason):
            untold += [line] if COMMAND.match(line.strip()) else []
        example = example != bool(fence)
        reason = line.strip().startswith("<!-- not run: ") or (reason and not line)
        before = line
    assert not untold


@pytest.mark.parametrize(("page", "language"), RUN)
def test_examples_that_run_are_named_where_they_run(page: str, language: str) -> None:
    assert blocks(page, language)
    assert page.removeprefix("../") in (DOCS.parent / RUN[page, language]).read_text()


def load_configuration(page: str) -> list[Config]:
    """What the page's examples of configuration files say."""
    loaded = []
    for example in blocks(page, "python"):
        config = Config()
        exec(example, {"c": config, "get_config": lambda config=config: config})
        loaded.append(config)
    return loaded


def test_the_hub_starts_ngshare_by_a_command_that_ngshare_understands() -> None:
    service, roles = load_configuration("install.md")
    [ngshare] = service.JupyterHub.services.get_value([])
    command = NgShare()
    command.initialize(ngshare["command"][1:])
    assert command.admins == ["alice", "bob"]
    assert {role["name"] for role in roles.JupyterHub.load_roles} == {"user", "server"}


def test_instructors_name_their_course_as_nbgrader_wants_it() -> None:
    [config] = load_configuration("instructors.md")
    assert config.CourseDirectory.course_id == "math101"


@pytest.mark.parametrize("page", ["backup.md", "upgrade.md"])
def test_the_admins_commands_in_the_manual_are_understood(page: str) -> None:
    for line in "".join(blocks(page, "sh")).splitlines():
        program, name, *arguments = shlex.split(line)
        assert program == "ngshare"
        command = import_item(NgShare.subcommands[name][0])()
        command.initialize(arguments)
        assert (
            command.cli_config[type(command).__name__].database
            == "sqlite:////srv/ngshare/ngshare.db"
        )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_prometheus_and_kubernetes_find_what_the_manual_tells_them_to_ask_for(api: Api) -> None:
    scrape, probes = (yaml.safe_load(example) for example in blocks("operations.md", "yaml"))
    [job] = scrape["scrape_configs"]
    root = api.url.removesuffix("/services/ngshare/")
    paths = [job["metrics_path"], *(probe["httpGet"]["path"] for probe in probes.values())]
    assert [requests.get(root + path, timeout=5).status_code for path in paths] == [200] * 3


def test_the_page_on_rosters_has_a_file_as_it_should_be(tmp_path: Path) -> None:
    [example] = blocks("course-management.md", "text")
    (tmp_path / "roster.csv").write_text(example)
    people, problems = read_csv(str(tmp_path / "roster.csv"))
    assert ([person.username for person in people], problems) == (["bob"], [])


def test_the_page_on_the_client_has_every_method() -> None:
    page = (DOCS / "client.md").read_text()
    members = vars(NgShareClient).items()
    methods = [name for name, member in members if callable(member) and name[0] != "_"]
    assert len(methods) > 20
    assert [name for name in methods if not re.search(rf"[`. ]{name}[`(]", page)] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_submission_that_was_removed_by_mistake_comes_back_as_the_manual_says(
    course: Api, database: Database
) -> None:
    [statement] = re.findall(r"'(DELETE FROM removals .*?)'", (DOCS / "operations.md").read_text())
    kevin, eric = course.user("kevin"), course.user("eric")
    path = "submission/course1/challenge"
    receipt = eric.ok("POST", path, files=encode({"work": b"1"}))
    feedback = {"timestamp": receipt["timestamp"], "files": encode({"f.html": b"well done"})}
    kevin.ok("POST", "feedback/course1/challenge/eric", **feedback)
    kevin.ok("DELETE", f"{path}/eric", timestamp=receipt["timestamp"])
    eric.fails(404, "Submission not found", "GET", f"{path}/eric")
    statement = statement.replace(" N", f" {receipt['submission_id']}")
    database.write(lambda connection: connection.exec_driver_sql(statement))
    assert eric.files(f"{path}/eric") == {"work": b"1"}
    [back] = eric.ok("GET", "submissions")["submissions"]
    assert back["feedback"]


def test_restoring_on_kubernetes_keeps_what_was_there_each_time(tmp_path: Path) -> None:
    helm = (DOCS / "helm.md").read_text()
    [command] = re.findall(r"sh -c '(.*?)' < ngshare", helm, re.DOTALL)
    command = command.replace("/srv/ngshare", str(tmp_path))
    database = tmp_path / "ngshare.db"

    def restore(moment: str, backup: bytes) -> int:
        line = command.replace("$(date +%s)", moment)
        return subprocess.run(["sh", "-c", line], input=backup, capture_output=True).returncode

    write_files(tmp_path, {"ngshare.db": b"old", "ngshare.db-wal": b"of the old"})
    assert restore("1", b"first") == restore("2", b"second") == 0
    assert restore("2", b"third") != 0
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert found == {
        "ngshare.db": b"second",
        "lost-1/ngshare.db": b"old",
        "lost-1/ngshare.db-wal": b"of the old",
        "lost-2/ngshare.db": b"first",
    }
    assert database.stat().st_mode & 0o077 == 0


def test_the_python_examples_run(
    api: Api,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_files(place, {"release/ps1/ps1.ipynb": b"{}", "release/ps1/data/a.csv": b"1"})
    monkeypatch.chdir(place)
    monkeypatch.setenv("NGSHARE_URL", api.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token_of("root"))
    names: dict[str, Any] = {}
    for example in blocks("client.md", "python"):
        exec(compile(example, "client.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["root", "math101 admin", "ps1 1 ['ps1']"]
    assert said[-1] == "Course not found"
    assert (place / "fetched/data/data/a.csv").read_bytes() == b"1"
    assert (place / "submitted/root/ps1/ps1.ipynb").read_bytes() == b"{}"
    assert "root" in (place / "feedback/ps1.html").read_text()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_is_exported_and_erased_as_the_page_on_privacy_says_leaves_no_trace(
    course: Api,
    database: Database,
    database_url: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [export] = blocks("privacy.md", "python")
    [erase] = blocks("privacy.md", "sh")
    timestamp = course.user("eric").submit("course1", "challenge", {"work": b"eric's own work"})
    course.user("lawrence").submit("course1", "challenge", {"work": b"somebody else's"})
    feedback = {"timestamp": timestamp, "files": encode({"f.html": b"for his work"})}
    course.user("kevin").ok("POST", "feedback/course1/challenge/eric", **feedback)
    monkeypatch.chdir(place)
    monkeypatch.setenv("NGSHARE_URL", course.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token_of("root"))
    exec(export.replace('"bob"', '"eric"'), {})
    files = {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert (files["work"], files["f.html"]) == (b"eric's own work", b"for his work")
    assert b"eric@example.org" in files["about.json"]
    url = "sqlite:////srv/ngshare/ngshare.db"
    for line in erase.replace("bob", "eric").replace(url, database_url).splitlines():
        program, *arguments = shlex.split(line)
        assert (program, run(*arguments).returncode) == ("ngshare", 0)
    with closing(sqlite3.connect(database.engine.url.database or "")) as connection:
        dump = "".join(connection.iterdump()).lower()
    assert "lawrence" in dump
    assert b"somebody else's".hex() in dump
    assert "eric" not in dump
    assert b"eric's own work".hex() not in dump


def test_the_page_on_privacy_has_every_table_that_tells_of_people() -> None:
    page = (DOCS / "privacy.md").read_text()
    telling = {"user_pk", "username", "by", "email"}
    tables = [table for table in Base.metadata.tables.values() if telling & {*table.columns.keys()}]
    assert len(tables) > 6
    assert [table.name for table in tables if f"| `{table.name}`" not in page] == []


def test_the_commands_of_the_page_on_rosters_are_understood() -> None:
    lines = "".join(blocks("course-management.md", "sh")).splitlines()
    assert len(lines) > 5
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "ngshare-course-management"
        make_parser().parse_args(arguments)


def test_the_page_on_rosters_has_every_command() -> None:
    page = (DOCS / "course-management.md").read_text()
    for _, name, _, _ in COMMANDS:
        assert f"| `{name}" in page


def test_every_recipe_has_a_page_with_all_its_files() -> None:
    install = (DOCS / "install.md").read_text()
    overview = (EXAMPLES / "README.md").read_text()
    recipes = [folder for folder in EXAMPLES.iterdir() if folder.is_dir()]
    assert recipes
    for folder in recipes:
        page = (DOCS / "recipes" / f"{folder.name}.md").read_text()
        shown = set(re.findall(r"include\} \.\./\.\./examples/(\S+)", page))
        assert shown == {f"{folder.name}/{file.name}" for file in folder.iterdir()}
        assert f"\nrecipes/{folder.name}\n" in install
        assert f"]({folder.name})" in overview

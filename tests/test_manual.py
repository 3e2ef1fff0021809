"""The manual's pages for users do what they say."""

from __future__ import annotations

import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from ngshare.course_management import COMMANDS, make_parser
from ngshare.database.engine import Database
from tests.api import Api, encode, write_files
from tests.fake_hub import token_of

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The page's examples in a language."""
    page_text = (DOCS / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```$", page_text, re.MULTILINE | re.DOTALL)
    assert found
    return found


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
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    export, erase = blocks("privacy.md", "python")
    [finish] = blocks("privacy.md", "sql")
    timestamp = course.user("eric").submit("course1", "challenge", {"work": b"eric's own work"})
    course.user("lawrence").submit("course1", "challenge", {"work": b"somebody else's"})
    feedback = {"timestamp": timestamp, "files": encode({"f.html": b"for his work"})}
    course.user("kevin").ok("POST", "feedback/course1/challenge/eric", **feedback)
    monkeypatch.chdir(place)
    monkeypatch.setenv("NGSHARE_URL", course.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token_of("root"))
    names: dict[str, Any] = {}
    exec(export.replace('"bob"', '"eric"'), names)
    files = {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert (files["work"], files["f.html"]) == (b"eric's own work", b"for his work")
    assert b"eric@example.org" in files["about.json"]
    exec(erase, names)
    statements = finish.replace("bob", "eric").split(";\n")[1:-2]  # without BEGIN and COMMIT

    def run(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    assert statements[-1].startswith("DELETE FROM users")
    database.write(run)
    dump = "".join(sqlite3.connect(database.engine.url.database or "").iterdump()).lower()
    assert "lawrence" in dump
    assert b"somebody else's".hex() in dump
    assert "eric" not in dump
    assert b"eric's own work".hex() not in dump


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

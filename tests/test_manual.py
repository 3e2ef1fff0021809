"""The manual's pages for users do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from ngshare.course_management import COMMANDS, make_parser
from tests.api import Api, write_files
from tests.fake_hub import token_of

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS.parent / "examples"


def blocks(page: str, language: str) -> list[str]:
    """The page's examples in a language."""
    text = (DOCS / page).read_text()
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
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

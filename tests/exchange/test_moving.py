"""From nbgrader's own exchange to ours in the middle of a term: people go on as if nothing was."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
from nbgrader.exchange import default

from ngshare.exchange import volume
from ngshare.moving_commands import ImportExchange
from tests.data.make_exchange import Course
from tests.exchange.conftest import Service
from tests.exchange.people import COURSE, School, tree
from tests.moving import command


@pytest.mark.parametrize("verbs", [default, volume], ids=["directory", "volume"])
def test_after_the_move_nbgrader_collects_and_students_fetch_their_feedback(
    school: School, service: Service, tmp_path: Path, verbs: ModuleType
) -> None:
    root = tmp_path / "exchange"
    root.mkdir(mode=0o777)
    before = Course(COURSE, tmp_path / "before", root, verbs)
    with school.grace.at_work():
        before.release("ps1")
        before.submit("ps1", "alice")
        before.give_feedback("ps1")
        before.submit("ps1", "alice")
        before.submit("ps1", "bob")
    [first, second] = sorted((root / COURSE / "inbound").glob("**/alice+*"))
    first_at, second_at = (path.name.split("+")[2] for path in (first, second))
    arguments = service.process.args
    assert isinstance(arguments, list)
    [url] = [each.removeprefix("--database=") for each in arguments if "--database=" in each]
    assert command(ImportExchange, "--database", url, root) == 0

    school.grace.nbgrader("collect", "ps1")
    assert tree(school.grace.work / "submitted/alice/ps1") == tree(second)
    assert (school.grace.work / "submitted/bob/ps1/ps1.ipynb").exists()

    shutil.copytree(tmp_path / "before/cache" / COURSE, school.alice.cache / COURSE)
    shutil.rmtree(next((school.alice.cache / COURSE).glob("bob+*")))
    listed = school.alice.nbgrader("list", "--cached")
    assert f"alice ps1 {first_at} (feedback ready to be fetched)" in listed
    assert f"alice ps1 {second_at} (no feedback available)" in listed
    assert listed.count("alice ps1") == 2
    school.alice.nbgrader("fetch_feedback", "ps1")
    [page] = (root / COURSE).glob("feedback*/**/*.html")
    feedback = school.alice.work / "ps1/feedback"
    assert tree(feedback) == {f"{first_at}/ps1.html": page.read_bytes()}

    graded = school.grace.write("feedback/alice/ps1", {"ps1.html": b"better"})
    for name in ("timestamp.txt", "submission_secret.txt"):
        shutil.copy(school.grace.work / "submitted/alice/ps1" / name, graded)
    school.grace.nbgrader("release_feedback", "ps1")
    school.alice.nbgrader("fetch_feedback", "ps1")
    assert (feedback / second_at / "ps1.html").read_bytes() == b"better"

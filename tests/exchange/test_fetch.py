"""`nbgrader fetch_assignment`."""

from __future__ import annotations

import pytest

from tests.exchange.people import PS1, School
from tests.neighbours import Proxy


def test_all_files_arrive_byte_for_byte(school: School) -> None:
    files = {**PS1, "every byte.bin": bytes(range(256)) * 40, "Übung 測定.txt": b"", "a%2Fb": b"1"}
    school.release(**files)
    output = school.alice.nbgrader("fetch_assignment", "ps1")
    assert "Fetched as: phys101 ps1" in output
    assert school.alice.files("ps1") == files


def test_what_somebody_has_is_not_touched(school: School) -> None:
    school.release()
    school.alice.write("ps1", {"p1.ipynb": b"mine"})
    output = school.alice.nbgrader("fetch_assignment", "ps1", status=1)
    assert "add --replace to fetch only the files that are missing" in output
    assert school.alice.files("ps1") == {"p1.ipynb": b"mine"}


def test_replace_adds_what_is_missing_and_keeps_every_change(school: School) -> None:
    school.release()
    school.alice.write("ps1", {"p1.ipynb": b"mine", "data/notes.txt": b"my notes"})
    output = school.alice.nbgrader("fetch_assignment", "ps1", "--replace")
    assert "Replacing missing file 'ps1/data/x.csv'" in output
    mine = {"p1.ipynb": b"mine", "data/notes.txt": b"my notes"}
    assert school.alice.files("ps1") == {**PS1, **mine}


def test_replace_fetches_only_what_is_missing(school: School, proxy: Proxy) -> None:
    school.release()
    alice = school.join("alice", "elsewhere", proxy.url)
    alice.nbgrader("fetch_assignment", "ps1")
    proxy.calls.clear()
    alice.nbgrader("fetch_assignment", "ps1", "--replace")
    assert not [call for call in proxy.calls if "list_only" not in call]
    (alice.work / "ps1" / "p1.ipynb").unlink()
    alice.nbgrader("fetch_assignment", "ps1", "--replace")
    assert [call for call in proxy.calls if "path=p1.ipynb" in call]
    assert alice.files("ps1") == PS1


def test_replace_gives_another_name_to_what_is_in_the_way(school: School) -> None:
    school.release()
    school.alice.write("ps1", {"data": b"my data", "data.backup1": b"older"})
    school.alice.nbgrader("fetch_assignment", "ps1", "--replace")
    mine = {"data.backup1": b"older", "data.backup2": b"my data"}
    assert school.alice.files("ps1") == {**PS1, **mine}


def test_replace_leaves_folders_alone_that_somebody_keeps_elsewhere(school: School) -> None:
    school.release()
    elsewhere = school.alice.write("elsewhere", {"mine.csv": b"1"})
    (school.alice.work / "ps1").mkdir()
    (school.alice.work / "ps1" / "data").symlink_to(elsewhere)
    school.alice.nbgrader("fetch_assignment", "ps1", "--replace")
    assert school.alice.files("elsewhere") == {"mine.csv": b"1"}
    assert (school.alice.work / "ps1" / "p1.ipynb").exists()


def test_a_file_that_is_named_like_the_assignment_stays(school: School) -> None:
    school.release()
    school.alice.write("", {"ps1": b"my file"})
    school.alice.nbgrader("fetch_assignment", "ps1", "--replace", status=1)
    assert (school.alice.work / "ps1").read_bytes() == b"my file"


def test_what_is_to_be_ignored_is_not_fetched(school: School) -> None:
    school.release(**PS1, **{"x.pyc": b"", "deep/feedback/p1.html": b""})
    school.alice.nbgrader("fetch_assignment", "ps1")
    assert school.alice.files("ps1") == PS1


def test_several_assignments_are_fetched_though_one_fails(school: School) -> None:
    school.release("ps1")
    school.release("ps3")
    output = school.alice.nbgrader("fetch_assignment", "ps1", "ps2", "ps3", status=1)
    assert 'No assignment "ps2" is released in the course "phys101". Did you mean "ps3"?' in output
    assert school.alice.files("ps1") == school.alice.files("ps3") == PS1
    assert not (school.alice.work / "ps2").exists()


def test_folders_may_be_named_after_courses(school: School) -> None:
    school.release()
    school.alice.configure("c.Exchange.path_includes_course = True")
    school.alice.nbgrader("fetch_assignment", "ps1")
    assert school.alice.files("phys101/ps1") == PS1
    assert "phys101 ps1 (already downloaded)" in school.alice.nbgrader("list")


def test_somebody_who_is_not_in_the_course_is_told_whom_to_ask(school: School) -> None:
    school.release()
    output = school.join("eve").nbgrader("fetch_assignment", "ps1", status=1)
    assert 'ask your instructor to add you to the course "phys101"' in output
    assert not (school.home / "eve" / "work" / "ps1").exists()


def test_a_misspelt_course_is_named(school: School) -> None:
    output = school.alice.nbgrader("fetch_assignment", "ps1", "--course", "phys102", status=1)
    assert 'You are not in a course "phys102" on ngshare: check how it is spelt' in output


def test_a_name_that_leads_elsewhere_is_refused(school: School) -> None:
    output = school.alice.nbgrader("fetch_assignment", "../ps1", status=1)
    assert "'../ps1' can't be the name of a folder" in output


def test_a_place_that_cannot_be_written_is_named(school: School) -> None:
    school.release()
    school.alice.write("", {"file": b"mine"})
    school.alice.configure(f"c.Exchange.assignment_dir = {str(school.alice.work / 'file')!r}")
    output = school.alice.nbgrader("fetch_assignment", "ps1", status=1)
    assert f"{school.alice.work / 'file'}: " in output
    assert "Traceback" not in output


@pytest.mark.usefixtures("impatient")
def test_an_assignment_whose_download_breaks_off_leaves_nothing(
    school: School, proxy: Proxy
) -> None:
    school.release(**{"long.bin": bytes(1 << 20)})
    alice = school.join("alice", "elsewhere", proxy.url)
    proxy.cut_answers_after(None, 100_000, to="GET assignment/")
    output = alice.nbgrader("fetch_assignment", "ps1", status=1)
    assert "ngshare can't be reached, try again in a few minutes" in output
    assert sorted(path.name for path in alice.work.iterdir()) == ["nbgrader_config.py"]

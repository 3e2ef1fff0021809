"""`nbgrader submit`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api import person
from tests.exchange.people import COURSE, PS1, Person, School, notebook
from tests.neighbours import Proxy


def submissions(school: School, student: str = "alice") -> list[dict[str, str]]:
    path = f"submissions/{COURSE}/ps1/{student}"
    return school.grace.api.ok("GET", path, detail="true")["details"]


def submitted(school: School, student: str = "alice") -> dict[str, bytes]:
    return school.grace.api.files(f"submission/{COURSE}/ps1/{student}")


def entries(someone: Person) -> list[Path]:
    """The copies in somebody's cache, in the order of time."""
    return sorted((someone.cache / COURSE).iterdir())


def test_everything_is_handed_in_with_the_servers_time_and_a_receipt(school: School) -> None:
    school.release()
    work = {**PS1, "p1.ipynb": notebook("x = 2"), "ps1/mine.txt": b"mine"}
    school.alice.write("ps1", work)
    output = school.alice.nbgrader("submit", "ps1")
    [submission] = submissions(school)
    assert submitted(school) == work
    timestamp = submission["timestamp"]
    assert timestamp.endswith(" UTC")
    assert f"Submitted as: phys101 ps1 {timestamp}" in output
    assert f"Receipt {submission['submission_id']}: 4 files\n" in output
    [entry] = entries(school.alice)
    assert entry.name == f"alice+ps1+{timestamp}"
    assert (entry / "timestamp.txt").read_text() == timestamp
    receipt = json.loads((entry / "ngshare_receipt.json").read_text())
    assert receipt["submission_id"] == submission["submission_id"]
    assert receipt["sha256"] == submission["sha256"]
    assert {name: (entry / name).read_bytes() for name in work} == work


def test_equal_work_may_be_handed_in_again_and_the_receipt_tells(school: School) -> None:
    school.release()
    school.alice.write("ps1", {"ps1/mine.txt": b"mine"})
    assert ": 1 file\n" in school.alice.nbgrader("submit", "ps1")
    again = school.alice.nbgrader("submit", "ps1")
    assert ": 1 file, the same as in your submission before\n" in again
    assert len(submissions(school)) == len(entries(school.alice)) == 2


def test_checkpoints_feedback_and_what_options_exclude_stay_here(school: School) -> None:
    school.release()
    school.alice.configure(
        "c.CourseDirectory.include = ['*.ipynb', '*.txt']", "c.CourseDirectory.max_file_size = 1"
    )
    school.alice.write(
        "ps1",
        {
            "p1.ipynb": b"{}",
            ".ipynb_checkpoints/p1-checkpoint.ipynb": b"{}",
            "feedback/2030/p1.html": b"good",
            "data/__pycache__/x.txt": b"",
            "data.csv": b"",
            "long.txt": b"x" * 1001,
        },
    )
    school.alice.nbgrader("submit", "ps1")
    assert submitted(school) == {"p1.ipynb": b"{}"}
    [entry] = entries(school.alice)
    assert {path.name for path in entry.iterdir()} == {
        "p1.ipynb",
        "timestamp.txt",
        "ngshare_receipt.json",
    }


def test_a_folder_over_the_size_limit_is_not_handed_in(school: School) -> None:
    school.release()
    school.alice.configure("c.CourseDirectory.max_dir_size = 1")
    school.alice.write("ps1", {"a": b"x" * 600, "b": b"x" * 600})
    with pytest.raises(RuntimeError):
        school.alice.nbgrader("submit", "ps1")
    assert submissions(school) == []


def test_links_are_refused_and_nothing_is_handed_in(school: School) -> None:
    school.release()
    school.alice.write("", {"secret.txt": b"secret"})
    folder = school.alice.write("ps1", PS1)
    (folder / "data" / "link").symlink_to(school.alice.work / "secret.txt")
    output = school.alice.nbgrader("submit", "ps1", status=1)
    assert "ps1/data/link is a link, which is not sent: put a copy in its place" in output
    assert submissions(school) == []
    assert not school.alice.cache.exists()


def test_missing_and_new_notebooks_are_told_also_those_in_folders(school: School) -> None:
    school.release(**{"p1.ipynb": b"{}", "more/p2.ipynb": b"{}"})
    school.alice.write("ps1", {"p1.ipynb": b"{}", "p3.ipynb": b"{}"})
    output = school.alice.nbgrader("submit", "ps1")
    assert "Missing notebooks: more/p2.ipynb" in output
    assert "Notebooks that were not released: p3.ipynb" in output
    assert len(submissions(school)) == 1


def test_strict_refuses_missing_notebooks_but_not_new_ones(school: School) -> None:
    school.release(**{"p1.ipynb": b"{}"})
    school.alice.write("ps1", {"p2.ipynb": b"{}"})
    output = school.alice.nbgrader("submit", "ps1", "--strict", status=1)
    assert "ps1 is not handed in. Missing notebooks: p1.ipynb" in output
    assert submissions(school) == []
    school.alice.write("ps1", {"p1.ipynb": b"{}"})
    school.alice.nbgrader("submit", "ps1", "--strict")


@pytest.mark.parametrize("argument", ["ps1/", "./ps1", "--assignment=ps1"])
def test_an_assignment_may_be_named_as_the_shell_completes_it(
    school: School, argument: str
) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.nbgrader("submit", argument)
    assert submitted(school) == PS1


def test_nobody_hands_in_for_somebody_else(school: School) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    output = school.alice.nbgrader("submit", "ps1", "--student=bob", status=1)
    assert "ngshare knows you as alice" in output
    assert submissions(school, "bob") == []
    school.alice.nbgrader("submit", "ps1", "--student=alice")


def test_names_of_users_may_have_a_plus(school: School) -> None:
    school.release()
    name = "anna+maria@example.org"
    school.grace.api.ok("POST", f"student/{COURSE}/anna%2Bmaria@example.org", **person("anna"))
    anna = school.join(name)
    anna.write("ps1", PS1)
    anna.nbgrader("submit", "ps1")
    [submission] = school.grace.api.ok("GET", f"submissions/{COURSE}/ps1")["submissions"]
    assert submission["student_id"] == name
    line = f"phys101 {name} ps1 {submission['timestamp']} (no feedback available)"
    _, listed = anna.nbgrader("list", "--cached").splitlines()
    assert listed == f"[ListApp | INFO] {line}"
    school.grace.nbgrader("collect", "ps1")
    assert (school.grace.work / "submitted" / name / "ps1" / "p1.ipynb").exists()


def test_what_was_never_released_cannot_be_handed_in(school: School) -> None:
    school.release("problems 1")
    school.alice.write("problems l", PS1)
    output = school.alice.nbgrader("submit", "problems l", status=1)
    assert 'No assignment "problems l" is released' in output
    assert 'Did you mean "problems 1"?' in output
    assert not school.alice.cache.exists()


def test_a_misspelt_folder_is_answered_with_the_one_that_was_meant(school: School) -> None:
    school.alice.write("problems 1", PS1)
    output = school.alice.nbgrader("submit", "problem 1", status=1)
    assert 'Did you mean "problems 1"?' in output


def test_files_that_are_named_like_ours_are_students_files_and_not_believed(school: School) -> None:
    school.release()
    school.alice.write("ps1", {**PS1, "timestamp.txt": b"2001-01-01 00:00:00.000000 UTC"})
    school.alice.nbgrader("submit", "ps1")
    [submission] = submissions(school)
    [entry] = entries(school.alice)
    assert (entry / "timestamp.txt").read_text() == submission["timestamp"]
    school.grace.nbgrader("collect", "ps1")
    collected = school.grace.work / "submitted" / "alice" / "ps1"
    assert (collected / "timestamp.txt").read_text() == submission["timestamp"]


def test_work_counts_as_handed_in_though_no_copy_can_be_kept(school: School) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.write("", {"no folder": b""})
    school.alice.configure(f"c.Exchange.cache = {str(school.alice.work / 'no folder')!r}")
    output = school.alice.nbgrader("submit", "ps1")
    assert "Submitted as: phys101 ps1" in output
    assert "Your work is handed in, but there is no copy of it" in output
    assert len(submissions(school)) == 1


def test_an_answer_that_is_lost_is_asked_for_again_and_the_work_recorded_once(
    school: School, proxy: Proxy
) -> None:
    school.release()
    alice = school.join("alice", "elsewhere", proxy.url)
    alice.write("ps1", PS1)
    proxy.cut_answers_after(0, to="POST submission/")
    alice.nbgrader("submit", "ps1")
    posts = [call for call in proxy.calls if call.startswith("POST submission/")]
    assert len(posts) == 2
    [submission] = submissions(school)
    [entry] = entries(alice)
    assert entry.name.endswith(submission["timestamp"])


@pytest.mark.usefixtures("impatient")
def test_somebody_whose_answer_stays_lost_is_told_to_submit_again(
    school: School, proxy: Proxy
) -> None:
    school.release()
    alice = school.join("alice", "elsewhere", proxy.url)
    alice.write("ps1", PS1)
    proxy.cut_answers_after(0, to="POST submission/")
    output = alice.nbgrader("submit", "ps1", status=1)
    assert "whether your work arrived is not known: submit again" in output
    assert not alice.cache.exists()


def test_a_limit_of_the_server_is_told(school: School) -> None:
    school.release()
    school.alice.write("ps1", {str(number): b"" for number in range(10_001)})
    output = school.alice.nbgrader("submit", "ps1", status=1)
    assert "ngshare: These are 10,001 files, over the limit max_files = 10,000" in output
    assert submissions(school) == []

"""`nbgrader release_assignment`."""

from __future__ import annotations

import os

import pytest

from tests.exchange.people import COURSE, PS1, School


def released(school: School, assignment: str = "ps1") -> dict[str, bytes]:
    return school.grace.api.files(f"assignment/{COURSE}/{assignment}")


def test_all_files_are_released_in_their_folders(school: School) -> None:
    school.grace.write("release/ps1", PS1)
    output = school.grace.nbgrader("release_assignment", "ps1")
    assert "Released as: phys101 ps1" in output
    assert released(school) == PS1


def test_a_folder_that_is_named_like_the_assignment_stays_a_folder(school: School) -> None:
    files = {"ps1/ps1/x.csv": b"1", "data/ps1/data/x.csv": b"2"}
    school.grace.write("release/ps1", files)
    school.grace.nbgrader("release_assignment", "ps1")
    assert released(school) == files


def test_what_is_released_is_not_overwritten_without_force(school: School) -> None:
    school.release()
    school.grace.write("release/ps1", {"new.txt": b"new"})
    output = school.grace.nbgrader("release_assignment", "ps1", status=1)
    assert "phys101 ps1 is released already: add --force to release a new version" in output
    assert released(school) == PS1


@pytest.mark.parametrize("flag", ["--force", "-f"])
def test_a_new_version_keeps_what_was_submitted_and_its_feedback(school: School, flag: str) -> None:
    school.release()
    timestamp = school.submit("alice", {"p1.ipynb": b"mine"})
    school.release_feedback("alice", timestamp, {"p1.html": b"good"})
    school.grace.write("release/ps1", {"new.txt": b"new"})
    output = school.grace.nbgrader("release_assignment", "ps1", flag)
    assert "version 2" in output
    assert released(school) == {"new.txt": b"new"}
    where = f"{COURSE}/ps1/alice"
    assert school.alice.api.files(f"submission/{where}") == {"p1.ipynb": b"mine"}
    feedback = school.alice.api.files(f"feedback/{where}", timestamp=timestamp)
    assert feedback == {"p1.html": b"good"}


def test_what_is_taken_back_returns_with_everything(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", {"p1.ipynb": b"mine"})
    school.release_feedback("alice", timestamp, {"p1.html": b"good"})
    school.grace.nbgrader("list", "--remove", "ps1")
    assert school.grace.api.ok("GET", f"assignments/{COURSE}")["assignments"] == []
    school.grace.write("release/ps1", PS1)
    school.grace.nbgrader("release_assignment", "ps1")
    where = f"{COURSE}/ps1/alice"
    assert school.alice.api.files(f"submission/{where}") == {"p1.ipynb": b"mine"}
    feedback = school.alice.api.files(f"feedback/{where}", timestamp=timestamp)
    assert feedback == {"p1.html": b"good"}


def test_nbgraders_options_tell_what_is_left_out(school: School) -> None:
    school.grace.configure(
        "c.CourseDirectory.ignore = ['*.pyc', 'secret']",
        "c.CourseDirectory.include = ['*.ipynb', '*.txt', '*.pyc']",
        "c.CourseDirectory.max_file_size = 1",
    )
    school.grace.write(
        "release/ps1",
        {
            "p1.ipynb": b"{}",
            "x.pyc": b"",
            "secret/solution.txt": b"42",
            "deep/secret/solution.txt": b"42",
            "x.csv": b"not included",
            "just.txt": b"x" * 1000,
            "long.txt": b"x" * 1001,
        },
    )
    output = school.grace.nbgrader("release_assignment", "ps1")
    assert "long.txt" in output
    assert set(released(school)) == {"p1.ipynb", "just.txt"}


def test_a_folder_over_the_size_limit_is_refused_as_nbgrader_has_it(school: School) -> None:
    school.grace.configure("c.CourseDirectory.max_dir_size = 1")
    school.grace.write("release/ps1", {"a": b"x" * 600, "b": b"x" * 600})
    with pytest.raises(RuntimeError, match="have 1200 bytes"):
        school.grace.nbgrader("release_assignment", "ps1")
    assert school.grace.api.ok("GET", f"assignments/{COURSE}")["assignments"] == []


def test_what_is_left_out_does_not_count_for_the_size(school: School) -> None:
    school.grace.configure("c.CourseDirectory.max_dir_size = 1")
    school.grace.write("release/ps1", {"a": b"x", ".ipynb_checkpoints/a": b"x" * 2000})
    school.grace.nbgrader("release_assignment", "ps1")
    assert released(school) == {"a": b"x"}


@pytest.mark.parametrize("target", ["secret.txt", "folder"])
def test_links_are_not_followed(school: School, target: str) -> None:
    school.grace.write("", {"secret.txt": b"secret", "folder/secret.txt": b"secret"})
    folder = school.grace.write("release/ps1", PS1)
    (folder / "link").symlink_to(school.grace.work / target)
    output = school.grace.nbgrader("release_assignment", "ps1", status=1)
    assert "link is a link, which is not sent" in output
    assert school.grace.api.ok("GET", f"assignments/{COURSE}")["assignments"] == []


def test_what_is_no_file_and_names_for_some_systems_only_are_refused_by_name(
    school: School,
) -> None:
    folder = school.grace.write("release/ps1", PS1)
    os.mkfifo(folder / "pipe")
    assert "pipe is no file" in school.grace.nbgrader("release_assignment", "ps1", status=1)
    (folder / "pipe").unlink()
    school.grace.write("release/ps1", {"data/a:b.txt": b""})
    output = school.grace.nbgrader("release_assignment", "ps1", status=1)
    assert "data/a:b.txt can't be sent: give it" in output
    (folder / "data/a:b.txt").unlink()
    school.grace.write("release/ps1", {f"{'d' * 250}/" * 5 + "x.txt": b""})
    output = school.grace.nbgrader("release_assignment", "ps1", status=1)
    assert "x.txt can't be sent: give it a shorter name" in output


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(school: School) -> None:
    school.grace.write("release/problem set 1", PS1)
    output = school.grace.nbgrader("release_assignment", "problem set l", status=1)
    assert 'Did you mean "problem set 1"?' in output


def test_somebody_who_forgot_to_generate_is_told_to(school: School) -> None:
    school.grace.write("source/ps1", PS1)
    output = school.grace.nbgrader("release_assignment", "ps1", status=1)
    assert "run `nbgrader generate_assignment ps1` first" in output


def test_a_student_cannot_release(school: School) -> None:
    school.alice.write("release/ps1", PS1)
    output = school.alice.nbgrader("release_assignment", "ps1", status=1)
    assert 'you are no instructor of the course "phys101"' in output


def test_another_structure_of_folders_is_honoured(school: School) -> None:
    school.grace.configure(
        "c.CourseDirectory.directory_structure = '{assignment_id}/{nbgrader_step}/{student_id}'"
    )
    school.grace.write("ps1/release", PS1)
    school.grace.nbgrader("release_assignment", "ps1")
    assert released(school) == PS1

"""Mounts of the per-student volume, and copies of folders that change meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ngshare.errors import LocalFileError
from ngshare.untrusted import copy_folder, read_file
from ngshare.volume import find_submissions, mounts, prepare


def test_a_students_mounts_are_his_folders_of_which_he_writes_one() -> None:
    root = "/usr/local/share/nbgrader/exchange"
    wanted = {
        "phys101/outbound": True,
        "phys101/inbound/alice": False,
        "phys101/feedback_public/alice": True,
    }
    assert mounts("alice", {"phys101": "student"}) == [
        {
            "name": "nbgrader-exchange",
            "mountPath": f"{root}/{path}",
            "subPath": path,
            "readOnly": readonly,
        }
        for path, readonly in wanted.items()
    ]


def test_an_instructors_mount_is_the_course() -> None:
    assert mounts("grace", {"phys101": "instructor"}, volume="claim", root="/exchange") == [
        {
            "name": "claim",
            "mountPath": "/exchange/phys101",
            "subPath": "phys101",
            "readOnly": False,
        }
    ]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "a\\b", "a:b", "a\nb", "b{servername}", "x" * 256]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(LocalFileError, match="can't be the name of a folder"):
        mounts(name, {"phys101": "student"})
    with pytest.raises(LocalFileError, match="can't be the name of a folder"):
        mounts("alice", {name: "instructor"})


def test_a_role_is_student_or_instructor() -> None:
    with pytest.raises(ValueError, match="'admin' is neither student nor instructor"):
        mounts("alice", {"phys101": "admin"})


def test_folders_are_made_and_never_by_way_of_a_link(tmp_path: Path) -> None:
    """An instructor may write all of a course's folder, and could lead a student elsewhere."""
    wanted = mounts("alice", {"phys101": "student"})
    for _ in range(2):
        prepare(tmp_path, wanted)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*/*")) == [
        "phys101/feedback_public/alice",
        "phys101/inbound/alice",
    ]
    inbound = tmp_path / "phys101" / "inbound"
    (inbound / "alice").rmdir()
    (inbound / "alice").symlink_to(tmp_path)
    with pytest.raises(LocalFileError, match="inbound/alice is a link, and is not mounted"):
        prepare(tmp_path, wanted)


@pytest.mark.parametrize("name", ["notes.txt", "data"])
def test_what_becomes_a_link_while_a_folder_is_copied_is_not_followed(
    tmp_path: Path, name: str
) -> None:
    source, target, secret = tmp_path / "source", tmp_path / "target", tmp_path / "secret"
    for folder in (source / "data", target, secret):
        folder.mkdir(parents=True)
    (source / "notes.txt").write_text("notes")
    (secret / "gradebook.db").write_text("grades")

    def swap(directory: str, names: list[str]) -> list[str]:
        """It is called after a folder was listed, and before what is in it is opened."""
        (source / name).rename(tmp_path / "away")
        (source / name).symlink_to(secret if name == "data" else secret / "gradebook.db")
        return []

    with pytest.raises(LocalFileError, match=f"{name} is a link"):
        copy_folder(source, target, swap, 1000)
    assert "grades" not in [path.read_text() for path in target.rglob("*.*")]


def test_a_file_that_grows_while_it_is_copied_is_not_copied_on_and_on(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "data").write_text("small")

    def grow(directory: str, names: list[str]) -> list[str]:
        """It is called when sizes were looked at, and before the file is opened."""
        with (source / "data").open("wb") as file:
            file.truncate(10**7)
        return []

    with pytest.raises(LocalFileError, match="has more than 1000 bytes"):
        copy_folder(source, target, grow, 1000)
    assert (target / "data").stat().st_size <= 1001


def test_files_that_are_far_too_long_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "submission_secret.txt"
    path.write_bytes(b"secret")
    assert read_file(path) == b"secret"
    with path.open("wb") as file:
        file.truncate(10**12)
    assert read_file(path) is None


def test_submissions_are_found_by_patterns_and_by_names_that_look_like_patterns(
    tmp_path: Path,
) -> None:
    course = tmp_path / "phys101"
    for path in ("alice/alice+ps1+1", "alice/alice+ps[1]+2", "bob/bob+ps1+3+random"):
        (course / "inbound" / path).mkdir(parents=True)
    said: list[str] = []

    def find(student: str, assignment: str) -> list[str]:
        return [
            each.timestamp for each in find_submissions(course, student, assignment, said.append)
        ]

    assert find("*", "*") == ["1", "2", "3"]
    assert find("a*", "*") == ["1", "2"]
    assert find("*", "ps1") == ["1", "3"]
    assert find("alice", "ps[1]") == ["1", "2"]
    assert said == []

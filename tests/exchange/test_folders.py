"""How a new folder takes the place of an old one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ngshare.exchange.folders import new_folder
from tests.exchange.people import tree


def test_an_old_folder_is_there_until_the_new_one_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "old").write_text("old")
    with new_folder(folder) as new:
        (new / "new").write_text("new")
        assert tree(folder) == {"deep/old": b"old"}
    assert tree(tmp_path) == {"folder/new": b"new"}


def test_what_cannot_be_replaced_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "folder") as new:
        shutil.rmtree(new)  # so that it can't be moved
    assert tree(tmp_path) == {"folder/old": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_block_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "some" / "folder"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    with new_folder(tmp_path / "folder") as new:
        (new / "new").write_text("new")
    assert tree(tmp_path) == {"elsewhere/mine": b"mine", "folder/new": b"new"}

"""Files that are found by their content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ngshare.exchange.local_files import LocalFiles, copy_verified

CONTENT = b"content"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_is_found_by_its_content_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "other").write_bytes(b"another")
    (tmp_path / "a" / "deep" / "file").write_bytes(CONTENT)
    files = LocalFiles([tmp_path / "nowhere", tmp_path / "a"])
    assert files.find(DIGEST, len(CONTENT)) == tmp_path / "a" / "deep" / "file"
    assert files.find(hashlib.sha256(b"more").hexdigest(), 4) is None


def test_what_vanishes_or_is_no_file_is_not_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_bytes(CONTENT)
    files = LocalFiles([tmp_path])
    (tmp_path / "file").unlink()
    assert files.find(DIGEST, len(CONTENT)) is None
    assert files.find(hashlib.sha256().hexdigest(), 0) is None


def test_only_the_content_that_is_meant_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(CONTENT)
    assert copy_verified(source, target, DIGEST)
    assert target.read_bytes() == CONTENT
    target.unlink()
    source.write_bytes(b"changed")
    assert not copy_verified(source, target, DIGEST)
    assert not copy_verified(tmp_path / "gone", target, DIGEST)
    assert not target.exists()

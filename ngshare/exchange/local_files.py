"""Files that are on this computer already, found by their content."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 1 << 20


class LocalFiles:
    """The files below some folders. Those of a size that is needed are hashed, once each.

    What can't be read is not there.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._by_digest: dict[str, Path] = {}
        self._unknown: defaultdict[int, list[Path]] = defaultdict(list)
        for folder in folders:
            for directory, _, names in os.walk(folder):
                for path in (Path(directory, name) for name in names):
                    if path.is_file():
                        self._unknown[path.stat().st_size].append(path)

    def find(self, sha256: str, size: int) -> Path | None:
        """A file with this content.

        Args:
            sha256: of the content, in hexadecimal.
            size: of the content, in bytes.
        """
        unknown = self._unknown[size]
        while sha256 not in self._by_digest and unknown:
            path = unknown.pop()
            with suppress(OSError):
                self._by_digest[sha256_of(path)] = path
        return self._by_digest.get(sha256)


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def copy_verified(source: Path, target: Path, sha256: str) -> bool:
    """Copy a file if it still is there with its content; whether it was.

    Args:
        target: its folder is made if it is not there.
        sha256: of the content, in hexadecimal.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        return False
    if sha256_of(target) == sha256:
        return True
    target.unlink()
    return False

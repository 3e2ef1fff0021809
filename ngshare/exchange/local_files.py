"""Files that are on this computer already, found by their content."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

BLOCK_BYTES = 1 << 20


class LocalFiles:
    """The files below some folders. Those of a size that is needed are hashed, once each."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._by_digest: dict[str, Path] = {}
        self._unknown: defaultdict[int, list[Path]] = defaultdict(list)
        for folder in folders:
            for directory, _, names in os.walk(folder):
                for path in (Path(directory, name) for name in names):
                    if not path.is_symlink():
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
            self._by_digest[sha256_of(path)] = path
        return self._by_digest.get(sha256)


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    return _copy(path, Path(os.devnull))


def copy_verified(source: Path, target: Path, sha256: str) -> bool:
    """Copy a file if it still has its content; whether it had.

    Args:
        target: its folder is made if it is not there.
        sha256: of the content, in hexadecimal.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        is_same = _copy(source, target) == sha256
    except FileNotFoundError:
        is_same = False
    if not is_same:
        target.unlink(missing_ok=True)
    return is_same


def _copy(source: Path, target: Path) -> str:
    """The SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as old, target.open("wb") as new:
        while block := old.read(BLOCK_BYTES):
            digest.update(block)
            new.write(block)
    return digest.hexdigest()

"""Exchange directories for tests, the commands that move them, and what is compared."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from ngshare.moves.layout import to_mtime
from ngshare.moving_commands import MovingCommand

ARCHIVE = Path(__file__).parent / "data" / "exchange.tar.xz"

Tree = dict[str, tuple[int, bytes]]


def unpack_exchange(folder: Path) -> Path:
    """What make_exchange made by the real nbgrader; with modes and times."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="tar")
    # The filter keeps others from writing; nbgrader lets them.
    (folder / "exchange").chmod(0o777)
    for inbound in (folder / "exchange").glob("*/inbound"):
        inbound.chmod(0o2733)
        for submission in inbound.iterdir():
            submission.chmod(0o777)
    return folder / "exchange"


def read_tree(folder: Path) -> Tree:
    """Mode and content of every file and folder below a folder."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mode & 0o7777,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


def read_times(folder: Path) -> dict[str, datetime]:
    """The times of what an exchange directory has: of releases and of pages, in microseconds."""
    found = {}
    for pattern in ("*/outbound/*", "*/inbound/*", "*/feedback/*"):
        for path in folder.glob(pattern):
            inside = [path.stat(), *(each.stat() for each in path.rglob("*"))]
            newest = max(status.st_mtime_ns for status in inside)
            at = datetime.fromtimestamp(newest // 10**9, timezone.utc)
            found[path.relative_to(folder).as_posix()] = at.replace(
                microsecond=newest // 1000 % 10**6
            )
    return found


def hand_in(
    exchange: Path,
    student: str,
    timestamp: str,
    files: Mapping[str, bytes],
    place: str = "course1/inbound",
    assignment: str = "challenge",
    random: str = "+abcdefghijkl",
) -> Path:
    """A folder as nbgrader's submit makes it."""
    folder = exchange / place / f"{student}+{assignment}+{timestamp}{random}"
    for name, content in {**files, "timestamp.txt": timestamp.encode()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_page(folder: Path, named_after: bytes, content: bytes, at: datetime) -> Path:
    """A page of feedback as nbgrader's release_feedback makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{hashlib.md5(named_after).hexdigest()}.html"
    page.write_bytes(content)
    os.utime(page, ns=(to_mtime(at), to_mtime(at)))
    return page


def command(kind: type[MovingCommand], *arguments: object) -> int:
    """Run a subcommand in this process; its status."""
    app = kind()
    app.initialize([*map(str, arguments)])
    try:
        app.start()
    except SystemExit as end:
        return int(end.code or 0)
    return 0

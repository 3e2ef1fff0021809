"""A volume, and pods with the real nbgrader."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.volume.site import Site


@pytest.fixture(scope="session")
def pods() -> Iterator[subprocess.Popen[str]]:
    """What runs commands in pods."""
    if os.geteuid() != 0:
        pytest.skip("only root can make mounts for other users")
    try:
        subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"unshare -m is not permitted: {getattr(error, 'stderr', error)}")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exchange.volume.pod"],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.stdin.close()


@pytest.fixture
def site(pods: subprocess.Popen[str], tmp_path: Path) -> Site:
    """The course phys101 on a volume, and pods for grace, who teaches it, alice and bob."""
    return Site(pods, tmp_path)


@pytest.fixture(scope="session")
def gradebook(pods: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A gradebook that knows ps1; to make one takes nbgrader longer than most else."""
    grace = Site(pods, tmp_path_factory.mktemp("gradebook")).grace
    grace.nbgrader("db", "assignment", "add", "ps1")
    return grace.files("")["gradebook.db"]

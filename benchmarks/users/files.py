"""Sample notebooks and pages, and whether two folders have the same files."""

import base64
import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ..processes import BenchmarkError

MEGABYTE = 1_000_000
NOTEBOOK = "answers.ipynb"
PAGE = "answers.html"
CLASS_NOTEBOOK_BYTES = 50_000
# What `nbgrader generate_feedback` puts into every page, and what a notebook adds to it.
FRAME_BYTES = 128_000
ANSWERS_BYTES = 32_000
LETTERS = str.maketrans("0123456789", "etaoinshrd")

# Files that the exchanges add to what was submitted.
RECEIPTS = ("timestamp.txt", "submission_secret.txt", "ngshare_receipt.json")


def notebook(size: int, seed: str) -> bytes:
    """A notebook of about `size` bytes; nearly all of it is a picture."""
    picture = base64.b64encode(random.Random(seed).randbytes(size * 3 // 4)).decode()
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}
    cell = {
        "cell_type": "code",
        "id": "only",
        "metadata": {},
        "execution_count": 1,
        "source": [f"plot({seed!r})"],
        "outputs": [output],
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content).encode()


def page(seed: str) -> bytes:
    """A page of feedback: the frame is the same in all of them."""
    return b"<html>" + prose(FRAME_BYTES, "frame") + prose(ANSWERS_BYTES, seed) + b"</html>"


@cache
def prose(size: int, seed: str) -> bytes:
    """Words, of which the shorter ones are the more frequent; they compress as real ones do."""
    source = random.Random(seed)
    words = (f"{source.paretovariate(0.8):.0f}".translate(LETTERS) for _ in range(size // 2))
    return " ".join(words).encode()[:size]


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder, and give it back."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """Relative path to content, without the exchanges' receipts."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.name not in RECEIPTS
    }


def check_same(found: Mapping[str, bytes], expected: Mapping[str, bytes], where: object) -> None:
    """Raise BenchmarkError unless these are the same files, byte for byte."""
    if found != expected:
        names = found.keys() | expected.keys()
        wrong = sorted(name for name in names if found.get(name) != expected.get(name))
        raise BenchmarkError(f"{where}: {wrong[0]} is not what it should be")

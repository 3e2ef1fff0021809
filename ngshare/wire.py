"""The protocol as pure functions: names, paths, timestamps, file contents.

Server and client share this module, which does no input or output.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import pairwise

import msgspec
import pybase64

from ngshare.errors import InvalidRequest

MAX_SEGMENT_BYTES = 255  # the limit of Linux, macOS and Windows file systems
MAX_NAME_BYTES = 1024  # the limit of macOS for paths; databases can index so much
BYTES_A_LINE = 57  # 76 characters of base64, as Python's encodebytes and RFC 2045 have it

CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # between brackets of a pattern
_CONTROL = re.compile(f"[{CONTROL}]")
_NOT_IN_PATHS = re.compile(r"[\\:]")


def is_legal_name(name: str) -> bool:
    """Whether a course, assignment or user may have this id.

    One policy for ids and paths: no control characters or line breaks, at most 1024 bytes of
    UTF-8, and every segment between slashes non-empty, neither `.` nor `..`, and at most 255 bytes.
    """
    if _CONTROL.search(name) or len(name.encode()) > MAX_NAME_BYTES:
        return False
    return all(
        segment not in ("", ".", "..") and len(segment.encode()) <= MAX_SEGMENT_BYTES
        for segment in name.split("/")
    )


def check_name(name: str) -> None:
    """Raise InvalidRequest unless is_legal_name(name)."""
    if not is_legal_name(name):
        raise InvalidRequest(
            f"Illegal name {name[:80]!r}: names have 1 to {MAX_SEGMENT_BYTES} bytes, "
            "no control characters, and are not . or .."
        )


def check_paths(paths: list[str]) -> None:
    """Raise InvalidRequest unless all are distinct relative Unix paths of one directory.

    Backslashes and colons are refused too: such files can't be written on every student's
    machine. Nor can a file that has the name of another one's folder.
    """
    if len(set(paths)) < len(paths):
        raise InvalidRequest("Illegal path")
    for path in paths:
        if not is_legal_name(path) or _NOT_IN_PATHS.search(path):
            raise InvalidRequest("Illegal path")
    # What is in a folder comes right after it in this order.
    for folder, path in pairwise(sorted(path + "/" for path in paths)):
        if path.startswith(folder):
            raise InvalidRequest("Illegal path")


def clean_text(text: str) -> str:
    """A person's name or e-mail address: control characters become spaces, ends are trimmed."""
    return _CONTROL.sub(" ", text).strip()


def format_timestamp(at: datetime) -> str:
    """For example `2020-01-30 10:30:47.524219 UTC`.

    Args:
        at: an aware datetime in UTC.
    """
    text = msgspec.to_builtins(at)[:-1].replace("T", " ")  # a third of isoformat's time
    return text + (" UTC" if at.microsecond else ".000000 UTC")


def parse_timestamp(text: str) -> datetime:
    """The aware UTC datetime that a request names, with or without the zone.

    Raises:
        InvalidRequest: it is not of the form `%Y-%m-%d %H:%M:%S.%f[ UTC]`.
    """
    try:
        naive = datetime.strptime(text.strip().removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S.%f")
    except ValueError:
        raise InvalidRequest("Time format incorrect") from None
    return naive.replace(tzinfo=timezone.utc)


def encode_content(content: bytes, newline: bytes = b"\n") -> bytes:
    """Base64 in lines of 76 characters, each ended by a newline, like base64.encodebytes.

    Args:
        newline: another mark for the ends of lines, such as the escaped one of JSON.
    """
    lines = pybase64.encodebytes(content)
    return lines if newline == b"\n" else lines.replace(b"\n", newline)


def decode_content(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decode base64 text, in which lines may break anywhere, piece by piece.

    Raises:
        InvalidRequest: stray characters or wrong padding.
    """
    rest = b""
    ended = False
    try:
        for piece in pieces:
            encoded = rest + _without_whitespace(piece)
            whole = len(encoded) - len(encoded) % 4
            rest = encoded[whole:]
            if encoded and ended:
                raise binascii.Error
            ended = ended or encoded.endswith(b"=", 0, whole)
            yield pybase64.b64decode(memoryview(encoded)[:whole], validate=True)
        if rest:
            raise binascii.Error
    except binascii.Error:
        raise InvalidRequest("Content cannot be base64 decoded") from None


def _without_whitespace(text: bytes) -> bytes:
    for character in (b"\n", b"\r", b"\t", b" "):
        if character in text:  # which costs little where it is rare
            text = text.replace(character, b"")
    return text


def manifest_digest(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The SHA-256 that names a directory: over its sorted paths and their contents' SHA-256.

    Args:
        files: (path, SHA-256 of the content) in any order.
    """
    manifest = hashlib.sha256()
    for path, digest in sorted(files):
        manifest.update(f"{digest.hex()} {path}\n".encode())
    return manifest.digest()

"""Directories on their way up: short files at once, long ones only if the server lacks them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypedDict

import msgspec
from urllib3.filepost import encode_multipart_formdata

from ngshare import wire
from ngshare.client.answers import Answer
from ngshare.client.transport import Transport
from ngshare.errors import LocalFileError, MissingContent

HASHED_BYTES = 1 << 20
# A block must be taken within the time-out.
SENT_BYTES = 64 << 10
SHORT_FILE_BYTES = 256 << 10
SHORT_FILES_BYTES = 4 << 20  # of all that go into one request
BYTES = "application/octet-stream"
ROUNDS = 3  # of sending what is missing: somebody may purge what was there


class Entry(TypedDict):
    """A file of a directory."""

    path: str
    size: int
    sha256: str


def describe(files: Mapping[str, Path]) -> list[Entry]:
    """The manifest of local files, in the order of their paths.

    Args:
        files: relative path with slashes to local file.

    Raises:
        InvalidRequest: the paths are not those of a directory.
        LocalFileError: a file can't be read.
    """
    wire.check_paths(list(files))
    entries: list[Entry] = []
    for path, file in sorted(files.items()):
        digest, size = hashlib.sha256(), 0
        for block in _read(file, HASHED_BYTES):
            digest.update(block)
            size += len(block)
        entries.append({"path": path, "size": size, "sha256": digest.hexdigest()})
    return entries


def send(
    transport: Transport,
    parallel: int,
    verb: str,
    where: Sequence[str],
    files: Mapping[str, Path],
    fields: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """The answer to a call with a directory.

    A few short files are in the request itself. If there is more, all files are only referred to
    at first; those that the server then asks for are sent, long ones each by itself and short ones
    in the request, which is repeated. So what the server has is not sent.

    Args:
        parallel: how many files to send at the same time.
        where: the segments of the URL, of which the second is the course.
        options: see Transport.call.
    """
    entries = describe(files)
    short = {entry["path"] for entry in _short(entries)}
    # Where only references may do, the short files wait for what the server says, too.
    enclosed = short if len(short) == len(entries) else set()
    headers = options.pop("headers", {})

    def request() -> Answer:
        body, media_type = _encode(entries, enclosed, files, fields or {})
        typed = {**headers, "Content-Type": media_type}
        return transport.call(verb, *where, headers=typed, body=_Form(body), **options)

    for _ in range(ROUNDS - 1):
        try:
            return request()
        except MissingContent as error:
            asked_for = set(error.missing)
            missing = [entry for entry in entries if entry["sha256"] in asked_for]
            if not missing:
                raise
        enclosed = enclosed | {entry["path"] for entry in missing if entry["path"] in short}
        by_content = {entry["sha256"]: entry for entry in missing if entry["path"] not in short}
        long_files = [_LocalFile(files[entry["path"]], entry) for entry in by_content.values()]
        _send_files(transport, parallel, where[1], long_files)
    return request()


def _encode(
    entries: Sequence[Entry],
    enclosed: Collection[str],
    files: Mapping[str, Path],
    fields: Mapping[str, str],
) -> tuple[bytes, str]:
    """A form with some files enclosed and references to the others; and its media type."""
    references = [entry for entry in entries if entry["path"] not in enclosed]
    form: list[Any] = [("files", msgspec.json.encode(references).decode()), *fields.items()]
    for entry in entries:
        if (path := entry["path"]) in enclosed:
            form.append(("file", (path, b"".join(_LocalFile(files[path], entry)), BYTES)))
    return encode_multipart_formdata(form)


def _short(entries: Sequence[Entry]) -> Iterator[Entry]:
    """What may go into the request itself."""
    left = SHORT_FILES_BYTES
    for entry in entries:
        # What quotes and percent signs in the header of a part mean depends on the reader.
        is_plain = not set(entry["path"]) & {'"', "%"}
        if is_plain and entry["size"] <= min(SHORT_FILE_BYTES, left):
            left -= entry["size"]
            yield entry


def _send_files(
    transport: Transport, parallel: int, course_id: str, files: Sequence[_LocalFile]
) -> None:
    def put(file: _LocalFile) -> None:
        headers = {"Content-Type": BYTES}
        transport.call("PUT", "blob", course_id, file.sha256, headers=headers, body=file)

    threads = ThreadPoolExecutor(max(1, parallel), "ngshare-client")
    try:
        for _ in threads.map(put, files):
            pass
    finally:
        threads.shutdown(cancel_futures=True)


class _Form:
    """A body in memory, in blocks."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), SENT_BYTES):
            yield self._body[start : start + SENT_BYTES]


class _LocalFile:
    """A file as a body: read anew for every try, and only with the bytes that were described."""

    def __init__(self, file: Path, entry: Entry) -> None:
        self._file = file
        self._size = entry["size"]
        self.sha256 = entry["sha256"]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        for block in _read(self._file, SENT_BYTES):
            digest.update(block)
            size += len(block)
            if size > self._size:
                break
            yield block
        if (size, digest.hexdigest()) != (self._size, self.sha256):
            raise LocalFileError(f"{self._file} changed while it was sent; try again")


def _read(file: Path, block_bytes: int) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while block := stream.read(block_bytes):
                yield block
    except OSError as error:
        raise LocalFileError(f"{file} can't be read: {error.strerror}") from error

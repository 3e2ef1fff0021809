"""Request bodies: spooled while they arrive, then decoded into fields and files."""

from __future__ import annotations

import binascii
import re
import tempfile
import threading
from collections.abc import Iterable
from email.message import Message
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from tornado.httputil import HTTPInputError, parse_body_arguments

from ngshare import wire
from ngshare.database import blobs
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import InvalidRequest
from ngshare.rosters import Person

T = TypeVar("T")

MEMORY_BYTES = 1 << 20  # of a body; what goes beyond is on disk

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_FAST_UNESCAPE_FAILS = re.compile(rb"=|[\r\n]|%(?![0-9A-Fa-f]{2})")


class Body:
    """The bytes of a request's body; in memory while small, else in a file without a name."""

    def __init__(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115, see close
        self._lock = threading.Lock()
        self.size = 0

    def append(self, data: bytes) -> None:
        """Add what arrived; nothing if the client is gone and the body was closed meanwhile."""
        with self._lock:
            if not self._spool.closed:
                self._spool.write(data)
                self.size += len(data)

    def fields(self, content_type: str) -> dict[str, bytes]:
        """The fields of a form; of several with one name the last. Other types have none.

        Raises:
            InvalidRequest: the body is not what its type says.
        """
        media_type = Message()
        media_type["Content-Type"] = content_type
        kind = media_type.get_content_type()
        if self.size == 0 or kind not in (FORM, MULTIPART):
            return {}
        self._spool.seek(0)
        body = self._spool.read()
        return parse_form(body) if kind == FORM else _parse_multipart(content_type, body)

    def close(self) -> None:
        with self._lock:
            self._spool.close()


def parse_form(body: bytes) -> dict[str, bytes]:
    """The fields of `application/x-www-form-urlencoded`; of several with one name the last."""
    fields = {}
    for field in body.split(b"&"):
        name, _, value = field.partition(b"=")
        fields[unescape(name).decode("utf-8", "replace")] = unescape(value)
    return fields


def unescape(value: bytes) -> bytes:
    """Percent-decode a form's value.

    Quoted-printable is the same notation with another sign, and its decoder, written in C, is ten
    times faster. Where the two differ (malformed input, for the most part) the slow one is right.
    """
    value = value.replace(b"+", b" ")
    if _FAST_UNESCAPE_FAILS.search(value):
        return unquote_to_bytes(value)
    return binascii.a2b_qp(value.replace(b"%", b"="))


def _parse_multipart(content_type: str, body: bytes) -> dict[str, bytes]:
    arguments: dict[str, list[bytes]] = {}
    try:
        parse_body_arguments(content_type, body, arguments, {})
    except HTTPInputError as error:
        raise InvalidRequest(f"The multipart form cannot be read: {error}") from None
    return {name: values[-1] for name, values in arguments.items()}


def decode_json(field: bytes | None, kind: type[T], otherwise: str) -> T:
    """The value of a field that holds JSON.

    Raises:
        InvalidRequest: with the message `otherwise`, if it is no JSON or of another shape.
    """
    try:
        return msgspec.json.decode(field or b"", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(otherwise) from None


class FileEntry(msgspec.Struct):
    """A file of the encoded directory tree; other keys of the entry are ignored."""

    path: str
    content: str


def decode_files(field: bytes | None) -> PackedSnapshot:
    """The directory that the field `files` holds.

    Raises:
        InvalidRequest: there is no such field, it is no JSON list of files, a path is illegal,
            or a content is no base64; looked at in this order.
    """
    if field is None:
        raise InvalidRequest("Please supply files")
    entries = decode_json(field, list[FileEntry], "Files cannot be JSON decoded")
    wire.check_paths([entry.path for entry in entries])
    return pack_directory((entry.path, wire.decode_content(entry.content)) for entry in entries)


def pack_directory(files: Iterable[tuple[str, bytes]]) -> PackedSnapshot:
    """A directory ready to be stored, from paths and contents."""
    packed = {path: blobs.pack(content) for path, content in files}
    digest = wire.manifest_digest((path, blob.digest) for path, blob in packed.items())
    return PackedSnapshot(digest, packed)


class StudentRow(msgspec.Struct):
    """A row of a bulk upload."""

    username: str
    first_name: str
    last_name: str
    email: str


def decode_students(field: bytes | None) -> list[Person]:
    """The people that the field `students` holds.

    Raises:
        InvalidRequest: nobody, no JSON, or not a list of complete rows.
    """
    if not field:
        raise InvalidRequest("Please supply students")
    rows = decode_json(field, object, "Students cannot be JSON decoded")
    if rows == []:
        raise InvalidRequest("Please supply students")
    try:
        people = msgspec.convert(rows, list[StudentRow])
    except msgspec.ValidationError:
        raise InvalidRequest("Incorrect request format") from None
    return [Person(row.username, row.first_name, row.last_name, row.email) for row in people]

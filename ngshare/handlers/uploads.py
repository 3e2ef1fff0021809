"""Request bodies: spooled while they arrive, then decoded into fields and files."""

from __future__ import annotations

import binascii
import tempfile
import threading
from collections.abc import Iterator
from email.message import Message
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from tornado.httputil import HTTPInputError, parse_body_arguments

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import InvalidRequest, TooLarge
from ngshare.rosters import Person

T = TypeVar("T")

MEMORY_BYTES = 1 << 20  # of a body; what goes beyond is on disk
BLOCK_BYTES = 256 << 10  # what is worked on at once, while other threads wait

MAX_FIELDS = 1000
MAX_FILES = 10_000

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

NO_FILES = "Files cannot be JSON decoded"


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
        if kind == FORM:
            return parse_form(body)
        return _parse_multipart(content_type.replace(content_type.split(";")[0], kind, 1), body)

    def close(self) -> None:
        with self._lock:
            self._spool.close()


def parse_form(body: bytes) -> dict[str, bytes]:
    """The fields of `application/x-www-form-urlencoded`; of several with one name the last.

    Raises:
        InvalidRequest: there are more than MAX_FIELDS.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise InvalidRequest(f"A form may have {MAX_FIELDS} fields at most")
    fields = {}
    start = 0
    while start <= len(body):
        end = body.find(b"&", start)
        end = len(body) if end < 0 else end
        equals = body.find(b"=", start, end)
        equals = end if equals < 0 else equals
        name = unescape(body, start, equals).decode("utf-8", "replace")
        fields[name] = unescape(body, min(equals + 1, end), end)
        start = end + 1
    return fields


def unescape(text: bytes, start: int = 0, end: int | None = None) -> bytes:
    """Percent-decode a form's value, or the part of a form that holds it.

    Quoted-printable is the same notation with another sign, and its decoder, written in C, is ten
    times faster. Where the two differ (malformed input, for the most part) urllib's is right.
    The work is done block by block, so that other threads get their turns.
    """
    end = len(text) if end is None else end
    plain = bytearray()
    while start < end:
        stop = min(start + BLOCK_BYTES, end)
        if stop < end:  # no block ends amid an escape
            cut = text.find(b"%", max(start + 1, stop - 2), stop)
            stop = stop if cut < 0 else cut
        plain += _unescape_block(text[start:stop])
        start = stop
    return bytes(plain)


def _unescape_block(block: bytes) -> bytes:
    block = block.replace(b"+", b" ")
    if b"=" not in block and b"\n" not in block and b"\r" not in block:
        plain = binascii.a2b_qp(block.replace(b"%", b"="))
        # Every well-formed escape makes the text shorter by two, and a malformed one by less.
        if len(plain) + 2 * block.count(b"%") == len(block):
            return plain
    return unquote_to_bytes(block)


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
    content: msgspec.Raw


def decode_files(field: bytes | None) -> PackedSnapshot:
    """The directory that the field `files` holds.

    Raises:
        InvalidRequest: there is no such field, it is no JSON list of files, a path is illegal,
            or a content is no base64; looked at in this order.
        TooLarge: there are more than MAX_FILES.
    """
    if field is None:
        raise InvalidRequest("Please supply files")
    entries = decode_json(field, list[FileEntry], NO_FILES)
    contents = [memoryview(entry.content) for entry in entries]
    if not all(content[:1] == b'"' for content in contents):
        raise InvalidRequest(NO_FILES)
    if len(entries) > MAX_FILES:
        raise TooLarge(f"These are {len(entries):,} files; a directory may have {MAX_FILES:,}")
    wire.check_paths([entry.path for entry in entries])
    packed = {
        entry.path: blobs.pack_pieces(wire.decode_content(_json_text(content)))
        for entry, content in zip(entries, contents, strict=True)
    }
    return snapshots.pack(packed)


def _json_text(string: memoryview) -> Iterator[bytes]:
    """The characters of a JSON string, in blocks; of those beyond ASCII only that they are wrong.

    msgspec could give it as one text, but that and its bytes are two copies of a long content.
    """
    start, end = 1, len(string) - 1
    while start < end:
        stop = min(start + BLOCK_BYTES, end)
        block = bytes(string[start:stop])
        if stop < end:  # no block ends amid an escape, of which \\uXXXX is the longest
            cut = block.find(b"\\", len(block) - 5)
            block = block if cut <= 0 else block[:cut]
        start += len(block)
        if b"\\\\" in block:
            block = b"\\"  # enough for the decoder to refuse it
        elif b"\\" in block:
            block = _unescape_json(block.replace(b"\\n", b"").replace(b"\\r", b""))
        yield block


def _unescape_json(block: bytes) -> bytes:
    try:
        return msgspec.json.decode(b'"%b"' % block, type=str).encode("utf-8", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError):  # no ASCII, so no base64
        return b"\\"


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

"""What fields of a form hold: encoded directories and rosters."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import TypeVar

import msgspec

from ngshare import wire
from ngshare.database import blobs
from ngshare.database.blobs import PackedBlob, Reference
from ngshare.errors import InvalidRequest, TooLarge
from ngshare.limits import Limits
from ngshare.rosters import Person
from ngshare.spool import Spool

T = TypeVar("T")

SHA256 = re.compile("[0-9a-f]{64}")
NO_FILES = "Files cannot be JSON decoded"
# A path is never longer in JSON, even if it is all \u0041; longer strings are taken out of it.
SHORT_STRING_BYTES = 6 * wire.MAX_NAME_BYTES
STRINGS_A_FILE = 16  # keys and values; with more of them there are said to be more files
MAX_OUTLINE_BYTES = 16 << 20  # of the JSON without them


def decode_json(text: bytes | bytearray, kind: type[T], otherwise: str) -> T:
    """The value of a field that holds JSON.

    Raises:
        InvalidRequest: with the message `otherwise`, if it is no JSON or of another shape.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(otherwise) from None


class FileEntry(msgspec.Struct):
    """A file of the encoded directory tree; other keys of the entry are ignored."""

    path: str
    content: str | msgspec.UnsetType = msgspec.UNSET
    sha256: str | msgspec.UnsetType = msgspec.UNSET


def decode_files(
    text: Iterator[bytes], limits: Limits, spool: Spool
) -> dict[str, PackedBlob | Reference]:
    """The directory that the field `files` holds, from the blocks of its text.

    Contents go to the spool as they are decoded, so that
    the memory taken does not grow with them.

    Raises:
        InvalidRequest: it is no JSON list of files, a path is illegal, or a content is no base64
            or not what its SHA-256 says; looked at in this order.
        TooLarge: there are more files or bytes than the limits allow.
        OSError: the disk is full.
    """
    contents = Contents(limits, spool)
    entries = decode_json(_outline(text, contents), list[FileEntry], NO_FILES)
    limits.check_file_count(len(entries))
    wire.check_paths([entry.path for entry in entries])
    if any(entry.content is msgspec.UNSET is entry.sha256 for entry in entries):
        raise InvalidRequest(NO_FILES)
    return {entry.path: contents.get(entry) for entry in entries}


def _digest(entry: FileEntry) -> bytes | None:
    """The SHA-256 that the entry names.

    Raises:
        InvalidRequest: it is none.
    """
    if entry.sha256 is msgspec.UNSET:
        return None
    if not SHA256.fullmatch(entry.sha256):
        raise InvalidRequest(f"{entry.path}: a SHA-256 has 64 small hexadecimal digits")
    return bytes.fromhex(entry.sha256)


class Contents:
    """The long strings that were taken out of the JSON, decoded and packed."""

    def __init__(self, limits: Limits, spool: Spool) -> None:
        self.limits = limits
        self._spool = spool
        self._mark = secrets.token_hex(16)  # nobody's path or content begins like this
        self._packed: list[PackedBlob | InvalidRequest | TooLarge] = []

    def take(self, text: Iterator[bytes]) -> bytes:
        """Pack what a long JSON string encodes; the string to put in its place.

        What is wrong with it counts only once the JSON around it has proved to be right.
        """
        self.limits.check_file_count(len(self._packed) // STRINGS_A_FILE)
        try:
            self._packed.append(self._pack(_json_text(text)))
        except (InvalidRequest, TooLarge) as error:
            self._packed.append(error)
            for _ in text:  # the JSON goes on behind it
                pass
        return f"{self._mark}\\\\{len(self._packed) - 1}".encode()  # as a path it is illegal

    def get(self, entry: FileEntry) -> PackedBlob | Reference:
        """The content of a file.

        Raises:
            InvalidRequest: it is no base64, or not what its SHA-256 says.
            TooLarge: it is over the limit.
        """
        digest = _digest(entry)
        if entry.content is msgspec.UNSET:
            assert digest is not None
            return Reference(digest)
        content = self._get(entry.path, entry.content)
        if digest is not None and content.digest != digest:
            raise InvalidRequest(f"{entry.path}: the content does not have this SHA-256")
        return content

    def _get(self, path: str, text: str) -> PackedBlob:
        mark, _, number = text.partition("\\")
        try:
            if mark != self._mark:
                return self._pack([text.encode("utf-8", "replace")])
            content = self._packed[int(number)]
        except TooLarge as error:
            content = error
        if isinstance(content, TooLarge):
            raise TooLarge(f"{path}: {content.message}")
        if isinstance(content, InvalidRequest):
            raise content
        return content

    def _pack(self, text: Iterable[bytes]) -> PackedBlob:
        plain = self.limits.check_file(wire.decode_content(text))
        return blobs.pack_pieces(plain, self._spool)


def _outline(blocks: Iterator[bytes], contents: Contents) -> bytearray:
    """The JSON text without its long strings."""
    text = JsonText(blocks)
    outline = bytearray()

    def add(piece: bytes) -> None:
        outline.extend(piece)
        if len(outline) > MAX_OUTLINE_BYTES:
            raise TooLarge(f"Files may have {MAX_OUTLINE_BYTES:,} bytes beside their contents")

    for number in count():
        contents.limits.check_file_count(number // STRINGS_A_FILE)
        piece = b""
        for piece in text.up_to_string():
            add(piece)
        if not piece.endswith(b'"'):
            return outline
        string = text.string()
        short = b""
        for piece in string:
            short += piece
            if len(short) > SHORT_STRING_BYTES:
                short = contents.take(chain([short], string))
        add(short + b'"')
    raise AssertionError("unreachable")


class JsonText:
    """JSON text that comes in blocks, to be read in turns: up to a string, and the string."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = b""
        self._position = 0

    def _goes_on(self) -> bool:
        """Whether there is more of it."""
        while self._position == len(self._block):
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block, self._position = block, 0
        return True

    def _take(self, end: int) -> bytes:
        piece = self._block[self._position : end]
        self._position = end
        return piece

    def up_to_string(self) -> Iterator[bytes]:
        """What comes before the next string, with the quote that opens it."""
        while self._goes_on():
            quote = self._block.find(b'"', self._position)
            if quote >= 0:
                yield self._take(quote + 1)
                return
            yield self._take(len(self._block))

    def string(self) -> Iterator[bytes]:
        """The characters of the string, still escaped; the quote that closes it is left out."""
        is_escaped = False  # whether the next character follows a backslash that means it
        while self._goes_on():
            first = self._position + is_escaped
            quote = self._block.find(b'"', first)
            while quote >= 0 and self._is_escaped(quote, first):
                quote = self._block.find(b'"', quote + 1)
            if quote >= 0:
                yield self._take(quote)
                self._position += 1
                return
            is_escaped = self._is_escaped(len(self._block), first)
            yield self._take(len(self._block))

    def _is_escaped(self, position: int, first: int) -> bool:
        """Whether an odd number of backslashes is before a character."""
        start = position
        while start > first and self._block[start - 1] == 0x5C:
            start -= 1
        return (position - start) % 2 == 1


def _json_text(string: Iterator[bytes]) -> Iterator[bytes]:
    """Unescape what JsonText.string gives; of what is not ASCII only that it is wrong."""
    rest = b""
    for piece in string:
        text = rest + piece
        cut = text.find(b"\\", max(0, len(text) - 5))  # no escape is cut; \\uXXXX is the longest
        cut = len(text) if cut < 0 else cut
        rest = text[cut:]
        yield _unescape_json(text[:cut])
    yield _unescape_json(rest)


def _unescape_json(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    if b"\\\\" in text:
        return b"\\"  # enough for the decoder to refuse it
    text = text.replace(b"\\n", b"").replace(b"\\r", b"")
    if b"\\" not in text:
        return text
    try:
        return msgspec.json.decode(b'"%b"' % text, type=str).encode("utf-8", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError):  # no ASCII, so no base64
        return b"\\"


class StudentRow(msgspec.Struct):
    """A row of a bulk upload."""

    username: str
    first_name: str
    last_name: str
    email: str


def decode_students(text: bytes | None) -> list[Person]:
    """The people that the field `students` holds.

    Raises:
        InvalidRequest: nobody, no JSON, or not a list of complete rows.
    """
    if not text:
        raise InvalidRequest("Please supply students")
    rows = decode_json(text, object, "Students cannot be JSON decoded")
    if rows == []:
        raise InvalidRequest("Please supply students")
    try:
        people = msgspec.convert(rows, list[StudentRow])
    except msgspec.ValidationError:
        raise InvalidRequest("Incorrect request format") from None
    return [Person(row.username, row.first_name, row.last_name, row.email) for row in people]

"""Request bodies: spooled while they arrive, then cut into the fields of a form."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote_to_bytes

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from ngshare.errors import InvalidRequest, TooLarge
from ngshare.spool import Spool

MEMORY_BYTES = 3 << 19  # of a body; the form of a file of 1 MB fits
MAX_FIELDS = 1000
MAX_FILES = 100_000  # parts of a multipart form; max_files is looked at later
TOO_MANY_FIELDS = f"A form may have {MAX_FIELDS} fields at most"
MAX_FIELD_NAME_BYTES = 1024
MAX_VALUE_BYTES = 16 << 20  # of a field that is not read block by block

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class Field:
    """The value of a form's field, where it is in a spool.

    Attributes:
        is_escaped: whether it is percent-encoded there.
    """

    spool: Spool
    start: int
    end: int
    is_escaped: bool

    def blocks(self) -> Iterator[bytes]:
        """The decoded value, block by block."""
        blocks = self.spool.blocks(self.start, self.end)
        return unescape(blocks) if self.is_escaped else blocks

    def value(self, limit: int = MAX_VALUE_BYTES) -> bytes:
        """The decoded value as a whole.

        Raises:
            TooLarge: before it is decoded it has more bytes than the limit.
        """
        if self.end - self.start > limit:
            raise TooLarge(f"This field of the form may have {limit:,} bytes")
        return b"".join(self.blocks())


class Body:
    """The bytes of a request's body, and what they stand for.

    Attributes:
        files: (name, content) of the files in a multipart form, once `fields` has read it.
    """

    def __init__(self) -> None:
        self.spool = Spool(MEMORY_BYTES)
        self.files: list[tuple[str, Field]] = []
        self._others: list[Spool] = []

    @property
    def size(self) -> int:
        return self.spool.size

    def new_spool(self) -> Spool:
        """Another one that lives as long as the body."""
        self._others.append(Spool(MEMORY_BYTES))
        return self._others[-1]

    def fields(self, content_type: str) -> dict[str, Field]:
        """The fields of a form; of several with one name the last. Other types have none.

        Raises:
            InvalidRequest: the body is not what its type says, or has more than MAX_FIELDS or
                MAX_FILES.
        """
        kind, boundary = parse_content_type(content_type)
        if self.size == 0:
            return {}
        if kind == FORM:
            return parse_form(self.spool)
        if kind == MULTIPART:
            return self._parse_multipart(boundary)
        return {}

    def _parse_multipart(self, boundary: str) -> dict[str, Field]:
        fields = {}
        spool = self.new_spool()
        segment, start = None, 0
        try:
            with PushMultipartParser(boundary, max_segment_count=MAX_FILES) as parser:
                for block in self.spool.blocks():
                    for event in parser.parse(block):
                        if isinstance(event, MultipartSegment):
                            segment, start = event, spool.size
                        elif event is not None:
                            spool.append(event)
                        elif segment is not None:
                            field = Field(spool, start, spool.size, is_escaped=False)
                            if segment.filename is None:
                                fields[segment.name] = field
                            else:
                                self.files.append((segment.filename, field))
                            if len(fields) > MAX_FIELDS:
                                raise InvalidRequest(TOO_MANY_FIELDS)
        except (MultipartError, UnicodeError) as error:
            raise InvalidRequest(f"The multipart form cannot be read: {error}") from None
        return fields

    def close(self) -> None:
        for spool in (self.spool, *self._others):
            spool.close()


def parse_content_type(header: str) -> tuple[str, str]:
    """The media type that the header names, and its boundary.

    Raises:
        InvalidRequest: it can't be read.
    """
    media_type = Message()
    media_type["Content-Type"] = header
    try:
        return media_type.get_content_type(), media_type.get_boundary("") or ""
    except ValueError:
        raise InvalidRequest("The header Content-Type cannot be read") from None


def parse_form(spool: Spool) -> dict[str, Field]:
    """The fields of `application/x-www-form-urlencoded`; of several with one name the last.

    Raises:
        InvalidRequest: there are more than MAX_FIELDS.
    """
    fields: dict[str, Field] = {}
    for number, (start, equals, end) in enumerate(_cut_form(spool)):
        if number == MAX_FIELDS:
            raise InvalidRequest(TOO_MANY_FIELDS)
        if equals - start <= MAX_FIELD_NAME_BYTES:
            name = b"".join(Field(spool, start, equals, is_escaped=True).blocks())
            value = Field(spool, min(equals + 1, end), end, is_escaped=True)
            fields[name.decode("utf-8", "replace")] = value
    return fields


def _cut_form(spool: Spool) -> Iterator[tuple[int, int, int]]:
    """Where each field of a form begins, has its first equals sign, and ends."""
    offset = start = 0
    equals = -1
    for block in spool.blocks():
        position = 0
        while position < len(block):
            end = block.find(b"&", position)
            stop = len(block) if end < 0 else end
            if equals < 0:
                found = block.find(b"=", position, stop)
                equals = -1 if found < 0 else offset + found
            if end < 0:
                break
            end += offset
            yield start, end if equals < 0 else equals, end
            start, equals = end + 1, -1
            position = start - offset
        offset += len(block)
    yield start, offset if equals < 0 else equals, offset


def unescape(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Percent-decode a form's value, block by block.

    Quoted-printable is the same notation with another sign, and its decoder, written in C, is ten
    times faster. Where the two differ (malformed input, for the most part) urllib's is right.
    """
    rest = b""
    for block in blocks:
        block = rest + block
        cut = block.find(b"%", max(0, len(block) - 2))  # no block ends amid an escape
        cut = len(block) if cut < 0 else cut
        rest = block[cut:]
        yield _unescape_block(block[:cut])
    if rest:
        yield _unescape_block(rest)


def _unescape_block(block: bytes) -> bytes:
    block = block.replace(b"+", b" ")
    if b"=" not in block and b"\n" not in block and b"\r" not in block:
        plain = binascii.a2b_qp(block.replace(b"%", b"="))
        # Of a malformed escape the sign is left, unless it is the last character; and every
        # well-formed one makes the text shorter by two, which takes longer to see.
        if b"=" not in plain and not block.endswith(b"%"):
            return plain
        if len(plain) + 2 * block.count(b"%") == len(block):
            return plain
    return unquote_to_bytes(block)

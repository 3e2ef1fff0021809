"""Zip archives, made piece by piece.

The standard library's writer keeps an object for every member until the end; of a course's
submissions these would be more than all else. Here the list of members is spooled as it grows.
See https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, whose names the comments have.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from datetime import datetime

from ngshare.spool import Spool

COMPRESSION_LEVEL = 1
LONG_BYTES = 1 << 30  # of a content or of the archive so far: well before 32 bits are too few
MANY_MEMBERS = 0xFFFF

VERSION, VERSION_64 = 20, 45  # that readers need
MADE_BY = 3 << 8 | VERSION_64  # Unix, so that the mode counts
FLAGS = 1 << 3 | 1 << 11  # lengths follow the content; names are UTF-8
DEFLATE = 8
MODE = 0o100644 << 16
IN_EXTRA = 0xFFFFFFFF  # in place of a number of 32 bits that has 64


class ZipWriter:
    """Makes a zip archive; what there is of it so far is taken away piece by piece.

    Args:
        at: the time of its members.
        members: an empty spool for the list of them.
    """

    def __init__(self, at: datetime, members: Spool) -> None:
        date = max(at.year - 1980, 0) << 9 | at.month << 5 | at.day
        self._at = struct.pack("<HH", at.hour << 11 | at.minute << 5 | at.second // 2, date)
        self._pieces: list[bytes] = []
        self._size = 0  # of the archive so far
        self._list = members
        self._count = 0

    def open(self, path: str, size: int) -> None:
        """Begin a file; its content has to be written before the next one."""
        self._name = path.encode()
        self._start, self._is_long = self._size, size >= LONG_BYTES
        self._deflate = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = self._plain = 0
        extra = struct.pack("<HHQQ", 1, 16, 0, 0) if self._is_long else b""
        unknown = IN_EXTRA if self._is_long else 0
        version = VERSION_64 if self._is_long else VERSION
        lengths = struct.pack("<LLLHH", 0, unknown, unknown, len(self._name), len(extra))
        kind = struct.pack("<4sHHH", b"PK\3\4", version, FLAGS, DEFLATE)
        self._add(kind + self._at + lengths + self._name + extra)  # local file header
        self._content = self._size

    def write(self, content: bytes) -> None:
        self._crc = zlib.crc32(content, self._crc)
        self._plain += len(content)
        self._add(self._deflate.compress(content))

    def close_file(self) -> None:
        packed = self._end_content()
        is_long = self._is_long or self._start >= LONG_BYTES
        numbers, extra = (packed, self._plain, self._start), b""
        if is_long:
            extra = struct.pack("<HHQQQ", 1, 24, self._plain, packed, self._start)
            numbers = (IN_EXTRA, IN_EXTRA, IN_EXTRA)
        version = VERSION_64 if is_long else VERSION
        kind = struct.pack("<4sHHHH", b"PK\1\2", MADE_BY, version, FLAGS, DEFLATE)
        sizes = struct.pack("<LLLHH", self._crc, *numbers[:2], len(self._name), len(extra))
        rest = struct.pack("<HHHLL", 0, 0, 0, MODE, numbers[2])
        # Central directory header.
        self._list.append(kind + self._at + sizes + rest + self._name + extra)
        self._count += 1

    def drop_file(self) -> None:
        """End a file that can't be written to its end: it will not be in the list of members."""
        self._end_content()

    def _end_content(self) -> int:
        """How many bytes it has, compressed."""
        self._add(self._deflate.flush())
        packed = self._size - self._content
        form = "<4sLQQ" if self._is_long else "<4sLLL"
        self._add(struct.pack(form, b"PK\7\x08", self._crc, packed, self._plain))
        return packed

    def close(self) -> Iterator[bytes]:
        """The end of the archive, piece by piece."""
        yield self.take()
        yield from self._list.blocks()
        start, size, count = self._size, self._list.size, self._count
        if count >= MANY_MEMBERS or start + size >= LONG_BYTES:
            # Zip64 end of central directory record, and its locator.
            numbers = (44, MADE_BY, VERSION_64, 0, 0, count, count, size, start)
            yield struct.pack("<4sQHHLLQQQQ", b"PK\6\6", *numbers)
            yield struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
            count, size, start = MANY_MEMBERS, IN_EXTRA, IN_EXTRA
        yield struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, size, start, 0)

    def take(self) -> bytes:
        """What was made since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def _add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)

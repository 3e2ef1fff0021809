"""Bytes on their way: kept in memory while they are few, then in a file without a name."""

from __future__ import annotations

import os
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK_BYTES = 128 << 10  # what is worked on at once, while other threads wait


class Spool:
    """Bytes that grow at the end and can be read anywhere.

    Several threads may use it, and may close it while another one is at work: what is appended
    then is dropped.

    Args:
        memory_bytes: how many are kept in memory; with the next one all of them move to a file.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._pieces: list[bytes] = []  # as they came, while they are in memory
        self._starts: list[int] = []
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.size = 0

    def append(self, data: bytes | bytearray) -> Span:
        """Add bytes; where they are then.

        Raises:
            OSError: the disk is full.
        """
        with self._lock:
            span = Span(self, self.size, len(data))
            if self._closed:
                return span
            if self._file is None and self.size + len(data) <= self._memory_bytes:
                self._pieces.append(bytes(data))
                self._starts.append(self.size)
            else:
                self._write(data)
            self.size += len(data)
        return span

    def _write(self, data: bytes | bytearray) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115, see close
            for piece in self._pieces:
                _write_all(self._file, piece)
            self._pieces, self._starts = [], []
        _write_all(self._file, data)

    def read(self, start: int, length: int) -> bytes:
        """At most so many bytes from there on; none at the end.

        Raises:
            ValueError: the spool was closed.
        """
        with self._lock:
            if self._closed:
                raise ValueError("The spool is closed")
            if self._file is None:
                return self._read_memory(start, length)
            return os.pread(self._file.fileno(), length, start)

    def _read_memory(self, start: int, length: int) -> bytes:
        number = bisect_right(self._starts, start) - 1
        if number < 0:
            return b""
        offset = start - self._starts[number]
        return self._pieces[number][offset : offset + length]

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of a range, at most BLOCK_BYTES at a time."""
        end = self.size if end is None else end
        while start < end:
            block = self.read(start, min(BLOCK_BYTES, end - start))
            yield block
            start += len(block)

    def close(self) -> None:
        """Free the memory or the file."""
        with self._lock:
            self._closed = True
            self._pieces, self._starts = [], []
            if self._file is not None:
                self._file.close()


def _write_all(file: BinaryIO, data: bytes | bytearray) -> None:
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += file.write(view[written:])


@dataclass(frozen=True)
class Span:
    """A range of a spool; `bytes(span)` reads it."""

    spool: Spool
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __bytes__(self) -> bytes:
        return b"".join(self.spool.blocks(self.start, self.start + self.length))

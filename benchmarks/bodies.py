"""Bodies as the published client 0.5.3 sends them: a form whose field `files` is JSON.

Everything here is made before the clock starts; a body never costs the load generator more than
the copying of its bytes.
"""

import base64
import hashlib
import os

USER = b"user=someone&"
OPENING = b"files=%5B%7B%22path%22%3A+%22data.bin%22%2C+%22content%22%3A+%22"
ENDING = b"%22%7D%5D"
SERIAL_LENGTH = 80
BLOCK = 3 * 1024


def escape(content: bytes) -> bytes:
    """Base64 of `content`, percent-encoded for a form (`urllib.parse.quote` takes seconds a MB)."""
    text = base64.b64encode(content)
    return text.replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D")


def form(content: bytes) -> bytes:
    """The form with one file `data.bin` of this content."""
    return b"".join((USER, OPENING, escape(content), ENDING))


class DistinctForms:
    """Forms with one file of `size` random bytes each, no two alike, all of one length.

    The file begins with a serial number (80 digits, which are base64 as they stand) and goes on
    with random blocks, rotated by the serial number: what is at one place in one file is at
    another in the next, so that neither whole files nor their pieces can be deduplicated.
    """

    def __init__(self, size: int) -> None:
        rest = size - SERIAL_LENGTH // 4 * 3
        count = rest // BLOCK
        blocks = [escape(os.urandom(BLOCK)) for _ in range(count)]
        self._ending = escape(os.urandom(rest - count * BLOCK)) + ENDING
        self._blocks = memoryview(b"".join(blocks))
        self._starts = [0]
        for block in blocks[:-1]:
            self._starts.append(self._starts[-1] + len(block))
        self._serial = int.from_bytes(os.urandom(24), "big")
        self.length = len(USER + OPENING + self._ending) + SERIAL_LENGTH + len(self._blocks)

    def next(self) -> tuple[bytes | memoryview, ...]:
        """The parts of the next form, in order."""
        self._serial += 1
        start = self._starts[self._serial % len(self._starts)]
        serial = b"%0*d" % (SERIAL_LENGTH, self._serial)
        head = USER + OPENING + serial
        return (head, self._blocks[start:], self._blocks[:start], self._ending)


def checksum(content: bytes) -> str:
    """MD5 as in the `checksum` of an answer."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

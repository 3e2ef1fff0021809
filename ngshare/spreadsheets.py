"""CSV for spreadsheets, which calculate what looks like a formula, and people choose their names.

See https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable
from io import StringIO

TEXT_MARK = "'"  # before what only looks like a formula
# Also after a semicolon, at which spreadsheets cut where people write decimals with a comma; also
# with marks of its own, so that from_cell takes away ours alone. Some take wide characters, too.
_FORMULA = re.compile("(^|;)('*[=+@\t\r\uff1d\uff0b\uff0d\uff20-])")
_MARKED = re.compile(_FORMULA.pattern.replace("(^|;)", f"(^|;){TEXT_MARK}"))


def encode_file(columns: Iterable[str], rows: Iterable[Iterable[object]] = ()) -> bytes:
    """A file, or how it begins: with a mark, without which spreadsheets don't read UTF-8."""
    return codecs.BOM_UTF8 + encode_rows([columns, *rows])


def encode_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """Lines of CSV in which no text is a formula; None is an empty cell."""
    text = StringIO(newline="")
    csv.writer(text).writerows([*map(_as_cell, row)] for row in rows)
    return text.getvalue().encode()


def _as_cell(value: object) -> object:
    return _FORMULA.sub(rf"\1{TEXT_MARK}\2", value) if isinstance(value, str) else value


def from_cell(text: str) -> str:
    """What encode_rows was given, without blanks around it."""
    return _MARKED.sub(r"\1\2", text.strip())

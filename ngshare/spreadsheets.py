"""CSV for spreadsheets, which calculate what looks like a formula, and people choose their names.

See https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

FORMULA = ("=", "+", "-", "@", "\t", "\r")
TEXT_MARK = "'"  # before what only looks like a formula


def encode_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """Lines of CSV in which no text is a formula; None is an empty cell."""
    text = StringIO(newline="")
    csv.writer(text).writerows([*map(_as_cell, row)] for row in rows)
    return text.getvalue().encode()


def _as_cell(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(FORMULA)
    return f"{TEXT_MARK}{value}" if is_formula else value


def from_cell(text: str) -> str:
    """What encode_rows was given, without blanks around it."""
    text = text.strip()
    return text[1:] if text.startswith(TEXT_MARK) and text[1:].startswith(FORMULA) else text

"""What the faults showed, for the end of the run."""

from __future__ import annotations

from tests.faults.storm import Found, Storm

DEFAULT_SEED = 1

HEADINGS = ("fault", "times", "requests", "receipts", "lost", "half visible", "stored twice")
HEADINGS += ("there without receipt",)

_rows: list[tuple[str, ...]] = []
_notes: list[str] = []


def tabulate(fault: str, times: int, storm: Storm, found: Found) -> None:
    """A row of the table."""
    numbers = (times, storm.requests, storm.receipt_count, found.lost, found.half, found.twice)
    _rows.append((fault, *map(str, numbers), str(found.unacknowledged)))


def note(line: str) -> None:
    """A line below the table."""
    _notes.append(line)


def lines() -> list[str]:
    """The table and the notes; nothing if no fault was tried."""
    table = [HEADINGS, *_rows] if _rows else []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rows = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    ]
    return rows + _notes

"""Directories on their way into the database, as many at a time as a transaction is to store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ngshare.spool import Spool

MEMORY_BYTES = 4 << 20
BYTES_A_TRANSACTION = 8 << 20
DIRECTORIES_A_TRANSACTION = 50

Item = TypeVar("Item")
Packed = TypeVar("Packed")


def batches(
    items: Iterable[Item], pack: Callable[[Item, Spool], Packed | None]
) -> Iterator[list[Packed]]:
    """What `pack` makes of the items, but for None; never an empty list.

    Args:
        pack: puts contents into the spool, from which they are gone when the next list is made.
    """
    batch: list[Packed] = []
    spool = Spool(MEMORY_BYTES)
    try:
        for item in items:
            packed = pack(item, spool)
            if packed is not None:
                batch.append(packed)
            if len(batch) >= DIRECTORIES_A_TRANSACTION or spool.size >= BYTES_A_TRANSACTION:
                if batch:
                    yield batch
                batch = []
                spool.close()
                spool = Spool(MEMORY_BYTES)
        if batch:
            yield batch
    finally:
        spool.close()

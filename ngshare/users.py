"""Users: a row for everybody who is in a course or has handed something in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Connection, bindparam, select

from ngshare.database.engine import insert
from ngshare.database.models import User
from ngshare.permissions import Identity

NAMES_A_STATEMENT = 500

# What is about to refer to a user must not meet another person's work: whoever renames or merges
# users (see people) waits, or is waited for.
_BY_NAMES = (
    select(User.name, User.pk)
    .where(User.name.in_(bindparam("names", expanding=True)))
    .with_for_update(read=True, key_share=True)
)


def hold_name(connection: Connection, identity: Identity) -> None:
    """Let the caller's name pass to nobody else before this transaction ends.

    For what is written under a name as mere text. Rights are to be looked up afterwards: the name
    may have passed on while this waited.
    """
    if not identity.is_service:
        connection.execute(_BY_NAMES, {"names": [identity.name]})


def in_batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as a statement takes."""
    for start in range(0, len(names), NAMES_A_STATEMENT):
        yield names[start : start + NAMES_A_STATEMENT]


def ensure_users(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Primary keys by name, in the order given; users unknown so far get a row."""
    wanted = list(dict.fromkeys(names))
    known: dict[str, int] = {}
    for batch in in_batches(wanted):
        found = connection.execute(_BY_NAMES, {"names": batch})
        known.update((name, pk) for name, pk in found)
        # In one order everywhere, so that two transactions don't deadlock.
        missing = [{"name": name} for name in sorted(batch) if name not in known]
        if missing:
            connection.execute(insert(connection, User).on_conflict_do_nothing(), missing)
            found = connection.execute(_BY_NAMES, {"names": batch})
            known.update((name, pk) for name, pk in found)
    return {name: known[name] for name in wanted}

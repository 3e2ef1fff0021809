"""Engines and transactions for SQLite and PostgreSQL."""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from ngshare import __version__
from ngshare.database.models import Base
from ngshare.errors import DatabaseUnavailable, NgShareError, StorageFull

P = ParamSpec("P")
T = TypeVar("T")

Functions = Sequence[Callable[[Connection], Any]]
Outcome = tuple[Any, Exception | None]  # one of the two

READERS = min(32, 4 * (os.cpu_count() or 1))
TRIES = 10
LONGEST_PAUSE_SECONDS = 0.05
BUSY_TIMEOUT_SECONDS = 30
# libpq's parameters, unless the URL has others: a network that drops packets without a word must
# not hold a connection, which many wait for, until the kernel gives up after a quarter of an hour.
PATIENCE = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
APPLICATION = "ngshare"  # what PostgreSQL is told of who connects begins with it
COUNTS = "ngshare_counts"  # in the info of a connection
TURN_SECONDS = 0.1
BETWEEN_TURNS_SECONDS = 0.001
MINIMAL_SQLITE = (3, 35)  # RETURNING

# Serialization failure and deadlock: PostgreSQL has undone the transaction and asks for a
# repetition, https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
_REPEATABLE = {"40001", "40P01"}


def normalize_url(url: str) -> URL:
    """The SQLAlchemy URL that is meant.

    `postgresql://` and `postgres://` mean psycopg 3 whatever SQLAlchemy's own default is.

    Raises:
        ValueError: not a URL of a database that ngshare can use. The message holds no password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(
            "The database is not given as a URL such as sqlite:////srv/ngshare/ngshare.db "
            "or postgresql://user:password@host/name"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ValueError(
            f"ngshare can't use the database {parsed.drivername}: use sqlite or postgresql"
        )
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError("ngshare needs a database in a file: sqlite:////path/to/ngshare.db")
    return parsed


def make_engine(url: str, pool_size: int = READERS + 2) -> Engine:
    """An engine whose connections have foreign keys and durable commits switched on.

    Its pool has one for each thread: the readers, a writer, and the one that asks for readiness.

    Raises:
        ValueError: see normalize_url; or the folder of an SQLite file does not exist.
    """
    parsed = normalize_url(url)
    options: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "hide_parameters": True,  # an error that is logged holds nobody's name or work
    }
    if parsed.drivername != "sqlite":
        patience: dict[str, Any] = {k: n for k, n in PATIENCE.items() if k not in parsed.query}
        name = f"{APPLICATION} {__version__} {os.getpid()}@{socket.gethostname()}"
        patience.setdefault("fallback_application_name", name)
        return create_engine(parsed, connect_args=patience, **options)

    if sqlite3.sqlite_version_info < MINIMAL_SQLITE:
        raise ValueError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed")
    folder = Path(str(parsed.database)).resolve().parent
    if not folder.is_dir():
        raise ValueError(f"The database's folder {folder} does not exist: create it first")
    engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite alone
    # Larger pages than usual store contents in two thirds of the time; only a new file takes them.
    # What SQLite notes to undo a statement is little; a full folder for uploads must not stop it.
    # What is erased is overwritten; Debian's SQLite does so by itself, others don't.
    for pragma in (
        "page_size=16384",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    # The change to WAL, at the first connection ever, does not wait for locks by itself.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(LONGEST_PAUSE_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a reader that turns writer can't be made to wait.
    writes = connection.get_execution_options().get("writes")
    if writes:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # the same as exec_driver_sql, which costs as much as a short query
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        driver_connection.execute("BEGIN")


def insert(connection: Connection, model: type[Base]) -> Any:
    """An INSERT into a model's table that knows ON CONFLICT, in the connection's dialect."""
    return _insert(connection.dialect.name, model)


@functools.cache
def _insert(dialect_name: str, model: type[Base]) -> Any:
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    return dialect.insert(model.__table__)


def count(connection: Connection, name: str, amount: int) -> None:
    """Add to one of Database.counts, if the transaction is committed."""
    connection.info.setdefault(COUNTS, Counter())[name] += amount


class Threads(ThreadPoolExecutor):
    """Threads that know how much they have to do.

    Attributes:
        size: how many threads there are at most.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, name)
        self.size = size
        self._pending: set[Future[Any]] = set()

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(*args, **kwargs)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    @property
    def pending(self) -> int:
        """How much is being done or waits to be."""
        return len(self._pending)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is; whether that came to pass."""
        return not wait(list(self._pending), seconds).not_done


class Database:
    """Runs functions of a connection in transactions, and owns the threads that do so.

    SQLite has one writer at a time, so there one thread does all the writing and nobody polls
    for the lock; readers go on beside it. PostgreSQL's writers share the readers' threads.
    """

    def __init__(self, engine: Engine, many_processes: bool = False) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        # What several statements read must be of one moment; SQLite knows nothing else.
        one_moment = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = engine.execution_options(**one_moment)
        self._writing = engine.execution_options(writes=True)
        self.readers = Threads(READERS, "ngshare-reader")
        self.writers = Threads(1, "ngshare-writer") if self.is_sqlite else self.readers
        self._counts: Counter[str] = Counter()
        self._counts_lock = threading.Lock()
        takes_turns = self.is_sqlite and many_processes
        self._turn_end = 0.0
        self._file_id: tuple[int, int] | None = None
        self._turn = open(f"{engine.url.database}-turn", "ab") if takes_turns else None  # noqa: SIM115
        # Which file is meant, before any connection has opened it; none may open another one.
        with suppress(DatabaseUnavailable):
            self.check_file()
        event.listen(engine, "do_connect", lambda *_: self.check_file())

    def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call function(connection, ...) in a transaction that changes nothing."""
        return self._attempt(self._reading, False, function, *args, **kwargs)

    def write(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call function(connection, ...) in a transaction, and commit before returning.

        A transaction that collided with another one is undone and repeated from the start.

        Raises:
            DatabaseUnavailable: also if it is unknown whether the commit was done.
        """
        with self._my_turn():
            self.check_file()
            result = self._attempt(self._writing, True, function, *args, **kwargs)
            self.check_file()
            return result

    def read_together(self, functions: Functions) -> list[Outcome]:
        """Call each function(connection), all in one transaction that changes nothing.

        It begins after all of them were asked for, so each sees what was committed before.
        """
        return _together(self.read, functions, lambda connection: 0)

    def write_together(self, functions: Functions) -> list[Outcome]:
        """Call each function(connection), all in one transaction, and commit before returning."""
        return _together(self.write, functions, _count_changes)

    def check_file(self) -> None:
        """Raise DatabaseUnavailable if SQLite's file is no longer the one that was opened.

        Those who have it open don't notice, and what they store is gone when they end.
        """
        if not self.is_sqlite:
            return
        path = str(self.engine.url.database)
        try:
            status = os.stat(path)
        except OSError as error:
            raise DatabaseUnavailable(
                f"The database's file {path} is gone ({error.strerror}); nothing was changed"
            ) from None
        found = (status.st_dev, status.st_ino)
        if self._file_id is None:
            self._file_id = found
        elif found != self._file_id:
            raise DatabaseUnavailable(
                f"The database's file {path} was replaced while ngshare has the old one open, and "
                "must be restarted; nothing was changed"
            )

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        """Processes that share an SQLite file write in turns, each of which may be several calls.

        SQLite itself looks for its lock ten times a second: that seldom meets the moment between
        two transactions of a process that has many to do, and others wait for minutes.
        """
        if self._turn is None:
            yield
            return
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
            if time.monotonic() > self._turn_end:
                # A break, else this thread would be back before those who wait have woken up.
                time.sleep(BETWEEN_TURNS_SECONDS)
                self._turn_end = time.monotonic() + TURN_SECONDS

    def _attempt(
        self,
        engine: Engine,
        commits: bool,
        function: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        for attempt in range(1, TRIES + 1):
            committing = False
            try:
                with engine.connect() as connection:
                    connection.info.pop(COUNTS, None)  # of a transaction that was undone
                    result = function(connection, *args, **kwargs)
                    if commits:
                        committing = True
                        connection.commit()
                        self._count(connection.info.pop(COUNTS, {}))
                return result
            except DBAPIError as error:
                if _is_full(error):
                    raise StorageFull(
                        "The disk of the database is full; nothing was changed"
                    ) from error
                if attempt < TRIES and _may_repeat(error, committing):
                    self._count({"repeated": 1})
                    time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
                    continue
                if _is_lost(error):
                    raise DatabaseUnavailable(_describe(error, committing)) from error
                raise
        raise AssertionError("unreachable")

    def _count(self, amounts: dict[Any, Any]) -> None:
        with self._counts_lock:
            self._counts.update(amounts)

    def counts(self) -> Counter[str]:
        """What this process did since its start: `repeated` transactions, and bytes of contents.

        The bytes are those `offered` in all directories, the `new` ones among them, and what
        was `stored` for these after compression (`offered_bytes` and so on).
        """
        with self._counts_lock:
            return self._counts.copy()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no thread has anything to do; whether that came to pass."""
        return self.readers.wait(seconds) and self.writers.wait(seconds)

    def connections_in_use(self) -> int:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()

    def close(self) -> None:
        """Wait for what runs, then close every connection."""
        self.readers.shutdown()
        self.writers.shutdown()
        self.engine.dispose()
        if self._turn is not None:
            self._turn.close()


class _Apart(Exception):
    """One of several functions failed, which ended the transaction of all."""


def _together(
    call: Callable[[Callable[[Connection], Any]], Any],
    functions: Functions,
    count_changes: Callable[[Connection], object],
) -> list[Outcome]:
    """What the functions return or raise, called in one transaction.

    A refusal is only its caller's, unless something was changed before: then, and if one fails
    otherwise, each gets a transaction of its own.
    """

    def call_one(connection: Connection, function: Callable[[Connection], Any]) -> Outcome:
        before = count_changes(connection)
        try:
            return function(connection), None
        except NgShareError as error:
            if count_changes(connection) != before:
                raise _Apart from error
            return None, error
        except Exception as error:
            if isinstance(error, DBAPIError) and _is_lost(error):  # for all of them
                raise
            raise _Apart from error

    if len(functions) > 1:
        try:
            return call(lambda connection: [call_one(connection, f) for f in functions])
        except (_Apart, StorageFull):
            pass
        except Exception as error:
            return [(None, error)] * len(functions)
    outcomes: list[Outcome] = []
    for function in functions:
        try:
            outcomes.append((call(function), None))
        except Exception as error:
            outcomes.append((None, error))
    return outcomes


def _count_changes(connection: Connection) -> object:
    """Grows with each row that is changed; PostgreSQL doesn't tell, so there it always does."""
    if connection.dialect.name != "sqlite":
        return object()
    driver_connection = connection.connection.driver_connection
    assert isinstance(driver_connection, sqlite3.Connection)
    return driver_connection.total_changes


def _may_repeat(error: DBAPIError, committing: bool) -> bool:
    """Whether the transaction was surely undone, and another try may go better."""
    if isinstance(error, IntegrityError):
        return True
    if getattr(error.orig, "sqlstate", None) in _REPEATABLE:
        return True
    return error.connection_invalidated and not committing


def _is_full(error: DBAPIError) -> bool:
    """Whether there was no room for a change: SQLITE_FULL, or PostgreSQL's disk_full."""
    if isinstance(error.orig, sqlite3.OperationalError):
        return "disk is full" in str(error.orig)
    return getattr(error.orig, "sqlstate", None) == "53100"


def _is_lost(error: DBAPIError) -> bool:
    """Whether the database can't be worked with.

    It broke off; or a new connection was refused, which SQLAlchemy doesn't call invalidated; or
    somebody else's lock on an SQLite file lasted longer than we wait.
    """
    if error.connection_invalidated or _is_locked(error):
        return True
    if isinstance(error.orig, sqlite3.Error):
        return "unable to open" in str(error.orig)
    return error.statement is None and type(error.orig).__name__ == "OperationalError"


def _is_locked(error: DBAPIError) -> bool:
    return isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig)


def _describe(error: DBAPIError, committing: bool) -> str:
    if committing:
        return "The database was lost while it stored this; look before you repeat it"
    if _is_locked(error):
        return "The database is locked by another program; nothing was changed"
    return "The database cannot be reached; nothing was changed"

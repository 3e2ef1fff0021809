"""Transactions: what is stored, what is undone, what is tried again."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from ngshare.database.engine import READERS, TRIES, Database, make_engine
from ngshare.database.models import User
from ngshare.errors import DatabaseUnavailable, NotFound
from tests.api import at_once

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def add_user(connection: Connection, name: str) -> None:
    connection.execute(insert(User).values(name=name))


def count_users(connection: Connection) -> int:
    return connection.scalars(select(func.count()).select_from(User)).one()


def end_backend(database: Database, pid: int) -> None:
    """Cut a connection of PostgreSQL's, as a restart would."""
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


def test_a_write_is_there_when_it_returns(database: Database, database_url: str) -> None:
    database.write(add_user, "kevin")
    other = Database(make_engine(database_url))
    assert other.read(count_users) == 1
    other.close()


@pytest.mark.parametrize("error", [NotFound("Course not found"), KeyboardInterrupt(), OSError()])
def test_an_exception_undoes_everything_and_is_not_tried_again(
    database: Database, error: BaseException
) -> None:
    calls = []

    def fail(connection: Connection) -> None:
        calls.append(1)
        add_user(connection, "kevin")
        raise error

    with pytest.raises(type(error)):
        database.write(fail)
    assert len(calls) == 1
    assert database.read(count_users) == 0
    database.write(add_user, "kevin")


def test_a_read_changes_nothing(database: Database) -> None:
    database.read(add_user, "kevin")
    assert database.read(count_users) == 0


def test_a_read_sees_one_state_of_the_database(database: Database) -> None:
    def read(connection: Connection) -> list[int]:
        before = count_users(connection)
        database.writers.submit(database.write, add_user, "kevin").result(timeout=5)
        return [before, count_users(connection)]

    assert database.read(read) == [0, 0]
    assert database.read(count_users) == 1


def test_readers_go_on_while_somebody_writes(database: Database) -> None:
    def write(connection: Connection) -> int:
        add_user(connection, "kevin")
        return database.readers.submit(database.read, count_users).result(timeout=5)

    assert database.write(write) == 0
    assert database.read(count_users) == 1


def test_many_writers_at_once_all_succeed(database: Database) -> None:
    def write(number: int) -> None:
        database.write(add_user, f"user{number}")

    at_once(write, range(READERS))
    assert database.read(count_users) == READERS


@on_sqlite
def test_writes_to_sqlite_happen_one_after_the_other(database: Database) -> None:
    writing = threading.Lock()

    def write(_: Connection) -> None:
        assert writing.acquire(blocking=False)
        time.sleep(0.001)
        writing.release()

    for done in [database.writers.submit(database.write, write) for _ in range(20)]:
        done.result(10)


@on_postgresql
def test_a_collision_of_two_writers_is_undone_and_tried_again(database: Database) -> None:
    both_looked = threading.Barrier(2)
    attempts = []

    def get_or_add(connection: Connection) -> int:
        attempts.append(1)
        find = select(User.pk).where(User.name == "kevin")
        pk = connection.scalar(find)
        if len(attempts) <= 2:
            both_looked.wait(10)
        if pk is None:
            add_user(connection, "kevin")
            pk = connection.scalars(find).one()
        return pk

    first, second = at_once(database.write, [get_or_add, get_or_add])
    assert first == second
    assert len(attempts) == 3
    assert database.read(count_users) == 1


@on_postgresql
def test_a_deadlock_is_undone_and_tried_again(database: Database) -> None:
    for name in ("a", "b"):
        database.write(add_user, name)
    each_has_one = threading.Barrier(2)
    attempts = []

    def rename(connection: Connection, names: str) -> None:
        attempts.append(names)
        for name in names:
            connection.execute(select(User).where(User.name == name).with_for_update())
            if len(attempts) <= 2 and name == names[0]:
                each_has_one.wait(10)

    at_once(lambda names: database.write(rename, names), ["ab", "ba"])
    assert len(attempts) > 2


def test_what_always_collides_ends_with_the_collision(database: Database) -> None:
    database.write(add_user, "kevin")
    attempts = []

    def collide(connection: Connection) -> None:
        attempts.append(1)
        add_user(connection, "kevin")

    with pytest.raises(IntegrityError):
        database.write(collide)
    assert len(attempts) == TRIES


# ---- a database that is lost ----


@on_postgresql
def test_a_connection_that_was_cut_while_idle_is_not_noticed(database: Database) -> None:
    pid = database.read(lambda connection: connection.scalar(select(func.pg_backend_pid())))
    other = Database(make_engine(database.engine.url.render_as_string(hide_password=False)))
    end_backend(other, pid)
    other.close()
    database.write(add_user, "kevin")
    assert database.read(count_users) == 1


@on_postgresql
def test_a_connection_that_is_cut_before_the_commit_is_replaced(database: Database) -> None:
    attempts = []

    def write(connection: Connection) -> None:
        attempts.append(1)
        add_user(connection, "kevin")
        if len(attempts) == 1:
            end_backend(database, connection.scalars(select(func.pg_backend_pid())).one())
            connection.scalar(select(func.now()))

    database.write(write)
    assert len(attempts) == 2
    assert database.read(count_users) == 1


@on_postgresql
def test_a_commit_whose_end_is_unknown_is_not_tried_again(database: Database) -> None:
    attempts = []

    def write(connection: Connection) -> None:
        attempts.append(1)
        add_user(connection, "kevin")
        end_backend(database, connection.scalars(select(func.pg_backend_pid())).one())

    with pytest.raises(DatabaseUnavailable, match="look before you repeat it"):
        database.write(write)
    assert len(attempts) == 1
    assert database.read(count_users) == 0


def test_a_database_out_of_reach_is_told_as_such() -> None:
    database = Database(make_engine("postgresql://ngshare:secret@127.0.0.1:1/ngshare"))
    with pytest.raises(DatabaseUnavailable, match="cannot be reached; nothing was changed") as lost:
        database.read(count_users)
    assert "secret" not in str(lost.value)
    assert lost.value.status == 503
    database.close()


def test_closing_waits_for_what_runs(database_url: str) -> None:
    database = Database(make_engine(database_url))
    running, may_end = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        running.set()
        may_end.wait(10)
        add_user(connection, "kevin")

    done = database.writers.submit(database.write, write)
    assert running.wait(10)
    closing = threading.Thread(target=database.close)
    closing.start()
    assert not done.done()
    may_end.set()
    closing.join(10)
    assert done.result(0) is None
    again = Database(make_engine(database_url))
    assert again.read(count_users) == 1
    again.close()

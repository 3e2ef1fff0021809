"""Backups: whole, of one moment, and as good as the database when they are put in its place."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from ngshare import submissions
from ngshare.database import blobs, integrity
from ngshare.database.engine import Database, make_engine
from ngshare.database.upgrade import open_database
from ngshare.permissions import Identity
from tests.api import Api
from tests.postgres import PostgreSQL
from tests.tables import read_tables
from tests.test_app import complains, run

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

Receipts = dict[str, dict[str, bytes]]


def read_submission(database: Database, name: str, timestamp: str) -> dict[str, bytes]:
    """What a database has, byte for byte."""
    root = Identity("root", is_admin=True)
    args = (root, "course1", "challenge", name, timestamp)
    files = database.read(submissions.fetch_submission, *args).files
    contents = database.read(blobs.load, {file.digest for file in files})
    return {file.path: contents[file.digest] for file in files}


def backup_in_a_storm(course: Api, take: Callable[[], object]) -> dict[str, Receipts]:
    """Take a backup while two students submit; what was acknowledged before it began."""
    receipts: dict[str, Receipts] = {"lawrence": {}, "eric": {}}
    enough, ended = threading.Event(), threading.Event()

    def submit(name: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            files = {"a": f"{name} {number}".encode() * 20_000, "b": b"%d" % number}
            receipts[name][course.user(name).submit("course1", "challenge", files)] = files
            if number == 10:
                enough.set()

    with ThreadPoolExecutor(2) as threads:
        storm = [threads.submit(submit, name) for name in receipts]
        try:
            assert enough.wait(30)
            before = {name: dict(mine) for name, mine in receipts.items()}
            take()
        finally:
            ended.set()
        for thread in storm:
            thread.result()
    for name, mine in receipts.items():
        assert len(mine) > len(before[name]), "the storm went on meanwhile"
    return before


def is_whole(url: str, expected: dict[str, Receipts]) -> None:
    checked = run("check", "--database", url)
    assert (checked.returncode, checked.stderr) == (0, "")
    restored = open_database(url, may_upgrade=False)
    for name, receipts in expected.items():
        assert len(receipts) > 0
        for timestamp, files in receipts.items():
            assert read_submission(restored, name, timestamp) == files
    restored.close()


@on_sqlite
def test_a_backup_of_sqlite_in_a_storm_has_all_that_was_acknowledged(
    course: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    copy = tmp_path / "backups" / "copy.db"
    copy.parent.mkdir()

    def take() -> None:
        taken = run("backup", str(copy), "--database", database_url)
        assert (taken.returncode, taken.stderr) == (0, "")
        assert taken.stdout.startswith(f"Wrote {copy}, {copy.stat().st_size:,} bytes\n")
        assert "; courses 2; " in taken.stdout

    expected = backup_in_a_storm(course, take)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]
    assert copy.stat().st_mode & 0o777 == 0o600  # students' work
    database.close()
    path = Path(database_url.removeprefix("sqlite:///"))
    for suffix in ("", "-wal", "-shm"):  # as the manual says
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, path)
    is_whole(database_url, expected)


@on_postgresql
def test_a_dump_of_postgresql_in_a_storm_has_all_that_was_acknowledged(
    course: Api, database_url: str, tmp_path: Path, postgresql: PostgreSQL
) -> None:
    """By the very line that the command prints."""
    dump = tmp_path / "dump with spaces"

    def take() -> None:
        told = run("backup", str(dump), "--database", database_url)
        assert told.returncode == 0
        program, *arguments = shlex.split(told.stdout)
        assert program == "pg_dump"
        subprocess.run([postgresql.binaries / program, *arguments], check=True, timeout=60)

    expected = backup_in_a_storm(course, take)
    restored = postgresql.create_database()
    line = ["--no-owner", f"--dbname={restored}", dump]
    subprocess.run([postgresql.binaries / "pg_restore", *line], check=True, timeout=60)
    is_whole(restored, expected)
    postgresql.drop_database(restored)


@on_sqlite
def test_a_backup_of_a_database_at_rest_is_equal_to_it(
    course: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    course.user("eric").submit("course1", "challenge", {"a": b"1"})
    before = read_tables(database)
    database.close()
    assert run("backup", str(tmp_path / "copy.db"), "--database", database_url).returncode == 0
    copy = Database(make_engine(f"sqlite:///{tmp_path}/copy.db"))
    assert read_tables(copy) == before
    assert list(integrity.check_file(copy)) == []
    assert list(integrity.check(copy, lambda _: None)) == []
    copy.close()


def test_a_database_of_any_release_is_copied(tmp_path: Path) -> None:
    """Before an upgrade is when one wants a backup."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.execute("CREATE TABLE courses (id TEXT)")
        old.execute("INSERT INTO courses VALUES ('c')")
        old.commit()
    taken = run("backup", f"{tmp_path}/copy.db", "--database", f"sqlite:///{tmp_path}/old.db")
    assert taken.returncode == 0, taken.stderr
    assert taken.stdout.endswith("courses 1\n")
    assert not (tmp_path / "old.db-wal").exists()


@on_sqlite
def test_a_backup_overwrites_nothing(database_url: str, tmp_path: Path) -> None:
    for name in ("file", "link"):
        path = tmp_path / name
        path.symlink_to("nowhere") if name == "link" else path.write_text("precious")
        complains("exists and was left as it is", "backup", str(path), "--database", database_url)
    assert (tmp_path / "file").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


@on_sqlite
def test_a_backup_that_fails_says_why_and_leaves_nothing(
    course: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    target = str(folder / "copy.db")
    complains("ngshare backup FILE", "backup", "--database", database_url)
    complains("Unknown arguments: b", "backup", "a", "b", "--database", database_url)
    nowhere = f"sqlite:///{tmp_path}/nowhere.db"
    complains(
        f"There is no database {tmp_path}/nowhere.db", "backup", target, "--database", nowhere
    )
    assert not (tmp_path / "nowhere.db").exists()
    complains("No such file or directory", "backup", "/no/such/x.db", "--database", database_url)
    course.user("eric").submit("course1", "challenge", {"a": bytes(range(256)) * 4000})
    database.close()
    with open(database_url.removeprefix("sqlite:///"), "r+b") as file:
        file.seek(file.seek(0, 2) // 4)
        file.write(b"\xff" * 40_000)
    complains("The copy is damaged", "backup", target, "--database", database_url)
    assert list(folder.iterdir()) == []


def test_the_line_for_postgresql_holds_no_password(tmp_path: Path) -> None:
    url = "postgresql://kevin:s3cret@db.example.org:5433/shared?sslmode=require&password=s3cret"
    told = run("backup", f"{tmp_path}/it's.dump", "--database", url)
    assert told.returncode == 0
    assert shlex.split(told.stdout) == [
        "pg_dump",
        "--format=custom",
        f"--file={tmp_path}/it's.dump",
        "--dbname=postgresql://kevin@db.example.org:5433/shared?sslmode=require",
    ]
    assert "PGPASSWORD" in told.stderr
    assert "s3cret" not in told.stdout + told.stderr

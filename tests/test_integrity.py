"""Check: it names what is damaged and who is affected, and is content with what is whole."""

from __future__ import annotations

import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from sqlalchemy import select, text, update

from ngshare.database import blobs, integrity, snapshots
from ngshare.database.blobs import CHUNK_BYTES
from ngshare.database.engine import Database
from ngshare.database.integrity import Finding
from ngshare.database.models import Blob, BlobChunk
from tests.api import Api, encode
from tests.tables import pack_directory, read_tables
from tests.test_app import environment, run

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NOISE = random.Random(1).randbytes(2 * CHUNK_BYTES + 10)
TEXT = b"compresses well " * 100_000


def check(database: Database) -> list[Finding]:
    findings = list(integrity.check_file(database))
    return findings + list(integrity.check(database, lambda _: None))


def damage(database: Database, statement: str, *parameters: Any) -> None:
    """Change the database in spite of its foreign keys, as a broken disk or hand would."""
    raw = database.engine.raw_connection()
    connection: Any = raw.driver_connection
    if database.is_sqlite:
        connection.execute("PRAGMA foreign_keys=OFF")
    else:
        connection.execute("SET session_replication_role = replica")
        statement = statement.replace("?", "%s")
    done = connection.execute(statement, parameters)
    assert done.rowcount > 0
    connection.commit()
    connection.close()
    raw.invalidate()


BLOB = "(SELECT digest FROM snapshot_files WHERE path = '{}')"


def of(path: str) -> str:
    return BLOB.format(path)


def change_chunk(
    path: str, seq: int, change: Callable[[bytes], bytes]
) -> Callable[[Database], None]:
    def do(database: Database) -> None:
        digest = blobs.pack(NOISE if path == "noise" else TEXT).digest
        where = (BlobChunk.digest == digest, BlobChunk.seq == seq)
        data = database.read(lambda c: c.scalars(select(BlobChunk.data).where(*where)).one())
        values = update(BlobChunk).where(*where).values(data=change(data))
        database.write(lambda c: c.execute(values))

    return do


def execute(statement: str) -> Callable[[Database], None]:
    return lambda database: damage(database, statement)


def flip(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


@pytest.fixture
def timestamp(course: Api) -> str:
    """When lawrence submitted some files of several kinds, and got feedback."""
    files = {"noise": NOISE, "text": TEXT, "empty": b""}
    timestamp = course.user("lawrence").submit("course1", "challenge", files)
    path = "feedback/course1/challenge/lawrence"
    course.user("kevin").ok("POST", path, timestamp=timestamp, files=encode({"mark": b"good"}))
    return timestamp


DAMAGES = {
    "a flipped bit": (change_chunk("noise", 1, flip), "its SHA-256 is .* is recorded", "noise"),
    "a flipped bit in a compressed chunk": (
        change_chunk("text", 0, lambda data: bytes([data[0] ^ 1]) + data[1:]),
        "chunk 0 can't be decoded",
        "text",
    ),
    "a chunk that claims to be huge": (
        change_chunk("text", 0, lambda _: zstandard.ZstdCompressor().compress(bytes(9 << 20))),
        "chunk 0 can't be decoded",
        "text",
    ),
    "a lost chunk": (
        execute(f"DELETE FROM blob_chunks WHERE digest = {of('noise')} AND seq = 1"),
        "chunk 1 is missing",
        "noise",
    ),
    "a lost chunk at the end": (
        execute(f"DELETE FROM blob_chunks WHERE digest = {of('text')} AND seq = 1"),
        "its number of chunks is 1, and 2 is recorded",
        "text",
    ),
    "a chunk cut short": (
        change_chunk("noise", 2, lambda data: data[:-1]),
        f"its size is {len(NOISE) - 1}, and {len(NOISE)} is recorded",
        "noise",
    ),
    "another size": (
        execute(f"UPDATE blobs SET size = size + 1 WHERE digest = {of('mark')}"),
        "its size is 4, and 5 is recorded",
        "mark",
    ),
    "another stored size": (
        execute(f"UPDATE blobs SET stored_size = 1 WHERE digest = {of('mark')}"),
        "its stored size is 4, and 1 is recorded",
        "mark",
    ),
    "another MD5": (
        execute(
            "UPDATE blobs SET checksum = (SELECT checksum FROM blobs WHERE digest ="
            f" {of('empty')}) WHERE digest = {of('mark')}"
        ),
        "its MD5 is .* is recorded",
        "mark",
    ),
    "an unknown encoding": (
        execute(f"UPDATE blobs SET encoding = 'rot13' WHERE digest = {of('mark')}"),
        "its encoding 'rot13' is unknown",
        "mark",
    ),
    "a lost blob": (
        execute(f"DELETE FROM blobs WHERE digest = {of('mark')}"),
        "Content [0-9a-f]{64} is not in the database",
        "mark",
    ),
    "a lost file": (
        execute("DELETE FROM snapshot_files WHERE path = 'text'"),
        f"its number of files is 2, and 3 is recorded; its size is {len(NOISE)}",
        None,
    ),
    "another path": (
        execute("UPDATE snapshot_files SET path = 'other' WHERE path = 'text'"),
        r"Directory \d+: its manifest is .* is recorded",
        None,
    ),
    "another digest of a snapshot": (
        execute(
            "UPDATE snapshots SET digest = (SELECT digest FROM blobs LIMIT 1) WHERE file_count = 3"
        ),
        r"Directory \d+: its manifest is .* is recorded",
        None,
    ),
    "a lost snapshot": (
        execute("DELETE FROM snapshots WHERE file_count = 3"),
        "A directory is not in the database",
        None,
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_with_those_who_are_affected(
    timestamp: str, database: Database, name: str
) -> None:
    do, says, path = DAMAGES[name]
    assert check(database) == []
    do(database)
    found = check(database)
    kind = "feedback" if path == "mark" else "submission"
    use = f"{kind} course1/challenge of lawrence at {timestamp}" + (f": {path}" if path else "")
    matching = [finding for finding in found if re.search(says, finding.what)]
    assert matching, found
    assert [str(use) for use in matching[0].uses] == [use]
    assert all(finding.is_damage for finding in found)


def test_everybody_who_has_a_damaged_file_is_named(course: Api, database: Database) -> None:
    course.user("kevin").release("course1", "second", {"shared": b"same"})
    for name in ("lawrence", "eric"):
        course.user(name).submit("course1", "challenge", {"a/b": b"same", "c": name.encode()})
    damage(database, f"UPDATE blobs SET size = 1 WHERE digest = {of('shared')}")
    findings = [finding for finding in check(database) if "Content" in finding.what]
    [uses] = [[re.sub(" at .* UTC", "", str(use)) for use in f.uses] for f in findings]
    assert sorted(uses) == [
        "release course1/second: shared",
        "submission course1/challenge of eric: a/b",
        "submission course1/challenge of lawrence: a/b",
    ]


@on_sqlite
def test_references_that_lead_nowhere_are_found_whatever_the_table(
    timestamp: str, database: Database
) -> None:
    damage(database, "DELETE FROM users WHERE name = 'kevin'")
    assert [finding.what for finding in check(database)] == [
        "1 rows of memberships refer to rows of users that don't exist"
    ]


@on_sqlite
def test_a_damaged_file_is_a_finding_and_no_failure(
    timestamp: str, database: Database, database_url: str
) -> None:
    database.close()
    path = database_url.removeprefix("sqlite:///")
    with open(path, "r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 2)
        file.write(random.Random(2).randbytes(40_000))
    result = run("check", "--database", database_url)
    assert result.returncode == 1
    assert "DAMAGED: SQLite's integrity check: " in result.stdout
    assert "Traceback" not in result.stderr


def test_a_terminal_shows_progress_and_the_findings_can_go_to_a_file(
    timestamp: str, database: Database, database_url: str
) -> None:
    change_chunk("noise", 1, flip)(database)
    terminal, side = pty.openpty()
    command = [sys.executable, "-m", "ngshare", "check", "--database", database_url]
    env = {**environment(), "TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=side, env=env, timeout=60)
    os.close(side)
    shown = os.read(terminal, 1 << 16)
    os.close(terminal)
    assert done.returncode == 1
    assert b"MB" in shown
    assert b"DAMAGED" not in shown
    assert done.stdout.count(b"DAMAGED: ") == 1


@on_sqlite
def test_a_file_that_can_not_be_read_on_ends_in_clear_lines(
    timestamp: str, database: Database, database_url: str
) -> None:
    """The table of blobs, by which everything else is found."""
    page = database.read(
        lambda c: c.scalar(text("SELECT rootpage FROM sqlite_master WHERE name = 'blobs'"))
    )
    size = database.read(lambda c: c.scalar(text("PRAGMA page_size")))
    database.close()
    with open(database_url.removeprefix("sqlite:///"), "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    result = run("check", "--database", database_url)
    assert result.returncode == 1
    assert "DAMAGED: The database can't be read on: database disk image is" in result.stdout
    assert result.stderr == "ngshare: The database fails: database disk image is malformed\n"


def test_what_was_lost_before_is_listed_and_no_damage(
    timestamp: str, database: Database, database_url: str
) -> None:
    damage(database, f"DELETE FROM blob_chunks WHERE digest = {of('mark')}")
    damage(
        database,
        "UPDATE blobs SET encoding = 'missing', stored_size = 0 WHERE digest = " + of("mark"),
    )
    result = run("check", "--database", database_url)
    assert result.returncode == 0
    assert re.search("^Missing: Content [0-9a-f]{64}: it was lost before", result.stdout)
    assert f"    feedback course1/challenge of lawrence at {timestamp}: mark\n" in result.stdout
    assert "Damages: 0\nLost before this database was made: 1 contents\n" in result.stdout


def test_the_command_counts_what_it_saw_and_ends_with_0_if_all_is_well(
    timestamp: str, database: Database, database_url: str
) -> None:
    database.write(snapshots.put, pack_directory([("new", b"nobody's"), ("empty", b"")]))
    database.write(blobs.put, [blobs.pack(b"nowhere")])
    result = run("check", "--database", database_url)
    assert (result.returncode, result.stderr) == (0, "")
    size = len(NOISE) + len(TEXT) + len(b"22222" + b"good" + b"nobody's" + b"nowhere")
    assert result.stdout == (
        f"Looked at 7 contents ({size:,} bytes) in 4 directories\n"
        "Damages: 0\n"
        "Lost before this database was made: 0 contents\n"
        "Nothing refers to 1 directories and 1 contents\n"
    )


def test_repair_removes_what_nothing_refers_to_and_leaves_damaged_work_alone(
    timestamp: str, database: Database, database_url: str
) -> None:
    change_chunk("noise", 1, flip)(database)
    database.write(snapshots.put, pack_directory([("new", b"nobody's")]))
    before = read_tables(database)
    for arguments, blobs_left in (
        (["--repair"], 6),
        (["--repair", "--NgShare.garbage_grace_seconds=0"], 5),
    ):
        result = run("check", "--database", database_url, *arguments)
        assert result.returncode == 1
        assert result.stdout.count("DAMAGED") == 1
        assert (
            f"    submission course1/challenge of lawrence at {timestamp}: noise" in result.stdout
        )
        assert len(read_tables(database)["blobs"]) == blobs_left
    after = read_tables(database)
    assert len(before["blob_chunks"]) - len(after["blob_chunks"]) == 1
    for table in ("submissions", "releases", "feedback"):
        assert after[table] == before[table]


def test_a_damaged_content_that_nobody_has_is_told_as_such(
    database: Database, database_url: str
) -> None:
    database.write(blobs.put, [blobs.pack(b"nobody's")])
    database.write(lambda c: c.execute(update(Blob).values(size=1)))
    result = run("check", "--database", database_url)
    assert result.returncode == 1
    assert "(no release, submission or feedback is affected)" in result.stdout

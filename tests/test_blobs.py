"""Blobs and snapshots: every content once, in pieces, until nothing refers to it."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Mapping
from concurrent.futures import wait
from datetime import datetime, timezone

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Row, insert, select, update

from ngshare import wire
from ngshare.database import blobs, snapshots
from ngshare.database.blobs import (
    CHUNK_BYTES,
    DIGESTS_A_STATEMENT,
    IDENTITY,
    MISSING,
    ZSTD,
    PackedBlob,
    Reference,
)
from ngshare.database.engine import Database
from ngshare.database.models import Assignment, Blob, BlobChunk, Release, Snapshot, SnapshotFile
from ngshare.database.snapshots import PackedSnapshot
from ngshare.errors import DamagedContent
from tests.api import at_once
from tests.tables import counted_statements, pack_directory, read_tables

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]


def noise(size: int) -> bytes:
    """Bytes that nothing compresses; the same on every call."""
    return random.Random(size).randbytes(size)


def pack(files: Mapping[str, bytes]) -> PackedSnapshot:
    return pack_directory(files.items())


def put_and_load(database: Database, content: bytes) -> tuple[Row, list[bytes]]:
    """Store a content, see that it comes back, and how it is stored."""
    packed = blobs.pack(content)
    database.write(blobs.put, [packed])
    assert database.read(blobs.load, [packed.digest]) == {packed.digest: content}

    def look(connection: Connection) -> tuple[Row, list[bytes]]:
        chunks = select(BlobChunk.data).where(BlobChunk.digest == packed.digest)
        blob = connection.execute(select(Blob).where(Blob.digest == packed.digest)).one()
        return blob, list(connection.scalars(chunks.order_by(BlobChunk.seq)))

    return database.read(look)


def test_a_lost_content_that_is_given_again_is_there_again(database: Database) -> None:
    content = noise(CHUNK_BYTES + 1)
    digest, checksum = blobs.pack(content).digest, blobs.pack(content).checksum
    lost = PackedBlob(digest, len(content), checksum, MISSING, ())
    directory = snapshots.pack({"a": lost})
    pk = database.write(snapshots.put, directory)
    database.write(blobs.mark_unused, [digest], datetime.now(timezone.utc))
    assert [file.is_missing for file in database.read(snapshots.list_files, pk)] == [True]
    assert database.write(blobs.use, [digest]) == []
    assert database.write(snapshots.put, directory) == pk
    assert database.write(snapshots.put, pack({"a": content})) == pk
    assert [file.is_missing for file in database.read(snapshots.list_files, pk)] == [False]
    assert database.write(snapshots.put, directory) == pk
    assert database.read(blobs.load, [digest]) == {digest: content}
    assert database.write(blobs.use, [digest]) == [Reference(digest, len(content))]


@pytest.mark.parametrize("size", SIZES)
def test_what_cannot_be_compressed_is_stored_as_it_is(database: Database, size: int) -> None:
    content = noise(size)
    blob, chunks = put_and_load(database, content)
    assert blob.encoding == IDENTITY
    assert b"".join(chunks) == content
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK_BYTES] * (len(chunks) - 1)
    assert len(chunks) == -(-size // CHUNK_BYTES)
    assert blob.stored_size == blob.size == size


@pytest.mark.parametrize("size", SIZES[2:])
def test_what_can_be_compressed_is_stored_smaller(database: Database, size: int) -> None:
    blob, chunks = put_and_load(database, (b"notebook " * (size // 9 + 1))[:size])
    assert blob.encoding == ZSTD
    assert len(chunks) == -(-size // CHUNK_BYTES)
    assert blob.size == size
    assert blob.stored_size == sum(map(len, chunks)) < size / 50


def test_a_blob_knows_its_digest_checksum_and_size(database: Database) -> None:
    blob, _ = put_and_load(database, b"22222")
    assert blob.digest == hashlib.sha256(b"22222").digest()
    assert blob.checksum == hashlib.md5(b"22222").digest()
    assert blob.size == 5


@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(contents=st.lists(st.binary(max_size=200), max_size=8))
def test_contents_come_back_whatever_they_are(database: Database, contents: list[bytes]) -> None:
    packed = [blobs.pack(content) for content in contents]
    database.write(blobs.put, packed)
    loaded = database.read(blobs.load, [blob.digest for blob in packed])
    assert [loaded[blob.digest] for blob in packed] == contents


def test_a_content_is_stored_once(database: Database) -> None:
    first, again = blobs.pack(b"same"), blobs.pack(b"same")
    database.write(blobs.put, [first, again])
    before = read_tables(database)
    with counted_statements(database) as statements:
        database.write(blobs.put, [blobs.pack(b"same")])
    assert len(statements) == 1
    assert read_tables(database) == before
    assert len(before["blobs"]) == len(before["blob_chunks"]) == 1


def test_many_blobs_are_stored_and_loaded_in_few_statements(database: Database) -> None:
    packed = [blobs.pack(b"%d" % number) for number in range(2 * DIGESTS_A_STATEMENT + 1)]
    with counted_statements(database) as statements:
        database.write(blobs.put, packed)
    assert len(statements) == 9
    with counted_statements(database) as statements:
        loaded = database.read(blobs.load, [blob.digest for blob in packed])
    assert len(statements) == 3
    assert loaded[packed[-1].digest] == b"%d" % (2 * DIGESTS_A_STATEMENT)


def test_a_content_that_is_not_there_is_no_empty_content(database: Database) -> None:
    with pytest.raises(KeyError):
        database.read(blobs.load, [blobs.pack(b"unknown").digest])


@on_postgresql
@pytest.mark.parametrize("first_commits", [True, False])
def test_of_two_that_store_one_content_at_once_one_writes_it(
    database: Database, first_commits: bool
) -> None:
    packed = blobs.pack(noise(2 * CHUNK_BYTES))
    stored, may_end = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        blobs.put(connection, [packed])
        stored.set()
        assert may_end.wait(10)
        if not first_commits:
            connection.rollback()

    one = database.writers.submit(database.write, first)
    assert stored.wait(10)
    other = database.writers.submit(database.write, blobs.put, [packed])
    wait([other], timeout=0.2)
    assert not other.done()  # it waits for the first one to end
    may_end.set()
    one.result(10)
    other.result(10)
    assert database.read(blobs.load, [packed.digest]) == {packed.digest: noise(2 * CHUNK_BYTES)}
    assert len(read_tables(database)["blob_chunks"]) == 2


def test_many_that_store_the_same_directories_in_any_order_agree(database: Database) -> None:
    directories = [pack({"a": b"1", "b": b"%d" % n, "c": b"%d" % (n % 2)}) for n in range(6)]

    def put(order: list[int]) -> dict[int, int]:
        found = {}
        for number in order:
            found[number] = database.write(snapshots.put, directories[number])
        return found

    orders = [random.Random(seed).sample(range(6), 6) for seed in range(6)]
    results = at_once(put, orders)
    assert all(result == results[0] for result in results)
    tables = read_tables(database)
    assert len(tables["snapshots"]) == 6
    assert len(tables["snapshot_files"]) == 18
    assert len(tables["blobs"]) == 6


def test_equal_directories_are_one_snapshot(database: Database) -> None:
    files = {"ps1.ipynb": b"{}", "data/ps1/x.csv": b"1,2", "copy of ps1.ipynb": b"{}"}
    first = database.write(snapshots.put, pack(files))
    before = read_tables(database)
    assert database.write(snapshots.put, pack(dict(reversed(files.items())))) == first
    assert read_tables(database) == before
    assert len(before["snapshot_files"]) == 3
    assert len(before["blobs"]) == 2


def test_directories_that_differ_in_a_name_alone_are_two_snapshots(database: Database) -> None:
    one = database.write(snapshots.put, pack({"a": b"1"}))
    other = database.write(snapshots.put, pack({"b": b"1"}))
    empty = database.write(snapshots.put, pack({}))
    assert len({one, other, empty}) == 3


def test_a_snapshot_lists_its_files_sorted_with_size_and_checksums(database: Database) -> None:
    pk = database.write(snapshots.put, pack({"b": b"22", "B": b"", "a/b": b"1"}))
    files = database.read(snapshots.list_files, pk)
    assert [(file.path, file.size) for file in files] == [("B", 0), ("a/b", 1), ("b", 2)]
    assert files[2].digest == hashlib.sha256(b"22").digest()
    assert files[2].checksum == hashlib.md5(b"22").digest()
    row = database.read(lambda s: s.execute(select(Snapshot.size, Snapshot.file_count)).one())
    assert tuple(row) == (3, 3)
    manifest = wire.manifest_digest((file.path, file.digest) for file in files)
    assert database.read(lambda s: s.scalars(select(Snapshot.digest)).one()) == manifest


def test_removing_leaves_what_something_refers_to(course: object, database: Database) -> None:
    released = database.read(lambda s: s.scalars(select(Snapshot.pk)).one())
    database.write(snapshots.put, pack({"file2": b"22222", "more": b"only here"}))
    before = read_tables(database)
    assert len(before["blobs"]) == 2
    database.write(snapshots.remove_unused)
    after = read_tables(database)
    assert [row[0] for row in after["snapshots"]] == [released]
    assert [row[0] for row in after["blobs"]] == [hashlib.sha256(b"22222").digest()]
    assert len(after["snapshot_files"]) == len(after["blob_chunks"]) == 1


def test_removing_what_is_gone_changes_nothing(database: Database) -> None:
    database.write(snapshots.put, pack({"a": b"1"}))
    database.write(snapshots.remove_unused)
    assert not any(read_tables(database).values())
    database.write(snapshots.remove_unused)
    assert not any(read_tables(database).values())


@on_postgresql
def test_a_content_that_is_used_while_somebody_removes_it_stays(
    course: object, database: Database
) -> None:
    """The remover can't see the new file yet; the foreign key makes it wait, and look again."""
    database.write(snapshots.put, pack({"old": b"shared"}))
    stored, may_commit = threading.Event(), threading.Event()

    def use(connection: Connection) -> int:
        pk = snapshots.put(connection, pack({"new": b"shared"}))
        assignment_pk = connection.scalars(select(Assignment.pk)).one()
        now = datetime.now(timezone.utc)
        row = {"version": 2, "snapshot_pk": pk, "at": now, "by": "kevin"}
        connection.execute(insert(Release).values(assignment_pk=assignment_pk, **row))
        stored.set()
        assert may_commit.wait(10)
        return pk

    user = database.writers.submit(database.write, use)
    assert stored.wait(10)
    remover = database.writers.submit(database.write, snapshots.remove_unused)
    wait([remover], timeout=0.2)
    assert not remover.done()
    may_commit.set()
    new = user.result(10)
    remover.result(10)
    [file] = database.read(snapshots.list_files, new)
    assert database.read(blobs.load, [file.digest]) == {file.digest: b"shared"}
    assert database.read(lambda s: list(s.scalars(select(SnapshotFile.path)))) == ["file2", "new"]


def frame_that_claims(size: int) -> bytes:
    """The beginning of a zstd frame, whose header tells the size of the whole."""
    begun = zstandard.ZstdCompressor().compressobj(size=size)
    return begun.compress(b"x") + begun.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize(
    "chunk",
    [b"no zstd", frame_that_claims(CHUNK_BYTES), frame_that_claims(1 << 40)],
    ids=["noise", "cut off", "a terabyte"],
)
def test_a_damaged_chunk_is_named_whatever_it_claims_to_be(
    database: Database, chunk: bytes
) -> None:
    blob = blobs.pack(bytes(1000))
    assert blob.encoding == ZSTD
    database.write(blobs.put, [blob])
    where = BlobChunk.digest == blob.digest
    database.write(lambda c: c.execute(update(BlobChunk).where(where).values(data=chunk)))
    with pytest.raises(DamagedContent):
        database.read(blobs.load, [blob.digest])
    with pytest.raises(DamagedContent):
        database.read(blobs.load_chunk, blob.digest, 0)

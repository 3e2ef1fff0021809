"""Directories that NgShareClient brings to a real ngshare, and from there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from ngshare.client import NgShareClient, describe
from ngshare.database.engine import Database
from ngshare.errors import Conflict, InvalidRequest, LocalFileError, NotFound, PermissionDenied
from ngshare.handlers.blobs import BlobHandler
from tests.api import Api, at_once, read_files, write_files
from tests.neighbours import Proxy, Stranger, json_reply
from tests.tables import read_tables

Connect = Callable[..., NgShareClient]
Meet = Callable[..., Stranger]

LONG = 300 << 10  # bytes of a file that is sent by itself
MANIFEST = ("path", "size", "sha256")


def test_a_directory_comes_back_as_it_went(
    kevin: NgShareClient, lawrence: NgShareClient, place: Path
) -> None:
    contents = {
        "empty": b"",
        "100%": b"",
        "problem 1.ipynb": b"{}",
        "data/deep/er/a.bin": bytes(range(256)) * 100,
        'q"uote%22.txt': b"quoted",
        "Zoë 😀.txt": b"name",
        "long.bin": os.urandom(LONG),
        "same.bin": b"",
    }
    contents["same.bin"] = contents["long.bin"]
    files = write_files(place / "source", contents)
    released = kevin.release_assignment("course1", "all", files)
    assert released["version"] == 1
    answer = lawrence.fetch_assignment("course1", "all", place / "fetched")
    assert read_files(place / "fetched") == contents
    entries = [
        {name: file[name] for name in ("path", "size", "sha256")} for file in answer["files"]
    ]
    assert sorted(entries, key=lambda entry: entry["path"]) == describe(files)
    assert answer["sha256"] == released["sha256"]
    assert answer["released_at"] == released["released_at"]


def test_releasing_again_needs_to_be_meant(kevin: NgShareClient, place: Path) -> None:
    files = write_files(place / "new", {"new": b"new"})
    with pytest.raises(Conflict, match=r"^Assignment already exists$"):
        kevin.release_assignment("course1", "challenge", files)
    assert kevin.release_assignment("course1", "challenge", files, replace=True)["version"] == 2
    kevin.fetch_assignment("course1", "challenge", place / "fetched")
    assert read_files(place / "fetched") == {"new": b"new"}
    kevin.unrelease_assignment("course1", "challenge")
    assert kevin.list_assignments("course1") == []


def test_work_is_submitted_collected_and_answered(
    kevin: NgShareClient, lawrence: NgShareClient, place: Path
) -> None:
    first = lawrence.submit("course1", "challenge", write_files(place / "1", {"a.ipynb": b"1"}))
    second = lawrence.submit("course1", "challenge", write_files(place / "2", {"a.ipynb": b"22"}))
    assert [each["timestamp"] for each in kevin.list_submissions()] == [
        first["timestamp"],
        second["timestamp"],
    ]
    [latest] = kevin.list_submissions("course1", "challenge", "lawrence", latest=True)
    assert (latest["timestamp"], latest["sha256"]) == (second["timestamp"], second["sha256"])
    [early] = kevin.list_submissions(latest=True, before=first["timestamp"], manifest=True)
    assert early["timestamp"] == first["timestamp"]
    assert [file["path"] for file in early["files"]] == ["a.ipynb"]

    where = ("course1", "challenge", "lawrence")
    answer = kevin.fetch_submission(*where, first["timestamp"], place / "first")
    assert (read_files(place / "first"), answer["timestamp"]) == (
        {"a.ipynb": b"1"},
        first["timestamp"],
    )
    answer = kevin.fetch_submission(*where, None, place / "latest")
    assert read_files(place / "latest") == {"a.ipynb": b"22"}
    assert answer["timestamp"] == second["timestamp"]

    assert lawrence.fetch_feedback(*where, first["timestamp"], place / "none")["files"] == []
    feedback = write_files(place / "feedback", {"a.html": b"good", "long.html": os.urandom(LONG)})
    kevin.release_feedback(*where, first["timestamp"], feedback)
    lawrence.fetch_feedback(*where, first["timestamp"], place / "got")
    assert read_files(place / "got") == read_files(place / "feedback")
    assert lawrence.fetch_feedback(*where, second["timestamp"], place / "none")["files"] == []


def test_a_submission_is_removed_and_erased(
    kevin: NgShareClient, lawrence: NgShareClient, database: Database, place: Path
) -> None:
    files = write_files(place / "1", {"a.ipynb": b"1"})
    first, second = (lawrence.submit("course1", "challenge", files) for _ in range(2))
    where = ("course1", "challenge", "lawrence")
    kevin.remove_submission(*where, second["timestamp"])
    assert [each["timestamp"] for each in lawrence.list_submissions()] == [first["timestamp"]]
    assert len(read_tables(database)["submissions"]) == 2
    kevin.remove_submission(*where, second["timestamp"], purge=True)
    assert len(read_tables(database)["submissions"]) == 1
    with pytest.raises(InvalidRequest, match="Please supply timestamp"):
        kevin.remove_submission(*where, "")
    with pytest.raises(PermissionDenied):
        lawrence.remove_submission(*where, first["timestamp"])


def test_what_a_list_told_is_not_asked_for_again_unless_it_is_outdated(
    connect: Connect, proxy: Proxy, kevin: NgShareClient, place: Path
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    receipt = lawrence.submit("course1", "challenge", write_files(place / "1", {"a": b"a"}))
    where = ("course1", "challenge", "lawrence", receipt["timestamp"])
    kevin.release_feedback(*where, write_files(place / "old", {"a.html": b"old"}))
    [record] = lawrence.list_submissions(latest=True, manifest=True)
    proxy.calls.clear()
    lawrence.fetch_submission(*where, place / "submission", files=record["files"])
    lawrence.fetch_feedback(*where, place / "feedback", files=record["feedback"]["files"])
    assert read_files(place / "submission") == {"a": b"a"}
    assert read_files(place / "feedback") == {"a.html": b"old"}
    assert len(proxy.calls) == 2
    kevin.release_feedback(*where, write_files(place / "new", {"a.html": b"newer"}))
    lawrence.fetch_feedback(*where, place / "feedback", files=record["feedback"]["files"])
    assert read_files(place / "feedback") == {"a.html": b"newer"}


def test_one_key_is_one_submission(lawrence: NgShareClient, place: Path) -> None:
    files = write_files(place, {"a": b"1"})
    receipts = [lawrence.submit("course1", "challenge", files, "key") for _ in range(2)]
    assert receipts[0] == receipts[1]
    lawrence.submit("course1", "challenge", files)
    assert len(lawrence.list_submissions()) == 2
    with pytest.raises(InvalidRequest):
        lawrence.submit("course1", "challenge", files, "schlüssel")


def test_what_the_server_has_does_not_travel_again(
    course: Api, connect: Connect, proxy: Proxy, place: Path
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    contents = {f"{number}.bin": os.urandom(LONG) for number in range(6)}
    files = write_files(place, {**contents, "copy.bin": contents["0.bin"]})
    first = lawrence.submit("course1", "challenge", files)
    assert 6 * LONG < proxy.sent_bytes < 6.2 * LONG
    before = proxy.sent_bytes
    (place / "5.bin").write_bytes(b"short now")
    second = lawrence.submit("course1", "challenge", files)
    assert proxy.sent_bytes - before < 5000
    assert second["sha256"] != first["sha256"]


def test_no_file_of_a_long_directory_travels_twice(
    course: Api, connect: Connect, proxy: Proxy, place: Path
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    files = write_files(place, {f"{number}": os.urandom(250_000) for number in range(20)})
    lawrence.submit("course1", "challenge", files)
    assert 5_000_000 < proxy.sent_bytes < 5_050_000
    (place / "7").write_bytes(os.urandom(1000))
    lawrence.submit("course1", "challenge", files)
    assert proxy.sent_bytes < 5_100_000


def test_a_request_has_no_more_than_four_megabytes_of_files(meet: Meet, place: Path) -> None:
    contents = {f"{number:02}": os.urandom(250_000) for number in range(20)}
    digests = [sha256(content).hexdigest() for content in contents.values()]
    missing = json_reply(409, message="x", code="missing_content", missing=digests)
    stranger = meet(missing, *[json_reply(size=1)] * 4, json_reply())
    with NgShareClient(stranger.url, "x", parallel=1) as client:
        client.submit("c", "a", write_files(place, contents))
    lengths = [len(body) for body in stranger.bodies]
    assert lengths[1:5] == [250_000] * 4
    assert lengths[0] < 5000
    assert 4_000_000 < lengths[5] < 4_010_000


def test_many_short_files_go_in_few_requests(
    course: Api, connect: Connect, proxy: Proxy, place: Path
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    contents = {f"folder/{number:04}": str(number).encode() for number in range(3000)}
    lawrence.submit("course1", "challenge", write_files(place / "source", contents))
    assert proxy.sent_bytes < 3000 * 200
    lawrence.fetch_submission("course1", "challenge", "lawrence", None, place / "fetched")
    assert read_files(place / "fetched") == contents


def test_long_files_are_sent_at_the_same_time_but_no_more_than_allowed(
    course: Api, connect: Connect, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[int] = []
    most = 0

    async def count(handler: BlobHandler) -> None:
        nonlocal most
        running.append(1)
        most = max(most, len(running))
        await asyncio.sleep(0.2)
        running.pop()
        await prepare(handler)

    prepare = BlobHandler.prepare
    monkeypatch.setattr(BlobHandler, "prepare", count)
    files = write_files(place, {f"{number}": os.urandom(LONG) for number in range(6)})
    connect(course.url, "lawrence", parallel=3).submit("course1", "challenge", files)
    assert most == 3


def test_threads_share_a_client(
    lawrence: NgShareClient, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(number: int) -> dict[str, bytes]:
        lawrence.fetch_assignment("course1", "challenge", place / str(number))
        return read_files(place / str(number))

    assert at_once(fetch, range(10)) == [{"file2": b"22222"}] * 10
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []


def test_some_paths_of_a_directory_can_be_fetched(
    kevin: NgShareClient, lawrence: NgShareClient, place: Path
) -> None:
    contents = {"a.txt": b"a", "data/1": b"1", "data/2": b"2", "database": b"no"}
    kevin.release_assignment("course1", "some", write_files(place / "source", contents))

    def fetch(*paths: str) -> set[str]:
        folder = place / "-".join(["to", *paths]).replace("/", "_")
        answer = lawrence.fetch_assignment("course1", "some", folder, paths)
        assert len(answer["files"]) == 4
        return set(read_files(folder))

    assert fetch("data") == {"data/1", "data/2"}
    assert fetch("a.txt", "data/2") == {"a.txt", "data/2"}
    assert fetch("data/1", "data") == {"data/1", "data/2"}
    assert fetch() == set()
    with pytest.raises(NotFound, match="'dat'"):
        fetch("dat")
    assert not (place / "to-dat").exists()


def test_paths_too_long_for_a_url_are_fetched_all_the_same(
    kevin: NgShareClient, lawrence: NgShareClient, place: Path
) -> None:
    contents = {f"{number:03}-{'x' * 240}": str(number).encode() for number in range(400)}
    kevin.release_assignment("course1", "some", write_files(place / "source", contents))
    contents.popitem()
    lawrence.fetch_assignment("course1", "some", place / "fetched", list(contents))
    assert read_files(place / "fetched") == contents


def test_fetching_replaces_files_of_the_same_names_and_leaves_others(
    lawrence: NgShareClient, place: Path
) -> None:
    write_files(place, {"file2": b"old", "mine": b"mine"})
    lawrence.fetch_assignment("course1", "challenge", place)
    assert read_files(place) == {"file2": b"22222", "mine": b"mine"}
    assert sorted(os.listdir(place)) == ["file2", "mine"]


def test_a_link_in_the_folder_leads_no_file_out_of_it(
    kevin: NgShareClient, lawrence: NgShareClient, place: Path
) -> None:
    source = write_files(place / "source", {"data/a": b"a", "b": b"b"})
    kevin.release_assignment("course1", "some", source)
    outside, folder = place / "outside", place / "folder"
    write_files(outside, {"b": b"precious"})
    folder.mkdir()
    (folder / "data").symlink_to(outside)
    with pytest.raises(LocalFileError, match="data is in the way: it is no folder"):
        lawrence.fetch_assignment("course1", "some", folder)
    assert read_files(outside) == {"b": b"precious"}
    assert os.listdir(folder) == ["data"]
    (folder / "data").unlink()
    (folder / "b").symlink_to(outside / "b")
    lawrence.fetch_assignment("course1", "some", folder)
    assert read_files(outside) == {"b": b"precious"}
    assert read_files(folder) == {"data/a": b"a", "b": b"b"}


def test_a_folder_in_the_way_of_a_file_is_named(lawrence: NgShareClient, place: Path) -> None:
    (place / "file2").mkdir()
    with pytest.raises(LocalFileError, match="file2 is in the way: it is a folder"):
        lawrence.fetch_assignment("course1", "challenge", place)
    assert os.listdir(place) == ["file2"]
    write_files(place, {"file": b""})
    with pytest.raises(LocalFileError, match=r"can't be written: .*file: File exists"):
        lawrence.fetch_assignment("course1", "challenge", place / "file")


def test_files_that_cannot_be_sent_are_named(lawrence: NgShareClient, place: Path) -> None:
    def submit(files: dict[str, Path]) -> None:
        lawrence.submit("course1", "challenge", files)

    with pytest.raises(LocalFileError, match="gone can't be read: No such file"):
        submit({"a": place / "gone"})
    with pytest.raises(LocalFileError, match="Is a directory"):
        submit({"a": place})
    with pytest.raises(InvalidRequest, match="Illegal path"):
        submit({"../a": place / "gone"})
    assert lawrence.list_submissions() == []

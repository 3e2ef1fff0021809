"""NgShareClient where files change, or a server lies about them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ngshare.client import NgShareClient, describe
from ngshare.errors import (
    ForeignAnswer,
    LocalFileError,
    MissingContent,
    WrongContent,
)
from tests.api import read_files, write_files
from tests.neighbours import Proxy, Reply, Stranger, html_reply, json_reply, tar_reply

Meet = Callable[..., Stranger]

LONG = 300 << 10  # bytes of a file that is sent by itself


@pytest.mark.parametrize("changed", [b"1" * LONG, b"short", bytes(LONG + 1), bytes(3 * LONG)])
def test_a_file_that_changes_while_it_is_sent_is_told(
    meet: Meet, place: Path, changed: bytes
) -> None:
    file = place / "long"
    file.write_bytes(bytes(LONG))
    digests = [sha256(bytes(LONG)).hexdigest()]

    def change(verb: str, path: str) -> Reply:
        if verb == "POST":
            file.write_bytes(changed)
        return json_reply(409, message="Missing", code="missing_content", missing=digests)

    stranger = meet(reply=change)
    proxy = Proxy(stranger.url)
    client = NgShareClient(proxy.url, "x", tries=1)
    with client, pytest.raises(LocalFileError, match="long changed while it was sent"):
        client.submit("c", "a", {"long": file})
    proxy.close()
    assert [verb for verb, _, _ in stranger.calls].count("POST") == 1
    assert proxy.sent_bytes < LONG + 5000  # no more of it than was announced


def test_a_server_that_never_has_enough_is_left(meet: Meet, place: Path) -> None:
    files = write_files(place, {"long": os.urandom(LONG)})
    digest = describe(files)[0]["sha256"]
    refusal = {"message": "Missing", "code": "missing_content"}
    stranger = meet(
        reply=lambda verb, path: (
            json_reply(409, **refusal, missing=[digest]) if verb == "POST" else json_reply(size=1)
        )
    )
    with NgShareClient(stranger.url, "x") as client, pytest.raises(MissingContent):
        client.submit("c", "a", files)
    assert [verb for verb, _, _ in stranger.calls] == ["POST", "PUT", "POST", "PUT", "POST"]
    stranger = meet(json_reply(409, **refusal, missing=["00"]))
    with NgShareClient(stranger.url, "x") as client, pytest.raises(MissingContent):
        client.submit("c", "a", files)
    assert len(stranger.calls) == 1


def file_member(path: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.size = len(content)
    return member, content


def odd_member(path: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.type, member.linkname = kind, target
    return member, b""


def sparse_member(path: str, map_of_it: str) -> tuple[tarfile.TarInfo, bytes]:
    member, content = file_member(path, b"good")
    member.pax_headers = {"GNU.sparse.map": map_of_it, "GNU.sparse.size": "4"}
    return member, content


GOOD = file_member("a", b"good")
ODD = "is not as announced"
HOSTILE = {
    "parent": (b"good", ODD, [file_member("../outside/a", b"good")]),
    "absolute": (b"good", ODD, [file_member("/tmp/outside", b"good")]),
    "unknown": (b"good", ODD, [GOOD, file_member("b", b"good")]),
    "symbolic link": (b"", ODD, [odd_member("a", tarfile.SYMTYPE, "../outside/precious")]),
    "link out, then a file": (
        b"good",
        ODD,
        [odd_member("d", tarfile.SYMTYPE, "../outside"), file_member("d/precious", b"good")],
    ),
    "hard link": (b"", ODD, [odd_member("a", tarfile.LNKTYPE, "../outside/precious")]),
    "device": (b"", ODD, [odd_member("a", tarfile.CHRTYPE)]),
    "pipe": (b"", ODD, [odd_member("a", tarfile.FIFOTYPE)]),
    "folder": (b"", ODD, [odd_member("a", tarfile.DIRTYPE)]),
    "sparse": (b"good", ODD, [sparse_member("a", "0,4")]),
    "nonsense": (b"good", "is damaged", [sparse_member("a", "x")]),
    "longer": (b"good", ODD, [file_member("a", b"good and more")]),
    "shorter": (b"good", ODD, [file_member("a", b"goo")]),
    "other content": (b"good", "SHA-256 is wrong", [file_member("a", b"evil")]),
    "empty": (b"good", "lacks 'a'", []),
}


@pytest.mark.parametrize(("announced", "message", "members"), HOSTILE.values(), ids=HOSTILE)
def test_an_archive_can_hold_nothing_but_what_was_announced(
    meet: Meet,
    place: Path,
    announced: bytes,
    message: str,
    members: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    write_files(place / "outside", {"precious": b"precious"})
    entry = {"path": "a", "size": len(announced), "sha256": sha256(announced).hexdigest()}
    stranger = meet(json_reply(files=[entry]), tar_reply(members))
    client = NgShareClient(stranger.url, "x", tries=1)
    with client, pytest.raises(WrongContent, match=message):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == ["outside"]
    assert read_files(place / "outside") == {"precious": b"precious"}


@pytest.mark.parametrize("cut", [0, 1, 511, 513, 516, 1023])
def test_an_archive_that_ends_too_early_is_told(meet: Meet, place: Path, cut: int) -> None:
    manifest = [
        {"path": path, "size": 600, "sha256": sha256(bytes(600)).hexdigest()} for path in "ab"
    ]
    reply = tar_reply([file_member("a", bytes(600)), file_member("b", bytes(600))])
    reply.body = reply.body[:cut]
    stranger = meet(json_reply(files=manifest), reply)
    with NgShareClient(stranger.url, "x", tries=1) as client, pytest.raises(WrongContent):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == []


def test_noise_in_place_of_an_archive_is_told(meet: Meet, place: Path) -> None:
    manifest = json_reply(files=[{"path": "a", "size": 4, "sha256": sha256(b"good").hexdigest()}])
    for noise in (os.urandom(5000), b"0" * 5000, b"\x00" * 5000, b"x" * 512 + b"\xff" * 4000):
        archive = Reply(noise, headers={"Content-Type": "application/x-tar"})
        client = NgShareClient(meet(manifest, archive).url, "x", tries=1)
        with client, pytest.raises(WrongContent):
            client.fetch_assignment("c", "a", place / "folder")
    client = NgShareClient(meet(manifest, html_reply()).url, "x", tries=1)
    with client, pytest.raises(ForeignAnswer, match="no archive"):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == []


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b", "", "a\\b", "C:a", "a\nb"])
def test_a_manifest_that_leads_out_of_the_folder_is_refused(
    meet: Meet, place: Path, path: str
) -> None:
    entry = {"path": path, "size": 4, "sha256": sha256(b"good").hexdigest()}
    stranger = meet(json_reply(files=[entry]), tar_reply([file_member(path, b"good")]))
    with NgShareClient(stranger.url, "x", tries=1) as client, pytest.raises(WrongContent):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == []


def test_a_release_between_the_list_and_the_files_is_fetched_whole(meet: Meet, place: Path) -> None:
    old, new = (
        json_reply(files=[{"path": "a", "size": 3, "sha256": sha256(content).hexdigest()}])
        for content in (b"old", b"new")
    )
    archive = tar_reply([file_member("a", b"new")])
    stranger = meet(old, archive, new, archive)
    with NgShareClient(stranger.url, "x") as client:
        client.fetch_assignment("c", "a", place)
    assert read_files(place) == {"a": b"new"}


def test_the_latest_submission_is_the_same_in_the_list_and_in_the_files(
    meet: Meet, place: Path
) -> None:
    entry = {"path": "a", "size": 4, "sha256": sha256(b"good").hexdigest()}
    manifest = json_reply(files=[entry], timestamp="2020-01-30 10:30:47.524219 UTC")
    stranger = meet(manifest, tar_reply([GOOD]))
    with NgShareClient(stranger.url, "x") as client:
        client.fetch_submission("c", "a", "mia", None, place)
    asked = [parse_qs(urlsplit(path).query) for _, path, _ in stranger.calls]
    assert asked == [
        {"list_only": ["true"]},
        {"timestamp": ["2020-01-30 10:30:47.524219 UTC"]},
    ]

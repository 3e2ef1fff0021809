"""Directories as tar and zip archives and as parts of a form, up and down."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests

from ngshare.database.engine import Database
from ngshare.handlers import zips
from ngshare.spool import Spool
from tests.api import Api, Caller, encode
from tests.tables import read_tables

TAR, ZIP = "application/x-tar", "application/zip"
ASSIGNMENT = "assignment/course1/ps1"
FILES = {
    "ps1.ipynb": b'{"cells": []}' * 1000,
    "data/ps1/x.csv": b"1,2\n" * 5,
    "empty": b"",
    "long " + "ü" * 120: b"name",
    "long.bin": os.urandom((2 << 20) + 57),
    "zeros.bin": bytes(3 << 20),
}


def make_tar(files: dict[str, bytes], **options: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", **options) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def make_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return data.getvalue()


def read_archive(data: bytes, media_type: str) -> dict[str, bytes]:
    if media_type == ZIP:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def send(
    caller: Caller, data: bytes, media_type: str, path: str = ASSIGNMENT, verb: str = "PUT"
) -> requests.Response:
    return caller.call(verb, path, data=data, headers={"Content-Type": media_type})


def fetch(caller: Caller, path: str, media_type: str, **headers: str) -> requests.Response:
    return caller.call("GET", path, headers={"Accept": media_type, **headers})


MAKERS: dict[str, tuple[Callable[[dict[str, bytes]], bytes], str]] = {
    "gnu tar": (lambda files: make_tar(files, format=tarfile.GNU_FORMAT), TAR),
    "pax tar": (lambda files: make_tar(files, format=tarfile.PAX_FORMAT), TAR),
    "zip": (make_zip, ZIP),
    "stored zip": (lambda files: make_zip(files, zipfile.ZIP_STORED), ZIP),
}


@pytest.mark.parametrize("kind", list(MAKERS))
def test_an_archive_is_stored_as_its_files(course: Api, kind: str) -> None:
    make, media_type = MAKERS[kind]
    response = send(course.user("kevin"), make(FILES), media_type)
    assert response.status_code == 200, response.text
    assert course.user("eric").files(ASSIGNMENT) == FILES


@pytest.mark.parametrize("media_type", [TAR, ZIP])
def test_what_is_fetched_as_an_archive_is_what_was_stored(course: Api, media_type: str) -> None:
    course.user("kevin").release("course1", "ps1", FILES)
    timestamp = course.user("eric").submit("course1", "challenge", FILES)
    where = "course1/challenge/eric"
    course.user("kevin").ok("POST", f"feedback/{where}", timestamp=timestamp, files=encode(FILES))
    for path in (ASSIGNMENT, f"submission/{where}", f"feedback/{where}?timestamp={timestamp}"):
        response = fetch(course.user("eric"), path, media_type)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == media_type
        assert response.headers["Content-Disposition"].startswith("attachment;")
        assert read_archive(response.content, media_type) == FILES


@pytest.mark.parametrize("media_type", [TAR, ZIP])
def test_an_empty_directory_is_an_empty_archive_and_back(course: Api, media_type: str) -> None:
    course.user("kevin").release("course1", "ps1", {})
    data = fetch(course.user("eric"), ASSIGNMENT, media_type).content
    assert read_archive(data, media_type) == {}
    assert send(course.user("kevin"), data, media_type).status_code == 200
    assert course.user("eric").files(ASSIGNMENT) == {}


@pytest.mark.parametrize("media_type", [TAR, ZIP])
def test_the_times_of_members_are_those_of_the_release(course: Api, media_type: str) -> None:
    course.user("kevin").release("course1", "ps1", {"a": b"x"})
    released_at = course.user("eric").ok("GET", ASSIGNMENT)["released_at"]
    data = io.BytesIO(fetch(course.user("eric"), ASSIGNMENT, media_type).content)
    if media_type == ZIP:
        year, *rest = zipfile.ZipFile(data).infolist()[0].date_time
        assert released_at.startswith(f"{year}-{rest[0]:02}-{rest[1]:02} {rest[2]:02}:{rest[3]:02}")
    else:
        with tarfile.open(fileobj=data) as archive:
            at = datetime.fromtimestamp(archive.next().mtime, timezone.utc)
        assert released_at.startswith(f"{at:%Y-%m-%d %H:%M:%S}")


def test_paths_select_files_and_folders(course: Api) -> None:
    files = {"a": b"1", "d/b": b"2", "d/e/c": b"3", "d2/x": b"4"}
    course.user("kevin").release("course1", "ps1", files)
    eric = course.user("eric")
    for paths, wanted in (
        (["a"], {"a"}),
        (["d"], {"d/b", "d/e/c"}),
        (["d/e", "a"], {"a", "d/e/c"}),
        (["d", "d/b"], {"d/b", "d/e/c"}),
    ):
        expected = {path: files[path] for path in wanted}
        query = "&".join(f"path={path}" for path in paths)
        assert eric.files(f"{ASSIGNMENT}?{query}") == expected
        listed = eric.ok("GET", f"{ASSIGNMENT}?list_only=true&{query}")
        assert {file["path"] for file in listed["files"]} == wanted
        assert listed["sha256"] == eric.ok("GET", ASSIGNMENT)["sha256"]
        for media_type in (TAR, ZIP):
            data = fetch(eric, f"{ASSIGNMENT}?{query}", media_type).content
            assert read_archive(data, media_type) == expected
    for path in ("nothing", "d/", "/a", "D", ""):
        eric.fails(404, "File not found", "GET", f"{ASSIGNMENT}?path=a&path={path}")


@pytest.mark.parametrize("media_type", [TAR, ZIP])
def test_an_archive_one_has_already_is_not_sent_again(course: Api, media_type: str) -> None:
    kevin, eric = course.user("kevin"), course.user("eric")
    kevin.release("course1", "ps1", {"a": b"x", "b": b"y"})
    etag = fetch(eric, ASSIGNMENT, media_type).headers["ETag"]
    again = fetch(eric, ASSIGNMENT, media_type, **{"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    part = fetch(eric, f"{ASSIGNMENT}?path=a", media_type, **{"If-None-Match": etag})
    assert part.status_code == 200
    kevin.ok("PUT", ASSIGNMENT, files=encode({"a": b"new"}))
    changed = fetch(eric, ASSIGNMENT, media_type, **{"If-None-Match": etag})
    assert changed.status_code == 200
    assert read_archive(changed.content, media_type) == {"a": b"new"}


def test_json_is_what_all_others_get(course: Api) -> None:
    for accept in ("*/*", "application/json, application/zip", "text/csv", "text/html,*/*;q=0.8"):
        response = fetch(course.user("eric"), "assignment/course1/challenge", accept)
        assert response.headers["Content-Type"] == "application/json"
    for accept in ("application/zip, */*", "text/csv, Application/Zip;q=0.5"):
        response = fetch(course.user("eric"), "assignment/course1/challenge", accept)
        assert response.headers["Content-Type"] == ZIP


def test_folders_of_an_archive_are_left_out_and_a_dot_before_a_path_too(course: Api) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in (".", "./data"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        member = tarfile.TarInfo("./data/x")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"1"))
    kevin = course.user("kevin")
    assert send(kevin, data.getvalue(), TAR).status_code == 200
    assert kevin.files(ASSIGNMENT) == {"data/x": b"1"}
    assert send(kevin, make_zip({"folder/": b"", "folder/x": b"2"}), ZIP).status_code == 200
    assert kevin.files(ASSIGNMENT) == {"folder/x": b"2"}


def special_tar(kind: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("member")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return data.getvalue()


def special_zip(**attributes: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        member = zipfile.ZipInfo("member")
        for name, value in attributes.items():
            setattr(member, name, value)
        archive.writestr(member, b"/etc/passwd")
    return data.getvalue()


def encrypted_zip() -> bytes:
    data = bytearray(special_zip())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def chained_tar() -> bytes:
    """Long names of long names, each read by a call inside the one before."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    return 3000 * (header.tobuf(tarfile.GNU_FORMAT) + b"n".ljust(512, b"\0"))


def huge_header_tar() -> bytes:
    """A header that says to be of 1 GiB, with 5 MiB of it there."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    return header.tobuf(tarfile.GNU_FORMAT) + bytes(5 << 20)


BAD = {
    "symlink": (special_tar(tarfile.SYMTYPE), TAR),
    "hard link": (special_tar(tarfile.LNKTYPE), TAR),
    "device": (special_tar(tarfile.CHRTYPE), TAR),
    "pipe": (special_tar(tarfile.FIFOTYPE), TAR),
    "sparse": (special_tar(tarfile.GNUTYPE_SPARSE), TAR),
    "symlink in a zip": (special_zip(external_attr=0o120777 << 16), ZIP),
    "encrypted": (encrypted_zip(), ZIP),
    "lzma": (make_zip({"a": b"x"}, zipfile.ZIP_LZMA), ZIP),
    "no tar": (b"x" * 10_000, TAR),
    "no zip": (b"x" * 10_000, ZIP),
    "nothing": (b"", TAR),
    "no bytes": (b"", ZIP),
    "half a tar": (make_tar(FILES)[: 2 << 20], TAR),
    "half a zip": (make_zip(FILES)[: 2 << 20], ZIP),
    "damaged zip": (make_zip({"a": os.urandom(10_000)}).replace(b"PK\x01", b"PK\x07"), ZIP),
    "tar called zip": (make_tar(FILES), ZIP),
    "chained names": (chained_tar(), TAR),
    "parent": (make_tar({"../a": b""}), TAR),
    "absolute": (make_tar({"/a": b""}), TAR),
    "parent in a zip": (make_zip({"a/../../b": b""}), ZIP),
    "backslash": (make_zip({"a\\b": b""}), ZIP),
    "twice": (make_tar({"a": b"", "./a": b""}), TAR),
    "file and folder": (make_tar({"a": b"", "a/b": b""}), TAR),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_a_bad_archive_is_refused_and_changes_nothing(
    course: Api, database: Database, kind: str
) -> None:
    before = read_tables(database)
    response = send(course.user("kevin"), *BAD[kind])
    assert response.status_code == 400, response.text
    assert response.json()["message"]
    assert read_tables(database) == before


@pytest.mark.parametrize(
    ("data", "media_type", "limit"),
    [
        (make_zip({"bomb": bytes(50 << 20)}), ZIP, "bomb is over the limit max_file_bytes"),
        (make_zip({f"{n}": bytes(9 << 20) for n in range(4)}), ZIP, "max_submission_bytes"),
        (make_tar({f"{n}": b"" for n in range(20)}), TAR, "max_files"),
        (make_zip({f"{n}": b"" for n in range(20)}), ZIP, "max_files"),
        (huge_header_tar(), TAR, "4 MiB"),
    ],
    ids=["file", "all files", "members", "members of a zip", "header"],
)
def test_an_archive_over_a_limit_is_refused_by_name(
    serve: Callable[..., Api], database: Database, data: bytes, media_type: str, limit: str
) -> None:
    api = serve(max_file_bytes=10 << 20, max_submission_bytes=30 << 20, max_files=15)
    api.user("root").ok("POST", "course/course1", instructors='["kevin"]')
    before = read_tables(database)
    response = send(api.user("kevin"), data, media_type)
    assert response.status_code == 413, response.text
    assert limit in response.json()["message"]
    assert read_tables(database) == before


def test_no_more_is_unpacked_of_an_archive_that_is_too_long(serve: Callable[..., Api]) -> None:
    api = serve(max_submission_bytes=30 << 20)
    api.user("root").ok("POST", "course/course1", instructors='["kevin"]')
    bomb = make_zip({f"{n}": bytes(9 << 20) for n in range(9)})
    message = send(api.user("kevin"), bomb, ZIP).json()["message"]
    unpacked = int(re.search("have ([0-9,]+) bytes", message)[1].replace(",", ""))
    assert 30 << 20 < unpacked < 31 << 20


def test_a_zip_says_how_long_its_list_of_members_is_and_is_not_believed(course: Api) -> None:
    data = bytearray(make_zip({"a": b"x"}) + bytes(6 << 20))
    end = data.index(b"PK\x05\x06")
    tail = data[end : end + 22]
    tail[12:16] = (5 << 20).to_bytes(4, "little")  # its bytes
    response = send(course.user("kevin"), bytes(data[:end]) + bytes(6 << 20) + bytes(tail), ZIP)
    assert (response.status_code, "4 MiB" in response.json()["message"]) == (413, True)


def test_parts_of_a_form_that_have_file_names_are_files(course: Api) -> None:
    parts = [("file", (path, content)) for path, content in FILES.items()]
    kevin = course.user("kevin")
    response = kevin.call("PUT", ASSIGNMENT, files=parts)
    assert response.status_code == 200, response.text
    assert kevin.files(ASSIGNMENT) == FILES


def test_a_form_may_have_files_beside_references(course: Api) -> None:
    sha256 = hashlib.sha256(b"22222").hexdigest()  # released as `challenge`
    fields = {"files": json.dumps([{"path": "old", "sha256": sha256}])}
    eric = course.user("eric")
    path = "submission/course1/challenge"
    response = eric.call("POST", path, data=fields, files=[("file", ("new/a", b"1"))])
    assert response.status_code == 200, response.text
    assert eric.files(f"{path}/eric") == {"old": b"22222", "new/a": b"1"}
    response = eric.call("POST", path, data=fields, files=[("file", ("old", b"1"))])
    assert (response.status_code, response.json()["message"]) == (400, "Illegal path")


def test_an_archive_is_no_form(course: Api) -> None:
    """Its bytes may look like one, and arguments come from the query then."""
    eric = course.user("eric")
    timestamp = eric.submit("course1", "challenge", {})
    where = f"feedback/course1/challenge/eric?timestamp={timestamp}"
    response = send(course.user("kevin"), make_tar({"files=[]&a": b"x"}), TAR, where, "POST")
    assert response.status_code == 200, response.text
    assert eric.files(where) == {"files=[]&a": b"x"}


def test_head_tells_the_headers_of_an_archive(course: Api) -> None:
    response = course.user("eric").call(
        "HEAD", "assignment/course1/challenge", headers={"Accept": ZIP}
    )
    assert (response.status_code, response.headers["Content-Type"]) == (200, ZIP)


def test_tars_own_program_reads_what_is_fetched(course: Api, tmp_path: Path) -> None:
    course.user("kevin").release("course1", "ps1", FILES)
    data = fetch(course.user("eric"), ASSIGNMENT, TAR).content
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run(["tar", "-x", "-C", str(target)], input=data, check=True)
    found = {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }
    assert found == FILES


@pytest.mark.parametrize(("count", "long_bytes"), [(3, 1 << 30), (3, 40), (70_000, 1 << 30)])
def test_zips_of_any_length_are_read_as_they_were_written(
    monkeypatch: pytest.MonkeyPatch, count: int, long_bytes: int
) -> None:
    """Where 16 or 32 bits are too few for a number, another form takes over."""
    monkeypatch.setattr(zips, "LONG_BYTES", long_bytes)
    writer = zips.ZipWriter(datetime(2026, 11, 21, 17, 30, 58, tzinfo=timezone.utc), Spool(1 << 30))
    for number in range(count):
        writer.open(f"ü{number}", 60 * number)
        writer.write(b"x" * 60 * number if number < 3 else b"")
        writer.close_file()
    writer.open("half", 1000)
    writer.write(b"what there was")
    writer.drop_file()
    data = b"".join(writer.close())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert [member.filename for member in archive.infolist()] == [
            f"ü{number}" for number in range(count)
        ]
        assert [len(archive.read(f"ü{number}")) for number in (0, 1, 2)] == [0, 60, 120]
        assert archive.infolist()[2].date_time == (2026, 11, 21, 17, 30, 58)

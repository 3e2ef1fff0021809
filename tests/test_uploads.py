"""Request bodies: forms, files, base64; and files in answers."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update
from zstandard import ZstdDecompressor

from ngshare import spool, wire
from ngshare.database.blobs import PackedBlob, Reference
from ngshare.database.engine import Database
from ngshare.database.models import BlobChunk
from ngshare.errors import InvalidRequest, TooLarge
from ngshare.handlers import uploads
from ngshare.handlers.bodies import Body, parse_form, unescape
from ngshare.handlers.uploads import decode_files
from ngshare.limits import UNLIMITED, Limits
from ngshare.spool import Spool
from tests.api import Api, described, encode

MIB = 1 << 20

# Bytes with many of those that mean something in forms and in quoted-printable text.
form_bytes = st.lists(
    st.sampled_from([b"%", b"=", b"&", b"+", b"\r", b"\n", b"0", b"4", b"aF", b"%3D", b" ", b"_"])
    | st.binary(max_size=4)
).map(b"".join)


BASE64 = re.compile("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

# What base64 text in JSON may look like, and what it may be mistaken for.
json_pieces = st.lists(
    st.sampled_from(["Zm9v", "Z", "=", "==", "AAAA", r"\n", r"\r\n", r"\/", r"\u000a", r"\u003D"])
    | st.sampled_from([r"\\", "n", "u003d", "0", " ", r"\t", r"\"\"", r"\ud83c\udf93", "ä", "🎓"])
).map("".join)


@pytest.fixture(params=[7, 16, spool.BLOCK_BYTES])
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so short that short texts are cut in the most unlucky places, and real ones."""
    monkeypatch.setattr(spool, "BLOCK_BYTES", request.param)
    if request.param < 100:
        monkeypatch.setattr(uploads, "SHORT_STRING_BYTES", request.param)


across_blocks = pytest.mark.usefixtures("block_bytes")
same_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def spooled(data: bytes) -> Spool:
    whole = Spool(len(data))
    whole.append(data)
    return whole


@across_blocks
@same_fixture
@given(form_bytes)
@example(b"%")
@example(b"%4")
@example(b"a%\r\nb")
@example(b"x \n")
@example(b"%20\n")
@example(b"%3D%0A")
@example(b"_")
@example(b"%%%%%%%%41%41%41%41%4")
def test_unescape_is_urllibs_unquoting(value: bytes) -> None:
    unescaped = b"".join(unescape(spooled(value).blocks()))
    assert unescaped == unquote_to_bytes(value.replace(b"+", b" "))


@across_blocks
@same_fixture
@given(form_bytes)
@example(b"a=1&a=2")
@example(b"a=b=c")
@example(b"a")
@example(b"%c3%a4=%ff")
def test_parse_form_is_urllibs_parsing(body: bytes) -> None:
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    expected = {
        name.encode("latin-1").decode("utf-8", "replace"): value.encode("latin-1")
        for name, value in pairs
    }
    fields = {name: field.value() for name, field in parse_form(spooled(body)).items()}
    for nameless in (fields, expected):  # which no call asks for
        nameless.pop("", None)
    assert fields == expected


def decoded(field: str, limits: Limits = UNLIMITED) -> dict[str, PackedBlob | Reference]:
    """The directory in a field `files`."""
    return decode_files(spooled(field.encode()).blocks(), limits, Spool(MIB))


def stored(field: str) -> bytes:
    """The one content in a field `files`, before it is compressed."""
    (blob,) = decoded(field).values()
    chunks = [bytes(chunk) for chunk in blob.chunks]
    return b"".join(
        map(ZstdDecompressor().decompress, chunks) if blob.encoding == "zstd" else chunks
    )


@across_blocks
@same_fixture
@given(json_pieces)
@example("Zm9v" * 5 + r"\n" * 5)
@example(r"Zm\\nn9v")
@example(r"Zm\\rr9v")
@example(r"Zm9v\\n")
@example(r"\/AAAAä")  # cut amid a character
@example("Zg==Zg==")
@example("Zm9v=")
@example("Zm9v====")
def test_a_content_is_base64_as_rfc_4648_has_it_or_refused(text: str) -> None:
    characters = re.sub(r"[ \t\r\n]", "", json.loads(f'"{text}"'))
    field = f'[{{"path": "a", "content" : "{text}" }}]'
    if BASE64.fullmatch(characters):
        assert stored(field) == base64.b64decode(characters)
        return
    with pytest.raises(InvalidRequest, match="Content cannot be base64 decoded"):
        decoded(field)


@across_blocks
@same_fixture
@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=8))
def test_lines_of_a_content_may_break_anywhere(content: bytes, breaks: list[int]) -> None:
    text = base64.b64encode(content).decode()
    for number, position in enumerate(breaks):
        text = text[:position] + ("\n", "\r\n")[number % 2] + text[position:]
    assert stored(json.dumps([{"content": text, "path": "a"}], indent=1)) == content


PATH_CHARACTERS = 6
paths = st.text(st.sampled_from('ab/".\\\\é🎓'), min_size=1, max_size=PATH_CHARACTERS)
contents = st.binary(max_size=80).map(lambda content: base64.b64encode(content).decode())
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.sampled_from('a"\\\\{[]}:,é'), max_size=30),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text("a\\\\"), values, max_size=3)
    ),
    max_leaves=5,
)
files_entry = st.fixed_dictionaries(
    {"path": paths, "content": contents | st.text(st.sampled_from("Zg=9v%\\\\"), max_size=20)},
    optional={"checksum": anything, "extra": anything},
)


def decoded_plainly(text: str) -> dict[str, bytes] | str:
    """What decode_files does, by the simplest means: the directory or the message."""
    try:
        entries = json.loads(text)
        files = [(entry["path"], entry["content"]) for entry in entries]
    except (ValueError, TypeError, KeyError):
        return "Files cannot be JSON decoded"
    try:
        wire.check_paths([path for path, _ in files])
        return {path: b"".join(wire.decode_content([text.encode()])) for path, text in files}
    except InvalidRequest as error:
        return error.message


@pytest.fixture
def short_enough(block_bytes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    r"""A path fits into what is no content, though all of it be written as \ud83c\udf93."""
    monkeypatch.setattr(uploads, "SHORT_STRING_BYTES", 12 * PATH_CHARACTERS)


@pytest.mark.usefixtures("short_enough")
@same_fixture
@given(st.lists(files_entry | anything, max_size=4), st.booleans(), st.data())
def test_a_directory_is_read_as_a_json_library_reads_it(
    entries: list[Any], is_ascii: bool, data: st.DataObject
) -> None:
    text = json.dumps(entries, ensure_ascii=is_ascii, indent=data.draw(st.sampled_from([None, 1])))
    text = text[: data.draw(st.integers(0, len(text)) | st.just(len(text)))]
    try:
        files = decoded(text)
        found: Any = {path: blob.digest for path, blob in files.items()}
    except InvalidRequest as error:
        found = error.message
    expected = decoded_plainly(text)
    if not isinstance(expected, str):
        expected = {path: hashlib.sha256(content).digest() for path, content in expected.items()}
    assert found == expected


@pytest.mark.parametrize("character", ["\u4f60", "a"])
def test_the_longest_path_may_be_escaped_in_full(character: str) -> None:
    name = character * (255 // len(character.encode()))
    path = "/".join([name] * 4)
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in path)
    (found,) = decoded(f'[{{"path": "{escaped}", "content": ""}}]')
    assert found == path


@pytest.mark.parametrize("long", [False, True])
def test_strings_beyond_those_of_as_many_files_as_allowed_are_not_worked_on(long: bool) -> None:
    strings = ",".join([json.dumps("A" * (uploads.SHORT_STRING_BYTES + 4 if long else 1))] * 200)
    with pytest.raises(TooLarge, match="over the limit max_files = 10"):
        decoded(f'[{{"path": "a", "content": "", "x": [{strings}]}}]', Limits(max_files=10))


def test_the_parts_of_a_multipart_form_share_one_spool() -> None:
    """Each of its own could hold as many bytes in memory as all may."""
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{number}"\r\n\r\n{number * "x"}\r\n'
        for number in range(50)
    )
    body = Body()
    body.spool.append(f"{parts}--b--\r\n".encode())
    fields = body.fields("multipart/form-data; boundary=b")
    assert {name: field.value() for name, field in fields.items()} == {
        str(number): number * b"x" for number in range(50)
    }
    assert len({id(field.spool) for field in fields.values()}) == 1
    body.close()


def test_json_without_end_beside_contents_is_too_large() -> None:
    with pytest.raises(TooLarge, match="Files may have 16,777,216 bytes beside their contents"):
        decoded("[" + '"a",' * 5_000_000)


# ---- over the API ----

UPLOADS = [
    "assignment/course1/new",
    "submission/course1/challenge",
    "feedback/course1/challenge/kevin",
]
ILLEGAL_PATHS = [
    *("", "/", "/etc/passwd", "a/", "a//b", ".", "..", "./a", "../a", "a/../b", "a/..", "a/."),
    *("a\\b", "C:", "a:b", "a\nb", "a\rb", "a\tb", "a\0b", "a\x7fb", "a\x85b", "a\u2028b"),
    *("x" * 256, "ä" * 128, "ok/" + "x" * 256),
]
LEGAL_PATHS = [
    *("a b", " a", "...", ".hidden", "a/.b", "..a", "x" * 255, "ä" * 127, "ünï/çødé", "🎓"),
    *("a+b%20", "CON", "a'b\"", "<script>", "A", "a", "שלום", "1/2/3/4/5/6/7", "*?|", "~"),
]


@pytest.fixture
def fields(course: Api) -> dict[str, Any]:
    """What a call of UPLOADS needs beside files."""
    return {"timestamp": course.user("kevin").submit("course1", "challenge", {"a": b"old"})}


@pytest.fixture(params=UPLOADS)
def path(request: pytest.FixtureRequest) -> str:
    return request.param


def entries(*paths: str) -> str:
    return json.dumps([{"path": path, "content": "Zm9v"} for path in paths])


def test_files_that_are_no_json_list_are_refused(
    course: Api, fields: dict[str, Any], path: str
) -> None:
    kevin = course.user("kevin")
    for files in ("", "[", "nonsense", "{}", "null", "7", '"x"', "[7]", "[{}]", "[[]]"):
        kevin.fails(400, "Files cannot be JSON decoded", "POST", path, files=files, **fields)


def test_every_upload_refuses_what_cannot_be_stored(
    course: Api, fields: dict[str, Any], path: str
) -> None:
    kevin = course.user("kevin")
    kevin.fails(400, "Please supply files", "POST", path, **fields)
    kevin.fails(400, "Illegal path", "POST", path, files=entries("a", "../b"), **fields)
    for content in ("%%%", "Zg", "Zm9v!"):
        files = json.dumps([{"path": "a", "content": content}])
        message = "Content cannot be base64 decoded"
        kevin.fails(400, message, "POST", path, files=files, **fields)
    if not path.startswith("assignment"):
        assert kevin.files("submission/course1/challenge/kevin") == {"a": b"old"}
        feedback = kevin.ok("GET", UPLOADS[2], **fields)
        assert feedback["files"] == []
    kevin.fails(404, "Assignment not found", "GET", UPLOADS[0])


def test_a_path_that_cannot_be_written_everywhere_is_illegal(course: Api) -> None:
    kevin, path = course.user("kevin"), "assignment/course1/new"
    for name in ILLEGAL_PATHS:
        kevin.fails(400, "Illegal path", "POST", path, files=entries("ok", name))
    kevin.fails(404, "Assignment not found", "GET", path)


def test_the_same_path_twice_is_illegal(course: Api) -> None:
    kevin, path = course.user("kevin"), "assignment/course1/new"
    kevin.fails(400, "Illegal path", "POST", path, files=entries("ok", "b/c", "b/c"))
    kevin.fails(404, "Assignment not found", "GET", path)


def test_unusual_but_legal_paths_come_back(course: Api) -> None:
    files = {f"folder {n}/{name}": name.encode() for n, name in enumerate(LEGAL_PATHS)}
    course.user("kevin").release("course1", "new", files)
    assert course.user("lawrence").files("assignment/course1/new") == files


def test_contents_in_answers_are_lines_of_76_characters(course: Api) -> None:
    sizes = [0, 1, 56, 57, 58, 114, 1000, MIB - 1, MIB, MIB + 1, 2 * MIB, 57 * 40_000, 3 * MIB + 56]
    contents = {f"{size:07}": os.urandom(size) for size in sizes}
    course.user("kevin").release("course1", "new", contents)
    assert course.user("lawrence").ok("GET", "assignment/course1/new")["files"] == [
        {**described(path, content), "content": base64.encodebytes(content).decode()}
        for path, content in contents.items()
    ]


def test_the_checksum_of_a_request_is_ignored(course: Api) -> None:
    files = [{"path": "a", "content": "Zm9v", "checksum": "0" * 32}, {"path": "b", "content": ""}]
    files[1]["checksum"] = "no checksum"
    course.user("kevin").ok("POST", "assignment/course1/new", files=json.dumps(files))
    answer = course.user("lawrence").ok("GET", "assignment/course1/new")["files"]
    assert answer[0]["checksum"] == hashlib.md5(b"foo").hexdigest()


@pytest.mark.parametrize("kind", ["form", "multipart"])
def test_files_come_as_form_or_as_multipart(
    course: Api, fields: dict[str, Any], path: str, kind: str
) -> None:
    content = bytes(range(256)) * 12 + b"=%3D+&\r\n"
    arguments = {"files": encode({"a+b & ü": content}), **fields}
    parts = {name: (None, value) for name, value in arguments.items()}
    options: dict[str, Any] = {"data": arguments} if kind == "form" else {"files": parts}
    response = course.user("kevin").call("POST", path, **options)
    assert response.status_code == 200, response.text
    if path.startswith("submission"):
        path, fields = "submission/course1/challenge/kevin", {}
    assert course.user("kevin").files(path, **fields) == {"a+b & ü": content}


def test_files_of_a_release_may_come_in_the_query(course: Api) -> None:
    query = {"files": encode({"a+b & ü": b"=%3D+&\r\n"})}
    response = course.user("kevin").call("POST", "assignment/course1/new", params=query)
    assert response.status_code == 200, response.text
    assert course.user("kevin").files("assignment/course1/new") == {"a+b & ü": b"=%3D+&\r\n"}


@pytest.mark.parametrize("kind", ["data", "files"])
def test_a_body_too_long_for_memory_comes_back_whole(course: Api, kind: str) -> None:
    files = {"a.bin": bytes(range(256)) * 20_000, "b": b"=%3D\r\n" * 300_000}
    options: dict[str, Any] = {kind: {"files": encode(files)}}
    if kind == "files":
        options = {kind: {"files": (None, encode(files))}}
    response = course.user("kevin").call("POST", "assignment/course1/new", **options)
    assert response.status_code == 200, response.text
    assert course.user("lawrence").files("assignment/course1/new") == files


def test_a_form_of_very_many_fields_is_refused(course: Api) -> None:
    for verb in ("GET", "POST"):
        response = course.user("lawrence").call(
            verb,
            "feedback/course1/challenge/lawrence",
            data=b"&" * 500_000,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert response.status_code == 400
        assert response.json()["message"] == "A form may have 1000 fields at most"


def test_a_directory_of_very_many_files_is_refused(course: Api) -> None:
    files = encode({str(number): b"" for number in range(10_001)})
    lawrence = course.user("lawrence")
    response = lawrence.send("POST", "submission/course1/challenge", files=files)
    assert response.status_code == 413
    assert "10,001 files, over the limit max_files = 10,000" in response.json()["message"]


@pytest.mark.parametrize("size", [1000, 3 * MIB])
@pytest.mark.parametrize("kind", ["noise", "text"])
def test_contents_that_were_damaged_are_never_sent_as_if_they_were_right(
    course: Api, database: Database, size: int, kind: str
) -> None:
    content = os.urandom(size) if kind == "noise" else os.urandom(size // 2).hex().encode()
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": content})

    def damage(connection: Connection) -> None:
        digest = hashlib.sha256(content).digest()
        chunk = (BlobChunk.digest == digest) & (BlobChunk.seq == 0)
        data = bytearray(connection.scalars(select(BlobChunk.data).where(chunk)).one())
        data[len(data) // 2] ^= 1
        connection.execute(update(BlobChunk).where(chunk).values(data=bytes(data)))

    database.write(damage)
    path = "submission/course1/challenge/lawrence"
    try:
        response = course.user("kevin").send("GET", path, timestamp=timestamp)
    except requests.RequestException:
        assert size > MIB  # broken off, since its beginning was sent already
    else:
        assert response.status_code == 500
        assert "is damaged in the database" in response.json()["message"]

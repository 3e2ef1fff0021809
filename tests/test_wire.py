"""The protocol's pure functions: names, paths, timestamps, contents, manifests."""

from __future__ import annotations

import base64
import hashlib
import tracemalloc
from datetime import datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngshare import wire
from ngshare.errors import InvalidRequest

LEGAL = [
    "a",
    "course 1",
    "ps1.ipynb",
    "data/ps1/x.csv",
    ".hidden",
    "...",
    "a..b/..c/d..",
    "100% of it",
    "+@&=?#;'\"<>|*",
    "\u05e9\u05dc\u05d5\u05dd",  # right to left
    "\U0001f600",
    "e\u0301",
    "~",
    "con",
    "x" * 255,
    "\u00fc" * 127,
    "/".join(["x" * 255] * 3),
]
ILLEGAL = [
    "",
    "/",
    "/absolute",
    "folder/",
    "a//b",
    ".",
    "..",
    "../up",
    "a/../b",
    "a/.",
    "./a",
    "x" * 256,
    "\u00fc" * 128,
    "a/" + "x" * 256,
    "nul\0",
    "line\nbreak",
    "carriage\rreturn",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "lone \ud800",
    "\udfff",
]
LEGAL_AS_NAMES_ALONE = ["back\\slash", "C:", "a:b", "..\\up"]

MOMENTS = st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(timezone.utc))
DIGESTS = st.binary(min_size=32, max_size=32)


def decoded(text: str | bytes) -> bytes:
    """What base64 text stands for; given whole, and in pieces of three."""
    encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    pieces = [encoded[start : start + 3] for start in range(0, len(encoded), 3)]
    whole = b"".join(wire.decode_content([encoded]))
    assert b"".join(wire.decode_content(pieces)) == whole
    return whole


@pytest.mark.parametrize("name", LEGAL)
def test_what_can_be_written_on_every_machine_is_a_legal_name_and_path(name: str) -> None:
    assert wire.is_legal_name(name)
    wire.check_name(name)
    wire.check_paths([name])


@pytest.mark.parametrize("name", ILLEGAL)
def test_names_and_paths_that_lead_elsewhere_or_nowhere_are_refused(name: str) -> None:
    assert not wire.is_legal_name(name)
    with pytest.raises(InvalidRequest, match=r"^Illegal name "):
        wire.check_name(name)
    with pytest.raises(InvalidRequest, match=r"^Illegal path$"):
        wire.check_paths(["fine", name])


@pytest.mark.parametrize("path", LEGAL_AS_NAMES_ALONE)
def test_paths_with_a_meaning_on_windows_are_refused_while_ids_may_have_them(path: str) -> None:
    wire.check_name(path)
    with pytest.raises(InvalidRequest, match=r"^Illegal path$"):
        wire.check_paths([path])


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b/c/d", "a/b"], ["x/y", "z", "x"]])
def test_a_path_can_not_be_a_file_and_a_folder(paths: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="Illegal path"):
        wire.check_paths(paths)


def test_a_name_may_begin_like_another() -> None:
    wire.check_paths(["a", "ab/c", "a.txt", "ab/cd", "abc"])


def test_the_same_path_twice_is_illegal() -> None:
    wire.check_paths(["a", "b", "A"])
    with pytest.raises(InvalidRequest, match=r"^Illegal path$"):
        wire.check_paths(["a", "b", "a"])


def test_no_paths_are_fine() -> None:
    wire.check_paths([])


@given(st.text())
def test_every_legal_name_can_be_sent_and_stored(name: str) -> None:
    if wire.is_legal_name(name):
        assert name.encode().decode() == name
        assert "\0" not in name


@given(st.text(st.characters(exclude_characters="/"), min_size=256))
def test_the_refusal_of_a_long_name_is_short(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        wire.check_name(name)
    assert len(refusal.value.message) < 1000


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  Ada ", "Ada"),
        ("Ada\tLovelace\r\n", "Ada Lovelace"),
        ("a\0b", "a b"),
        ("\ud800", ""),
        ("\u00e9 \u05e9", "\u00e9 \u05e9"),
        ("", ""),
    ],
)
def test_texts_lose_control_characters_and_blanks_around(text: str, clean: str) -> None:
    assert wire.clean_text(text) == clean


@given(st.text())
def test_cleaning_a_text_twice_is_cleaning_it_once(text: str) -> None:
    clean = wire.clean_text(text)
    assert wire.clean_text(clean) == clean
    assert clean.encode().decode() == clean


def test_a_timestamp_looks_as_the_contract_has_it() -> None:
    at = datetime(2020, 1, 30, 10, 30, 47, 524219, tzinfo=timezone.utc)
    assert wire.format_timestamp(at) == "2020-01-30 10:30:47.524219 UTC"
    assert wire.format_timestamp(at.replace(microsecond=0)) == "2020-01-30 10:30:47.000000 UTC"


@pytest.mark.parametrize("around", ["{}", "{} ", " {}", "{} UTC", "{} UTC ", "\t{}\n"])
def test_a_timestamp_is_read_with_and_without_its_zone(around: str) -> None:
    parsed = wire.parse_timestamp(around.format("2020-01-30 10:30:47.524219"))
    assert parsed == datetime(2020, 1, 30, 10, 30, 47, 524219, tzinfo=timezone.utc)
    assert parsed.utcoffset() == timedelta(0)


@given(MOMENTS)
def test_every_timestamp_is_read_as_it_was_written(at: datetime) -> None:
    text = wire.format_timestamp(at)
    assert wire.parse_timestamp(text) == at
    assert wire.parse_timestamp(text.removesuffix("UTC")) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2020-01-30",
        "2020-01-30 10:30:47",
        "2020-01-30T10:30:47.524219",
        "2020-01-30 10:30:47.524219 CET",
        "2020-01-30 10:30:47.524219 UTC UTC",
        "2020-01-30 10:30:47.524219+00:00",
        "2020-02-30 10:30:47.524219",
        "2020-01-30 24:30:47.524219",
        "2020-01-30 10:30:47.5242190",
        "0000-01-30 10:30:47.524219",
        "99999-01-30 10:30:47.524219",
        "2020-01-30 10:30:47.524219\0",
        "\ud800",
    ],
)
def test_other_forms_of_time_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Time format incorrect$"):
        wire.parse_timestamp(text)


@given(st.text())
def test_any_text_is_a_timestamp_or_refused(text: str) -> None:
    try:
        at = wire.parse_timestamp(text)
    except InvalidRequest:
        return
    assert wire.parse_timestamp(wire.format_timestamp(at)) == at


@given(st.binary(max_size=400))
def test_contents_are_encoded_as_pythons_encodebytes_does(content: bytes) -> None:
    encoded = wire.encode_content(content)
    assert encoded == base64.encodebytes(content)
    assert decoded(encoded) == content


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 76, 114, 115, 1 << 20])
def test_lines_of_a_content_have_76_characters_and_an_end(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    encoded = wire.encode_content(content)
    assert encoded == base64.encodebytes(content)
    assert decoded(encoded) == content


@given(st.binary(max_size=200), st.data())
def test_line_breaks_may_be_anywhere_in_a_content(content: bytes, data: st.DataObject) -> None:
    encoded = base64.b64encode(content).decode()
    for _ in range(3):
        at = data.draw(st.integers(0, len(encoded)))
        encoded = (
            encoded[:at] + data.draw(st.sampled_from(["\n", "\r\n", " ", "\t"])) + encoded[at:]
        )
    assert decoded(encoded) == content


@pytest.mark.parametrize(
    "text", ["%%%", "YQ", "YQ=", "Y", "=", "YQ==YQ==", "YWI=\0", "YQ--", "Y_8=", "\u00e9", "\ud800"]
)
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Content cannot be base64 decoded$"):
        decoded(text)


def test_the_digest_of_a_manifest_is_what_it_always_was() -> None:
    """Stored snapshots are found by it: it may never change."""
    empty = hashlib.sha256(b"").digest()
    assert wire.manifest_digest([]) == empty
    manifest = f"{empty.hex()} a\n{empty.hex()} b/\u00e9\n".encode()
    assert wire.manifest_digest([("b/\u00e9", empty), ("a", empty)]) == (
        hashlib.sha256(manifest).digest()
    )


@given(st.dictionaries(st.sampled_from("abcdef"), DIGESTS), st.randoms())
def test_the_digest_of_a_manifest_does_not_depend_on_the_order(
    files: dict[str, bytes], random: Random
) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert wire.manifest_digest(shuffled) == wire.manifest_digest(files.items())


@given(
    st.dictionaries(st.sampled_from("abcdef"), DIGESTS, max_size=3),
    st.dictionaries(st.sampled_from("abcdef"), DIGESTS, max_size=3),
)
def test_different_directories_have_different_digests(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    same = wire.manifest_digest(one.items()) == wire.manifest_digest(other.items())
    assert same == (one == other)


def test_many_deep_paths_are_looked_at_without_a_copy_of_all_their_folders() -> None:
    paths = [f"{number:05}" + "/a" * 500 for number in range(1000)]
    tracemalloc.start()
    wire.check_paths(paths)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000  # of a megabyte of paths


def test_a_long_path_is_refused_before_anything_is_made_of_it() -> None:
    with pytest.raises(InvalidRequest, match="Illegal path"):
        wire.check_paths(["a/" * 500_000 + "a"])

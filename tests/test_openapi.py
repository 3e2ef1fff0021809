"""The OpenAPI document: it has every call of the route table and of the manual, and it is true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st

import ngshare
from ngshare import wire
from ngshare.errors import InvalidRequest
from ngshare.handlers import ROUTES, route_name
from ngshare.handlers.operations import OPERATIONS
from ngshare.handlers.schemas import WHEN
from tests.api import Api
from tests.conformity import DOCUMENT

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MANUAL = Path(ngshare.__file__).parent.parent / "docs/api.md"
# Calls of browsers, which the manual's table leaves out.
OF_BROWSERS = {"GET /", "GET /favicon.ico", "GET /ngshare.css", "GET /oauth_callback"}

# ---- the document, the routes and the manual ----


def described() -> dict[str, dict[str, Any]]:
    """The operations of the document by call, for example `GET /course/*`."""
    return {
        f"{verb.upper()} {re.sub(r'{.+?}', '*', path)}": operation
        for path, verbs in DOCUMENT["paths"].items()
        for verb, operation in verbs.items()
    }


def names(operation: dict[str, Any]) -> set[str]:
    """What the arguments of a call, and the keys of what it sends and answers, are called."""
    found = {parameter["name"] for parameter in operation["parameters"]}
    bodies = [operation.get("requestBody", {}), operation["responses"].get("200", {})]
    for body in bodies:
        for content in body.get("content", {}).values():
            found.update(content["schema"].get("properties", {}))
    return found


def manual() -> dict[str, set[str]]:
    """The arguments and keys that the manual's table names, by call."""
    rows = re.findall(r"^\| ([A-Z]+) `(.+?)` \|.*?\|(.*)\|$", MANUAL.read_text(), re.MULTILINE)
    ids = re.compile(r"(?<=/)(C|A|U|SHA256)(?=/|$)")
    return {
        f"{verb} /{ids.sub('*', path)}": set(re.findall(r"`([\w-]+)(?:=\w+)?`", cell))
        for verb, path, cell in rows
    }


def test_the_document_has_every_verb_of_every_route_and_no_others() -> None:
    calls = {
        f"{verb.upper()} {route_name(pattern)}"
        for pattern, handler in ROUTES
        for verb in handler.allowed_verbs()
        if verb != "head"  # which works where GET does, as the document says in words
    }
    assert described().keys() == calls
    assert len(OPERATIONS) == len(calls)


def test_the_document_and_the_manual_have_the_same_calls() -> None:
    assert described().keys() - OF_BROWSERS == manual().keys()


def test_the_document_has_every_argument_and_key_that_the_manual_names() -> None:
    missing = {call: words - names(described()[call]) for call, words in manual().items()}
    assert {call: words for call, words in missing.items() if words} == {}


def test_the_document_is_valid_and_programs_can_name_every_call() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    ids = Counter(operation["operationId"] for operation in described().values())
    assert set(ids.values()) == {1}


@on_sqlite
def test_everybody_who_is_logged_in_gets_the_document(api: Api) -> None:
    response = api.user("stranger").call("GET", "openapi.json")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == DOCUMENT
    api.nobody.fails(401, "Login required", "GET", "openapi.json")


# ---- patterns ----

thoroughly = settings(max_examples=500, derandomize=True)


def matches(name: str, text: str) -> bool:
    """Whether a text fits the pattern of one of the document's schemas."""
    schema = DOCUMENT["components"]["schemas"][name]
    return re.fullmatch(schema["pattern"], text) is not None


def is_taken(function: Callable[..., object], *arguments: object) -> bool:
    try:
        function(*arguments)
    except InvalidRequest:
        return False
    return True


@thoroughly
@given(st.text("./.a\\:\0\n\x7f\x85\u2028\u00e9 ", max_size=8))
def test_the_patterns_of_ids_and_paths_fit_what_is_legal(text: str) -> None:
    assert matches("Name", text) == wire.is_legal_name(text)
    assert matches("Path", text) == is_taken(wire.check_paths, [text])


@thoroughly
@given(st.text("aZ9+/= \n\t-", max_size=14))
def test_the_pattern_of_contents_fits_what_can_be_decoded(text: str) -> None:
    content = DOCUMENT["components"]["schemas"]["NewFile"]["properties"]["content"]
    fits = re.fullmatch(content["pattern"], text) is not None
    assert fits == is_taken(lambda: list(wire.decode_content([text.encode()])))


@given(
    st.datetimes(datetime(1000, 1, 1), timezones=st.just(timezone.utc)),
    st.sampled_from(["", " ", " UTC"]),
)
def test_every_time_fits_the_patterns_of_timestamps(at: datetime, zone: str) -> None:
    text = wire.format_timestamp(at)
    assert matches("Timestamp", text)
    assert re.fullmatch(WHEN["pattern"], text.removesuffix(" UTC") + zone)


@given(st.from_regex(WHEN["pattern"], fullmatch=True))
def test_what_fits_the_pattern_of_timestamps_is_taken_unless_there_is_no_such_day(
    text: str,
) -> None:
    assert is_taken(wire.parse_timestamp, text) or int(text[8:10]) > 28

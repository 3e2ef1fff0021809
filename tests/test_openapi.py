"""The OpenAPI document: it has every call of the route table and of the manual, and it is true.

The fuzzer sends each call what the document allows, and what it does not, as an admin, an
instructor, a student and nobody, and compares the answers with the document. It is the same each
time; it takes about a minute in all.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import ngshare
from ngshare import wire
from ngshare.database.engine import Database
from ngshare.errors import InvalidRequest
from ngshare.handlers import ROUTES, describe, route_name
from ngshare.handlers.archives import TAR, ZIP
from ngshare.handlers.bodies import FORM
from ngshare.handlers.schemas import WHEN
from tests.api import Api, encode, segment
from tests.conftest import PREFIX
from tests.tables import read_tables, restore_tables
from tests.test_ids import ODD_IDS

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

DOCUMENT = json.loads(describe(PREFIX, "service-ngshare"))
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


# ---- the fuzzer ----

EXAMPLES = 30  # of each call, valid and invalid
CALLERS = ["root", "kevin", "lawrence", None]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CONTENT = b"sent ahead"
IDS = {
    "course_id": "course1",
    "assignment_id": "challenge",
    "instructor_id": "kevin",
    "student_id": "lawrence",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}
TO_CREATE = {"createCourse": "course_id", "releaseAssignment": "assignment_id"}
# What no JSON Schema says: rules on several values at once, dates, and what is in archives.
IN_WORDS = re.compile("Illegal path|Time format|SHA-256|The (tar|zip) archive|supply timestamp")


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a/b"), "content")
    return file.getvalue()


for kind, sample in {TAR: tar(), ZIP: zipped(), "application/octet-stream": CONTENT}.items():
    cut = st.integers(1, len(sample)).map(lambda size, whole=sample: whole[:size])
    schemathesis.openapi.media_type(kind, st.just(sample) | cut | st.binary(max_size=40))

# Without what would make it invent tokens too.
FUZZED = {**DOCUMENT, "components": {**DOCUMENT["components"], "securitySchemes": {}}}
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(FUZZED).get_all_operations()]
odd_text = st.text(min_size=1, max_size=300).filter(
    lambda text: text.strip(".")  # else libraries make another URL of it
)


@st.composite
def cases(draw: st.DrawFn, operation: APIOperation, mode: GenerationMode, timestamp: str) -> Case:
    """A call; its ids, and a timestamp that it has, are mostly those of `fuzzed`."""
    ids = dict.fromkeys(re.findall(r"{(.+?)}", operation.path), "-")
    case = draw(operation.as_strategy(generation_mode=mode, path_parameters=ids))
    known = {**IDS, TO_CREATE.get(operation.definition.raw["operationId"], ""): "new"}
    odd = draw(st.sampled_from(["none", *ids]))
    legal = st.sampled_from([*IDS.values(), *ODD_IDS])
    odd_ids = legal if mode is GenerationMode.POSITIVE else odd_text
    case.path_parameters = {
        name: segment(draw(odd_ids) if name == odd else known[name]) for name in ids
    }
    is_known = draw(st.booleans())
    for arguments in (case.query, case.body):
        if isinstance(arguments, dict) and "timestamp" in arguments and is_known:
            arguments["timestamp"] = timestamp
    if isinstance(case.body, dict):  # a form, in which lists are JSON text
        for field in case.body.keys() & {"files", "students", "instructors"}:
            case.body[field] = json.dumps(case.body[field], default=repr)
    return case


@pytest.fixture
def fuzzed(course: Api) -> str:
    """The timestamp of a submission of lawrence's, which has feedback."""
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a/b": b"1", "c": b""})
    path = "feedback/course1/challenge/lawrence"
    course.user("kevin").ok("POST", path, timestamp=timestamp, files=encode({"f": b"2"}))
    return timestamp


@on_sqlite
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_as_the_document_says(
    course: Api, database: Database, fuzzed: str, operation: APIOperation
) -> None:
    before = read_tables(database)
    statuses: Counter[int] = Counter()

    def fuzz(mode: GenerationMode) -> None:
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            cases(operation, mode, fuzzed),
            st.sampled_from(CALLERS),
            st.sampled_from(["*/*", TAR, ZIP, "text/html"]),
        )
        def call(case: Case, name: str | None, accept: str) -> None:
            caller = course.user(name) if name else course.nobody
            response = case.call_and_validate(
                course.url,
                course.session,
                {"Accept": accept, "Authorization": "", **caller.headers},
                CHECKS,
                allow_redirects=False,
            )
            statuses[response.status_code] += 1
            if response.status_code == 400 and mode is GenerationMode.POSITIVE:
                assert IN_WORDS.search(response.json()["message"])
            if operation.method != "get" and response.status_code == 200:
                restore_tables(database, before)

        call()

    fuzz(GenerationMode.POSITIVE)
    if operation.query or operation.headers or operation.get_body_for_media_type(FORM):
        fuzz(GenerationMode.NEGATIVE)
    assert statuses[200] or statuses[302]

"""A fuzzer: the server answers as the OpenAPI document says, whatever it is sent.

Each call gets what the document allows, and what it does not, as an admin, an instructor, a
student and nobody. It is the same each time; it takes about a minute in all.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
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

from ngshare.database.engine import Database
from ngshare.handlers.archives import TAR, ZIP
from ngshare.handlers.bodies import FORM
from tests.api import Api, encode, segment
from tests.conformity import DOCUMENT
from tests.tables import read_tables, restore_tables
from tests.test_ids import ODD_IDS

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

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
MAX_QUERY = 5000  # characters; after 64 KiB of URL and headers Tornado closes the connection
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


def about(whole: bytes) -> st.SearchStrategy[bytes]:
    """These bytes, the beginning of them, or others."""
    cut = st.integers(0, len(whole)).map(lambda size: whole[:size])
    return st.just(whole) | cut | st.binary(max_size=40)


schemathesis.openapi.media_type(TAR, about(tar()))
schemathesis.openapi.media_type(ZIP, about(zipped()))

# Without what would make it invent tokens too.
FUZZED = {**DOCUMENT, "components": {**DOCUMENT["components"], "securitySchemes": {}}}
CALLS = [found.ok() for found in schemathesis.openapi.from_dict(FUZZED).get_all_operations()]
odd_text = st.text(min_size=1, max_size=300).filter(
    lambda text: text.strip(".")  # else libraries make another URL of it
)


@st.composite
def cases(draw: st.DrawFn, operation: APIOperation, mode: GenerationMode, timestamp: str) -> Case:
    """A call; its ids, and a timestamp that it has, are mostly those of `fuzzed`."""
    ids = dict.fromkeys(re.findall(r"{(.+?)}", operation.path), "-")
    case = draw(operation.as_strategy(generation_mode=mode, path_parameters=ids))
    known = {**IDS, TO_CREATE.get(operation.definition.raw["operationId"], ""): "new"}
    odd = draw(st.sampled_from([*ids, ""])) if draw(st.integers(0, 3)) == 3 else ""
    legal = st.sampled_from([*IDS.values(), *ODD_IDS])
    odd_ids = legal if mode is GenerationMode.POSITIVE else odd_text
    case.path_parameters = {
        name: segment(draw(odd_ids) if name == odd else known[name]) for name in ids
    }
    assume(len(str(case.query)) < MAX_QUERY)
    if "sha256" in ids:
        case.body = draw(about(CONTENT))
    is_known = draw(st.integers(0, 3)) < 3
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


def may_be_wrong(operation: APIOperation) -> bool:
    """Whether a call has arguments beside ids, so that some are not as the document says."""
    definition = operation.definition.raw
    places = {parameter["in"] for parameter in definition["parameters"]}
    return places > {"path"} or FORM in definition.get("requestBody", {}).get("content", {})


def fuzz(
    api: Api, database: Database, operation: APIOperation, mode: GenerationMode, timestamp: str
) -> Counter[int]:
    """Send one call in many ways, compare each answer with the document, and count the statuses."""
    before = read_tables(database)
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        cases(operation, mode, timestamp),
        st.sampled_from(CALLERS),
        st.sampled_from(["*/*", TAR, ZIP, "text/html"]),
    )
    def call(case: Case, name: str | None, accept: str) -> None:
        caller = api.user(name) if name else api.nobody
        headers = {"Accept": accept, **caller.headers}
        status = None
        try:
            response = case.call_and_validate(
                api.url, api.session, headers, CHECKS, allow_redirects=False
            )
            status = response.status_code
            if status == 400 and mode is GenerationMode.POSITIVE:
                assert IN_WORDS.search(response.json()["message"])
        finally:
            if case.method != "GET" and status in (None, 200):
                restore_tables(database, before)
        statuses[status] += 1

    call()
    return statuses


@on_sqlite
@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.label)
def test_every_answer_is_as_the_document_says(
    course: Api, database: Database, fuzzed: str, operation: APIOperation
) -> None:
    statuses = fuzz(course, database, operation, GenerationMode.POSITIVE, fuzzed)
    if may_be_wrong(operation):
        statuses += fuzz(course, database, operation, GenerationMode.NEGATIVE, fuzzed)
    # What the Hub sends to the callback can't be invented.
    assert statuses[200] or statuses[302] or operation.label == "GET /oauth_callback"

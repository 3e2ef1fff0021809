"""Requests as nobody should send them: refused in the contract's form, never our failure.

Each test sends hundreds of requests that hypothesis thinks of. What is refused changes nothing.
"""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ngshare.database.engine import Database
from tests.api import Api, encode
from tests.tables import read_tables

DEADLINE_SECONDS = 10
FILES = encode({"a": b"1"})

moderately = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# ---- what is sent ----

odd_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "\0",
            "..",
            "a/../b",
            "x" * 300,
            "9" * 5000,
            "1e400",
            "\u0661",
            "\u2028",
            "%%%",
            "' OR 1=1 --",
            "{{ 7 * 7 }}",
        ]
    ),
)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([10**400, -(10**30), 1.5e308]),
        st.floats(allow_nan=True),
        odd_text,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["path", "content", "username", "email", "first_name", "last_name", ""]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
raw_json = st.sampled_from(
    [
        b"",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        rb'["\ud800"]',
        rb'[{"path": "\ud800", "content": ""}]',
        rb'[{"path": "a\u0000b", "content": ""}]',
        rb'[{"username": "\ud800", "first_name": "", "last_name": "", "email": ""}]',
        rb'[{"username": "a", "first_name": "\ud800", "last_name": "", "email": ""}]',
        rb'[{"username": "a\u0000", "first_name": "\u0000", "last_name": "", "email": ""}]',
        b'[{"path": "a", "content": "%%%"}]',
        b'["\xff\xfe"]',
        b"\xef\xbb\xbf[]",
        b"NaN",
        b"9" * 10_000,
    ]
)
field_values = st.one_of(
    raw_json,
    json_values.map(lambda value: json.dumps(value).encode()),
    json_values.map(
        lambda value: json.dumps([value], ensure_ascii=False).encode("utf-8", "replace")
    ),
    st.binary(max_size=60),
    odd_text.map(lambda text: text.encode("utf-8", "replace")),
)


def answered(response: requests.Response) -> requests.Response:
    """Check that an answer has the contract's form and is not our failure."""
    assert response.status_code < 500, response.text
    if response.headers["Content-Type"].startswith("text/html"):
        assert response.status_code in (200, 302)
        return response
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert answer["success"] is (response.status_code == 200)
    assert answer["success"] or isinstance(answer["message"], str)
    return response


def send(api: Api, database: Database, name: str, verb: str, path: str, **options: Any) -> None:
    """One request, answered well; if it was refused, nothing has changed."""
    before = read_tables(database)
    response = answered(api.user(name).call(verb, path, timeout=DEADLINE_SECONDS, **options))
    if response.status_code != 200:
        assert read_tables(database) == before


# ---- the tests ----

PERSON = {"first_name": "F", "last_name": "L", "email": "E"}
POSTS = {
    "course/new": ("root", {"instructors": "[]"}),
    "instructor/course1/kevin": ("kevin", PERSON),
    "student/course1/new": ("kevin", PERSON),
    "students/course1": ("kevin", {"students": json.dumps([{"username": "u", **PERSON}])}),
    "assignment/course1/new": ("kevin", {"files": FILES}),
    "submission/course1/challenge": ("lawrence", {"files": FILES}),
    "feedback/course1/challenge/lawrence": ("kevin", {"files": FILES, "timestamp": ""}),
}
FIELDS = [(path, field) for path, (_, fields) in POSTS.items() for field in fields]


@pytest.mark.parametrize(("path", "field"), FIELDS)
@moderately
@given(value=field_values, multipart=st.booleans())
def test_a_post_takes_or_refuses_whatever_a_field_holds(
    course: Api, database: Database, path: str, field: str, value: bytes, multipart: bool
) -> None:
    name, fields = POSTS[path]
    form: dict[str, Any] = {**fields, field: value}
    body = (
        {"files": {key: (None, part) for key, part in form.items()}}
        if multipart
        else {"data": form}
    )
    send(course, database, name, "POST", path, **body)


@moderately
@given(
    content_type=st.one_of(
        st.sampled_from(
            [
                "multipart/form-data",
                "multipart/form-data; boundary=",
                "multipart/form-data; boundary=b",
                "Multipart/Form-Data; boundary=b",
                "application/x-www-form-urlencoded; charset=utf-16",
                "application/json",
                ";;;=",
            ]
        ),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    ),
    body=st.one_of(
        st.binary(max_size=80),
        st.sampled_from(
            [
                b"--b\r\n\r\n\r\n--b--",
                b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n[]',
                b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n[]\r\n--b--\r\n',
                b"--b\r\nContent-Disposition: form-data\r\n\r\n[]\r\n--b--\r\n",
                b'--b\r\nContent-Disposition: attachment; name="\xff"\r\n\r\n[]\r\n--b--\r\n',
                b"--b\r\nContent-Disposition: form-data; name*=utf-9''%ff\r\n\r\n[]\r\n--b--\r\n",
                b"--b\r\n: \r\n\r\n[]\r\n--b--\r\n",
                b"--b\r\n" * 500 + b"--b--",
                b"files=%5B%5D%zz",
                b"files=" + b"%" * 1000,
                b"&&&==&files&=files",
                b"files=[]&" * 2000,
            ]
        ),
    ),
)
def test_a_body_that_is_not_what_its_type_says_is_taken_or_refused(
    course: Api, database: Database, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type}
    path = "submission/course1/challenge"
    send(course, database, "lawrence", "POST", path, headers=headers, data=body)


@moderately
@given(
    timestamp=st.one_of(
        odd_text.map(str.encode),
        st.binary(max_size=30),
        st.datetimes().map(lambda at: str(at).encode()),
        st.sampled_from([b"0001-01-01 00:00:00.0", b"9999-12-31 23:59:59.999999 UTC"]),
    ),
    list_only=st.binary(max_size=5),
    purge=st.binary(max_size=5),
)
def test_queries_may_hold_anything(
    course: Api, database: Database, timestamp: bytes, list_only: bytes, purge: bytes
) -> None:
    query = {"timestamp": timestamp, "list_only": list_only, "purge": purge, "user": timestamp}
    for path in ("submission/course1/challenge/lawrence", "feedback/course1/challenge/lawrence"):
        send(course, database, "kevin", "GET", path, params=query)
    send(course, database, "kevin", "GET", "assignment/course1/challenge", params=query)
    send(course, database, "kevin", "DELETE", "assignment/course1/none", params=query)


@moderately
@given(
    action=st.one_of(st.just(b"dump"), st.binary(max_size=10)),
    table=st.one_of(st.just(b""), st.just(b"files"), odd_text.map(str.encode)),
    page=st.one_of(st.integers(-2, 10**18).map(str), odd_text),
    limit=st.one_of(st.integers(-2, 10**18).map(str), odd_text),
    human=st.sampled_from(["true", "false", ""]),
)
def test_the_dump_takes_or_refuses_any_argument(
    course: Api, database: Database, action: bytes, table: bytes, page: str, limit: str, human: str
) -> None:
    query = {"action": action, "table": table, "page": page, "limit": limit}
    query["human-readable"] = human
    send(course, database, "root", "GET", "initialize-Data6ase", params=query)


@moderately
@given(
    table=st.sampled_from(["memberships", "submissions", "blobs", "releases"]),
    column=st.sampled_from(["pk", "first_name", "active", "at", "digest", "size", "version", "no"]),
    test=st.sampled_from(["is", "contains", "is empty", "?"]),
    value=st.one_of(odd_text, st.integers().map(str), st.datetimes().map(str)),
    sort=st.sampled_from(["", "pk", "at", "digest"]),
    key=st.one_of(st.just(""), odd_text, st.integers().map(str)),
    name=st.sampled_from(["after", "before", "row", "format", "last"]),
)
def test_the_database_page_takes_or_refuses_any_argument(
    course: Api, database: Database, table: str, column: str, key: str, name: str, **query: str
) -> None:
    query |= {"column": column, name: key}
    send(course, database, "root", "GET", f"pages/database/{table}", params=query)


@moderately
@given(
    call=st.one_of(st.sampled_from(["getStudent", "listAllSubmissions"]), odd_text),
    course_id=odd_text,
    student_id=odd_text,
    limit=odd_text,
)
def test_the_page_of_the_api_takes_or_refuses_any_argument(
    course: Api, database: Database, **query: str
) -> None:
    send(course, database, "root", "GET", "pages/api", params=query)


RESOURCES = {
    "GET": ["instructor/course1/{}", "student/{}/a", "assignment/course1/{}", "submissions/{}/a/b"],
    "POST": ["course/{}", "instructor/course1/{}", "student/course1/{}", "assignment/course1/{}"],
    "DELETE": ["course/{}", "student/course1/{}", "assignment/course1/{}"],
}
ODD_IDS = [b"\0", b"..", b".", b"a/b", b"%2F", b"x" * 256, b"\n", b"\xff", b"\xed\xa0\x80"]


@moderately
@given(
    name=st.one_of(odd_text.map(str.encode), st.binary(max_size=40), st.sampled_from(ODD_IDS)),
    resource=st.sampled_from([(verb, path) for verb in RESOURCES for path in RESOURCES[verb]]),
)
def test_an_id_in_a_path_may_be_anything(
    course: Api, database: Database, name: bytes, resource: tuple[str, str]
) -> None:
    verb, path = resource
    encoded = "".join(f"%{byte:02X}" for byte in name)
    form = {"files": FILES, **PERSON} if verb == "POST" else None
    send(course, database, "root", verb, path.format(encoded), data=form)


def test_an_id_that_is_no_utf8_is_refused_without_losing_the_connection(course: Api) -> None:
    url = urlsplit(course.url)
    headers = course.user("root").headers
    with closing(HTTPConnection(url.netloc, timeout=DEADLINE_SECONDS)) as connection:
        for verb, path in (
            ("GET", "students/%FF"),
            ("POST", "course/%FF"),
            ("GET", "students/%FF"),
        ):
            connection.request(verb, url.path + path, headers=headers)
            response = connection.getresponse()
            assert json.loads(response.read())["success"] is False
            assert response.status == 400


# Longer than PostgreSQL's indexes take, which compress what repeats itself.
LONG = "/".join(
    "".join(chr(0x4E00 + (seed * 7919 + place * 104_729) % 20_000) for place in range(80))
    for seed in range(20)
)


def test_names_too_long_for_an_index_are_taken_or_refused(course: Api, database: Database) -> None:
    def post(path: str, **form: str) -> None:
        send(course, database, "root", "POST", path, data=form)

    post("assignment/course1/long", files=encode({LONG: b"1"}))
    post("course/many", instructors=json.dumps([LONG]))
    post("students/course1", students=json.dumps([{"username": LONG, **PERSON}]))
    post(f"course/{quote(LONG, safe='')}")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "99999999999999999999"])
def test_a_wrong_content_length_is_refused(course: Api, length: str) -> None:
    request = requests.Request(
        "POST",
        course.url + "submission/course1/challenge",
        headers=course.user("lawrence").headers,
    ).prepare()
    request.headers["Content-Length"] = length
    response = course.session.send(request, timeout=DEADLINE_SECONDS)
    assert response.status_code in (400, 413)


@pytest.mark.parametrize(
    "boundary", ["*=idna''abc", "*=punycode''%ff", "*=undefined''x", f"*{'9' * 5000}=1"]
)
def test_a_content_type_that_cannot_be_read_is_refused(course: Api, boundary: str) -> None:
    response = course.user("kevin").send(
        "POST",
        "assignment/course1/new",
        data=b"x",
        headers={"Content-Type": f"multipart/form-data; boundary{boundary}"},
    )
    assert response.status_code == 400, response.text


def test_a_text_that_is_too_long_is_refused_before_it_is_decoded(course: Api) -> None:
    path = "feedback/course1/challenge/lawrence"
    response = course.user("kevin").send("POST", path, timestamp="%zz" * 10_000, files=FILES)
    assert response.status_code == 413
    assert response.json()["message"] == "This field of the form may have 16,384 bytes"

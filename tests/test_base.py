"""What is the same for every call: arguments, methods, errors, limits; stand-alone mode."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.api import Api, Caller, decode, encode, person
from tests.fake_hub import token_of

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
MIB = 1 << 20


# ---- arguments ----


@pytest.mark.parametrize("kind", ["form", "multipart", "query"])
def test_fields_of_a_post_come_as_form_as_multipart_or_in_the_query(course: Api, kind: str) -> None:
    fields = {"first_name": "Zoë + Co", "last_name": "50% & more", "email": "zoe@example.org"}
    options: dict[str, Any] = {
        "form": {"data": fields},
        "multipart": {"files": {name: (None, value) for name, value in fields.items()}},
        "query": {"params": fields},
    }[kind]
    kevin, path = course.user("kevin"), "student/course1/zoe"
    assert kevin.call("POST", path, **options).status_code == 200
    answer = kevin.ok("GET", path)
    assert {name: answer[name] for name in fields} == fields


def test_the_form_counts_before_the_query(course: Api) -> None:
    kevin, path = course.user("kevin"), "student/course1/zoe"
    query = {**person("query"), "email": "query"}
    form = {"first_name": "Form", "last_name": ""}
    assert kevin.call("POST", path, params=query, data=form).status_code == 200
    answer = kevin.ok("GET", path)
    assert [answer[name] for name in ("first_name", "last_name", "email")] == ["Form", "", "query"]


def test_a_json_body_is_no_argument(course: Api) -> None:
    response = course.user("kevin").call("POST", "student/course1/zoe", json=person("zoe"))
    assert response.status_code == 400
    assert response.json()["message"] == "Please supply first name"


def test_a_delete_may_carry_a_form_body(course: Api) -> None:
    kevin = course.user("kevin")
    for path in ("student/course1/eric", "assignment/course1/challenge"):
        assert kevin.call("DELETE", path, data={"user": "kevin"}).json() == {"success": True}
    assert kevin.ok("GET", "assignments/course1")["assignments"] == []
    assert len(kevin.ok("GET", "students/course1")["students"]) == 1


def test_the_field_user_is_never_believed(course: Api) -> None:
    lawrence = course.user("lawrence")
    assert lawrence.ok("GET", "courses", user="root")["courses"] == ["course1"]
    denied = (403, "Permission denied")
    lawrence.fails(*denied, "POST", "course/new", user="root")
    lawrence.fails(*denied, "DELETE", "course/course1", user="root")
    lawrence.fails(*denied, "GET", "submissions/course1/challenge", user="kevin")
    lawrence.ok("POST", "submission/course1/challenge", user="eric", files="[]")
    listed = course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"]
    assert [entry["student_id"] for entry in listed] == ["lawrence"]
    course.nobody.fails(401, "Login required", "GET", "courses", user="root")
    course.nobody.fails(401, "Login required", "POST", "course/new", user="root")


# ---- methods ----


# What each URL of course1 allows.
ALLOWED = {
    "": "GET HEAD",
    "whoami": "GET HEAD",
    "openapi.json": "GET HEAD",
    "courses": "GET HEAD",
    "course/course1": "POST DELETE",
    "instructors/course1": "GET HEAD",
    "instructor/course1/kevin": "GET HEAD POST DELETE",
    "students/course1": "GET HEAD POST",
    "student/course1/eric": "GET HEAD POST DELETE",
    "assignments": "GET HEAD",
    "assignments/course1": "GET HEAD",
    "assignment/course1/challenge": "GET HEAD POST PUT DELETE",
    "submissions": "GET HEAD",
    "submissions/course1/challenge": "GET HEAD",
    "submissions/course1/challenge/eric": "GET HEAD",
    "submission/course1/challenge": "POST",
    "submission/course1/challenge/eric": "GET HEAD DELETE",
    "feedback/course1/challenge/eric": "GET HEAD POST",
    "blob/course1/00": "PUT",
    "initialize-Data6ase": "GET HEAD",
    "favicon.ico": "GET HEAD",
    "healthz": "GET HEAD",
    "readyz": "GET HEAD",
}


def test_head_answers_as_get_without_the_body(course: Api) -> None:
    course.user("eric").submit("course1", "challenge", {"a": b"x"})
    root = course.user("root")
    readable = [path for path, allowed in ALLOWED.items() if "GET" in allowed]
    variants = ["feedback/course1/challenge/eric?timestamp=", "initialize-Data6ase?action=dump"]
    for path in [*readable, *variants, "unknown", "assignments/nowhere"]:
        got, head = root.call("GET", path), root.call("HEAD", path)
        assert head.status_code == got.status_code, path
        assert head.content == b""
        for header in ("Content-Type", "Content-Length"):
            assert head.headers[header] == got.headers[header], path


def test_a_wrong_method_is_405_and_names_the_right_ones(course: Api) -> None:
    for path, text in ALLOWED.items():
        allowed = set(text.split())
        for method in set(METHODS) - allowed:
            response = course.user("root").call(method, path)
            assert response.status_code == 405, (method, path)
            assert set(response.headers["Allow"].split(", ")) == allowed, path
            if method != "HEAD":
                assert response.json()["success"] is False
                assert "Method not allowed" in response.json()["message"]


def test_direct_calls_may_leave_out_the_base_url_of_the_hub(
    serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_BASE_URL", "/services/")  # as if ngshare were at /ngshare/
    api = serve()
    headers = {"Authorization": f"token {token_of('kevin')}"}
    for url in (api.url, api.url.replace("/services/", "/")):
        answer = requests.get(url + "whoami", headers=headers, timeout=5)
        assert answer.json()["username"] == "kevin"


def test_an_unknown_url_is_404_for_every_method(api: Api) -> None:
    for path in ("unknown", "course", "course/", "courses/", "course/a/b", "student/a", "course//"):
        for method in METHODS:
            response = api.user("root").call(method, path)
            assert response.status_code == 404, (method, path)
            assert response.headers["Content-Type"] == "application/json"
            if method != "HEAD":
                assert response.json()["success"] is False


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("POST", "submission/course1/challenge", 401),
        ("POST", "unknown", 404),
        ("PUT", "courses", 405),
        ("POST", "course/a%0Ab", 401),
        ("POST", "course/%FF", 400),
    ],
)
def test_a_refused_call_with_a_body_leaves_the_connection_usable(
    api: Api, verb: str, path: str, status: int
) -> None:
    url = urlsplit(api.url)
    with closing(HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.request(verb, url.path + path, body=bytes(MIB))
        response = connection.getresponse()
        assert response.status == status
        assert json.loads(response.read())["success"] is False
        connection.request("GET", url.path + "healthz")
        assert connection.getresponse().status == 200


def test_the_health_check_is_for_everybody_under_the_prefix_and_at_the_root(api: Api) -> None:
    at_the_root = Api(api.url.split("/services/")[0], api.session)
    for caller, path in ((api.nobody, "healthz"), (at_the_root.nobody, "/healthz")):
        assert caller.ok("GET", path) == {"success": True}


# ---- login ----


@pytest.mark.parametrize("path", ["courses", "students/course1", "assignment/nowhere/nothing"])
def test_without_login_a_browser_is_redirected_and_a_program_gets_401(
    course: Api, path: str
) -> None:
    course.nobody.fails(401, "Login required", "GET", path)
    course.nobody.fails(401, "Login required", "POST", "course/new")
    browser = Caller(course, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    response = browser.call("GET", path)
    assert response.status_code == 302
    assert "/hub/api/oauth2/authorize?" in response.headers["Location"]
    browser.fails(401, "Login required", "POST", "course/new")
    Caller(course, {"Authorization": "token nonsense"}).fails(401, "Login required", "GET", path)


@pytest.mark.parametrize("scheme", ["token", "Bearer", "bearer"])
def test_the_token_comes_as_token_or_as_bearer(course: Api, scheme: str) -> None:
    caller = Caller(course, {"Authorization": f"{scheme} token-of-kevin"})
    assert caller.ok("GET", "courses")["courses"] == ["course1"]


# ---- limits ----


@pytest.fixture
def small(serve: Callable[..., Api]) -> Api:
    """A server that takes bodies of 2 MiB, with a course."""
    api = serve(max_upload_bytes=2 * MIB)
    api.user("root").ok("POST", "course/course1")
    api.user("root").release("course1", "challenge", {})
    return api


def pieces(size: int) -> Iterator[bytes]:
    yield b"files="
    for _ in range(size // 65536):
        yield bytes(65536)


@pytest.mark.parametrize("mebibytes", [3, 7, 40])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_client_gets_to_read_that_its_body_is_too_long(
    small: Api, mebibytes: int, chunked: bool
) -> None:
    data: Any = pieces(mebibytes * MIB) if chunked else b"".join(pieces(mebibytes * MIB))
    root = small.user("root")
    response = root.call("POST", "submission/course1/challenge", data=data)
    assert response.status_code == 413
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert answer["success"] is False
    assert "max_upload_bytes" in answer["message"]
    assert root.ok("GET", "submissions/course1/challenge")["submissions"] == []


def test_a_body_within_the_limit_is_taken(small: Api) -> None:
    files = {"a": bytes(MIB)}
    assert MIB < len(encode(files)) < 2 * MIB
    small.user("root").submit("course1", "challenge", files)
    assert small.user("root").files("submission/course1/challenge/root") == files


# ---- stand-alone mode ----


def test_stand_alone_believes_the_user_in_query_form_and_multipart(
    serve: Callable[..., Api],
) -> None:
    api = serve(stand_alone=True)
    assert api.url.endswith("/api/")
    nobody = api.nobody
    instructors = '["kevin"]'
    nobody.ok("POST", "course/course1", user="root", instructors=instructors)
    fields = {"files": encode({"a": b"x"}), "user": "kevin"}
    parts: dict[str, Any] = {name: (None, value) for name, value in fields.items()}
    assert nobody.call("POST", "assignment/course1/ps1", files=parts).status_code == 200
    nobody.ok("POST", "submission/course1/ps1", **fields)
    answer = nobody.ok("GET", "submission/course1/ps1/kevin", user="kevin")
    assert decode(answer["files"]) == {"a": b"x"}
    nobody.fails(403, "Permission denied", "GET", "students/course1", user="stranger")
    response = nobody.call("DELETE", "assignment/course1/ps1", data={"user": "kevin"})
    assert response.json() == {"success": True}


def test_stand_alone_calls_that_name_nobody_are_refused(serve: Callable[..., Api]) -> None:
    api = serve(stand_alone=True)
    for caller in (api.nobody, api.user("root"), Caller(api, {"Accept": "text/html"})):
        caller.fails(401, "Login required", "GET", "courses")
        caller.fails(401, "Login required", "POST", "course/new", user="")
        caller.fails(401, "Login required", "DELETE", "course/new")

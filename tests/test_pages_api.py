"""The page of the API: what it says of each call, and the form to try those that only read."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from ngshare.pages.api import _describe
from ngshare.pages.base import CONTENT_SECURITY_POLICY
from tests.api import Api, Caller, segment
from tests.conformity import DOCUMENT
from tests.fake_hub import token_of
from tests.html_pages import Element, read_page

PREFIX = "/services/ngshare/"
PERSON = {"first_name": "F", "last_name": "L", "email": "f@example.org"}

# No call of the API writes here, so one kind of database will do.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def page(caller: Caller, **query: Any) -> Element:
    """What a browser shows, with a call filled in."""
    path = "pages/api?" + urlencode(query, doseq=True)
    response = caller.call("GET", path, headers={"Accept": "text/html"})
    assert response.status_code == 200, response.text
    return read_page(response.text)


def answer(caller: Caller, shown: Element) -> Any:
    """What the link on the page leads to: the call itself."""
    url = shown.links()["Open the answer"]
    assert url.startswith(PREFIX)
    assert url == shown.one("section", _class="answer").attributes["data-url"]
    return caller.call("GET", url.removeprefix(PREFIX)).json()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (verb.upper(), path[1:], operation)
        for path, verbs in DOCUMENT["paths"].items()
        for verb, operation in verbs.items()
    ]


# ---- what it says ----


def test_every_call_is_there_with_what_it_takes_and_answers_and_who_may(api: Api) -> None:
    shown = page(api.user("stranger"))
    assert len(shown.all("details")) == len(operations())
    for verb, path, operation in operations():
        described = shown.one("details", id=f"call-{operation['operationId']}")
        summary = described.one("summary").text
        assert summary == f"{verb} {path} {operation['summary']}"
        words = {code.text for code in described.all("code")}
        bodies = [operation.get("requestBody", {}), operation["responses"].get("200", {})]
        for body in bodies:
            for kind, content in body.get("content", {}).items():
                assert kind in described.text
                assert set(content["schema"].get("properties", {})) <= words
        assert {parameter["name"] for parameter in operation["parameters"]} <= words
        assert operation["description"].replace("`", "") in described.text
        assert set(operation["responses"]) <= described.links().keys()


def test_the_links_of_the_page_lead_somewhere_on_it(api: Api) -> None:
    shown = page(api.user("stranger"))
    places = [
        element.attributes["id"] for element in everything(shown) if "id" in element.attributes
    ]
    assert len(set(places)) == len(places)
    targets = {
        link.attributes["href"][1:]
        for link in shown.all("a")
        if link.attributes["href"].startswith("#")
    }
    assert targets <= set(places)
    assert {f"shape-{name}" for name in DOCUMENT["components"]["schemas"]} <= set(places)


def everything(element: Element) -> list[Element]:
    """All that is in an element."""
    inside = [child for child in element.children if isinstance(child, Element)]
    return inside + [deeper for child in inside for deeper in everything(child)]


def test_every_call_that_only_reads_has_a_form_with_all_that_a_url_can_have(api: Api) -> None:
    shown = page(api.user("stranger"))
    for verb, _, operation in operations():
        described = shown.one("details", id=f"call-{operation['operationId']}")
        forms = described.all("form")
        # A login's end, and what can clear the database of a site that is only tried.
        not_tried = operation["operationId"] in ("finishLogin", "dumpDatabase")
        assert len(forms) == (verb == "GET" and not not_tried)
        for form in forms:
            assert form.attributes["method"] == "get"
            fields = form.all("input") + form.all("textarea")
            assert {field.attributes["name"] for field in fields} == {"call"} | {
                parameter["name"]
                for parameter in operation["parameters"]
                if parameter["in"] != "header"
            }
            labelled = {label.attributes["for"] for label in form.all("label")}
            visible = [field for field in fields if field.attributes.get("type") != "hidden"]
            assert {field.attributes["id"] for field in visible} == labelled


# ---- trying a call ----


def test_the_call_that_was_filled_in_is_a_link_that_the_browser_follows(course: Api) -> None:
    kevin = course.user("kevin")
    shown = page(kevin, call="getStudent", course_id="course1", student_id="lawrence")
    assert answer(kevin, shown)["email"] == "lawrence@example.org"
    tried = shown.one("details", id="call-getStudent")
    assert "open" in tried.attributes
    values = [field.attributes["value"] for field in tried.all("input")]
    assert values == ["getStudent", "course1", "lawrence"]
    assert [details for details in shown.all("details") if "open" in details.attributes] == [tried]


def test_the_page_itself_tells_nobody_what_the_call_would_answer(course: Api) -> None:
    query = {"call": "listStudents", "course_id": "course1"}
    outsider = course.user("stranger")
    for caller in (outsider, course.user("kevin")):
        text = caller.call("GET", "pages/api?" + urlencode(query)).text
        assert "lawrence" not in text
    assert answer(outsider, page(outsider, **query))["message"] == "Permission denied"
    assert len(answer(course.user("kevin"), page(course.user("kevin"), **query))["students"]) == 2


@pytest.mark.parametrize("name", ["a/b", "a/../b", "..x", "x.", "50% & more?#", "ä ö", " x", "<b>"])
def test_a_name_is_one_segment_whatever_is_in_it(api: Api, name: str) -> None:
    root = api.user("root")
    if ".." in name.split("/"):  # no name: it is refused before any URL is made
        shown = page(root, call="listAssignments", course_id=name)
        assert "Illegal name" in shown.one("div", role="alert").text
        assert "Open the answer" not in shown.links()
        return
    root.ok("POST", f"course/{segment(name)}")
    shown = page(root, call="listAssignments", course_id=name)
    assert shown.links()["Open the answer"] == f"{PREFIX}assignments/{segment(name)}"
    assert answer(root, shown) == {"success": True, "assignments": []}


def test_lists_flags_and_numbers_arrive_as_they_were_filled_in(course: Api) -> None:
    kevin = course.user("kevin")
    kevin.release("course1", "many", {"a/x": b"1", "b": b"2", "c": b"3"})
    query = {"call": "fetchAssignment", "course_id": "course1", "assignment_id": "many"}
    shown = page(kevin, **query, list_only="true", path="a\r\nb\r\n")
    assert [file["path"] for file in answer(kevin, shown)["files"]] == ["a/x", "b"]
    form = shown.one("details", id="call-fetchAssignment").one("form")
    assert form.one("textarea").text == "a b"
    assert "checked" in form.one("input", type="checkbox").attributes
    shown = page(kevin, call="listAllAssignments", course_id="", limit="1", cursor="")
    assert shown.links()["Open the answer"] == f"{PREFIX}assignments?limit=1"
    assert len(answer(kevin, shown)["assignments"]) == 1


def test_an_argument_that_must_be_there_is_there_though_empty(course: Api) -> None:
    lawrence = course.user("lawrence")
    lawrence.submit("course1", "challenge", {"a": b"1"})
    of = {"course_id": "course1", "assignment_id": "challenge", "student_id": "lawrence"}
    shown = page(lawrence, call="fetchFeedback", timestamp="", **of)
    assert answer(lawrence, shown)["files"] == []


def test_what_is_missing_is_asked_for(api: Api) -> None:
    shown = page(api.user("root"), call="getStudent", course_id="c", student_id="")
    assert shown.one("div", role="alert").text == "Please fill in student_id"
    for wrong in ("nothing", "createCourse", "dumpDatabase"):
        response = api.user("root").call("GET", f"pages/api?call={wrong}")
        assert response.status_code == 404
        message = f"There is no call {wrong} that can be tried"
        assert response.json()["message"] == message


def test_the_line_for_a_terminal_gets_the_same_answer(course: Api) -> None:
    kevin = course.user("kevin")
    name = "o'hara $HOME `x` $(y)"
    kevin.ok("POST", f"student/course1/{segment(name)}", **PERSON)
    shown = page(kevin, call="getStudent", course_id="course1", student_id=name)
    line = shown.one("details", id="call-getStudent").one("pre", id="curl").text
    assert token_of("kevin") not in line
    environment = {"JUPYTERHUB_API_TOKEN": token_of("kevin"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", line.replace("curl", "curl -s --noproxy '*'", 1)],
        capture_output=True,
        env=environment,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)["email"] == PERSON["email"]


def test_the_line_for_a_terminal_is_by_tls_if_the_page_is(course: Api) -> None:
    headers = {"Accept": "text/html", "X-Forwarded-Proto": "https,http"}
    response = course.user("kevin").call("GET", "pages/api?call=whoAmI", headers=headers)
    line = read_page(response.text).one("details", id="call-whoAmI").one("pre", id="curl").text
    assert f" {course.url.replace('http:', 'https:')}" in line


def test_stand_alone_the_url_says_who_calls(serve: Callable[..., Api]) -> None:
    api = serve(stand_alone=True)
    shown = page(api.nobody, call="whoAmI", user="kevin")
    assert shown.links()["Open the answer"] == "/api/whoami?user=kevin"
    line = shown.one("details", id="call-whoAmI").one("pre", id="curl").text
    assert re.fullmatch(r"curl 'http://127\.0\.0\.1:\d+/api/whoami\?user=kevin'", line)


def test_markup_in_an_argument_is_harmless(api: Api) -> None:
    script = "'\"><script>alert(1)</script>"
    shown = page(api.user("root"), call="getStudent", course_id=script, student_id=script)
    assert len(shown.all("script")) == 1  # our own, in the head
    assert answer(api.user("root"), shown)["message"] == "Course not found"


def test_what_is_the_same_for_all_is_made_once_and_has_nothing_of_one_reader(course: Api) -> None:
    _describe.cache_clear()
    kevin, eric = course.user("kevin"), course.user("eric")
    shown = page(kevin, call="getStudent", course_id="hidden-from-eric", student_id="a")
    assert "hidden-from-eric" in shown.one("section", _class="answer").attributes["data-url"]
    path = "pages/api"
    answers = [eric.call("GET", path, headers={"Accept": "text/html"}) for _ in range(2)]
    assert _describe.cache_info().misses == 1
    for response in answers:
        assert "hidden-from-eric" not in response.text
        assert "data-token" not in response.text
        assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY

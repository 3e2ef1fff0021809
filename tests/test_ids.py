"""Odd ids: of courses, assignments and people, as one percent-encoded segment of a URL each."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.api import Api, Caller, decode, encode, person, segment

ODD_IDS = [
    *("a b", "a  b", "a+b", "a%b", "100%", "%41", "%2F", "a@b.org", "a/b", "a/b/c", "a\\b", "C:"),
    *("ünïçødé", "e\u0301", "\u00e9", "数学 1", "🎓", "👩\u200d🏫", "חשבון א", "رياضيات", "a&b=c"),
    *("a;b", "a#b?c", "'a\"b'", "<b>", "{}", "[1]", "null", "...", ".hidden", "-", "~", "_", "*"),
    *("CASE", "case", "x" * 255, "ä" * 127),
]
ILLEGAL_SEGMENTS = [
    *("%00", "a%00b", "a%0Ab", "a%0Db", "%09", "%1F", "%7F", "%C2%85", "%E2%80%A8", "a%1Bb"),
    *(".", "..", "%2E", "%2e%2E", "%2F", "a%2F", "%2Fa", "a%2F%2Fb", "a%2F..%2Fb"),
    *("x" * 256, "%C3%A4" * 128),
]
NOT_UTF_8 = ["%FF", "a%C3", "%C3%28", "%ED%A0%80", "%F0%9F"]


def raw(caller: Caller, verb: str, path: str) -> tuple[int, dict[str, Any]]:
    """Status and answer of a call whose path no library touches."""
    url = urlsplit(caller.api.url + path)
    with closing(HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.request(verb, url.path, headers=caller.headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def test_odd_ids_go_all_the_way(serve: Callable[..., Api]) -> None:
    """In every call, for a course, an assignment and a student with this name."""
    nobody = serve(stand_alone=True).nobody
    for name in ODD_IDS:
        one, two, three = ("/".join([segment(name)] * count) for count in (1, 2, 3))
        nobody.ok("POST", f"course/{one}", user="root", instructors=json.dumps([name]))
        (teacher,) = nobody.ok("GET", f"instructors/{one}", user=name)["instructors"]
        assert teacher["username"] == name
        nobody.ok("POST", f"instructor/{one}/kevin", user="root", **person("kevin"))
        nobody.ok("DELETE", f"instructor/{two}", user="root")
        nobody.ok("POST", f"student/{two}", user="kevin", **person("odd"))
        assert nobody.ok("GET", f"student/{two}", user=name)["username"] == name
        (student,) = nobody.ok("GET", f"students/{one}", user="kevin")["students"]
        assert student["username"] == name
        nobody.ok("POST", f"assignment/{two}", user="kevin", files=encode({"a": b"1"}))
        assert nobody.ok("GET", f"assignments/{one}", user=name)["assignments"] == [name]
        assert decode(nobody.ok("GET", f"assignment/{two}", user=name)["files"]) == {"a": b"1"}
        fields = {"files": encode({"b": b"2"}), "user": name}
        timestamp = nobody.ok("POST", f"submission/{two}", **fields)["timestamp"]
        entry = {"student_id": name, "timestamp": timestamp}
        for path in (f"submissions/{two}", f"submissions/{three}"):
            assert nobody.ok("GET", path, user="kevin")["submissions"] == [entry]
        answer = nobody.ok("GET", f"submission/{three}", user="kevin")
        assert decode(answer["files"]) == {"b": b"2"}
        fields = {"files": encode({"c": b"3"}), "user": "kevin", "timestamp": timestamp}
        nobody.ok("POST", f"feedback/{three}", **fields)
        answer = nobody.ok("GET", f"feedback/{three}", user=name, timestamp=timestamp)
        assert decode(answer["files"]) == {"c": b"3"}
        assert nobody.ok("GET", "courses", user=name)["courses"] == [name]
        nobody.ok("DELETE", f"assignment/{two}", user="kevin")
        nobody.ok("DELETE", f"student/{two}", user="kevin")
    listed = nobody.ok("GET", "courses", user="root")["courses"]
    assert listed == sorted(ODD_IDS)


def test_odd_names_in_a_bulk_upload_come_back(course: Api) -> None:
    kevin = course.user("kevin")
    rows = [{"username": name, **person("odd")} for name in ODD_IDS]
    answer = kevin.ok("POST", "students/course1", students=json.dumps(rows))
    assert answer["status"] == [{"username": name, "success": True} for name in ODD_IDS]
    students = kevin.ok("GET", "students/course1")["students"]
    assert [student["username"] for student in students[2:]] == ODD_IDS


def test_a_plus_in_a_path_is_a_plus(api: Api) -> None:
    root = api.user("root")
    assert raw(root, "POST", "course/a+b")[0] == 200
    assert raw(root, "POST", "course/a%20b")[0] == 200
    assert raw(root, "POST", "course/a%2Bb")[0] == 409
    assert root.ok("GET", "courses")["courses"] == ["a b", "a+b"]


def test_control_characters_and_illegal_segments_are_refused(course: Api) -> None:
    root = course.user("root")
    for illegal in ILLEGAL_SEGMENTS:
        for verb, path in (
            ("POST", f"course/{illegal}"),
            ("GET", f"assignments/{illegal}"),
            ("GET", f"assignment/course1/{illegal}"),
            ("GET", f"student/course1/{illegal}"),
            ("GET", f"submission/course1/challenge/{illegal}"),
        ):
            status, answer = raw(root, verb, path)
            assert (status, answer["success"]) == (400, False), path
            assert answer["message"], path
    assert root.ok("GET", "courses")["courses"] == ["course1", "course2"]


def test_bad_utf_8_in_a_path_is_400(course: Api) -> None:
    root = course.user("root")
    for wrong in NOT_UTF_8:
        for verb, path in (
            ("POST", f"course/{wrong}"),
            ("GET", f"assignment/course1/{wrong}"),
            ("DELETE", f"student/course1/{wrong}"),
        ):
            status, answer = raw(root, verb, path)
            assert (status, answer["success"]) == (400, False), path


def test_bad_utf_8_in_an_argument_is_400(course: Api) -> None:
    kevin, form = course.user("kevin"), {"Content-Type": "application/x-www-form-urlencoded"}
    kevin.submit("course1", "challenge", {})
    for wrong in NOT_UTF_8:
        for verb, path, body in (
            ("GET", f"submission/course1/challenge/kevin?timestamp={wrong}", ""),
            ("POST", "student/course1/zoe", f"first_name={wrong}&last_name=a&email=b"),
            ("POST", "students/course1", f"students={wrong}"),
            ("POST", "students/course1", f'students=[{{"username": "{wrong}"}}]'),
            ("POST", "submission/course1/challenge", f"files={wrong}"),
            ("POST", "submission/course1/challenge", f'files=[{{"path": "{wrong}"}}]'),
        ):
            response = kevin.call(verb, path, data=body, headers=form)
            assert (response.status_code, response.json()["success"]) == (400, False), body

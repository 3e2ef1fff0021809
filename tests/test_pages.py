"""What people see in a browser: the home page, the icon, the database page."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.api import Api, Caller, decode, encode, segment

DUMP = "initialize-Data6ase?action=dump"
COLUMNS = {
    "users": ["id"],
    "courses": ["_id", "id"],
    "assignments": ["_id", "id", "course_id", "released", "due"],
    "submissions": ["_id", "assignment_id", "timestamp", "student_id"],
    "files": ["_id", "filename", "checksum", "size", "actual_name"],
    "instructor_assoc_table": ["left_id", "right_id", "first_name", "last_name", "email"],
    "student_assoc_table": ["left_id", "right_id", "first_name", "last_name", "email"],
    "assignment_files_assoc_table": ["left_id", "right_id"],
    "submission_files_assoc_table": ["left_id", "right_id"],
    "feedback_files_assoc_table": ["left_id", "right_id"],
}


@pytest.fixture
def sample(serve: Callable[..., Api]) -> Api:
    """A stand-alone server with the sample data."""
    api = serve(stand_alone=True)
    answer = api.nobody.ok("GET", "initialize-Data6ase", action="init")
    assert answer == {"success": True, "message": "done"}
    return api


def page(caller: Caller, path: str) -> str:
    """The HTML that a browser gets."""
    response = caller.call("GET", path, headers={"Accept": "text/html"})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    return response.text


# ---- home page and icon ----


def test_the_home_page_names_the_callers_courses(course: Api) -> None:
    text = page(course.user("kevin"), "")
    assert "course1" in text
    assert "course2" not in text
    assert "course2" in page(course.user("root"), "")


def test_pages_are_for_those_who_are_logged_in(api: Api) -> None:
    api.nobody.fails(401, "Login required", "GET", "")
    response = api.nobody.call("GET", "", headers={"Accept": "text/html"})
    assert response.status_code == 302
    assert "/oauth2/authorize" in response.headers["Location"]
    assert api.user("stranger").call("GET", "").status_code == 200


def test_the_icon_is_an_image(api: Api) -> None:
    response = api.user("stranger").call("GET", "favicon.ico")
    assert response.headers["Content-Type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")


def test_a_course_named_like_a_script_is_harmless(api: Api) -> None:
    name = "<script>alert(1)</script>"
    api.user("root").ok("POST", f"course/{segment(name)}", instructors='["kevin"]')
    for text in (page(api.user("kevin"), ""), page(api.user("root"), "pages/database/courses")):
        assert "<script>" not in text
        assert html.escape(name) in text


# ---- the database as JSON ----


def test_an_admin_dumps_the_tables_of_the_old_schema(sample: Api) -> None:
    answer = sample.nobody.ok("GET", "initialize-Data6ase", action="dump", user="root")
    assert list(answer) == ["success", *COLUMNS]
    for table, columns in COLUMNS.items():
        assert answer[table], table
        assert all(list(row) == columns for row in answer[table]), table


def test_the_dump_shows_what_the_calls_show(course: Api) -> None:
    kevin, root = course.user("kevin"), course.user("root")
    timestamp = course.user("lawrence").submit("course1", "challenge", {"a": b"x"})
    fields = {"timestamp": timestamp, "files": encode({"f": b"y"})}
    kevin.ok("POST", "feedback/course1/challenge/lawrence", **fields)
    answer = root.ok("GET", "initialize-Data6ase", action="dump")
    names = {row["id"] for row in answer["users"]}
    assert names >= {"kevin", "abigail", "lawrence", "eric"}
    (assignment,) = answer["assignments"]
    (submission,) = answer["submissions"]
    courses = {row["_id"]: row["id"] for row in answer["courses"]}
    assert courses[assignment["course_id"]] == "course1"
    assert (assignment["id"], assignment["due"]) == ("challenge", None)
    assert assignment["released"] in (True, 1)
    assert submission["assignment_id"] == assignment["_id"]
    assert (submission["student_id"], submission["timestamp"]) == ("lawrence", timestamp)
    file_names = {row["_id"]: row["filename"] for row in answer["files"]}
    for table, owner, name in (
        ("assignment_files_assoc_table", assignment["_id"], "file2"),
        ("submission_files_assoc_table", submission["_id"], "a"),
        ("feedback_files_assoc_table", submission["_id"], "f"),
    ):
        (row,) = answer[table]
        assert (row["left_id"], file_names[row["right_id"]]) == (owner, name)
    students = [(row["left_id"], row["right_id"]) for row in answer["student_assoc_table"]]
    assert students == [("lawrence", "course1"), ("eric", "course1"), ("eric", "course2")]
    instructors = [(row["left_id"], row["right_id"]) for row in answer["instructor_assoc_table"]]
    assert instructors == [("kevin", "course1"), ("abigail", "course2")]


def test_the_dump_of_an_empty_database_has_all_tables(api: Api) -> None:
    answer = api.user("root").ok("GET", "initialize-Data6ase", action="dump")
    assert answer == {"success": True, **{table: [] for table in COLUMNS}}


# ---- who may ----


def test_only_admins_look_into_the_database(course: Api) -> None:
    course.nobody.fails(401, "Login required", "GET", DUMP)
    for name in ("kevin", "lawrence", "stranger"):
        for path in (DUMP, f"{DUMP}&human-readable=true", "initialize-Data6ase"):
            course.user(name).fails(403, "Debug mode is off", "GET", path)


@pytest.mark.parametrize("action", ["init", "clear"])
def test_nobody_fills_or_clears_the_database_of_a_site_in_use(course: Api, action: str) -> None:
    path = f"initialize-Data6ase?action={action}"
    course.nobody.fails(401, "Login required", "GET", path)
    for name in ("root", "kevin", "stranger"):
        course.user(name).fails(403, "Debug mode is off", "GET", path)
    assert course.user("root").ok("GET", "courses")["courses"] == ["course1", "course2"]


def test_in_debug_mode_everybody_logged_in_may_do_all(serve: Callable[..., Api]) -> None:
    api = serve(debug=True)
    stranger = api.user("stranger")
    for action in ("dump", "init", "clear"):
        path = f"initialize-Data6ase?action={action}"
        api.nobody.fails(401, "Login required", "GET", path)
        stranger.ok("GET", path)
    assert stranger.ok("GET", DUMP)["courses"] == []
    message = "action should be clear, init, or dump"
    for path in ("initialize-Data6ase", "initialize-Data6ase?action=drop"):
        stranger.fails(400, message, "GET", path)


def test_stand_alone_pages_are_shown_to_the_user_named_user(serve: Callable[..., Api]) -> None:
    api = serve(stand_alone=True)
    assert "user" in page(api.nobody, "")
    assert api.nobody.call("GET", "favicon.ico").status_code == 200
    assert api.nobody.ok("GET", DUMP)["users"] == []
    assert "lawrence" in page(api.nobody, "?user=lawrence")
    # Whatever the name is; the pages after the first know it from a cookie.
    for name in ("a b", "a;b", "Zoë €"):
        first = api.nobody.call("GET", "", params={"user": name}, headers={"Accept": "text/html"})
        assert first.status_code == 200
        cookies = {cookie.name: cookie.value or "" for cookie in first.cookies}
        later = api.nobody.call("GET", "", cookies=cookies, headers={"Accept": "text/html"})
        assert f">{name}</span>" in later.text
    refused = api.nobody.call("GET", "?user=%ff", headers={"Accept": "text/html"})
    assert refused.status_code == 400
    assert "The argument user is no UTF-8" in refused.text


# ---- sample data ----


def test_the_sample_data_is_what_the_manual_says(sample: Api) -> None:
    def ask(path: str, user: str, **fields: str) -> dict[str, Any]:
        return sample.nobody.ok("GET", path, user=user, **fields)

    def people(answer: dict[str, Any], role: str) -> list[str]:
        return [person["username"] for person in answer[role]]

    assert ask("courses", "root")["courses"] == ["course1", "course2"]
    assert people(ask("instructors/course1", "kevin"), "instructors") == ["kevin"]
    assert people(ask("students/course1", "kevin"), "students") == ["lawrence"]
    assert people(ask("instructors/course2", "abigail"), "instructors") == ["abigail"]
    assert people(ask("students/course2", "abigail"), "students") == ["eric"]
    assert ask("assignments/course1", "lawrence")["assignments"] == ["challenge"]
    assert ask("assignments/course2", "eric")["assignments"] == ["assignment2a", "assignment2b"]
    challenge = ask("assignment/course1/challenge", "lawrence")
    assert decode(challenge["files"]) == {"file2": b"22222"}
    assert decode(ask("assignment/course2/assignment2a", "eric")["files"]) == {"file0": b"00000"}

    listed = ask("submissions/course1/challenge", "kevin")["submissions"]
    assert [entry["student_id"] for entry in listed] == ["lawrence", "lawrence"]
    first, later = (entry["timestamp"] for entry in listed)
    assert first == "2020-01-01 00:00:00.000000 UTC"
    assert later > first
    path = "submission/course1/challenge/lawrence"
    assert decode(ask(path, "kevin", timestamp=first)["files"]) == {"file3": b"33333"}
    assert decode(ask(path, "kevin")["files"]) == {"file4": b"44444"}
    path = "feedback/course1/challenge/lawrence"
    assert decode(ask(path, "lawrence", timestamp=first)["files"]) == {"file5": b"55555"}
    assert ask(path, "lawrence", timestamp=later)["files"] == []


def test_clearing_wipes_everything_and_sample_data_can_be_filled_in_again(sample: Api) -> None:
    def do(action: str) -> dict[str, Any]:
        return sample.nobody.ok("GET", "initialize-Data6ase", action=action)

    assert do("clear") == {"success": True, "message": "done"}
    assert do("dump") == {"success": True, **{table: [] for table in COLUMNS}}
    assert do("init") == {"success": True, "message": "done"}
    assert len(do("dump")["courses"]) == 2


@pytest.mark.parametrize("deleted", [[], ["course1"], ["course1", "course2"]])
def test_sample_data_over_what_is_there_is_no_fault_of_the_server(
    sample: Api, deleted: list[str]
) -> None:
    for course_id in deleted:
        sample.nobody.ok("DELETE", f"course/{course_id}", user="root")
    response = sample.nobody.send("GET", "initialize-Data6ase", action="init")
    assert response.status_code in (200, 409)


# ---- errors, forms, files ----


def test_people_get_errors_as_pages_and_programs_as_json(api: Api) -> None:
    kevin = api.user("kevin")
    response = kevin.call("GET", "no/such/page", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "There is no such page" in response.text
    kevin.fails(404, "Not found", "GET", "no/such/page")


def test_files_with_their_version_in_the_url_are_kept_by_browsers(api: Api) -> None:
    kevin = api.user("kevin")
    links = re.findall(r'(?:href|src)="/services/ngshare/([^"]+\?v=[^"]+)"', page(kevin, ""))
    assert {link.partition("?")[0] for link in links} == {
        "jupyterhub.css",
        "ngshare.css",
        "ngshare.js",
    }
    for link in links:
        response = kevin.call("GET", link)
        assert "immutable" in response.headers["Cache-Control"]
        for other in (link.partition("?")[0], f"{link}0"):  # of this or of another release
            assert kevin.call("GET", other).headers["Cache-Control"] == "no-store"
    assert b"--bs-body-bg" in kevin.call("GET", "jupyterhub.css").content

"""Groups of the Hub that make instructors and students."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api import Api, encode, person
from tests.fake_hub import FakeHub


@pytest.fixture
def groups(hub: FakeHub) -> dict[str, list[str]]:
    hub.groups = {
        "ines": ["formgrade-course1", "other"],
        "stan": ["nbgrader-course1", "nbgrader-nowhere"],
        "both": ["nbgrader-course1", "formgrade-course1"],
        "kevin": ["nbgrader-course1"],
        "lawrence": ["formgrade-course2"],
    }
    return hub.groups


@pytest.fixture
def api(serve: Callable[..., Api], groups: dict[str, list[str]]) -> Api:
    """course1 of kevin with the student lawrence, and course2, on a site where groups count."""
    api = serve(course_groups=True, identity_cache_seconds=0)
    for course_id in ("course1", "course2"):
        api.user("root").ok("POST", f"course/{course_id}", instructors='["kevin"]')
    api.user("kevin").ok("POST", "student/course1/lawrence", **person("lawrence"))
    api.user("kevin").release("course1", "ps1", {"a": b"1"})
    return api


def roles(api: Api, name: str) -> dict[str, str]:
    answer = api.user(name).ok("GET", "courses", detail="true")
    found = {entry["course_id"]: entry["role"] for entry in answer["details"]}
    assert api.user(name).ok("GET", "courses")["courses"] == answer["courses"] == list(found)
    return found


def test_groups_and_the_roster_together_make_the_roles(api: Api) -> None:
    assert roles(api, "ines") == {"course1": "instructor"}
    assert roles(api, "stan") == {"course1": "student"}
    assert roles(api, "both") == {"course1": "instructor"}
    assert roles(api, "kevin") == {"course1": "instructor", "course2": "instructor"}
    assert roles(api, "lawrence") == {"course1": "student", "course2": "instructor"}
    assert roles(api, "mallory") == {}
    assert roles(api, "root") == {"course1": "admin", "course2": "admin"}


def test_an_instructor_by_group_may_do_what_instructors_may(api: Api) -> None:
    ines = api.user("ines")
    ines.ok("POST", "student/course1/new", **person("new"))
    ines.ok("PUT", "assignment/course1/ps1", files=encode({"a": b"2"}))
    api.user("lawrence").submit("course1", "ps1", {"a": b"work"})
    assert ines.files("submission/course1/ps1/lawrence") == {"a": b"work"}
    assert len(ines.ok("GET", "submissions")["submissions"]) == 1
    assert len(ines.ok("GET", "assignments")["assignments"]) == 1
    ines.fails(403, "Permission denied", "GET", "students/course2")
    ines.fails(403, "Permission denied", "DELETE", "course/course1")


def test_a_student_by_group_may_do_what_students_may(api: Api) -> None:
    stan = api.user("stan")
    assert stan.files("assignment/course1/ps1") == {"a": b"1"}
    timestamp = stan.submit("course1", "ps1", {"a": b"mine"})
    api.user("kevin").ok(
        "POST", "feedback/course1/ps1/stan", timestamp=timestamp, files=encode({"f": b"fine"})
    )
    assert stan.files("feedback/course1/ps1/stan", timestamp=timestamp) == {"f": b"fine"}
    assert len(stan.ok("GET", "assignments")["assignments"]) == 1
    stan.fails(403, "Permission denied", "GET", "students/course1")
    stan.fails(403, "Permission denied", "GET", "submission/course1/ps1/lawrence")


def test_who_leaves_the_group_keeps_his_own_work_alone(
    api: Api, groups: dict[str, list[str]]
) -> None:
    api.user("stan").submit("course1", "ps1", {"a": b"mine"})
    groups.clear()
    assert roles(api, "stan") == {}
    api.user("stan").fails(403, "Permission denied", "GET", "assignment/course1/ps1")
    assert len(api.user("stan").ok("GET", "submissions")["submissions"]) == 1
    assert api.user("kevin").files("submission/course1/ps1/stan") == {"a": b"mine"}


def test_groups_do_not_count_unless_the_configuration_says_so(
    api: Api, serve: Callable[..., Api]
) -> None:
    plain = serve(identity_cache_seconds=0)
    assert roles(plain, "ines") == {}
    plain.user("ines").fails(403, "Permission denied", "GET", "students/course1")


def test_a_service_is_in_no_group(api: Api, hub: FakeHub) -> None:
    hub.services = {"kevin"}
    assert roles(api, "kevin") == {}

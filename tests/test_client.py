"""NgShareClient and a real ngshare that are well."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ngshare.client import NgShareClient
from ngshare.errors import (
    Conflict,
    HubUnavailable,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)
from tests.api import Api, write_files
from tests.fake_hub import FakeHub

Connect = Callable[..., NgShareClient]

LONG = 300 << 10  # bytes of a file that is sent by itself


def test_one_learns_who_one_is_and_where(kevin: NgShareClient, root: NgShareClient) -> None:
    me = kevin.whoami()
    assert (me["username"], me["is_service"], me["is_admin"]) == ("kevin", False, False)
    assert root.whoami()["is_admin"]
    assert kevin.list_courses() == [{"course_id": "course1", "role": "instructor"}]
    assert root.list_courses() == [
        {"course_id": "course1", "role": "admin"},
        {"course_id": "course2", "role": "admin"},
    ]
    assert kevin.is_alive()


def test_a_url_needs_no_slash_at_its_end(course: Api, connect: Connect) -> None:
    client = connect(course.url.rstrip("/"), "kevin")
    assert client.url == course.url
    assert client.whoami()["username"] == "kevin"


def test_courses_are_created_and_deleted(root: NgShareClient, kevin: NgShareClient) -> None:
    root.create_course("new", ["kevin", "mia"])
    assert [each["username"] for each in root.list_instructors("new")] == ["kevin", "mia"]
    with pytest.raises(Conflict, match=r"^Course already exists$"):
        root.create_course("new")
    with pytest.raises(PermissionDenied, match=r"^Permission denied$"):
        kevin.delete_course("new")
    root.delete_course("new")
    with pytest.raises(NotFound, match=r"^Course not found$"):
        root.list_instructors("new")


def test_purging_a_course_erases_its_work_and_deleting_it_does_not(
    root: NgShareClient, kevin: NgShareClient, place: Path
) -> None:
    for purge, left in ((False, 1), (True, 0)):
        kevin.submit("course1", "challenge", {}) if left else None
        root.delete_course("course1", purge=purge)
        root.create_course("course1", ["kevin"])
        assert len(kevin.list_submissions("course1")) == left


def test_rosters_are_kept(root: NgShareClient, kevin: NgShareClient) -> None:
    root.add_instructor("course1", "mia", "Mia", "M", "mia@example.org")
    mia = {"username": "mia", "first_name": "Mia", "last_name": "M", "email": "mia@example.org"}
    assert kevin.get_instructor("course1", "mia") == mia
    assert kevin.list_instructors("course1")[1] == mia
    root.remove_instructor("course1", "mia")
    with pytest.raises(NotFound, match=r"^Instructor not found$"):
        kevin.get_instructor("course1", "mia")
    kevin.add_student("course1", "mia", "Mia", "M", "mia@example.org")
    assert kevin.get_student("course1", "mia") == mia
    assert kevin.list_students("course1")[-1] == mia
    kevin.remove_student("course1", "mia")
    with pytest.raises(NotFound, match=r"^Student not found$"):
        kevin.get_student("course1", "mia")


@pytest.mark.parametrize("name", ["a/b", "a b+c%2F", "Zoë&x=1", "#?;", "..a", "😀"])
def test_ids_of_all_kinds_reach_the_server_as_they_are(root: NgShareClient, name: str) -> None:
    root.create_course(name, [name])
    assert root.list_instructors(name)[0]["username"] == name
    root.add_student(name, "x" + name, "", "", "")
    assert [each["username"] for each in root.list_students(name)] == ["x" + name]
    assert root.list_submissions(name) == []


@pytest.mark.parametrize("name", ["", "..", ".", "a\nb"])
def test_ids_that_would_change_the_url_are_not_sent(root: NgShareClient, name: str) -> None:
    with pytest.raises(InvalidRequest, match="Illegal name"):
        root.delete_course(name)


def test_thousands_of_students_are_added_and_each_is_answered(kevin: NgShareClient) -> None:
    names = [f"student{number}" for number in range(1500)]
    names[1200] = "kevin"  # who is the instructor
    people = [dict.fromkeys(("first_name", "last_name", "email"), "") for _ in names]
    for person, name in zip(people, names, strict=True):
        person["username"] = name
    status = kevin.add_students("course1", people)
    assert [row["username"] for row in status] == names
    assert [row for row in status if not row["success"]] == [
        {"username": "kevin", "success": False, "message": "Cannot add instructor as student"}
    ]
    assert len(kevin.list_students("course1")) == 2 + 1499
    assert kevin.add_students("course1", []) == []


def test_lists_are_followed_to_their_end(
    kevin: NgShareClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngshare.handlers.listings.LONGEST_PART", 2)
    for name in "abcd":
        kevin.release_assignment("course1", name, {})
        kevin.submit("course1", name, {})
    assert [each["assignment_id"] for each in kevin.list_assignments()] == ["challenge", *"abcd"]
    assert [each["assignment_id"] for each in kevin.list_submissions()] == [*"abcd"]


def test_refusals_are_the_servers(
    serve: Callable[..., Api], connect: Connect, hub: FakeHub, place: Path
) -> None:
    api = serve(max_file_bytes=10, max_submissions_per_minute=1, identity_cache_seconds=0)
    root, nobody = connect(api.url, "root"), connect(api.url, "kevin", tries=1)
    root.create_course("course1", ["root"])
    for files in ({"a": b"more than ten"}, {"a": os.urandom(LONG)}):
        with pytest.raises(TooLarge, match="max_file_bytes = 10"):
            root.release_assignment("course1", "a", write_files(place, files))
    root.release_assignment("course1", "a", {})
    root.submit("course1", "a", {})
    with pytest.raises(TooManyRequests) as caught:
        root.submit("course1", "a", {})
    assert caught.value.retry_after_seconds == 60
    with pytest.raises(PermissionDenied, match=r"^Permission denied$"):
        nobody.list_students("course1")
    with pytest.raises(Unauthenticated, match=r"^Login required$"):
        NgShareClient(api.url, "no such token").whoami()
    hub.mode = "error"
    with pytest.raises(HubUnavailable, match="answered with an error") as ill:
        nobody.whoami()
    assert (ill.value.status, ill.value.retry_after_seconds) == (502, 5)


def test_a_stand_alone_server_believes_a_name(serve: Callable[..., Api]) -> None:
    api = serve(stand_alone=True)
    with NgShareClient(api.url, user="root") as root, NgShareClient(api.url, user="mia") as mia:
        root.create_course("course1", ["mia"])
        assert mia.whoami()["username"] == "mia"
        mia.release_assignment("course1", "a", {})
        assert [each["course_id"] for each in mia.list_assignments()] == ["course1"]

"""Submissions: submit, list, collect."""

from __future__ import annotations

from tests.api import Api


def test_a_submission_comes_back_byte_for_byte(course: Api) -> None:
    files = {"ps1.ipynb": b"{}", "data/ps1/x.csv": bytes(range(256)) * 99, "empty": b""}
    timestamp = course.user("lawrence").submit("course1", "challenge", files)
    answer = course.user("kevin").ok("GET", "submission/course1/challenge/lawrence")
    assert answer["timestamp"] == timestamp
    assert course.user("kevin").files("submission/course1/challenge/lawrence") == files

"""A whole nbgrader course, from its creation to the feedback, as people live it.

Everybody works with the real nbgrader and the published ngshare_exchange 0.5.3 through a real
Hub. That client ends with status 0 when the server refused, so these tests look at files, at the
API and at what was printed. The tests are the chapters of one story and run in their order.
"""

import base64
import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import pytest
import requests

from tests.integration.conftest import SITES, NewHub
from tests.integration.hub import ADMIN, SERVICE_TOKEN, Hub
from tests.integration.people import Person

pytestmark = pytest.mark.story

Result = TypeVar("Result")

COURSE = "Küche 101"
EXERCISE = "Übung 1"
NOTEBOOK = "Größe & Maß"
HISTORY = "history"
ESSAY = "essay"

GRACE_THE_SERVICE = "5e" * 32
"""The token of a service that has the same name as an instructor."""

QUESTION = "def square(x):\n    ### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION"
HIDDEN = "### BEGIN HIDDEN TESTS\nassert square(-2) == 4\n### END HIDDEN TESTS"
CHECK = f"assert square(3) == 9\n{HIDDEN}"
RIGHT = "def square(x):\n    return x * x"
WRONG = "def square(x):\n    return x + x"

EXTRA_FILES = {
    "data/every byte.bin": bytes(range(256)) * 40,
    "data/tief/er/Messung äöü 測定.csv": "Länge;長さ\n1;2\n".encode(),
    "empty.txt": b"",
    "windows.txt": b"one\r\ntwo\r\n",
    "50% off & more/#1?.txt": b"a + b = c",
    "🍳.txt": b"an egg",
}


@dataclass
class School:
    """The Hub and everybody at it."""

    hub: Hub
    admin: Person
    grace: Person
    """Teaches the cooking course."""
    oscar: Person
    """Teaches history."""
    alice: Person
    bob: Person
    zoe: Person
    eve: Person
    """Is in no course."""

    @property
    def students(self) -> list[Person]:
        return [self.alice, self.bob, self.zoe]


@pytest.fixture(scope="module", params=SITES, ids=str)
def school(
    request: pytest.FixtureRequest, new_hub: NewHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("homes")
    with new_hub(request.param, services={"grace": GRACE_THE_SERVICE}) as hub:
        yield School(
            hub,
            admin=Person.join(hub, ADMIN, folder),
            grace=Person.join(hub, "grace", folder, COURSE),
            oscar=Person.join(hub, "oscar", folder, HISTORY),
            alice=Person.join(hub, "alice", folder, COURSE),
            bob=Person.join(hub, "bob smith", folder, COURSE),
            zoe=Person.join(hub, "zoë@example.org", folder, COURSE),
            eve=Person.join(hub, "eve", folder, COURSE),
        )


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder: its relative path and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def content(answer: dict) -> dict[str, bytes]:
    """The files in an answer of the API: path and bytes, the checksums verified."""
    files = {file["path"]: base64.b64decode(file["content"]) for file in answer["files"]}
    checksums = {path: hashlib.md5(data).hexdigest() for path, data in files.items()}
    assert checksums == {file["path"]: file["checksum"] for file in answer["files"]}
    return files


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def at_once(*actions: Callable[[], Result]) -> list[Result]:
    """Do things at the same time, as people do; the results in the order of the actions."""
    with ThreadPoolExecutor() as pool:
        return [each.result() for each in [pool.submit(action) for action in actions]]


def cell(name: str, source: str, **nbgrader: object) -> dict:
    """A code cell as nbgrader's own editor makes it."""
    marks = {"grade_id": name, "schema_version": 3, "task": False, **nbgrader}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": {"nbgrader": marks},
        "outputs": [],
        "source": source,
    }


def exercise() -> bytes:
    """An instructor's notebook: one question, and one check that is worth two points."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    question = cell("question", QUESTION, grade=False, solution=True, locked=False)
    check = cell("check", CHECK, grade=True, solution=False, locked=True, points=2)
    notebook = {
        "cells": [question, check],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook).encode()


def answer_with(student: Person, solution: str) -> None:
    """The student solves the exercise in the notebook."""
    path = student.work / EXERCISE / f"{NOTEBOOK}.ipynb"
    notebook = json.loads(path.read_bytes())
    notebook["cells"][0]["source"] = solution
    path.write_text(json.dumps(notebook), encoding="utf-8")


def submissions_of(reader: Person, *student: str) -> list[tuple[str, str]]:
    """Who submitted the exercise, and when, in the order of the API."""
    submissions = reader.get("submissions", COURSE, EXERCISE, *student)["submissions"]
    return [(each["student_id"], each["timestamp"]) for each in submissions]


def everything(school: School) -> dict[str, object]:
    """All that the admin can see of both courses, to prove that nothing changed."""
    admin = school.admin
    seen: dict[str, object] = {"courses": admin.get("courses")["courses"]}
    for course in (COURSE, HISTORY):
        seen[f"{course}: people"] = [admin.get(who, course) for who in ("instructors", "students")]
        for assignment in admin.get("assignments", course)["assignments"]:
            released = admin.get("assignment", course, assignment)
            submissions = admin.get("submissions", course, assignment)["submissions"]
            seen[f"{course}/{assignment}"] = [content(released), submissions]
            for each in submissions:
                where, when = (course, assignment, each["student_id"]), each["timestamp"]
                for kind in ("submission", "feedback"):
                    found = admin.get(kind, *where, timestamp=when)
                    seen[f"{kind} {where} {when}"] = content(found)
    return seen


def test_admin_creates_the_courses_with_their_instructors(school: School) -> None:
    printed = at_once(
        lambda: school.admin.manage("create_course", COURSE, "grace"),
        lambda: school.admin.manage("create_course", HISTORY, "oscar"),
    )
    assert all("Successfully created" in each for each in printed)

    assert school.admin.get("courses")["courses"] == sorted([COURSE, HISTORY])
    assert school.grace.get("courses")["courses"] == [COURSE]
    assert school.oscar.get("courses")["courses"] == [HISTORY]
    assert school.alice.get("courses")["courses"] == []
    instructors = school.grace.get("instructors", COURSE)["instructors"]
    assert [each["username"] for each in instructors] == ["grace"]


def test_a_course_cannot_be_created_twice(school: School) -> None:
    assert "Course already exists" in school.admin.manage("create_course", COURSE, status=255)


def test_nobody_else_creates_a_course(school: School) -> None:
    printed = at_once(
        lambda: school.grace.manage("create_course", "mine", status=255),
        lambda: school.alice.manage("create_course", "mine", status=255),
    )
    assert all("Permission denied" in each for each in printed)
    assert school.admin.get("courses")["courses"] == sorted([COURSE, HISTORY])


def test_instructor_describes_herself(school: School) -> None:
    name = ["-f", "Grace", "-l", "Höpper", "-e", "grace@example.org"]
    school.grace.manage("add_instructor", COURSE, "grace", *name)

    assert school.grace.get("instructors", COURSE)["instructors"] == [
        {
            "username": "grace",
            "first_name": "Grace",
            "last_name": "Höpper",
            "email": "grace@example.org",
        }
    ]


def test_instructor_enters_the_students_from_a_csv_file_and_one_by_hand(school: School) -> None:
    table = "student_id,first_name,last_name,email\nalice,Alice,Ålund,alice@example.org\n"
    (school.grace.work / "roster.csv").write_text(table + "bob smith,Bob,,\n", encoding="utf-8")

    printed = school.grace.manage("add_students", COURSE, "roster.csv")
    assert "alice was successfully added" in printed
    assert "bob smith was successfully added" in printed
    zoe = ["-f", "Zoë", "-l", "李", "--no-gb"]
    school.grace.manage("add_student", COURSE, school.zoe.name, *zoe)

    people = school.grace.get("students", COURSE)["students"]
    assert [list(each.values())[:3] for each in people] == [
        ["alice", "Alice", "Ålund"],
        ["bob smith", "Bob", ""],
        ["zoë@example.org", "Zoë", "李"],
    ]
    assert people[0]["email"] == "alice@example.org"
    assert school.alice.get("courses")["courses"] == [COURSE]


def test_instructor_cannot_be_entered_as_a_student(school: School) -> None:
    refused = school.grace.manage("add_student", COURSE, "grace", "--no-gb", status=255)
    assert "Cannot add instructor as student" in refused


def test_instructor_releases_an_exercise_with_all_kinds_of_files(school: School) -> None:
    source = {f"{NOTEBOOK}.ipynb": exercise(), **EXTRA_FILES}
    write(school.grace.work / "source" / EXERCISE, source)

    school.grace.nbgrader("generate_assignment", EXERCISE)
    printed = school.grace.nbgrader("release_assignment", EXERCISE)
    assert f"Successfully released {EXERCISE}" in printed

    assert school.alice.get("assignments", COURSE)["assignments"] == [EXERCISE]
    released = content(school.alice.get("assignment", COURSE, EXERCISE))
    assert released == tree(school.grace.work / "release" / EXERCISE)
    assert {name: released[name] for name in EXTRA_FILES} == EXTRA_FILES
    assert b"raise NotImplementedError" in released[f"{NOTEBOOK}.ipynb"]
    assert b"x * x" not in released[f"{NOTEBOOK}.ipynb"]
    assert f"{COURSE} {EXERCISE}" in school.grace.nbgrader("list")


def test_releasing_again_without_force_changes_nothing(school: School) -> None:
    before = everything(school)
    refused = school.grace.nbgrader("release_assignment", EXERCISE, status=1)
    assert "Destination already exists, add --force to overwrite" in refused
    assert everything(school) == before


def test_students_find_and_fetch_it_byte_for_byte(school: School) -> None:
    assert f"{COURSE} {EXERCISE}" in school.alice.nbgrader("list")
    at_once(*[lambda s=s: s.nbgrader("fetch_assignment", EXERCISE) for s in school.students])

    released = tree(school.grace.work / "release" / EXERCISE)
    for student in school.students:
        assert tree(student.work / EXERCISE) == released, student.name
    assert f"{COURSE} {EXERCISE} (already downloaded)" in school.alice.nbgrader("list")


def test_a_file_that_a_student_lost_is_fetched_again(school: School) -> None:
    lost = school.alice.work / EXERCISE / "data" / "every byte.bin"
    mine = school.alice.work / EXERCISE / "empty.txt"
    lost.unlink()
    mine.write_bytes(b"not any more")

    school.alice.nbgrader("fetch_assignment", EXERCISE, "--replace")
    assert lost.read_bytes() == EXTRA_FILES["data/every byte.bin"]
    assert mine.read_bytes() == b"not any more"


def test_who_is_in_no_course_finds_and_fetches_nothing(school: School) -> None:
    assert EXERCISE not in school.eve.nbgrader("list", "--course", "*")
    attempt = school.eve.attempt("nbgrader", "fetch_assignment", EXERCISE)
    assert "Permission denied" in attempt.output
    assert not (school.eve.work / EXERCISE).exists()


def test_students_submit_their_work_at_the_same_time(school: School) -> None:
    answer_with(school.alice, WRONG)
    answer_with(school.bob, WRONG)
    answer_with(school.zoe, RIGHT)
    photo = {"Fotos/mein Bild.png": b"\x89PNG\r\n\x1a\n" + bytes(range(255, -1, -1)) * 2000}
    write(school.zoe.work / EXERCISE, photo)

    at_once(*[lambda s=s: s.nbgrader("submit", EXERCISE) for s in school.students])

    submissions = submissions_of(school.grace)
    assert sorted(name for name, _ in submissions) == sorted(s.name for s in school.students)
    for student in school.students:
        [(name, timestamp)] = submissions_of(student, student.name)
        assert (name, timestamp) in submissions
        assert timestamp.endswith(" UTC")
        handed_in = school.grace.get("submission", COURSE, EXERCISE, student.name)
        assert handed_in["timestamp"] == timestamp
        assert content(handed_in) == tree(student.work / EXERCISE)
        cache = student.home / ".local/share/jupyter/nbgrader_cache" / COURSE
        assert [path.name for path in cache.iterdir()] == [f"{name}+{EXERCISE}+{timestamp}"]


def test_instructor_collects_byte_for_byte(school: School) -> None:
    school.grace.nbgrader("collect", EXERCISE)

    for student in school.students:
        [(_, timestamp)] = submissions_of(school.grace, student.name)
        collected = tree(school.grace.work / "submitted" / student.name / EXERCISE)
        assert collected.pop("timestamp.txt").decode() == timestamp
        assert collected == tree(student.work / EXERCISE), student.name


def test_a_later_submission_is_collected_only_with_update(school: School) -> None:
    answer_with(school.alice, RIGHT)
    (school.alice.work / EXERCISE / "🍳.txt").unlink()
    school.alice.nbgrader("submit", EXERCISE)
    [(_, first), (_, second)] = submissions_of(school.alice, "alice")
    assert first < second
    collected = school.grace.work / "submitted" / "alice" / EXERCISE

    school.grace.nbgrader("collect", EXERCISE)
    assert (collected / "timestamp.txt").read_text() == first

    printed = school.grace.nbgrader("collect", EXERCISE, "--update")
    assert printed.count("Updating submission") == 1
    assert (collected / "timestamp.txt").read_text() == second
    files = tree(collected)
    del files["timestamp.txt"]
    assert files == tree(school.alice.work / EXERCISE)


def test_the_first_submission_is_still_there(school: School) -> None:
    [(_, first), (_, second)] = submissions_of(school.grace, "alice")
    old, new = (
        content(school.grace.get("submission", COURSE, EXERCISE, "alice", timestamp=when))
        for when in (first, second)
    )
    assert old.pop("🍳.txt") == b"an egg"
    assert old.pop(f"{NOTEBOOK}.ipynb") != new.pop(f"{NOTEBOOK}.ipynb")
    assert old == new


def test_work_is_graded_automatically(school: School) -> None:
    school.grace.nbgrader("autograde", EXERCISE)
    school.grace.nbgrader("export", "--to", "grades.csv")

    with (school.grace.work / "grades.csv").open(encoding="utf-8", newline="") as table:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(table)}
    assert scores == {"alice": 2, "bob smith": 0, "zoë@example.org": 2}


def test_instructor_releases_the_feedback(school: School) -> None:
    assert "(no feedback available)" in school.alice.nbgrader("list", "--cached")
    school.grace.nbgrader("generate_feedback", EXERCISE)
    printed = school.grace.nbgrader("release_feedback", EXERCISE)
    assert printed.count("Feedback released.") == 3

    for student in school.students:
        page = school.grace.work / "feedback" / student.name / EXERCISE / f"{NOTEBOOK}.html"
        *_, (_, timestamp) = submissions_of(student, student.name)
        feedback = student.get(
            "feedback", COURSE, EXERCISE, student.name, timestamp=timestamp, list_only="false"
        )
        assert content(feedback) == {f"{NOTEBOOK}.html": page.read_bytes()}
        assert feedback["timestamp"] == timestamp
    [(_, first), _] = submissions_of(school.alice, "alice")
    feedback = school.alice.get("feedback", COURSE, EXERCISE, "alice", timestamp=first)
    assert feedback["files"] == []


def test_students_see_and_fetch_their_feedback(school: School) -> None:
    def fetch(student: Person) -> None:
        *earlier, (name, timestamp) = submissions_of(student, student.name)
        line = f"{COURSE} {name} {EXERCISE} {timestamp}"
        assert f"{line} (feedback ready to be fetched)" in student.nbgrader("list", "--cached")

        student.nbgrader("fetch_feedback", EXERCISE)
        fetched = tree(student.work / EXERCISE / "feedback")
        page = school.grace.work / "feedback" / name / EXERCISE / f"{NOTEBOOK}.html"
        assert fetched == {f"{timestamp}/{NOTEBOOK}.html": page.read_bytes()}

        printed = student.nbgrader("list", "--cached")
        assert f"{line} (feedback already fetched)" in printed
        for _, when in earlier:
            assert f"{EXERCISE} {when} (no feedback available)" in printed

    at_once(*[lambda s=s: fetch(s) for s in school.students])


def test_instructor_lists_all_that_was_submitted(school: School) -> None:
    printed = school.grace.nbgrader("list", "--inbound")
    submissions = submissions_of(school.grace)
    assert len(submissions) == 4
    for name, timestamp in submissions:
        assert f"{COURSE} {name} {EXERCISE} {timestamp} " in printed
    assert printed.count("(feedback ready to be fetched)") == 3
    assert printed.count("(no feedback available)") == 1


def test_the_second_course_goes_its_own_way(school: School) -> None:
    school.oscar.manage("add_student", HISTORY, school.bob.name, "--no-gb")
    essay = {"essay.ipynb": exercise(), "sources/Quelle.txt": b"long ago"}
    write(school.oscar.work / "release" / ESSAY, essay)
    school.oscar.nbgrader("release_assignment", ESSAY)

    listed = school.bob.nbgrader("list", "--course", "*")
    assert f"{COURSE} {EXERCISE} (already downloaded)" in listed
    assert f"{HISTORY} {ESSAY}" in listed
    school.bob.nbgrader("fetch_assignment", ESSAY, "--course", HISTORY)
    assert tree(school.bob.work / ESSAY) == essay
    school.bob.nbgrader("submit", ESSAY, "--course", HISTORY)
    school.oscar.nbgrader("collect", ESSAY)
    collected = tree(school.oscar.work / "submitted" / school.bob.name / ESSAY)
    assert collected.pop("timestamp.txt")
    assert collected == essay

    assert school.bob.get("courses")["courses"] == sorted([COURSE, HISTORY])
    assert ESSAY not in school.alice.nbgrader("list", "--course", "*")


def test_students_do_not_get_at_more_with_the_commands(school: School) -> None:
    alice, before = school.alice, everything(school)
    write(alice.work / "release" / "Übung 2", {"a.ipynb": exercise()})
    write(alice.work / ESSAY, {"essay.ipynb": exercise()})
    write(alice.work / "feedback" / "bob smith" / EXERCISE, {f"{NOTEBOOK}.html": b"A+"})
    [(_, bobs)] = submissions_of(school.grace, "bob smith")
    timestamp = alice.work / "feedback" / "bob smith" / EXERCISE / "timestamp.txt"
    timestamp.write_text(bobs, encoding="utf-8")

    attempts = [
        ("nbgrader", "release_assignment", "Übung 2"),
        ("nbgrader", "list", "--remove"),
        ("nbgrader", "list", "--inbound"),
        ("nbgrader", "collect", EXERCISE),
        ("nbgrader", "release_feedback", EXERCISE),
        ("nbgrader", "fetch_assignment", "other", "--course", HISTORY),
        ("nbgrader", "submit", ESSAY, "--course", HISTORY),
        ("ngshare-course-management", "add_student", COURSE, "eve", "--no-gb"),
        ("ngshare-course-management", "add_instructor", COURSE, "alice"),
        ("ngshare-course-management", "remove_students", COURSE, "bob smith", "--no-gb"),
    ]
    outcomes = at_once(*[lambda a=attempt: alice.attempt(*a) for attempt in attempts])
    for attempt, outcome in zip(attempts, outcomes, strict=True):
        assert "Permission denied" in outcome.output, attempt

    assert everything(school) == before
    assert not (alice.work / "submitted").exists()
    assert not (alice.work / "other").exists() or not tree(alice.work / "other")


def test_students_do_not_get_at_more_with_requests_of_their_own(school: School) -> None:
    before = everything(school)
    [(_, bobs)] = submissions_of(school.grace, "bob smith")
    exercise = (COURSE, EXERCISE)
    bobs_work = (*exercise, "bob smith")
    files = json.dumps([{"path": "a", "content": "YQ=="}])
    people = json.dumps([{"username": "eve", "first_name": "", "last_name": "", "email": ""}])
    name = {"first_name": "", "last_name": "", "email": ""}

    for method, path, form in [
        ("GET", ("students", COURSE), None),
        ("GET", ("student", COURSE, "bob smith"), None),
        ("GET", ("submissions", *exercise), None),
        ("GET", ("submissions", *bobs_work), None),
        ("GET", ("submission", *bobs_work), None),
        ("GET", ("feedback", *bobs_work), {"timestamp": bobs}),
        ("POST", ("course", "mine"), {"instructors": '["alice"]'}),
        ("POST", ("instructor", COURSE, "alice"), name),
        ("POST", ("student", COURSE, "eve"), name),
        ("POST", ("students", COURSE), {"students": people}),
        ("POST", ("assignment", COURSE, "Übung 2"), {"files": files}),
        ("POST", ("feedback", *bobs_work), {"timestamp": bobs, "files": files}),
        ("DELETE", ("assignment", *exercise), None),
        ("DELETE", ("student", COURSE, "bob smith"), None),
        ("DELETE", ("instructor", COURSE, "grace"), None),
        ("DELETE", ("course", COURSE), None),
        ("GET", ("assignments", HISTORY), None),
        ("GET", ("assignment", HISTORY, ESSAY), None),
        ("GET", ("instructors", HISTORY), None),
        ("GET", ("submission", HISTORY, ESSAY, "bob smith"), None),
        ("POST", ("submission", HISTORY, ESSAY), {"files": files}),
        ("GET", ("initialize-Data6ase",), {"action": "dump"}),
    ]:
        query, body = (form, None) if method == "GET" else (None, form)
        believe_me = {"user": "grace", **(body or {})}
        answer = school.alice.call(method, *path, query=query, form=believe_me)
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
        assert answer.json()["success"] is False

    assert everything(school) == before


def test_instructor_of_one_course_is_nobody_in_the_other(school: School) -> None:
    before = everything(school)
    files = {"files": json.dumps([{"path": "a", "content": "YQ=="}])}
    for method, path, form in [
        ("GET", ("students", COURSE), None),
        ("GET", ("submission", COURSE, EXERCISE, "bob smith"), None),
        ("POST", ("assignment", COURSE, "Übung 2"), files),
        ("POST", ("submission", COURSE, EXERCISE), files),
        ("DELETE", ("assignment", COURSE, EXERCISE), None),
        ("DELETE", ("course", COURSE), None),
        ("DELETE", ("course", HISTORY), None),
    ]:
        answer = school.oscar.call(method, *path, form=form)
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
    assert everything(school) == before


def test_students_read_their_own_work_and_nobody_elses(school: School) -> None:
    mine = school.bob.get("submission", COURSE, EXERCISE, "bob smith")
    assert content(mine) == content(school.grace.get("submission", COURSE, EXERCISE, "bob smith"))
    assert school.zoe.call("GET", "submission", COURSE, EXERCISE, "bob smith").status_code == 403


def test_releasing_with_force_keeps_the_submissions_and_the_feedback(school: School) -> None:
    before = everything(school)
    write(school.grace.work / "source" / EXERCISE, {"hint.txt": b"think"})
    school.grace.nbgrader("generate_assignment", EXERCISE, "--force")
    school.grace.nbgrader("release_assignment", EXERCISE, "--force")

    after = everything(school)
    files, submissions = after.pop(f"{COURSE}/{EXERCISE}")
    assert files["hint.txt"] == b"think"
    assert files == tree(school.grace.work / "release" / EXERCISE)
    assert submissions == before.pop(f"{COURSE}/{EXERCISE}")[1]
    assert len(submissions) == 4
    assert after == before

    school.bob.nbgrader("fetch_assignment", EXERCISE, "--replace")
    assert (school.bob.work / EXERCISE / "hint.txt").read_bytes() == b"think"


def test_what_is_unreleased_is_gone_and_comes_back_with_its_submissions(school: School) -> None:
    before = everything(school)
    [(_, bobs)] = submissions_of(school.bob, "bob smith")
    school.grace.nbgrader("list", "--remove", "--assignment", EXERCISE)

    assert school.grace.get("assignments", COURSE)["assignments"] == []
    for reader, path in [
        (school.grace, ("assignment", COURSE, EXERCISE)),
        (school.grace, ("submissions", COURSE, EXERCISE)),
        (school.bob, ("submission", COURSE, EXERCISE, "bob smith")),
        (school.bob, ("feedback", COURSE, EXERCISE, "bob smith")),
    ]:
        answer = reader.call("GET", *path, query={"timestamp": bobs})
        assert answer.status_code == 404, f"{path}: {answer.text}"
        assert answer.json()["message"] == "Assignment not found"
    assert "Failed to submit" in school.bob.nbgrader("submit", EXERCISE)

    school.grace.nbgrader("release_assignment", EXERCISE)
    assert everything(school) == before


def test_work_of_a_student_who_left_stays_with_the_instructors(school: School) -> None:
    zoe, mine = school.zoe.name, (COURSE, EXERCISE, school.zoe.name)
    work = content(school.grace.get("submission", *mine))
    school.grace.manage("remove_students", COURSE, zoe, "--no-gb")

    assert school.zoe.get("courses")["courses"] == []
    assert school.zoe.call("GET", "assignments", COURSE).status_code == 403
    assert school.zoe.call("GET", "assignment", COURSE, EXERCISE).status_code == 403
    assert school.zoe.call("POST", "submission", COURSE, EXERCISE).status_code == 403
    assert "Failed to submit" in school.zoe.nbgrader("submit", EXERCISE)
    assert zoe in [name for name, _ in submissions_of(school.grace)]
    assert content(school.grace.get("submission", *mine)) == work


def test_unknown_tokens_are_told_to_log_in(school: School) -> None:
    for headers in ({}, {"Authorization": "token nonsense"}, {"Authorization": "Bearer nonsense"}):
        answer = requests.get(f"{school.hub.ngshare_url}/courses", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.json()["success"] is False
        assert answer.json()["message"] == "Login required"
        assert answer.headers["Content-Type"].startswith("application/json")


def test_a_service_gets_nothing_even_if_its_name_is_an_instructors(school: School) -> None:
    before = everything(school)
    headers = {"Authorization": f"token {GRACE_THE_SERVICE}"}
    url, course = school.hub.ngshare_url, quote(COURSE)
    courses = requests.get(f"{url}/courses", headers=headers, timeout=10)
    assert courses.json() == {"success": True, "courses": []}

    for method, path in [
        ("GET", f"assignments/{course}"),
        ("GET", f"students/{course}"),
        ("GET", f"submission/{course}/{quote(EXERCISE)}/alice"),
        ("POST", f"submission/{course}/{quote(EXERCISE)}"),
        ("DELETE", f"assignment/{course}/{quote(EXERCISE)}"),
        ("POST", "course/mine"),
    ]:
        answer = requests.request(method, f"{url}/{path}", headers=headers, timeout=10)
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
    assert everything(school) == before


def test_the_log_names_the_callers_and_no_secrets(school: School) -> None:
    log = school.hub.ngshare_log()
    assert "alice" in log
    assert "Traceback" not in log
    everybody = [school.admin, school.grace, school.oscar, *school.students, school.eve]
    for secret in [*(person.token for person in everybody), GRACE_THE_SERVICE, SERVICE_TOKEN]:
        assert secret not in log

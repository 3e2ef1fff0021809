"""`nbgrader release_feedback` and `nbgrader fetch_feedback`."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from ngshare.exchange import configure_exchange
from tests.exchange.people import COURSE, PS1, Person, School, tree
from tests.neighbours import Proxy


def graded(school: School, student: str, timestamp: str, **pages: bytes) -> Path:
    """What generate_feedback writes for a collected submission."""
    files = {f"{name}.html": page for name, page in pages.items()}
    folder = f"feedback/{student}/ps1"
    return school.grace.write(folder, {"timestamp.txt": timestamp.encode(), **files})


def released(school: School, student: str, timestamp: str) -> dict[str, bytes]:
    return school.grace.api.files(f"feedback/{COURSE}/ps1/{student}", timestamp=timestamp)


def fetched(someone: Person) -> dict[str, bytes]:
    return tree(someone.work / "ps1" / "feedback")


def api_of(someone: Person) -> NbGraderAPI:
    config = Config()
    configure_exchange(config, someone.url)
    config.CourseDirectory.course_id = COURSE
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def test_each_students_pages_are_released_for_the_submission_they_are_about(
    school: School,
) -> None:
    school.release()
    first = school.submit("alice", PS1)
    school.submit("alice", PS1)
    bobs = school.submit("bob", PS1)
    graded(school, "alice", first, p1=b"for alice", p2=b"more")
    graded(school, "bob", bobs, p1=b"for bob")
    output = school.grace.nbgrader("release_feedback", "ps1")
    assert f"Feedback released: phys101 alice ps1 {first}" in output
    assert released(school, "alice", first) == {"p1.html": b"for alice", "p2.html": b"more"}
    assert released(school, "bob", bobs) == {"p1.html": b"for bob"}


def test_released_feedback_is_replaced_as_a_whole(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    folder = graded(school, "alice", timestamp, p1=b"one", p2=b"two")
    school.grace.nbgrader("release_feedback", "ps1")
    (folder / "p2.html").unlink()
    graded(school, "alice", timestamp, p1=b"better")
    school.grace.nbgrader("release_feedback", "ps1")
    assert released(school, "alice", timestamp) == {"p1.html": b"better"}


def test_only_pages_are_released(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    graded(school, "alice", timestamp, p1=b"one")
    school.grace.write("feedback/alice/ps1", {"secret.txt": b"grades", "data/x.html": b""})
    school.grace.nbgrader("release_feedback", "ps1")
    assert released(school, "alice", timestamp) == {"p1.html": b"one"}


def test_students_are_chosen_by_name_or_pattern_and_excluded_by_name(school: School) -> None:
    school.release()
    times = {student: school.submit(student, PS1) for student in ("alice", "bob")}
    for student, timestamp in times.items():
        graded(school, student, timestamp, p1=b"one")
    school.grace.nbgrader("release_feedback", "ps1", "--CourseDirectory.student_id_exclude=x,bob")
    assert released(school, "bob", times["bob"]) == {}
    assert released(school, "alice", times["alice"])
    school.grace.nbgrader("release_feedback", "ps1", "--student=b*")
    assert released(school, "bob", times["bob"])


def test_one_students_broken_feedback_does_not_stop_the_rest(school: School) -> None:
    school.release()
    alices = school.submit("alice", PS1)
    graded(school, "alice", alices, p1=b"one")
    graded(school, "bob", "2020-01-30 10:30:47.524219 UTC", p1=b"for no submission")
    (graded(school, "carol", "", p1=b"one") / "timestamp.txt").unlink()
    output = school.grace.nbgrader("release_feedback", "ps1", status=1)
    assert "Feedback for these students could not be released: bob, carol" in output
    assert "carol: " in output
    assert "does not say which submission this feedback is about" in output
    assert released(school, "alice", alices)


def test_a_time_may_be_written_as_nbgrader_reads_it(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    graded(school, "alice", f" {timestamp.removesuffix(' UTC')}\n", p1=b"one")
    school.grace.nbgrader("release_feedback", "ps1")
    assert released(school, "alice", timestamp)


def test_no_feedback_to_release_is_a_failure_with_a_hint(school: School) -> None:
    school.release()
    graded(school, "alice", "", p1=b"one")
    output = school.grace.nbgrader("release_feedback", "ps2", status=1)
    assert "run `nbgrader generate_feedback ps2` first" in output
    assert 'Did you mean "ps1"?' in output


def test_students_cannot_release_feedback(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    school.alice.write(
        "feedback/alice/ps1", {"timestamp.txt": timestamp.encode(), "p1.html": b"A+"}
    )
    output = school.alice.nbgrader("release_feedback", "ps1", status=1)
    assert "you are no instructor" in output
    assert released(school, "alice", timestamp) == {}


def test_formgrader_releases_the_feedback_of_one_student_and_of_all(school: School) -> None:
    school.release()
    times = {student: school.submit(student, PS1) for student in ("alice", "bob")}
    for student, timestamp in times.items():
        graded(school, student, timestamp, p1=b"one")
    with school.grace.at_work():
        api = api_of(school.grace)
        assert api.release_feedback("ps1", "alice")["success"]
        assert released(school, "alice", times["alice"])
        assert not released(school, "bob", times["bob"])
        assert api.release_feedback("ps1")["success"]
    assert released(school, "bob", times["bob"])


def test_feedback_on_every_submission_arrives_under_its_time(school: School) -> None:
    school.release()
    times = [school.submit("alice", PS1) for _ in range(3)]
    for timestamp in times[:2]:
        school.release_feedback("alice", timestamp, {"p1.html": timestamp.encode()})
    school.release_feedback("bob", school.submit("bob", PS1), {"p1.html": b"bob's"})
    output = school.alice.nbgrader("fetch_feedback", "ps1")
    assert fetched(school.alice) == {f"{each}/p1.html": each.encode() for each in times[:2]}
    folders = {path.name for path in (school.alice.work / "ps1" / "feedback").iterdir()}
    assert folders == set(times[:2])
    assert output.count("Fetched feedback: ") == 2


def test_instructors_get_the_feedback_on_their_own_trials_alone(school: School) -> None:
    school.release()
    for student in ("alice", "grace"):
        timestamp = school.submit(student, PS1)
        school.release_feedback(student, timestamp, {"p1.html": student.encode()})
    school.grace.nbgrader("fetch_feedback", "ps1")
    assert fetched(school.grace) == {f"{timestamp}/p1.html": b"grace"}


def test_another_computer_with_an_empty_cache_gets_it_too(school: School) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.nbgrader("submit", "ps1")
    [submission] = school.grace.api.ok("GET", f"submissions/{COURSE}/ps1")["submissions"]
    school.release_feedback("alice", submission["timestamp"], {"p1.html": b"good"})
    elsewhere = school.join("alice", "elsewhere")
    elsewhere.nbgrader("fetch_feedback", "ps1")
    assert fetched(elsewhere) == {f"{submission['timestamp']}/p1.html": b"good"}


def test_what_is_here_is_not_fetched_again_and_what_changed_is(
    school: School, proxy: Proxy
) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    school.release_feedback("alice", timestamp, {"p1.html": b"one", "p2.html": b"two"})
    alice = school.join("alice", "elsewhere", proxy.url)
    alice.nbgrader("fetch_feedback", "ps1")
    alice.write(f"ps1/feedback/{timestamp}", {"notes.txt": b"my notes"})
    proxy.calls.clear()
    assert "Feedback is here already" in alice.nbgrader("fetch_feedback", "ps1")
    assert not [call for call in proxy.calls if call.startswith("GET feedback/")]
    school.grace.write(
        "feedback/alice/ps1", {"timestamp.txt": timestamp.encode(), "p1.html": b"better"}
    )
    school.grace.nbgrader("release_feedback", "ps1")
    alice.nbgrader("fetch_feedback", "ps1")
    expected = {f"{timestamp}/p1.html": b"better", f"{timestamp}/notes.txt": b"my notes"}
    assert fetched(alice) == expected


def test_no_feedback_yet_is_said_and_makes_no_folder(school: School) -> None:
    school.release()
    school.submit("alice", PS1)
    output = school.alice.nbgrader("fetch_feedback", "ps1")
    assert "There is no feedback on phys101 ps1 yet" in output
    assert not (school.alice.work / "ps1").exists()


def test_feedback_without_pages_makes_no_folder(school: School) -> None:
    school.release()
    school.release_feedback("alice", school.submit("alice", PS1), {})
    output = school.alice.nbgrader("fetch_feedback", "ps1")
    assert "There is no feedback on phys101 ps1 yet" in output
    assert not (school.alice.work / "ps1").exists()


def test_several_assignments_are_asked_for_though_one_is_misspelt(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    school.release_feedback("alice", timestamp, {"p1.html": b"one"})
    output = school.alice.nbgrader("fetch_feedback", "ps2", "ps1", status=1)
    assert 'Did you mean "ps1"?' in output
    assert fetched(school.alice)


@pytest.mark.usefixtures("impatient")
def test_part_of_the_feedback_arrives_though_the_rest_breaks_off(
    school: School, proxy: Proxy
) -> None:
    school.release()
    times = [school.submit("alice", PS1) for _ in range(2)]
    for timestamp, size in zip(times, (10, 300_000), strict=True):
        school.release_feedback("alice", timestamp, {"p1.html": bytes(size)})
    alice = school.join("alice", "elsewhere", proxy.url)
    proxy.cut_answers_after(*[100_000] * 9, to="GET feedback/")
    output = alice.nbgrader("fetch_feedback", "ps1", status=1)
    assert f"Feedback on these submissions could not be fetched: {times[1]}" in output
    assert fetched(alice) == {f"{times[0]}/p1.html": bytes(10)}
    assert [path.name for path in (alice.work / "ps1/feedback").iterdir()] == [times[0]]


def test_folders_may_be_named_after_courses(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    school.release_feedback("alice", timestamp, {"p1.html": b"one"})
    school.alice.configure("c.Exchange.path_includes_course = True")
    school.alice.nbgrader("fetch_feedback", "ps1")
    assert tree(school.alice.work / COURSE) == {f"ps1/feedback/{timestamp}/p1.html": b"one"}


def test_nbgraders_api_fetches_feedback_and_lists_what_was_submitted(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    school.release_feedback("alice", timestamp, {"p1.html": b"one"})
    with school.alice.at_work():
        result = api_of(school.alice).fetch_feedback("ps1", "alice")
    assert result["success"], result
    assert [each["assignment_id"] for each in result["value"]] == ["ps1"]
    assert result["value"][0]["submissions"][0]["has_local_feedback"]


def test_the_whole_way_with_a_notebook_that_is_really_graded(school: School) -> None:
    school.grace.nbgrader("quickstart", "course")  # nbgrader's own example course
    source = school.grace.work / "course" / "source" / "ps1"
    school.grace.write("source/ps1", tree(source))
    school.grace.nbgrader("generate_assignment", "ps1")
    school.grace.nbgrader("release_assignment", "ps1")
    school.alice.nbgrader("fetch_assignment", "ps1")
    school.alice.nbgrader("submit", "ps1")
    school.grace.nbgrader("collect", "ps1")
    school.grace.nbgrader("autograde", "ps1", "--create")
    school.grace.nbgrader("generate_feedback", "ps1")
    school.grace.nbgrader("release_feedback", "ps1")
    school.alice.nbgrader("fetch_feedback", "ps1")
    pages = fetched(school.alice)
    assert {Path(name).name for name in pages} == {"problem1.html", "problem2.html"}
    assert all(b"<html" in page for page in pages.values())
    assert "(feedback already fetched)" in school.alice.nbgrader("list", "--cached")


def test_a_terminal_shows_progress_and_every_line_of_the_log(school: School) -> None:
    school.release()
    times = {student: school.submit(student, PS1) for student in ("alice", "bob")}
    for student, timestamp in times.items():
        graded(school, student, timestamp, p1=b"one")
    command = [sys.executable, "-m", "nbgrader", "release_feedback", "ps1"]
    terminal, end = pty.openpty()
    environment = {**school.grace.environment(), "TERM": "xterm", "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=school.grace.work, env=environment, stdout=end, stderr=end, stdin=end
    )
    os.close(end)
    output = read_all(terminal)
    assert done.returncode == 0, output
    assert "100%" in output
    lines = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|\(B)", "", output).splitlines()
    for student, timestamp in times.items():
        line = f"Feedback released: phys101 {student} ps1 {timestamp}"
        assert f"[ReleaseFeedbackApp | INFO] {line}" in lines


def read_all(terminal: int) -> str:
    """What was written to a terminal that is closed at its other end."""
    output = b""
    with suppress(OSError):  # which is how Linux tells the end
        while block := os.read(terminal, 65536):
            output += block
    os.close(terminal)
    return output.decode()

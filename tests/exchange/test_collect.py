"""`nbgrader collect`."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.exchange.people import COURSE, PS1, School, tree
from tests.neighbours import Proxy


def collected(school: School, student: str = "alice") -> dict[str, bytes]:
    return school.grace.files(f"submitted/{student}/ps1")


def with_time(files: dict[str, bytes], timestamp: str) -> dict[str, bytes]:
    return {**files, "timestamp.txt": timestamp.encode()}


def hidden(folder: Path) -> list[Path]:
    """Temporary folders that were left behind."""
    return list(folder.rglob(".ngshare-*"))


def test_the_latest_submission_of_each_student_is_collected_with_its_time(school: School) -> None:
    school.release()
    school.submit("alice", {"p1.ipynb": b"first"})
    second = school.submit("alice", {"p1.ipynb": b"second", "data/ps1/x.csv": b"1"})
    bobs = school.submit("bob", PS1)
    output = school.grace.nbgrader("collect", "ps1")
    assert "Processing 2 submissions of 'ps1' for course 'phys101'" in output
    assert "Collecting submission: alice ps1" in output
    assert collected(school) == with_time({"p1.ipynb": b"second", "data/ps1/x.csv": b"1"}, second)
    assert collected(school, "bob") == with_time(PS1, bobs)
    assert hidden(school.grace.work) == []


def test_nothing_to_collect_is_said_and_no_failure(school: School) -> None:
    school.release()
    output = school.grace.nbgrader("collect", "ps1")
    assert "No submissions of 'ps1' for course 'phys101' to collect" in output
    assert not (school.grace.work / "submitted").exists()


def test_a_misspelt_assignment_is_a_failure_with_a_hint(school: School) -> None:
    school.release()
    assert 'Did you mean "ps1"?' in school.grace.nbgrader("collect", "ps2", status=1)


def test_a_collected_submission_is_replaced_on_update_alone(school: School) -> None:
    school.release()
    first = school.submit("alice", {"p1.ipynb": b"first", "old.txt": b"old"})
    school.grace.nbgrader("collect", "ps1")
    second = school.submit("alice", {"p1.ipynb": b"second"})
    output = school.grace.nbgrader("collect", "ps1")
    assert "Submission already exists, use --update to update: alice ps1" in output
    assert collected(school) == with_time({"p1.ipynb": b"first", "old.txt": b"old"}, first)
    output = school.grace.nbgrader("collect", "ps1", "--update")
    assert "Updating submission: alice ps1" in output
    assert collected(school) == with_time({"p1.ipynb": b"second"}, second)


def test_a_submission_of_the_same_time_stays_with_the_graders_changes(
    school: School, proxy: Proxy
) -> None:
    school.release()
    school.submit("alice", PS1)
    grace = school.join("grace", "office", proxy.url)
    grace.nbgrader("collect", "ps1")
    grace.write("submitted/alice/ps1", {"p1.ipynb": b"repaired by hand"})
    proxy.calls.clear()
    output = grace.nbgrader("collect", "ps1", "--update")
    assert "No newer submission to collect: alice ps1" in output
    assert (grace.work / "submitted/alice/ps1/p1.ipynb").read_bytes() == b"repaired by hand"
    assert len(proxy.calls) == 1


def test_a_folder_without_a_readable_time_is_updated(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    school.grace.write("submitted/alice/ps1", {"timestamp.txt": b"\xff yesterday"})
    school.grace.nbgrader("collect", "ps1", "--update")
    assert collected(school) == with_time(PS1, timestamp)


def test_students_are_chosen_by_name_or_pattern(school: School) -> None:
    school.release()
    for student in ("alice", "bob"):
        school.submit(student, PS1)
    school.grace.nbgrader("collect", "ps1", "--student=b*")
    assert not (school.grace.work / "submitted" / "alice").exists()
    assert collected(school, "bob")
    school.grace.nbgrader("collect", "ps1", "--student=alice")
    assert collected(school, "alice")


def test_who_has_left_the_course_is_collected_all_the_same(school: School) -> None:
    school.release()
    school.submit("bob", PS1)
    school.grace.api.ok("DELETE", f"student/{COURSE}/bob")
    school.grace.nbgrader("collect", "ps1")
    assert collected(school, "bob")


@pytest.mark.parametrize("has_later", [True, False])
def test_the_last_submission_before_the_due_date_counts_or_else_the_last(
    school: School, has_later: bool
) -> None:
    school.release()
    timely = {"alice": school.submit("alice", {"p1.ipynb": b"timely"})}
    time.sleep(0.01)
    duedate = datetime.now(timezone.utc)
    time.sleep(0.01)
    school.submit("alice", {"p1.ipynb": b"late"})
    late = school.submit("bob", {"p1.ipynb": b"late"})
    school.grace.nbgrader(
        "db", "assignment", "add", "ps1", f"--duedate={duedate:%Y-%m-%d %H:%M:%S.%f} UTC"
    )
    if has_later:  # collected before, without the flag
        school.grace.nbgrader("collect", "ps1")
    school.grace.nbgrader("collect", "ps1", "--before-duedate")
    assert collected(school) == with_time({"p1.ipynb": b"timely"}, timely["alice"])
    assert collected(school, "bob") == with_time({"p1.ipynb": b"late"}, late)


def test_without_a_due_date_the_last_submission_counts(school: School) -> None:
    school.release()
    school.submit("alice", {"p1.ipynb": b"first"})
    school.submit("alice", {"p1.ipynb": b"last"})
    school.grace.nbgrader("collect", "ps1", "--before-duedate")
    assert collected(school)["p1.ipynb"] == b"last"


def test_another_structure_of_folders_and_another_gradebook_are_honoured(school: School) -> None:
    school.release()
    first = school.submit("alice", {"p1.ipynb": b"timely"})
    time.sleep(0.01)
    gradebook = f"--db=sqlite:///{school.grace.work}/grades.db"
    duedate = f"--duedate={datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S.%f} UTC"
    school.grace.nbgrader("db", "assignment", "add", "ps1", duedate, gradebook)
    time.sleep(0.01)
    school.submit("alice", {"p1.ipynb": b"late"})
    school.grace.configure(
        "c.CourseDirectory.directory_structure = '{assignment_id}/{nbgrader_step}/{student_id}'",
        "c.CourseDirectory.submitted_directory = 'handed in'",
    )
    school.grace.nbgrader("collect", "ps1", "--before-duedate", gradebook)
    collected = school.grace.files("ps1/handed in/alice")
    assert collected == with_time({"p1.ipynb": b"timely"}, first)


def test_a_shared_folder_can_be_written_by_the_group(school: School) -> None:
    school.release()
    school.submit("alice", PS1)
    school.grace.configure("c.CourseDirectory.groupshared = True")
    school.grace.nbgrader("collect", "ps1")
    folder = school.grace.work / "submitted" / "alice"
    for path in [folder.parent, folder, *folder.rglob("*")]:
        wanted = 0o2770 if path.is_dir() else 0o660
        assert path.stat().st_mode & wanted == wanted, path


def test_files_are_as_readable_as_others_that_the_instructor_makes(school: School) -> None:
    school.release()
    school.submit("alice", PS1)
    school.grace.nbgrader("collect", "ps1")
    ordinary = school.grace.write("ordinary", {"file": b""})
    folder = school.grace.work / "submitted" / "alice" / "ps1"
    assert folder.stat().st_mode == ordinary.stat().st_mode
    for path in folder.rglob("*"):
        like = ordinary if path.is_dir() else ordinary / "file"
        assert path.stat().st_mode == like.stat().st_mode, path


def test_a_file_that_many_have_is_fetched_once_and_is_each_ones_own(
    school: School, proxy: Proxy
) -> None:
    school.release()
    shared = bytes(range(256)) * 4000
    students = [f"s{number}" for number in range(12)]
    for student in students:
        school.root.api.ok(
            "POST", f"student/{COURSE}/{student}", first_name="", last_name="", email=""
        )
        school.submit(student, {"p1.ipynb": student.encode(), "data/big.bin": shared})
    grace = school.join("grace", "office", proxy.url)
    grace.nbgrader("collect", "ps1")
    for student in students:
        folder = grace.work / "submitted" / student / "ps1"
        assert (folder / "data/big.bin").read_bytes() == shared
        assert (folder / "p1.ipynb").read_bytes() == student.encode()
        assert (folder / "data/big.bin").stat().st_nlink == 1
    assert len([call for call in proxy.calls if "big.bin" in call]) == 1
    assert proxy.answered_bytes < 2 * len(shared)


def test_what_was_collected_before_is_not_fetched_again(school: School, proxy: Proxy) -> None:
    school.release()
    big = bytes(range(256)) * 4000
    school.submit("alice", {"p1.ipynb": b"first", "big.bin": big})
    grace = school.join("grace", "office", proxy.url)
    grace.nbgrader("collect", "ps1")
    school.submit("alice", {"p1.ipynb": b"second", "moved/big.bin": big})
    timestamp = school.submit("bob", {"p1.ipynb": b"bob's", "big.bin": big})
    before = proxy.answered_bytes
    grace.nbgrader("collect", "ps1", "--update")
    assert proxy.answered_bytes - before < 100_000
    alices = tree(grace.work / "submitted" / "alice" / "ps1")
    assert alices.keys() == {"p1.ipynb", "moved/big.bin", "timestamp.txt"}
    assert alices["moved/big.bin"] == big
    bobs = {"p1.ipynb": b"bob's", "big.bin": big}
    assert tree(grace.work / "submitted" / "bob" / "ps1") == with_time(bobs, timestamp)


def test_nothing_is_fetched_if_everything_is_here(school: School, proxy: Proxy) -> None:
    school.release()
    school.submit("alice", PS1)
    grace = school.join("grace", "office", proxy.url)
    grace.nbgrader("collect", "ps1")
    timestamp = school.submit("alice", PS1)
    proxy.calls.clear()
    grace.nbgrader("collect", "ps1", "--update")
    assert tree(grace.work / "submitted" / "alice" / "ps1") == with_time(PS1, timestamp)
    assert not [call for call in proxy.calls if call.startswith("GET submission/")]


def test_a_folder_that_is_named_like_the_file_with_the_time_is_no_obstacle(
    school: School,
) -> None:
    school.release()
    timestamp = school.submit("alice", {**PS1, "timestamp.txt/trick": b"trick"})
    school.grace.nbgrader("collect", "ps1")
    assert collected(school) == with_time(PS1, timestamp)


def test_a_folder_that_cannot_be_read_is_no_reason_to_fail(school: School) -> None:
    school.release()
    school.submit("alice", PS1)
    folder = school.grace.write("submitted/mallory/ps1", {"p1.ipynb": PS1["p1.ipynb"]})
    (folder / "gone").symlink_to("nowhere")
    school.grace.nbgrader("collect", "ps1")
    assert collected(school)["p1.ipynb"] == PS1["p1.ipynb"]


def test_a_file_that_was_changed_here_is_not_taken_for_what_was_handed_in(school: School) -> None:
    school.release()
    school.submit("alice", {"p1.ipynb": b"first", "data.csv": b"1,2"})
    school.grace.nbgrader("collect", "ps1")
    school.grace.write("submitted/alice/ps1", {"data.csv": b"3,4"})
    school.submit("alice", {"p1.ipynb": b"second", "data.csv": b"1,2"})
    school.grace.nbgrader("collect", "ps1", "--update")
    assert collected(school)["data.csv"] == b"1,2"


def test_the_number_of_lists_does_not_grow_with_the_students(school: School, proxy: Proxy) -> None:
    school.release()
    for student in ("alice", "bob"):
        school.submit(student, {"p1.ipynb": student.encode()})
    grace = school.join("grace", "office", proxy.url)
    grace.nbgrader("collect", "ps1")
    assert len([call for call in proxy.calls if call.startswith("GET submissions?")]) == 1


def test_one_student_whose_work_cannot_be_collected_does_not_stop_the_rest(
    school: School,
) -> None:
    school.release()
    for student in ("alice", "bob"):
        school.submit(student, {"p1.ipynb": student.encode()})
    (school.grace.work / "submitted").mkdir()
    (school.grace.work / "submitted" / "alice").write_text("a file is in the way")
    output = school.grace.nbgrader("collect", "ps1", status=1)
    assert "These students' submissions could not be collected: alice" in output
    assert re.search("alice: .*submitted/alice", output)
    assert collected(school, "bob")["p1.ipynb"] == b"bob"


@pytest.mark.usefixtures("impatient")
def test_a_download_that_breaks_off_leaves_the_older_copy(school: School, proxy: Proxy) -> None:
    school.release()
    first = school.submit("alice", {"p1.ipynb": b"first"})
    grace = school.join("grace", "office", proxy.url)
    grace.nbgrader("collect", "ps1")
    school.submit("alice", {"p1.ipynb": b"second" * 100_000})
    proxy.cut_answers_after(100_000, to="GET submission/")
    output = grace.nbgrader("collect", "ps1", "--update", status=1)
    assert "could not be collected: alice" in output
    folder = grace.work / "submitted" / "alice" / "ps1"
    assert tree(folder) == with_time({"p1.ipynb": b"first"}, first)
    assert hidden(grace.work) == []


@pytest.mark.usefixtures("impatient")
def test_a_shared_file_that_breaks_off_once_arrives_all_the_same(
    school: School, proxy: Proxy
) -> None:
    school.release()
    shared = bytes(300_000)
    for student in ("alice", "bob"):
        school.submit(student, {"p1.ipynb": student.encode(), "big.bin": shared})
    grace = school.join("grace", "office", proxy.url)
    proxy.cut_answers_after(100_000, to="GET submission/phys101/ps1/alice")
    grace.nbgrader("collect", "ps1")
    assert proxy.cuts_left == 0
    for student in ("alice", "bob"):
        assert (grace.work / "submitted" / student / "ps1/big.bin").read_bytes() == shared


def test_students_cannot_collect(school: School) -> None:
    school.release()
    school.submit("bob", PS1)
    output = school.alice.nbgrader("collect", "ps1", status=1)
    assert "you are no instructor" in output
    assert not (school.alice.work / "submitted").exists()

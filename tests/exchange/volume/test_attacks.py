"""What people try in their pods, and what else can be wrong on a volume."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from hashlib import md5

import pytest

from ngshare import wire
from tests.exchange.volume.site import EXCHANGE, TIME, Pod, Site, notebook, tree
from tests.exchange.volume.test_flows import SECRET, grade

LATER = TIME.replace("10:", "11:")

# What alice makes of her latest submission, $S, and what is said when it is to be collected.
BROKEN = {
    'ln -s ~/ps1/p1.ipynb "$S/x.txt"': "is a link, which is not followed",
    'ln -s ~/gradebook.db "$S/p2.ipynb"': "is a link, which is not followed",
    f'ln -s {EXCHANGE}/phys101 "$S/data"': "is a link, which is not followed",
    'rm -r "$S"; ln -s "$R/inbound" "$S"': "is no folder",
    'rm -r "$S"; touch "$S"': "is no folder",
    'mkfifo "$S/p2.ipynb"': "is no file and can't be copied",
    'chmod 000 "$S/p1.ipynb"': "can't be read: Permission denied",
    'chmod 000 "$S"': "can't be read: Permission denied",
    'mkdir "$S/closed"; chmod 000 "$S/closed"': "can't be read: Permission denied",
    'mkdir "$S/timestamp.txt"': "timestamp.txt in it is a folder",
    'touch "$S/a\nb"': "is no name that can be copied",
    'cd "$S"; for i in $(seq 300); do mkdir d; cd d; done': "has folders in more than 50 folders",
    'truncate -s 1M "$S/big"': "has more than 1000000 bytes",
    'mv "$S" "$R/inbound/alice/alice+ps1+at noon, perhaps"': "has no time",
    'mv "$S" "$R/inbound/alice/alice+ps1+"': "what alice hands in is called",
}


def submit(student: Pod, at: str, **files: bytes) -> None:
    """A submission, made without nbgrader."""
    name = f"{student.name}+ps1+{at}"
    folder = student.site.course / "inbound" / student.name / name
    student.site.write(folder, {"p1.ipynb": notebook(), **files})


@pytest.fixture
def course(site: Site) -> Site:
    """The course, with ps1 released, and submitted by bob."""
    site.release()
    submit(site.bob, TIME)
    return site


def test_what_can_not_be_copied_is_left_out_and_the_submission_before_is_collected(
    course: Site,
) -> None:
    course.grace.write("", {"gradebook.db": b"secret"})
    for number, (script, said) in enumerate(BROKEN.items()):
        submit(course.alice, TIME, number=b"%d" % number)
        course.alice.shell(f'S="$R/inbound/alice/alice+ps1+{LATER}"; cp -r ps1 "$S"; {script}')
        output = course.grace.nbgrader("collect", "ps1", "--CourseDirectory.max_dir_size=1000")
        assert [line for line in output.splitlines() if "left out" in line and said in line], script
        collected = course.grace.files("submitted/alice/ps1")
        assert collected.pop("timestamp.txt").decode() == TIME
        assert collected == {"p1.ipynb": notebook(), "number": b"%d" % number}
        assert course.grace.files("submitted/bob/ps1")
        output = course.grace.nbgrader("list", "--inbound")
        assert f"phys101 alice ps1 {TIME}" in output
        assert f"phys101 bob ps1 {TIME}" in output
        course.alice.shell("chmod -R u+rwx $R/inbound/alice; rm -rf $R/inbound/alice/*")
        course.grace.shell("rm -rf submitted")


def test_a_folder_in_somebody_elses_name_is_left_out(course: Site) -> None:
    course.alice.shell(f'cp -r ps1 "$R/inbound/alice/bob+ps1+{LATER}"')
    output = course.grace.nbgrader("collect", "ps1")
    assert f"inbound/alice/bob+ps1+{LATER}' is left out: what alice hands in is called" in output
    assert set(tree(course.grace.home / "submitted")) == {
        "bob/ps1/p1.ipynb",
        "bob/ps1/timestamp.txt",
    }
    assert "Processing 1 submissions" in output
    lines = course.grace.nbgrader("list", "--inbound").splitlines()
    assert [line for line in lines if " phys101 " in line] == [
        f"[ListApp | INFO] phys101 bob ps1 {TIME} (no feedback available)"
    ]


def test_a_student_whose_folder_is_closed_stops_nobody(course: Site) -> None:
    course.alice.shell("chmod 000 $R/inbound/alice")
    output = course.grace.nbgrader("collect", "ps1")
    assert "inbound/alice is left out: Permission denied" in output
    assert course.grace.files("submitted/bob/ps1")
    assert "phys101 bob ps1" in course.grace.nbgrader("list", "--inbound")


def test_a_submission_in_the_future_is_not_the_latest(course: Site) -> None:
    submit(course.alice, "2030-01-01 00:00:00.000000 UTC", one=b"")
    folder = course.submitted()[0]
    os.utime(folder, (0, datetime(2026, 11, 20, tzinfo=timezone.utc).timestamp()))
    output = course.grace.nbgrader("collect", "ps1", "--student=alice")
    counts = "it counts as of its last change, 2026-11-20 00:00:00.000000 UTC"
    assert f"{folder.name} has a time in the future: {counts}" in output
    collected = course.grace.files("submitted/alice/ps1")
    assert collected["timestamp.txt"] == b"2026-11-20 00:00:00.000000 UTC"
    submit(course.alice, TIME, two=b"")
    course.grace.nbgrader("collect", "ps1", "--student=alice", "--update")
    assert "two" in course.grace.files("submitted/alice/ps1")


def test_a_time_after_the_last_change_is_warned_about(course: Site) -> None:
    now = datetime.now(timezone.utc)
    submit(course.alice, wire.format_timestamp(now))
    [folder] = course.submitted()
    assert "later" not in course.grace.nbgrader("collect", "ps1", "--student=alice")
    os.utime(folder, (0, (now - timedelta(hours=1)).timestamp()))
    output = course.grace.nbgrader("collect", "ps1", "--student=alice")
    assert f"{folder.name} has a later time than its last change, 2" in output


def test_what_is_collected_stays_when_the_next_can_not_be_copied(course: Site) -> None:
    submit(course.alice, TIME, one=b"")
    course.grace.nbgrader("collect", "ps1")
    before = course.grace.files("submitted")
    submit(course.alice, LATER)
    course.alice.shell(f'ln -s /etc/passwd "$R/inbound/alice/alice+ps1+{LATER}/x"')
    output = course.grace.nbgrader("collect", "ps1", "--update")
    assert "No newer submission to collect: alice ps1" in output
    assert course.grace.files("submitted") == before
    assert os.listdir(course.grace.home / "submitted" / "alice") == ["ps1"]


def test_who_can_not_be_collected_is_named_at_the_end_and_stops_nobody(course: Site) -> None:
    submit(course.alice, TIME)
    course.grace.shell("mkdir -p submitted/alice; chmod 555 submitted/alice")
    output = course.grace.nbgrader("collect", "ps1", status=1)
    assert "These students' submissions could not be collected: alice\n" in output
    assert "Traceback" not in output
    assert course.grace.files("submitted/bob/ps1")


def test_nobody_is_suspected_because_all_submissions_have_the_same_owner(course: Site) -> None:
    output = course.grace.nbgrader("collect", "ps1")
    assert "Collecting submission: bob ps1" in output
    assert "WARNING" not in output


@pytest.mark.parametrize("secret", [b"", b"\xff\xfe", b"two\nlines"])
def test_whatever_a_student_has_for_a_secret_others_get_their_feedback(
    course: Site, secret: bytes
) -> None:
    submit(course.alice, TIME, **{SECRET: secret})
    course.grace.nbgrader("collect", "ps1")
    for student in ("alice", "bob"):
        grade(course, student, student.encode())
    course.grace.nbgrader("release_feedback", "ps1")
    output = course.grace.nbgrader("list", "--inbound")
    assert output.count("(feedback ready to be fetched)") == 2
    assert list(tree(course.course / "feedback_public/bob").values()) == [b"bob"]


def test_feedback_is_not_written_by_way_of_links(course: Site) -> None:
    """Where the old mounts are still in use, students can write the folder of their feedback."""
    for mount in course.alice.mounts:
        mount["readOnly"] = False
    course.grace.write("", {"gradebook.db": b"gradebook"})
    course.grace.write("submitted/alice/ps1", {"timestamp.txt": TIME.encode(), SECRET: b"secret"})
    grade(course, "alice", b"feedback")
    name = md5(b"secretp1").hexdigest()
    course.alice.shell(
        f"cd $R/feedback_public/alice; for each in {name} {name}-tmp; do "
        "ln -s ~/gradebook.db $each.html; done"
    )
    course.grace.nbgrader("release_feedback", "ps1")
    assert course.grace.files("")["gradebook.db"] == b"gradebook"
    page = course.course / "feedback_public" / "alice" / f"{name}.html"
    assert not page.is_symlink()
    assert page.read_bytes() == b"feedback"


def test_feedback_that_can_not_be_named_stops_nobody(course: Site) -> None:
    course.grace.nbgrader("collect", "ps1")
    grade(course, "bob", b"feedback")
    course.grace.write("feedback/alice/ps1", {"p1.html": b"from nowhere"})
    output = course.grace.nbgrader("release_feedback", "ps1", status=1)
    assert "alice: /home/jovyan/feedback/alice/ps1 has no submission_secret.txt" in output
    assert "Feedback for these students could not be released: alice\n" in output
    assert list(tree(course.course / "feedback_public").values()) == [b"feedback"]
    output = course.grace.nbgrader("release_feedback", "ps2", status=1)
    assert "run `nbgrader generate_feedback ps2` first" in output

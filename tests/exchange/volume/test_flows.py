"""From release to feedback, by an instructor and two students in their pods."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from nbgrader.utils import make_unique_key, notebook_hash

from tests.exchange.volume.site import TIME, Pod, Site, notebook, tree

SECRET = "submission_secret.txt"


def timestamp(pod: Pod) -> str:
    """When somebody submitted the only time."""
    [copy] = (pod.home / ".local/share/jupyter/nbgrader_cache/phys101").iterdir()
    return (copy / "timestamp.txt").read_text()


def grade(site: Site, student: str, page: bytes, assignment: str = "ps1") -> None:
    """What autograde and generate_feedback write for a collected submission."""
    collected = site.grace.home / "submitted" / student / assignment
    folder = site.grace.home / "feedback" / student / assignment
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("timestamp.txt", SECRET):
        if (collected / name).exists():
            shutil.copy(collected / name, folder)
    site.write(folder, {"p1.html": page})


def test_a_course_goes_from_release_to_feedback(site: Site, gradebook: bytes) -> None:
    site.grace.write("", {"gradebook.db": gradebook})
    site.grace.write("source/ps1", {"p1.ipynb": notebook("x = 1"), "data/x.csv": b"1"})
    site.grace.nbgrader("generate_assignment", "ps1")
    assert "Released as: phys101 ps1" in site.grace.nbgrader("release_assignment", "ps1")
    for student in (site.alice, site.bob):
        assert "phys101 ps1\n" in student.nbgrader("list")
        assert "Fetched as: phys101 ps1" in student.nbgrader("fetch_assignment", "ps1")
        assert "phys101 ps1 (already downloaded)" in student.nbgrader("list")
        assert set(student.files("ps1")) == {"p1.ipynb", "data/x.csv"}
        student.write("ps1", {"data/x.csv": student.name.encode()})
        assert "Submitted as: phys101 ps1 2" in student.nbgrader("submit", "ps1")
    lines = re.findall("phys101 .*", site.grace.nbgrader("list", "--inbound"))
    nothing_yet = "(no feedback available)"
    assert lines == [
        f"phys101 alice ps1 {timestamp(site.alice)} {nothing_yet}",
        f"phys101 bob ps1 {timestamp(site.bob)} {nothing_yet}",
    ]
    output = site.grace.nbgrader("collect", "ps1")
    assert "Processing 2 submissions of 'ps1' for course 'phys101'" in output
    assert "WARNING" not in output
    for student in (site.alice, site.bob):
        assert site.grace.files(f"submitted/{student.name}/ps1") == {
            **student.files("ps1"),
            "timestamp.txt": timestamp(student).encode(),
            SECRET: (site.submitted(student.name)[0] / SECRET).read_bytes(),
        }
    site.grace.nbgrader("autograde", "ps1", "--student", "alice", "--create")
    site.grace.nbgrader("generate_feedback", "ps1")
    site.grace.nbgrader("release_feedback", "ps1")
    lines = re.findall("phys101 .*", site.grace.nbgrader("list", "--inbound"))
    assert lines == [
        f"phys101 alice ps1 {timestamp(site.alice)} (feedback ready to be fetched)",
        f"phys101 bob ps1 {timestamp(site.bob)} {nothing_yet}",
    ]
    assert "(feedback ready to be fetched)" in site.alice.nbgrader("list", "--cached")
    site.alice.nbgrader("fetch_feedback", "ps1")
    assert site.alice.files("ps1/feedback") == {
        f"{timestamp(site.alice)}/p1.html": site.grace.files("feedback/alice/ps1")["p1.html"]
    }
    assert "(feedback already fetched)" in site.alice.nbgrader("list", "--cached")
    assert "There is no feedback yet" in site.bob.nbgrader("fetch_feedback", "ps1")
    assert not (site.bob.home / "ps1" / "feedback").exists()


def test_feedback_that_is_released_again_is_there_to_be_fetched_again(site: Site) -> None:
    site.release()
    site.alice.nbgrader("submit", "ps1")
    site.grace.nbgrader("collect", "ps1")
    for page in (b"first", b"better"):
        grade(site, "alice", page)
        site.grace.nbgrader("release_feedback", "ps1")
        assert "(feedback ready to be fetched)" in site.alice.nbgrader("list", "--cached")
        site.alice.nbgrader("fetch_feedback", "ps1")
        assert site.alice.files("ps1/feedback") == {f"{timestamp(site.alice)}/p1.html": page}
        assert "(feedback already fetched)" in site.alice.nbgrader("list", "--cached")
    assert len(tree(site.course / "feedback_public")) == 1


def test_feedback_is_found_though_the_instructor_has_changed_the_collected_notebook(
    site: Site,
) -> None:
    site.release()
    site.alice.nbgrader("submit", "ps1")
    site.grace.nbgrader("collect", "ps1")
    site.grace.write("submitted/alice/ps1", {"p1.ipynb": notebook("x = 'repaired'")})
    grade(site, "alice", b"feedback")
    site.grace.nbgrader("release_feedback", "ps1")
    site.alice.nbgrader("fetch_feedback", "ps1")
    assert list(site.alice.files("ps1/feedback").values()) == [b"feedback"]


def submit_with_the_old_plugin(student: Pod, at: str) -> None:
    """It writes no secret, but for that the same."""
    files = {**student.files("ps1"), "timestamp.txt": at.encode()}
    name = f"{student.name}+ps1+{at}"
    student.site.write(student.site.course / "inbound" / student.name / name, files)
    student.write(f".local/share/jupyter/nbgrader_cache/phys101/{name}", files)


def old_name(folder: Path, at: str, legacy: bool = False) -> str:
    """What the old plugin calls the page of feedback on p1, in alice's folder."""
    key = None if legacy else make_unique_key("phys101", "ps1", "p1", "alice", at)
    return f"feedback_public/alice/{notebook_hash(str(folder / 'p1.ipynb'), key)}.html"


def test_what_the_old_plugin_wrote_is_collected_and_its_feedback_found(site: Site) -> None:
    site.release()
    second = TIME.replace("10:", "11:")
    for at in (TIME, second):
        submit_with_the_old_plugin(site.alice, at)
    lines = re.findall("phys101 .*", site.alice.nbgrader("list", "--cached"))
    assert lines == [f"phys101 alice ps1 {at} (no feedback available)" for at in (TIME, second)]
    site.grace.nbgrader("collect", "ps1")
    assert site.grace.files("submitted/alice/ps1")["timestamp.txt"].decode() == second
    submission = site.alice.home / "ps1"
    site.write(site.course, {old_name(submission, TIME): b"older"})
    grade(site, "alice", b"newer")
    site.grace.write("submitted/alice/ps1", {"p1.ipynb": notebook("x = 'repaired'")})
    site.grace.nbgrader("release_feedback", "ps1")
    assert (site.course / old_name(submission, second)).read_bytes() == b"newer"
    output = site.grace.nbgrader("list", "--inbound") + site.alice.nbgrader("list", "--cached")
    assert output.count("(feedback ready to be fetched)") == 4
    site.alice.nbgrader("fetch_feedback", "ps1")
    assert site.alice.files("ps1/feedback") == {
        f"{TIME}/p1.html": b"older",
        f"{second}/p1.html": b"newer",
    }
    site.write(site.course, {old_name(submission, "", legacy=True): b"oldest"})
    (site.course / old_name(submission, TIME)).unlink()
    site.alice.nbgrader("fetch_feedback", "ps1")
    assert site.alice.files("ps1/feedback")[f"{TIME}/p1.html"] == b"oldest"


def test_the_latest_submission_is_collected_or_the_latest_before_the_due_date(
    site: Site, gradebook: bytes
) -> None:
    site.release()
    site.grace.write("", {"gradebook.db": gradebook})
    times = [TIME.replace("10:", f"{hour}:") for hour in (10, 11, 12)]

    def collect(*options: str) -> str:
        site.grace.nbgrader("collect", "ps1", "--student=alice", *options)
        return site.grace.files("submitted/alice/ps1")["timestamp.txt"].decode()

    submit_with_the_old_plugin(site.alice, times[0])
    assert collect() == times[0]
    submit_with_the_old_plugin(site.alice, times[1])
    submit_with_the_old_plugin(site.alice, times[2])
    assert collect() == times[0]
    assert collect("--update") == times[2]
    due = times[1].replace("00.0", "01.0")
    site.grace.nbgrader("db", "assignment", "add", "ps1", f"--duedate={due}")
    assert collect("--before-duedate") == times[1]
    assert not (site.grace.home / "submitted" / "bob").exists()


def test_an_instructor_takes_an_assignment_back_and_a_student_can_not(site: Site) -> None:
    site.release()
    output = site.alice.nbgrader("list", "--remove", "ps1", status=1)
    assert "Traceback" not in output
    assert tree(site.course / "outbound")
    assert "Removing released assignments" in site.grace.nbgrader("list", "--remove", "ps1")
    assert not tree(site.course / "outbound")


def test_submissions_are_removed_by_instructors_and_cached_copies_by_students(site: Site) -> None:
    site.release()
    for student in (site.alice, site.bob):
        student.nbgrader("submit", "ps1")
    site.grace.nbgrader("list", "--inbound", "--remove", "ps1", "--student=alice")
    assert (len(site.submitted("alice")), len(site.submitted("bob"))) == (0, 1)
    assert "phys101 alice" in site.alice.nbgrader("list", "--cached")
    site.alice.nbgrader("list", "--cached", "--remove", "ps1")
    assert "phys101" not in site.alice.nbgrader("list", "--cached")


def test_a_release_that_fails_leaves_the_one_before(site: Site) -> None:
    site.release()
    before = tree(site.course / "outbound")
    site.grace.write("release/ps1", {"new.txt": b"new"})
    assert "add --force" in site.grace.nbgrader("release_assignment", "ps1", status=1)
    site.grace.shell("ln -s /etc/passwd release/ps1/link")
    output = site.grace.nbgrader("release_assignment", "ps1", "--force", status=1)
    assert "release/ps1/link is a link, which is not followed: put a copy in its place" in output
    assert tree(site.course / "outbound") == before
    site.grace.shell("rm release/ps1/link")
    site.grace.nbgrader("release_assignment", "ps1", "--force")
    assert tree(site.course / "outbound") == {**before, "ps1/new.txt": b"new"}


def test_a_submission_that_is_refused_leaves_nothing(site: Site) -> None:
    site.release()
    site.alice.shell("ln -s /etc/passwd ps1/link")
    assert "ps1/link is a link" in site.alice.nbgrader("submit", "ps1", status=1)
    site.alice.shell("rm ps1/link")
    output = site.alice.nbgrader("submit", "ps1", "--CourseDirectory.max_dir_size=0", status=1)
    assert "has more than 0 bytes" in output
    assert site.submitted() == []
    assert not tree(site.alice.home / ".local/share/jupyter/nbgrader_cache")
    site.alice.nbgrader("submit", "ps1")
    assert len(site.submitted()) == 1


def test_a_submission_belongs_to_the_hubs_user_whatever_the_system_calls_him(site: Site) -> None:
    site.release()
    (site.folder / "passwd").write_text("everybody:x:1000:100::/home/jovyan:/bin/sh\n")
    site.alice.nbgrader("submit", "ps1")
    [folder] = site.submitted()
    assert folder.name.startswith("alice+ps1+")


def test_names_with_a_plus_work(site: Site) -> None:
    site.release()
    student = site.spawn("al+ice", "nbgrader-phys101")
    student.write("ps1", {"p1.ipynb": notebook()})
    student.nbgrader("submit", "ps1")
    site.grace.nbgrader("collect", "ps1")
    grade(site, "al+ice", b"page")
    site.grace.nbgrader("release_feedback", "ps1")
    assert "al+ice ps1" in site.grace.nbgrader("list", "--inbound")
    student.nbgrader("fetch_feedback", "ps1")
    assert list(student.files("ps1/feedback").values()) == [b"page"]


def test_lists_have_only_the_courses_that_the_authenticator_names(site: Site) -> None:
    site.release()
    site.alice.nbgrader("submit", "ps1")
    plugin = """
class Plugin(BaseAuthPlugin):
    def get_student_courses(self, student_id):
        return ["other101"]
"""
    both = ("nbgrader-phys101", "nbgrader-other101")
    alice = site.spawn("alice", *both)
    site.write(site.volume, {"other101/outbound/ps9/p9.ipynb": notebook()})
    assert re.findall("INFO. (.*101.*)", alice.nbgrader("list", "--course=*")) == [
        "other101 ps9",
        "phys101 ps1 (already downloaded)",
    ]
    alice.configure(
        "from nbgrader.auth import BaseAuthPlugin", plugin, "c.Authenticator.plugin_class = Plugin"
    )
    assert "phys101" not in alice.nbgrader("list", "--course=*")
    assert "phys101" not in alice.nbgrader("list", "--course=*", "--cached")
    assert "do not have access" in alice.nbgrader("submit", "ps1", status=1)

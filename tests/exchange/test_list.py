"""`nbgrader list`: its lines, and what it returns to formgrader and the assignment list."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nbgrader.auth import Authenticator
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeError, ExchangeFactory
from traitlets.config import Config

from ngshare.exchange import configure_exchange
from tests.exchange.people import COURSE, PS1, Person, School, tree
from tests.neighbours import Proxy

Info = dict[str, Any]


def lines(output: str) -> list[str]:
    """What was logged, all of which must be information."""
    marked = output.splitlines()
    assert all(line.startswith("[ListApp | INFO] ") for line in marked), output
    return [line.removeprefix("[ListApp | INFO] ") for line in marked]


def listing(someone: Person, course: str = COURSE, **options: Any) -> list[Info]:
    """What the list returns, made as nbgrader's server extensions make it."""
    config = Config()
    configure_exchange(config, someone.url)
    config.CourseDirectory.course_id = course
    config.ExchangeList.update(options)
    with someone.at_work():
        lister = ExchangeFactory(config=config).List(
            coursedir=CourseDirectory(config=config),
            authenticator=Authenticator(config=config),
            config=config,
        )
        return lister.start()


def test_released_assignments_are_listed_with_the_fetched_ones_marked(school: School) -> None:
    school.release("ps2")
    school.release("ps1")
    school.alice.nbgrader("fetch_assignment", "ps1")
    assert lines(school.alice.nbgrader("list")) == [
        "Released assignments:",
        "phys101 ps1 (already downloaded)",
        "phys101 ps2",
    ]
    assert lines(school.alice.nbgrader("list", "ps2")) == ["Released assignments:", "phys101 ps2"]


def test_names_may_be_patterns_and_unknown_ones_are_not_made_up(school: School) -> None:
    for name in ("ps1", "ps2", "essay"):
        school.release(name)
    output = school.alice.nbgrader("list", "ps*")
    assert lines(output)[1:] == ["phys101 ps1", "phys101 ps2"]
    assert lines(school.alice.nbgrader("list", "ps3")) == ["Released assignments:"]
    assert lines(school.alice.nbgrader("list", "ps3", "--inbound")) == ["Submitted assignments:"]
    assert lines(school.alice.nbgrader("list", "ps3", "--cached")) == ["Submitted assignments:"]


@pytest.mark.parametrize("course", ["", "*"])
def test_without_a_course_those_of_all_ones_courses_are_listed(school: School, course: str) -> None:
    school.create_course("art", "oscar", "alice")
    school.create_course("zoology", "oscar")
    for course_id in (COURSE, "art", "zoology"):
        school.release(course=course_id)
    school.alice.configure(course=course)
    assert lines(school.alice.nbgrader("list"))[1:] == ["art ps1", "phys101 ps1"]


def test_a_course_that_there_is_not_is_no_empty_list(school: School) -> None:
    for mode in ([], ["--inbound"]):
        output = school.alice.nbgrader("list", "--course", "phys102", *mode, status=1)
        assert 'You are not in a course "phys102" on ngshare' in output
    assert "You are not in" in school.join("eve").nbgrader("list", status=1)


def test_released_assignments_are_told_as_their_readers_expect(school: School) -> None:
    school.release("ps1")
    school.release("ps2", **{"p2.ipynb": b"{}", "p1.ipynb": b"{}", "deep/p3.ipynb": b"{}"})
    school.alice.nbgrader("fetch_assignment", "ps1")
    school.alice.write("ps1", {"mine.ipynb": b"{}"})
    fetched, released = school.alice.work / "ps1", school.alice.work / "ps2"
    assert listing(school.alice) == [
        {
            "course_id": COURSE,
            "assignment_id": "ps1",
            "status": "fetched",
            "path": str(fetched),
            "notebooks": [
                {"notebook_id": "mine", "path": str(fetched / "mine.ipynb")},
                {"notebook_id": "p1", "path": str(fetched / "p1.ipynb")},
            ],
        },
        {
            "course_id": COURSE,
            "assignment_id": "ps2",
            "status": "released",
            "path": str(released),
            "notebooks": [
                {"notebook_id": "p1", "path": str(released / "p1.ipynb")},
                {"notebook_id": "p2", "path": str(released / "p2.ipynb")},
            ],
        },
    ]


@pytest.mark.parametrize("mode", ["inbound", "cached"])
def test_submissions_are_told_as_their_readers_expect(school: School, mode: str) -> None:
    school.release()
    school.alice.write("ps1", {"p1.ipynb": b"1", "deep/p2.ipynb": b"2"})
    school.alice.nbgrader("submit", "ps1")
    [assignment] = listing(school.alice, **{mode: True})
    [submission] = assignment.pop("submissions")
    ids = {"course_id": COURSE, "student_id": "alice", "assignment_id": "ps1"}
    assert assignment == {**ids, "status": "submitted"}
    copy = school.alice.cache / COURSE / f"alice+ps1+{submission['timestamp']}"
    path = str(copy) if mode == "cached" else None
    [page] = submission.pop("notebooks")
    assert page == {
        "notebook_id": "p1",
        "path": path and f"{path}/p1.ipynb",
        "has_local_feedback": False,
        "has_exchange_feedback": False,
        "local_feedback_path": None,
        "feedback_updated": False,
    }
    assert submission == {
        **ids,
        "timestamp": submission["timestamp"],
        "status": "submitted",
        "path": path,
        "has_local_feedback": False,
        "has_exchange_feedback": False,
        "feedback_updated": False,
        "local_feedback_path": None,
    }


def test_submissions_are_in_the_order_of_course_student_assignment_and_time(
    school: School,
) -> None:
    school.release("ps2")
    school.release("ps1")
    made = []
    for student, assignment in [("bob", "ps2"), ("alice", "ps2"), ("alice", "ps1"), ("bob", "ps2")]:
        made.append((student, assignment, school.submit(student, PS1, assignment)))
    groups = listing(school.grace, inbound=True)
    found = [
        (each["student_id"], each["assignment_id"], each["timestamp"])
        for group in groups
        for each in group["submissions"]
    ]
    assert found == sorted(made)
    assert [len(group["submissions"]) for group in groups] == [1, 1, 2]


@pytest.mark.parametrize("mode", ["inbound", "cached"])
def test_the_state_of_feedback_is_told_in_nbgraders_words(school: School, mode: str) -> None:
    school.release()
    school.alice.write("ps1", {"p1.ipynb": b"1", "p2.ipynb": b"2"})
    school.alice.nbgrader("submit", "ps1")
    [[timestamp]] = [
        [each["timestamp"] for each in group["submissions"]]
        for group in listing(school.alice, inbound=True)
    ]

    def state() -> str:
        title, line = lines(school.alice.nbgrader("list", f"--{mode}"))
        assert title == "Submitted assignments:"
        assert line.startswith(f"phys101 alice ps1 {timestamp} (")
        return line.partition("(")[2].removesuffix(")")

    def release(**pages: bytes) -> None:
        files = {f"{name}.html": page for name, page in pages.items()}
        school.grace.write("feedback/alice/ps1", {"timestamp.txt": timestamp.encode(), **files})
        school.grace.nbgrader("release_feedback", "ps1")

    assert state() == "no feedback available"
    release(p1=b"one")
    assert state() == "no feedback available"  # on every notebook
    release(p2=b"two")
    assert state() == "feedback ready to be fetched"
    school.alice.nbgrader("fetch_feedback", "ps1")
    assert state() == "feedback already fetched"
    release(p2=b"better")
    assert state() == "feedback ready to be fetched"
    [group] = listing(school.alice, **{mode: True})
    [submission] = group["submissions"]
    pages = school.alice.work / "ps1" / "feedback" / timestamp
    assert submission["local_feedback_path"] == str(pages)
    assert submission["feedback_updated"]
    assert submission["has_local_feedback"]
    assert submission["has_exchange_feedback"]
    assert [each["feedback_updated"] for each in submission["notebooks"]] == [False, True]
    paths = [each["local_feedback_path"] for each in submission["notebooks"]]
    assert paths == [str(pages / "p1.html"), str(pages / "p2.html")]


def test_a_submission_without_notebooks_has_no_feedback(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", {"x.txt": b""})
    school.release_feedback("alice", timestamp, {"p1.html": b"one"})
    line = f"phys101 alice ps1 {timestamp} (no feedback available)"
    assert lines(school.alice.nbgrader("list", "--inbound"))[1:] == [line]


def test_students_see_their_own_submissions_and_instructors_all(school: School) -> None:
    school.release()
    times = {student: school.submit(student, PS1) for student in ("bob", "alice")}
    own = f"phys101 alice ps1 {times['alice']} (no feedback available)"
    bobs = f"phys101 bob ps1 {times['bob']} (no feedback available)"
    assert lines(school.alice.nbgrader("list", "--inbound"))[1:] == [own]
    assert lines(school.grace.nbgrader("list", "--inbound"))[1:] == [own, bobs]
    assert lines(school.grace.nbgrader("list", "--inbound", "--student=b*"))[1:] == [bobs]
    assert lines(school.grace.nbgrader("list", "--inbound", "--student=bob"))[1:] == [bobs]
    assert lines(school.grace.nbgrader("list", "--cached"))[1:] == []


def test_a_lost_cache_and_another_computer_show_what_the_server_knows(school: School) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.nbgrader("submit", "ps1")
    elsewhere = school.join("alice", "elsewhere")
    listed = lines(school.alice.nbgrader("list", "--cached"))
    assert len(listed) == 2
    assert lines(elsewhere.nbgrader("list", "--cached")) == listed


def test_what_was_submitted_from_here_is_listed_also_while_the_server_is_away(
    school: School,
) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.nbgrader("submit", "ps1")
    [_, line] = lines(school.alice.nbgrader("list", "--cached"))
    school.alice.url = "http://127.0.0.1:9/services/ngshare/"
    school.alice.configure()
    output = school.alice.nbgrader("list", "--cached")
    assert "This is only what was submitted from this computer" in output
    assert line in output
    elsewhere = school.join("alice", "elsewhere", school.alice.url)
    assert "can't be reached" in elsewhere.nbgrader("list", "--cached", status=1)


def test_removing_takes_an_assignment_back_and_keeps_the_work(school: School) -> None:
    school.release("ps1")
    school.release("ps2")
    timestamp = school.submit("alice", PS1)
    assert lines(school.grace.nbgrader("list", "--remove", "ps1")) == [
        "Removing released assignments:",
        "phys101 ps1",
    ]
    assert lines(school.grace.nbgrader("list"))[1:] == ["phys101 ps2"]
    school.release("ps1")
    [submission] = school.grace.api.ok("GET", f"submissions/{COURSE}/ps1")["submissions"]
    assert submission["timestamp"] == timestamp


def test_what_is_removed_has_that_status(school: School) -> None:
    school.release()
    [info] = listing(school.grace, remove=True)
    assert info["status"] == "removed"


def test_students_cannot_take_back(school: School) -> None:
    school.release()
    output = school.alice.nbgrader("list", "--remove", status=1)
    assert "These assignments could not be removed: phys101 ps1" in output
    assert 'you are no instructor of the course "phys101"' in output
    assert lines(school.alice.nbgrader("list"))[1:] == ["phys101 ps1"]


def test_cached_copies_are_removed_here_and_the_server_keeps_its_own(school: School) -> None:
    school.release("ps1")
    school.release("ps2")
    for name in ("ps1", "ps2"):
        school.alice.write(name, PS1)
        school.alice.nbgrader("submit", name)
    title, line = lines(school.alice.nbgrader("list", "--cached", "--remove", "ps1"))
    assert title == "Removing submitted assignments:"
    assert line.startswith("phys101 alice ps1 ")
    [copy] = (school.alice.cache / COURSE).iterdir()
    assert copy.name.startswith("alice+ps2+")
    [_, line] = lines(school.alice.nbgrader("list", "--cached"))
    assert line.startswith("phys101 alice ps2 ")
    assert len(school.grace.api.ok("GET", f"submissions/{COURSE}/ps1")["submissions"]) == 1


def test_what_only_the_server_has_can_be_taken_off_the_list_of_this_computer(
    school: School,
) -> None:
    school.release()
    school.submit("alice", PS1)
    assert len(lines(school.alice.nbgrader("list", "--cached", "--remove"))) == 2
    assert lines(school.alice.nbgrader("list", "--cached")) == ["Submitted assignments:"]
    assert len(lines(school.join("alice", "elsewhere").nbgrader("list", "--cached"))) == 2


def inbound(school: School) -> list[str]:
    """What was submitted, as the instructor sees it: student, assignment, time."""
    title, *listed = lines(school.grace.nbgrader("list", "--inbound"))
    assert title == "Submitted assignments:"
    return [line.removeprefix("phys101 ").partition(" (")[0] for line in listed]


def test_instructors_remove_submissions_from_sight(school: School) -> None:
    for name in ("ps1", "ps2"):
        school.release(name)
    first = school.submit("alice", PS1)
    second = school.submit("alice", PS1)
    school.release_feedback("alice", second, {"p1.html": b"well done"})
    stays = school.submit("bob", PS1, "ps2")
    assert lines(school.grace.nbgrader("list", "--inbound", "--remove", "ps1")) == [
        "Removing submitted assignments:",
        f"phys101 alice ps1 {first} (no feedback available)",
        f"phys101 alice ps1 {second} (feedback ready to be fetched)",
    ]
    assert inbound(school) == [f"bob ps2 {stays}"]
    assert lines(school.alice.nbgrader("list", "--inbound")) == ["Submitted assignments:"]
    assert lines(school.alice.nbgrader("list", "--cached")) == ["Submitted assignments:"]
    assert "No submissions" in school.grace.nbgrader("collect", "ps1")
    assert lines(school.alice.nbgrader("list"))[1:] == ["phys101 ps1", "phys101 ps2"]


def test_submissions_are_chosen_by_student_and_by_pattern(school: School) -> None:
    school.release()
    of_alice = school.submit("alice", PS1)
    school.submit("bob", PS1)
    remove = ("list", "--inbound", "--remove")
    school.grace.nbgrader(*remove, "--student", "bo*")
    assert inbound(school) == [f"alice ps1 {of_alice}"]
    assert lines(school.grace.nbgrader(*remove, "--student", "bob", "ps1"))[1:] == []
    school.grace.nbgrader(*remove, "--student", "alice", "ps1")
    assert inbound(school) == []


def test_removed_submissions_have_that_status(school: School) -> None:
    school.release()
    timestamp = school.submit("alice", PS1)
    [info] = listing(school.grace, inbound=True, remove=True)
    [submission] = info["submissions"]
    assert (info["status"], submission["status"]) == ("removed", "removed")
    assert submission["timestamp"] == timestamp
    assert listing(school.grace, inbound=True) == []


def test_a_student_hands_in_anew_after_the_work_was_removed(school: School) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.nbgrader("submit", "ps1")
    school.grace.nbgrader("list", "--inbound", "--remove", "ps1")
    school.alice.nbgrader("submit", "ps1")
    school.grace.nbgrader("collect", "ps1")
    [line] = inbound(school)
    collected = school.grace.files("submitted/alice/ps1")
    assert line == f"alice ps1 {collected['timestamp.txt'].decode()}"


def test_a_student_cannot_remove_what_was_handed_in(school: School) -> None:
    school.release()
    school.alice.write("ps1", PS1)
    school.alice.nbgrader("submit", "ps1")
    for course in (COURSE, "*"):
        school.alice.configure(course=course)
        before = (inbound(school), tree(school.alice.home))
        output = school.alice.nbgrader("list", "--inbound", "--remove", status=1)
        assert output.splitlines() == [
            "[ListApp | CRITICAL] Only instructors can remove what was handed in, and you are none "
            'of the course "phys101"',
            "[ListApp | ERROR] nbgrader list failed",
        ]
        assert (inbound(school), tree(school.alice.home)) == before


def test_where_one_teaches_and_learns_nothing_is_removed_unless_a_course_is_named(
    school: School,
) -> None:
    school.create_course("art", "oscar", "grace")
    school.release(course="art")
    school.release()
    school.grace.api.submit("art", "ps1", PS1)
    school.submit("alice", PS1)
    school.grace.configure(course="*")
    remove = ("list", "--inbound", "--remove")
    assert 'you are none of the course "art"' in school.grace.nbgrader(*remove, status=1)
    assert len(listing(school.grace, "*", inbound=True)) == 2
    school.grace.nbgrader(*remove, "--course", COURSE)
    [left] = listing(school.grace, "*", inbound=True)
    assert left["course_id"] == "art"


@pytest.mark.usefixtures("impatient")
def test_a_submission_that_cannot_be_removed_does_not_stop_the_rest(
    school: School, proxy: Proxy
) -> None:
    school.release()
    times = {name: school.submit(name, PS1) for name in ("alice", "bob", "grace")}
    grace = school.join("grace", "office", proxy.url)
    proxy.cut_answers_after(0, to="DELETE submission/phys101/ps1/bob")
    output = grace.nbgrader("list", "--inbound", "--remove", status=1)
    assert f"phys101 bob ps1 {times['bob']}: ngshare can't be reached" in output
    said = f"These submissions could not be removed: phys101 bob ps1 {times['bob']}"
    assert output.splitlines()[-2] == f"[ListApp | CRITICAL] {said}"
    assert inbound(school) == []  # of bob's the answer alone was lost


def test_inbound_and_cached_exclude_each_other(school: School) -> None:
    assert "incompatible" in school.alice.nbgrader("list", "--inbound", "--cached", status=1)


def test_the_list_is_also_there_as_json(school: School, capsys: pytest.CaptureFixture[str]) -> None:
    school.release()
    capsys.readouterr()
    school.alice.nbgrader("list", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed == listing(school.alice)


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, ["GET assignments?course_id=phys101"]),
        ({"inbound": True}, ["GET submissions?course_id=phys101"]),
        ({"cached": True}, ["GET submissions?course_id=phys101&mine=true"]),
    ],
)
def test_the_number_of_requests_does_not_grow_with_the_list(
    school: School, proxy: Proxy, options: dict[str, bool], calls: list[str]
) -> None:
    for number in range(5):
        school.release(f"ps{number}")
        for student in ("alice", "bob", "grace"):
            timestamp = school.submit(student, PS1, f"ps{number}")
            school.release_feedback(student, timestamp, {"p1.html": b""}, f"ps{number}")
    grace = school.join("grace", "office", proxy.url)
    assert len(listing(grace, **options)) >= 5
    assert sorted(proxy.calls) == calls


def test_the_same_list_is_asked_for_once_in_a_second(school: School, proxy: Proxy) -> None:
    school.release()
    alice = school.join("alice", "elsewhere", proxy.url)
    bob = school.join("bob", "elsewhere2", proxy.url)
    assert [len(listing(each)) for each in (alice, alice, alice, bob)] == [1] * 4
    assert len(proxy.calls) == 2


@pytest.mark.usefixtures("impatient")
def test_a_failure_too_is_the_answer_for_a_second(school: School, proxy: Proxy) -> None:
    alice = school.join("alice", "elsewhere", proxy.url)
    proxy.cut_answers_after(0)
    for _ in range(3):
        with pytest.raises(ExchangeError, match="broke off"):
            listing(alice)
    assert len(proxy.calls) == 1


def test_changes_of_ones_own_are_seen_at_once(school: School) -> None:
    assert listing(school.grace) == []
    school.grace.write("release/ps1", PS1)
    school.grace.nbgrader("release_assignment", "ps1")
    assert [each["assignment_id"] for each in listing(school.grace)] == ["ps1"]
    school.grace.nbgrader("list", "--remove", "ps1")
    assert listing(school.grace) == []


def test_a_reader_who_changes_a_list_changes_only_that(school: School) -> None:
    school.release()
    first = listing(school.alice)
    first[0]["notebooks"].clear()
    first[0]["status"] = "spoilt"
    [second] = listing(school.alice)
    assert second["status"] == "released"
    assert [each["notebook_id"] for each in second["notebooks"]] == ["p1"]


def test_the_list_touches_nothing_on_disk(school: School) -> None:
    school.release()
    before = tree(school.home)
    for mode in ([], ["--inbound"], ["--cached"]):
        school.alice.nbgrader("list", *mode)
    assert tree(school.home) == before


def test_assignments_that_no_folder_can_be_named_after_are_left_out(school: School) -> None:
    school.release()
    root = school.api.user("root")
    root.ok("POST", f"assignment/{COURSE}/a%2Fb", files="[]")
    assert [each["assignment_id"] for each in listing(school.alice)] == ["ps1"]

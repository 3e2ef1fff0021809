"""What people see in JupyterLab: formgrader, the assignment list, the course list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from nbgrader.apps import NbGrader
from nbgrader.server_extensions.formgrader import base as formgrader_base

from tests.exchange.jupyter import Jupyter
from tests.exchange.people import COURSE, PS1, Person, School
from tests.fake_hub import FakeHub
from tests.neighbours import Proxy, Reply, Stranger


@pytest.fixture
def grace(school: School, proxy: Proxy) -> Person:
    """The instructor, with eight assignments that are not released."""
    grace = school.join("grace", "office", proxy.url)
    for number in range(8):
        grace.write(f"source/ps{number}", PS1)
        grace.write(f"release/ps{number}", PS1)
    return grace


@pytest.fixture
def formgrader(grace: Person) -> Iterator[Jupyter]:
    with Jupyter(grace) as jupyter:
        yield jupyter


def student_names(school: School) -> list[str]:
    people = school.root.api.ok("GET", f"students/{COURSE}")["students"]
    return [each["username"] for each in people]


def statuses(jupyter: Jupyter) -> dict[str, str]:
    return {
        each["name"]: each["status"] for each in jupyter.json("GET", "formgrader/api/assignments")
    }


def test_formgrader_releases_collects_and_takes_back(
    school: School, grace: Person, formgrader: Jupyter, proxy: Proxy
) -> None:
    page = formgrader.call("GET", "formgrader/manage_assignments").text
    assert "warning-exchange" not in page
    assert "ngshare.exchange.ExchangeList" in page  # the configuration, as JSON
    proxy.calls.clear()
    assert set(statuses(formgrader).values()) == {"draft"}
    assert proxy.calls == ["GET assignments?course_id=phys101", "GET courses?detail=true"]

    released = formgrader.json("POST", "formgrader/api/assignment/ps1/release")
    assert released["success"], released
    assert statuses(formgrader)["ps1"] == "released"
    again = formgrader.json("POST", "formgrader/api/assignment/ps1/release")
    assert not again["success"]
    assert "add --force" in again["log"]

    collected = formgrader.json("POST", "formgrader/api/assignment/ps1/collect")
    assert "No submissions" in collected["log"]
    school.submit("alice", PS1)
    collected = formgrader.json("POST", "formgrader/api/assignment/ps1/collect")
    assert "Collecting submission: alice ps1" in collected["log"]
    timestamp = school.submit("alice", PS1)
    collected = formgrader.json("POST", "formgrader/api/assignment/ps1/collect")
    assert "Updating submission: alice ps1" in collected["log"]

    folder = "submitted/alice/ps1"
    grace.write(
        "feedback/alice/ps1",
        {"timestamp.txt": grace.files(folder)["timestamp.txt"], "p1.html": b"good"},
    )
    given = formgrader.json("POST", "formgrader/api/assignment/ps1/alice/release_feedback")
    assert given["success"], given
    feedback = school.alice.api.files(f"feedback/{COURSE}/ps1/alice", timestamp=timestamp)
    assert feedback == {"p1.html": b"good"}

    taken = formgrader.json("POST", "formgrader/api/assignment/ps1/unrelease")
    assert taken["success"], taken
    assert statuses(formgrader)["ps1"] == "draft"


def test_formgraders_students_are_those_of_the_course(school: School, formgrader: Jupyter) -> None:
    carol = {"first_name": "Carol", "last_name": "C", "email": ""}
    answer = formgrader.json("PUT", "formgrader/api/student/carol", json=carol)
    assert answer["first_name"] == "Carol"
    assert student_names(school) == ["alice", "bob", "carol"]
    formgrader.json("PUT", "formgrader/api/student/alice", json=carol)
    assert student_names(school) == ["alice", "bob", "carol"]
    alice = school.root.api.ok("GET", f"student/{COURSE}/alice")
    assert alice["first_name"] == "Alice"


def test_whom_formgraders_gradebook_removes_is_removed_from_the_course(school: School) -> None:
    # No page of nbgrader 0.9.6 removes students, so this asks the pages' gradebook itself.
    with school.grace.at_work():
        app = NbGrader(config_dir=str(school.grace.work))
        app.initialize([])
        settings = {"nbgrader_gradebook": None}
        page = SimpleNamespace(
            settings=settings, log=app.log, coursedir=app.coursedir, db_url=app.coursedir.db_url
        )
        gradebook = formgrader_base.BaseHandler.gradebook.__get__(page)
        gradebook.update_or_create_student("carol")
        assert student_names(school) == ["alice", "bob", "carol"]
        gradebook.remove_student("carol")
        gradebook.close()
    assert student_names(school) == ["alice", "bob"]


def test_a_student_who_cannot_be_added_is_not_in_formgrader_either(
    school: School, formgrader: Jupyter
) -> None:
    school.root.api.ok("DELETE", f"instructor/{COURSE}/grace")
    response = formgrader.call("PUT", "formgrader/api/student/carol", json={})
    assert response.status_code == 500
    assert "you are no instructor" in formgrader.log()
    assert formgrader.json("GET", "formgrader/api/students") == []
    assert student_names(school) == ["alice", "bob"]


def test_formgrader_says_that_the_exchange_is_missing_while_the_server_is_away(
    school: School, grace: Person
) -> None:
    grace.url = "http://127.0.0.1:9/services/ngshare/"
    grace.configure()
    with Jupyter(grace) as formgrader:
        page = formgrader.call("GET", "formgrader/manage_assignments")
        assert page.status_code == 200
        assert "warning-exchange" in page.text
        assert grace.url in page.text
        assert set(statuses(formgrader).values()) == {"draft"}


def test_a_formgrader_with_another_exchange_is_left_alone(school: School, grace: Person) -> None:
    grace.configure("c.ExchangeFactory.exchange = 'nbgrader.exchange.default.Exchange'")
    with Jupyter(grace) as formgrader:
        formgrader.json("PUT", "formgrader/api/student/carol", json={})
    assert student_names(school) == ["alice", "bob"]


def test_the_assignment_list_goes_the_whole_way(school: School, proxy: Proxy) -> None:
    school.release()
    alice = school.join("alice", "elsewhere", proxy.url)

    def by_status(answer: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        assert answer["success"], answer
        found: dict[str, list[dict[str, Any]]] = {}
        for each in answer["value"]:
            found.setdefault(each["status"], []).append(each)
        return found

    here = {"course_id": COURSE, "assignment_id": "ps1"}
    with Jupyter(alice) as jupyter:
        assert jupyter.json("GET", "courses") == {"success": True, "value": [COURSE]}
        listed = jupyter.json("GET", "assignments", params={"course_id": COURSE})
        assert by_status(listed).keys() == {"released"}

        [fetched] = by_status(jupyter.json("POST", "assignments/fetch", data=here))["fetched"]
        assert (fetched["path"], fetched["notebooks"][0]["path"]) == ("ps1", "ps1/p1.ipynb")

        found = by_status(jupyter.json("POST", "assignments/submit", data=here))
        [submission] = found["submitted"][0]["submissions"]
        assert not submission["has_exchange_feedback"]
        timestamp = submission["timestamp"]
        school.release_feedback("alice", timestamp, {"p1.html": b"good"})

        found = by_status(jupyter.json("POST", "assignments/fetch_feedback", data=here))
        [submission] = found["submitted"][0]["submissions"]
        assert submission["local_feedback_path"] == f"ps1/feedback/{timestamp}"
        assert submission["has_local_feedback"]
        assert not submission["feedback_updated"]

        again = jupyter.json("POST", "assignments/fetch", data=here)
        assert by_status(again).keys() == {"fetched", "submitted"}
    assert alice.files("ps1")["p1.ipynb"] == PS1["p1.ipynb"]


def test_the_assignment_list_asks_little(school: School, proxy: Proxy) -> None:
    for number in range(5):
        school.release(f"ps{number}")
        school.submit("alice", PS1, f"ps{number}")
    alice = school.join("alice", "elsewhere", proxy.url)
    with Jupyter(alice) as jupyter:
        jupyter.json("GET", "assignments", params={"course_id": COURSE})
    assert sorted(proxy.calls) == [
        "GET assignments?course_id=phys101",
        "GET submissions?course_id=phys101&mine=true",
    ]


def test_the_assignment_list_says_what_went_wrong(school: School) -> None:
    school.alice.url = "http://127.0.0.1:9/services/ngshare/"
    school.alice.configure()
    here = {"course_id": COURSE, "assignment_id": "ps1"}
    with Jupyter(school.alice) as jupyter:
        for path in ("courses", f"assignments?course_id={COURSE}"):
            answer = jupyter.json("GET", path)
            assert not answer["success"]
            assert answer["value"].startswith("ngshare can't be reached")
        answer = jupyter.json("POST", "assignments/submit", data=here)
        assert not answer["success"]
        assert answer["value"] == f"There is no folder {school.alice.work}/ps1"
        # What another exchange says is left as it is.
        school.alice.configure("c.ExchangeFactory.list = 'nbgrader.exchange.default.ExchangeList'")
        answer = jupyter.json("GET", "courses")
        assert "exchange directory does not exist" in answer["value"]


def test_the_course_list_works_without_the_plugin_and_tells_an_outage_with_it(
    school: School,
) -> None:
    with Jupyter(school.grace) as jupyter:
        answer = jupyter.json("GET", "formgraders")
        assert [each["course_id"] for each in answer["value"]] == [COURSE]
        school.grace.url = "http://127.0.0.1:9/services/ngshare/"
        plugin = "c.Authenticator.plugin_class = 'ngshare.exchange.NgshareAuthPlugin'"
        school.grace.configure(plugin)
        answer = jupyter.json("GET", "formgraders")
        assert not answer["success"]
        assert "can't be reached" in answer["value"]


def test_with_the_plugin_the_course_list_finds_the_formgraders_of_ones_courses(
    school: School,
) -> None:
    school.create_course("art", "oscar", "grace")
    school.create_course("zoology", "oscar")
    plugin = "c.Authenticator.plugin_class = 'ngshare.exchange.NgshareAuthPlugin'"
    school.grace.configure(plugin)
    services = {name: {"prefix": f"/services/{name}/"} for name in (COURSE, "art", "zoology")}
    hub = Stranger(Reply(json.dumps(services).encode()))
    with Jupyter(school.grace, JUPYTERHUB_API_URL=hub.url.rstrip("/")) as jupyter:
        answer = jupyter.json("GET", "formgraders")
    hub.close()
    assert answer["success"], answer
    found = [each["course_id"] for each in answer["value"] if each["kind"] == "jupyterhub"]
    assert found == ["art", COURSE]


def test_a_formgrader_that_is_a_service_of_the_hub_works_for_its_course(
    school: School, the_hub: FakeHub
) -> None:
    the_hub.services = {COURSE}
    grader = school.join(COURSE)
    grader.write("source/ps1", PS1)
    grader.write("release/ps1", PS1)
    with Jupyter(grader) as formgrader:
        released = formgrader.json("POST", "formgrader/api/assignment/ps1/release")
        assert released["success"], released
        school.submit("alice", PS1)
        collected = formgrader.json("POST", "formgrader/api/assignment/ps1/collect")
        assert "Collecting submission: alice ps1" in collected["log"]
        formgrader.json("PUT", "formgrader/api/student/carol", json={})
    assert student_names(school) == ["alice", "bob", "carol"]

"""NgshareAuthPlugin, by nbgrader's commands and by the course list's question."""

from __future__ import annotations

import pytest
from nbgrader.auth import Authenticator
from nbgrader.auth.jupyterhub import JupyterhubEnvironmentError
from nbgrader.exchange import ExchangeError
from traitlets.config import Config

from ngshare.exchange import configure_exchange
from tests.exchange.people import COURSE, Person, School
from tests.fake_hub import FakeHub

PLUGIN = "c.Authenticator.plugin_class = 'ngshare.exchange.NgshareAuthPlugin'"


def authenticator(someone: Person) -> Authenticator:
    config = Config()
    configure_exchange(config, someone.url)
    config.Authenticator.plugin_class = "ngshare.exchange.NgshareAuthPlugin"
    return Authenticator(config=config)


def courses(someone: Person, student: str = "*") -> list[str]:
    with someone.at_work():
        return authenticator(someone).get_student_courses(student)


def roster(school: School) -> dict[str, str]:
    """First names by user."""
    people = school.grace.api.ok("GET", f"students/{COURSE}")["students"]
    return {each["username"]: each["first_name"] for each in people}


@pytest.fixture
def grace(school: School) -> Person:
    school.grace.configure(PLUGIN)
    return school.grace


def test_courses_taken_and_taught_are_told_and_never_all(school: School) -> None:
    school.create_course("art", "oscar", "alice")
    school.create_course("zoology", "alice")
    assert courses(school.alice) == courses(school.alice, "alice") == ["art", COURSE, "zoology"]
    assert courses(school.bob) == [COURSE]
    assert courses(school.join("eve")) == []


def test_instructors_may_ask_about_the_students_of_their_courses(school: School) -> None:
    school.create_course("art", "oscar", "alice", "grace")
    assert courses(school.grace, "alice") == [COURSE]
    assert courses(school.grace, "eve") == []
    assert courses(school.alice, "bob") == []


def test_a_formgrader_that_is_a_service_has_the_course_it_is_named_after(
    school: School, the_hub: FakeHub
) -> None:
    school.create_course("art", "oscar")
    the_hub.services = {COURSE, "stranger"}
    assert courses(school.join(COURSE)) == [COURSE]
    assert courses(school.join("stranger")) == []


@pytest.mark.usefixtures("impatient")
def test_an_outage_is_neither_no_course_nor_every_course(school: School) -> None:
    school.alice.url = "http://127.0.0.1:9/services/ngshare/"
    with pytest.raises(ExchangeError, match="can't be reached"):
        courses(school.alice)


def test_outside_of_a_hub_the_course_list_is_told_so(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    with pytest.raises(JupyterhubEnvironmentError):
        authenticator(school.alice).get_student_courses("*")


def test_students_whom_nbgrader_adds_are_added_on_the_server(school: School, grace: Person) -> None:
    grace.nbgrader("db", "student", "add", "carol", "--first-name=Carol")
    assert roster(school).keys() == {"alice", "bob", "carol"}
    school.release()
    school.join("carol").nbgrader("fetch_assignment", "ps1")


def test_names_that_the_server_knows_are_not_blanked(school: School, grace: Person) -> None:
    grace.nbgrader("db", "student", "add", "alice")
    grace.nbgrader("db", "student", "add", "alice")
    assert roster(school)["alice"] == "Alice"


def test_a_whole_file_of_students_is_imported(school: School, grace: Person) -> None:
    grace.write("", {"students.csv": b"id,first_name\nalice,Al\ncarol,Carol\ndave,\n"})
    grace.nbgrader("db", "student", "import", "students.csv")
    assert roster(school).keys() == {"alice", "bob", "carol", "dave"}
    assert roster(school)["alice"] == "Alice"


def test_students_whom_nbgrader_removes_are_removed_and_their_work_stays(
    school: School, grace: Person
) -> None:
    school.release()
    timestamp = school.submit("alice", {"p1.ipynb": b"mine"})
    grace.nbgrader("db", "student", "add", "alice")
    grace.nbgrader("db", "student", "remove", "alice")
    assert roster(school).keys() == {"bob"}
    [submission] = grace.api.ok("GET", f"submissions/{COURSE}/ps1")["submissions"]
    assert submission == {"student_id": "alice", "timestamp": timestamp}


def test_somebody_whom_the_server_does_not_have_is_removed_from_the_gradebook(
    school: School, grace: Person
) -> None:
    grace.nbgrader("db", "student", "add", "carol")
    grace.api.ok("DELETE", f"student/{COURSE}/carol")
    grace.nbgrader("db", "student", "remove", "carol")
    output = grace.nbgrader("db", "student", "remove", "carol", status=1)
    assert "No such student" in output


def test_instructors_may_be_in_the_gradebook_as_students_for_their_own_trials(
    school: School, grace: Person
) -> None:
    grace.nbgrader("db", "student", "add", "grace")
    assert "grace" not in roster(school)
    assert courses(grace) == [COURSE]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/services/ngshare/", None])
def test_a_student_who_cannot_be_added_is_not_in_the_gradebook_either(
    school: School, url: str | None
) -> None:
    someone = school.alice  # who teaches nothing
    someone.url = url or someone.url
    someone.configure(PLUGIN)
    with pytest.raises(ExchangeError):
        someone.nbgrader("db", "student", "add", "carol")
    someone.configure()
    assert "No such student" in someone.nbgrader("db", "student", "remove", "carol", status=1)
    assert "carol" not in roster(school)


def test_without_the_plugin_the_gradebook_is_nbgraders_own_matter(school: School) -> None:
    school.grace.nbgrader("db", "student", "add", "carol")
    assert "carol" not in roster(school)

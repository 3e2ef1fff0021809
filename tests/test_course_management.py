"""The command ngshare-course-management, without a gradebook."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ngshare.client import NgShareClient
from ngshare.course_management import main
from tests.api import Api
from tests.fake_hub import FakeHub, token_of

HEADER = "student_id,first_name,last_name,email\n"


class Command:
    """The command as somebody types it."""

    def __init__(
        self,
        url: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("NGSHARE_URL", url)
        self.log_in, self._capsys = monkeypatch.setenv, capsys

    def __call__(self, *arguments: str, by: str = "kevin", status: int = 0) -> tuple[str, str]:
        """What it says, and what it complains of."""
        self.log_in("JUPYTERHUB_API_TOKEN", token_of(by))
        assert main(arguments) == status
        said, complaints = self._capsys.readouterr()
        prefix = "ngshare-course-management: "
        assert all(line.startswith(prefix) for line in complaints.splitlines())
        return said, complaints.replace(prefix, "")


@pytest.fixture
def command(
    course: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quick: None
) -> Command:
    return Command(course.url, monkeypatch, capsys)


def names(people: list[dict[str, str]]) -> list[str]:
    return [person["username"] for person in people]


def test_a_course_is_created_with_its_instructors(command: Command, root: NgShareClient) -> None:
    said, _ = command("create_course", "new", "kevin", "mia", by="root")
    assert said == "Created the course new\n"
    assert names(root.list_instructors("new")) == ["kevin", "mia"]
    command("create_course", "empty", by="root")
    assert root.list_instructors("empty") == []


def test_a_refusal_is_the_servers_and_the_status_1(command: Command) -> None:
    said, complaints = command("create_course", "course1", by="root", status=1)
    assert (said, complaints) == ("", "Course already exists\n")
    assert command("create_course", "new", status=1) == ("", "Permission denied\n")
    assert command("show", "new", status=1) == ("", "Course not found\n")


def test_instructors_are_added_updated_and_removed(command: Command, root: NgShareClient) -> None:
    who = ("course1", "mia")
    command("add_instructor", *who, "-f", "Mia", "-l", "M", "-e", "mia@example.org", by="root")
    command("add_instructor", *who, "--last_name", "Moon", by="root")  # the rest stays
    mia = {"username": "mia", "first_name": "Mia", "last_name": "Moon", "email": "mia@example.org"}
    assert root.get_instructor(*who) == mia
    command("add_instructor", *who, "--email", "", by="root")
    assert root.get_instructor(*who) == {**mia, "email": ""}
    command("remove_instructor", *who, by="root")
    assert names(root.list_instructors("course1")) == ["kevin"]
    assert command("remove_instructor", *who, by="root", status=1)[1] == "Instructor not found\n"


def test_a_student_is_added_and_updated(command: Command, kevin: NgShareClient) -> None:
    who = ("course1", "zoe")
    said, _ = command("add_student", *who, "--first_name", "Zoe", "--no-gb")
    assert said == "zoe is a student of course1\n"
    command("add_student", *who, "--email", "zoe@example.org", "--no-gb")
    assert kevin.get_student(*who) == {
        "username": "zoe",
        "first_name": "Zoe",
        "last_name": "",
        "email": "zoe@example.org",
    }
    _, complaints = command("add_student", "course1", "kevin", "--no-gb", status=1)
    assert complaints == "Cannot add instructor as student\n"
    _, complaints = command("add_student", "nowhere", "zoe", "--no-gb", by="root", status=1)
    assert complaints == "Course not found\n"


def test_students_come_from_a_csv_file(command: Command, kevin: NgShareClient, place: Path) -> None:
    roster = place / "roster.csv"
    roster.write_bytes(
        b"\xef\xbb\xbflast_name, email,student_id,note,first_name\r\n"
        b'"Moon, the first",mia@example.org, mia ,x,Mia\r\n'
        b"\r\n"
        b",,,,\r\n"
        b"M\xc3\xbcller,,bob,,\r\n"
    )
    said, complaints = command("add_students", "course1", str(roster), "--no-gb")
    assert (said, complaints) == ("Added or updated 2 students of course1\n", "")
    assert kevin.get_student("course1", "mia")["last_name"] == "Moon, the first"
    assert kevin.get_student("course1", "bob") == {
        "username": "bob",
        "first_name": "",
        "last_name": "Müller",
        "email": "",
    }


def test_bad_lines_are_named_and_the_other_students_added(
    command: Command, kevin: NgShareClient, place: Path
) -> None:
    roster = place / "roster.csv"
    roster.write_text(
        HEADER
        + "mia,Mia,Moon,mia@example.org\n"
        + ",No,Body,x\n"
        + 'zoe,"Zoe\nAnn",Z,z\n'
        + "short,Too,Short\n"
        + "Doe, John,John,Doe,x\n"
        + "mia,Mia,Again,x\n"
        + "kevin,Kev,In,x\n"
    )
    said, complaints = command("add_students", "course1", str(roster), "--no-gb", status=1)
    assert said == "Added or updated 2 students of course1\n"
    assert complaints.splitlines() == [
        f"{roster}, line 3: there is no student_id",
        f"{roster}, line 6: it has not as many columns as the first line",
        f"{roster}, line 7: it has not as many columns as the first line",
        f"{roster}, line 8: mia is there already",
        "kevin was not added: Cannot add instructor as student",
    ]
    assert names(kevin.list_students("course1"))[2:] == ["mia", "zoe"]
    assert kevin.get_student("course1", "mia")["last_name"] == "Moon"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "line 1: there is no column student_id, first_name, last_name, email"),
        (b"student_id,email\nmia,x\n", "line 1: there is no column first_name, last_name"),
        (b"student_id\tfirst_name\tlast_name\temail\n", "line 1: there is no column student_id"),
        (HEADER.encode() + b"a,b,c,d\nb,M\xfcller,c,d\n", "line 3: the file is not in UTF-8"),
        (HEADER.encode() + b"mia," + b"x" * 200_000 + b",c,d\n", "line 2: field larger than"),
        (HEADER.encode() + b'a,b,c,d\nb,"M,c,d\ne,f,g,h\n', "line 3: unexpected end of data"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_of_a_file_that_is_no_roster_nothing_is_added(
    command: Command, kevin: NgShareClient, place: Path, content: bytes | None, complaint: str
) -> None:
    if content is not None:
        (place / "roster.csv").write_bytes(content)
    said, complaints = command(
        "add_students", "course1", str(place / "roster.csv"), "--no-gb", status=1
    )
    assert said == ""
    assert complaint in complaints
    assert complaints.count("\n") == 1
    assert names(kevin.list_students("course1")) == ["lawrence", "eric"]


def test_where_a_long_roster_stops_is_told(
    command: Command, hub: FakeHub, place: Path, serve: Callable[..., Api], proxy: object
) -> None:
    rows = [f"student{number},a,b,c\n" for number in range(1500)]
    (place / "roster.csv").write_text(HEADER + "".join(rows))
    command.log_in("NGSHARE_URL", proxy.url)  # type: ignore[attr-defined]
    proxy.cut_answers_after(None, *[0] * 5)  # type: ignore[attr-defined]
    said, complaints = command(
        "add_students", "course1", str(place / "roster.csv"), "--no-gb", status=1
    )
    assert said == ""
    assert complaints.startswith("Stopped after 1,000 of 1,500 students\nThe connection to ")


def test_students_are_removed_and_who_is_none_is_named(
    command: Command, kevin: NgShareClient
) -> None:
    said, complaints = command(
        "remove_students", "course1", "nobody", "eric", "lawrence", "eric", "--no-gb", status=1
    )
    assert said.splitlines() == [
        "eric is no longer a student of course1",
        "lawrence is no longer a student of course1",
    ]
    assert complaints == "nobody is no student of course1\n"
    assert kevin.list_students("course1") == []


def test_names_with_capitals_are_warned_of(command: Command, place: Path) -> None:
    (place / "roster.csv").write_text(HEADER + "Mia,a,b,c\nbob,a,b,c\nZoe,a,b,c\n")
    roster = str(place / "roster.csv")
    for arguments, by in (
        (("add_students", "course1", roster, "--no-gb"), "kevin"),
        (("create_course", "new", "Mia", "bob", "Zoe"), "root"),
    ):
        _, complaints = command(*arguments, by=by)
        assert "Warning" in complaints
        assert "Mia, Zoe" in complaints
        assert "bob" not in complaints


def test_courses_and_people_are_listed_for_programs(command: Command) -> None:
    assert command("list")[0] == "course1\tinstructor\n"
    assert command("list", by="root")[0] == "course1\tadmin\ncourse2\tadmin\n"
    said, _ = command("show", "course1")
    assert said.splitlines() == [
        "instructor\tkevin\t\t\t",
        "student\tlawrence\tLawrence\tStudent\tlawrence@example.org",
        "student\teric\tEric\tStudent\teric@example.org",
    ]
    assert command("show", "course1", by="lawrence", status=1)[1] == "Permission denied\n"


def in_a_terminal(*arguments: str) -> str:
    """What the command shows in a terminal."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "ngshare.course_management", *arguments]
    subprocess.run(command, stdin=its, stdout=its, stderr=its, env=environment, check=True)
    os.close(its)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    return shown.decode()


def test_people_see_a_table(command: Command, kevin: NgShareClient) -> None:
    kevin.add_student("course1", "[red]mia", "Mia", "Moon", "")
    command.log_in("JUPYTERHUB_API_TOKEN", token_of("kevin"))
    shown = in_a_terminal("show", "course1")
    assert "e-mail" in shown
    assert "lawrence@example.org" in shown
    assert "[red]mia" in shown
    assert "│" in shown


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["show"], ["add_student", "course1"], ["remove_students", "course1"]],
)
def test_misuse_is_told_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: ngshare-course-management" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told_with_what_to_do(command: Command) -> None:
    command.log_in("NGSHARE_URL", "http://127.0.0.1:9/")
    said, complaints = command("list", status=1)
    assert (said, complaints) == (
        "",
        "Nothing listens at http://127.0.0.1:9/\n`ngshare doctor` tells more\n",
    )


def test_on_a_stand_alone_server_one_is_whom_the_system_says(
    command: Command, serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = serve(stand_alone=True)
    monkeypatch.setenv("NGSHARE_URL", api.url)
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    monkeypatch.setenv("USER", "root")
    assert main(["create_course", "alone", "root"]) == 0
    monkeypatch.setenv("JUPYTERHUB_USER", "mia")
    assert main(["create_course", "again"]) == 1

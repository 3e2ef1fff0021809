"""Exchange directories of nbgrader: in and out again, as they were."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import update

from ngshare.database import integrity
from ngshare.database.engine import Database, make_engine
from ngshare.database.models import SnapshotFile
from ngshare.moves.exporting import export_exchange
from ngshare.moves.importing import import_exchange
from ngshare.moves.layout import parse_folder_name, parse_time
from ngshare.moves.report import Report
from ngshare.moving_commands import ExportExchange, ImportExchange
from ngshare.service import StartError
from tests.api import Api, encode
from tests.moving import command, hand_in, read_times, read_tree, unpack_exchange, write_page
from tests.tables import read_tables
from tests.test_app import complains

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

EARLIER = "2020-01-30 10:30:47.524219 UTC"
LATER = "2020-02-01 08:00:00.000001 UTC"
NOW = datetime(2020, 3, 1, tzinfo=timezone.utc)


@contextmanager
def no_progress(_total: int) -> Iterator[Callable[[int], object]]:
    yield lambda _: None


def bring_in(database: Database, exchange: Path, dry_run: bool = False) -> Report:
    report = Report()
    import_exchange(database, exchange, {}, report, no_progress, dry_run)
    return report


def take_out(database: Database, folder: Path, volume: bool = False) -> Report:
    report = Report()
    assert export_exchange(database, folder, volume, report, no_progress)
    return report


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_exchange(tmp_path_factory.mktemp("exchange"))


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    """An empty exchange directory with course1."""
    for part in ("outbound", "inbound", "feedback"):
        (tmp_path / "exchange" / "course1" / part).mkdir(parents=True)
    return tmp_path / "exchange"


@pytest.fixture
def other_site(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """Another ngshare, without courses."""
    database = Database(make_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'b.db')}"))
    yield database
    database.close()


def test_what_nbgrader_made_goes_in_and_out_again_byte_for_byte_with_times(
    database: Database,
    database_url: str,
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = read_tree(made)
    assert command(ImportExchange, "--database", database_url, made) == 0
    imported, notes = capsys.readouterr()
    assert "belongs to" not in notes  # one user has all folders
    assert imported.count("60 submissions (60 new), 60 feedback (60 new)") == 3
    assert imported.count("2 releases (2 new)") == 3
    assert "Left out: 0\n" in imported
    assert read_tree(made) == before
    assert command(ExportExchange, "--database", database_url, tmp_path / "out") == 0
    assert read_tree(tmp_path / "out") == before
    digests = [line for line in imported.splitlines() if "sha256" in line]
    assert digests == [x for x in capsys.readouterr().out.splitlines() if "sha256" in x]
    times, expected = read_times(tmp_path / "out"), read_times(made)
    for path in expected:
        if name := parse_folder_name(Path(path).name):
            expected[path] = name.at
    assert times == expected
    assert list(integrity.check(database, lambda _: None)) == []

    tables = read_tables(database)
    assert command(ImportExchange, "--database", database_url, made) == 0
    again = capsys.readouterr().out
    assert again.count("60 submissions (0 new), 60 feedback (0 new)") == 3
    assert digests == [line for line in again.splitlines() if "sha256" in line]
    assert read_tables(database) == tables
    assert command(ExportExchange, "--database", database_url, tmp_path / "out") == 0
    assert "has all this already" in capsys.readouterr().out


def test_a_dry_run_says_the_same_and_changes_nothing(database: Database, made: Path) -> None:
    before = read_tables(database)
    told = bring_in(database, made, dry_run=True).lines("new")
    assert read_tables(database) == before
    assert told == bring_in(database, made).lines("new")


def test_an_import_that_is_killed_is_completed_by_the_next(
    database: Database, database_url: str, made: Path, tmp_path: Path
) -> None:
    script = (
        "import os, sys; from ngshare.database import snapshots; from ngshare.app import main\n"
        "put, calls = snapshots.put, []\n"
        "def put_some(*args):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 170: os.kill(os.getpid(), 9)\n"
        "    return put(*args)\n"
        "snapshots.put = put_some\n"
        "main(sys.argv[1:])"
    )
    arguments = ["import-exchange", str(made), "--database", database_url]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert 0 < len(read_tables(database)["submissions"]) < 180
    bring_in(database, made)
    take_out(database, tmp_path / "out")
    assert read_tree(tmp_path / "out") == read_tree(made)


def test_an_import_while_people_submit_loses_nothing(
    course: Api, database_url: str, exchange: Path
) -> None:
    for number in range(150):
        student = ("lawrence", "eric")[number % 2]
        timestamp = f"2020-01-30 10:30:47.{number:06} UTC"
        hand_in(exchange, student, timestamp, {"a": b"%d" % number * 1000})
    ended = threading.Event()

    def submit(name: str) -> list[str]:
        receipts = []
        while not ended.is_set() or len(receipts) < 5:
            content = {"a": f"{name} {len(receipts)}".encode()}
            receipts.append(course.user(name).submit("course1", "challenge", content))
        return receipts

    importer = Database(make_engine(database_url))  # a process of its own has one, too
    with ThreadPoolExecutor(2) as threads:
        storm = [threads.submit(submit, name) for name in ("lawrence", "eric")]
        try:
            report = bring_in(importer, exchange)
        finally:
            ended.set()
        receipts = [receipt for each in storm for receipt in each.result()]
    importer.close()
    assert (report.courses["course1"].new["submissions"], report.left_out) == (150, 0)
    listed = course.user("kevin").ok("GET", "submissions/course1/challenge")["submissions"]
    times = {entry["timestamp"] for entry in listed}
    assert set(receipts) <= times
    assert len(listed) == len(receipts) + 150


@on_sqlite
def test_the_layout_of_a_volume_goes_in_and_out_too(
    database: Database, other_site: Database, made: Path, tmp_path: Path
) -> None:
    bring_in(database, made)
    take_out(database, tmp_path / "volume", volume=True)
    submission = next((tmp_path / "volume/math101/inbound/zoë").iterdir())
    assert submission.name.startswith("zoë+ps")
    assert len(list((tmp_path / "volume/math101/feedback_public/zoë").iterdir())) == 3
    assert bring_in(other_site, tmp_path / "volume").left_out == 0
    take_out(other_site, tmp_path / "again", volume=True)
    assert read_tree(tmp_path / "again") == read_tree(tmp_path / "volume")
    take_out(other_site, tmp_path / "out")
    assert read_tree(tmp_path / "out") == read_tree(made)


@pytest.mark.parametrize("key", ["+course1+challenge+p1+eric+" + EARLIER, ""])
@pytest.mark.parametrize("is_volume", [False, True])
@on_sqlite
def test_feedback_without_a_secret_is_found_as_older_releases_named_it(
    course: Api, database: Database, exchange: Path, key: str, is_volume: bool
) -> None:
    files = {"p1.ipynb": b"{1}", "other.ipynb": b"{2}"}
    place = "course1/inbound/eric" if is_volume else "course1/inbound"
    hand_in(exchange, "eric", EARLIER, files, place, random="")
    pages = exchange / "course1" / ("feedback_public/eric" if is_volume else "feedback")
    write_page(pages, b"{1}" + key.removeprefix("+").encode(), b"well done", NOW)
    stray = write_page(pages, b"nothing", b"?", NOW)
    report = bring_in(database, exchange)
    assert report.left_out == 1
    assert stray.exists()
    path = "feedback/course1/challenge/eric"
    found = course.user("eric").files(path, timestamp=EARLIER)
    assert found == {"p1.html": b"well done"}


@on_sqlite
def test_feedback_that_was_released_again_replaces_the_earlier_and_not_the_later(
    course: Api, database: Database, exchange: Path
) -> None:
    hand_in(exchange, "eric", EARLIER, {"p1.ipynb": b"{}", "submission_secret.txt": b"secret"})
    pages = exchange / "course1" / "feedback"
    contents = []
    for page, at in ((b"1", NOW), (b"2", NOW + timedelta(days=1)), (b"3", NOW)):
        write_page(pages, b"secretp1", page, at)
        bring_in(database, exchange)
        path = "feedback/course1/challenge/eric"
        contents.append(course.user("eric").files(path, timestamp=EARLIER)["p1.html"])
    assert contents == [b"1", b"2", b"2"]


@on_sqlite
def test_a_release_becomes_a_version_if_it_is_later_than_what_ngshare_has(
    course: Api, database: Database, exchange: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def release(content: bytes, at: datetime) -> dict[str, bytes]:
        folder = exchange / "course1" / "outbound" / "challenge"
        folder.mkdir(exist_ok=True)
        (folder / "file2").write_bytes(content)
        for path in (folder / "file2", folder):
            os.utime(path, (at.timestamp(), at.timestamp()))
        bring_in(database, exchange)
        return course.user("eric").files("assignment/course1/challenge")

    assert release(b"old", NOW) == {"file2": b"22222"}
    assert "ngshare has a later release of it, which stays" in capsys.readouterr().err
    assert release(b"new", datetime.now(timezone.utc)) == {"file2": b"new"}
    course.user("kevin").ok("DELETE", "assignment/course1/challenge")
    tables = read_tables(database)
    bring_in(database, exchange)
    assert read_tables(database) == tables
    assert "it was un-released in ngshare, and stays so" in capsys.readouterr().err


@on_sqlite
def test_submissions_without_a_release_wait_out_of_sight(
    course: Api, database: Database, exchange: Path
) -> None:
    hand_in(exchange, "eric", EARLIER, {"a": b"1"}, assignment="ps9")
    bring_in(database, exchange)
    kevin = course.user("kevin")
    kevin.fails(404, "Assignment not found", "GET", "submissions/course1/ps9")
    kevin.ok("PUT", "assignment/course1/ps9", files=encode({"a": b"0"}))
    assert course.user("eric").files("submission/course1/ps9/eric")["a"] == b"1"


@on_sqlite
def test_what_is_not_to_be_trusted_is_left_out_and_the_rest_is_taken(
    course: Api,
    database: Database,
    database_url: str,
    exchange: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "gradebook.db").write_text("grades")
    folder = hand_in(exchange, "eric", EARLIER, {"a": b"1", "bad:name": b"2", "sub/b": b"3"})
    (folder / "link").symlink_to(tmp_path / "secret" / "gradebook.db")
    (folder / "sub" / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    inbound = exchange / "course1" / "inbound"
    (inbound / f"lawrence+challenge+{EARLIER}").symlink_to(tmp_path / "secret")
    (inbound / "eric+challenge+soon").mkdir()
    (inbound / "notes.txt").write_text("?")
    (inbound / f"eric+challenge+{LATER}").mkdir()  # without timestamp.txt: still being written
    hand_in(exchange, "lawrence", EARLIER, {"a": b"1"}, "course1/inbound/eric")
    hand_in(exchange, "eric", "2099-01-01 00:00:00.000000 UTC", {"a": b"future"})
    (exchange / "lost+found").mkdir()
    (exchange / "course2").mkdir()
    (exchange / "course2" / "outbound").symlink_to(tmp_path)
    (exchange / "course1" / "outbound").rmdir()
    (exchange / "course1" / "outbound").symlink_to(tmp_path)
    (exchange / "course1" / "gradebook.db").write_text("not the exchange's")
    before = read_tree(exchange)
    assert command(ImportExchange, "--database", database_url, exchange) == 2
    told = capsys.readouterr()
    assert read_tree(exchange) == before
    for name in ("link", "folder", "pipe", "bad:name", "soon", "notes.txt", "lost+found"):
        assert f"{name}: " in told.err, name
    assert told.err.count("it is a link") == 3
    assert "it is not complete (yet)" in told.err
    assert "a submission's folder is called eric+<assignment>+<time>" in told.err
    assert "its time is in the future; it counts as of 20" in told.err
    assert "Left out: 12\n" in told.out
    assert "2 submissions (2 new)" in told.out
    kevin = course.user("kevin")
    listed = kevin.ok("GET", "submissions/course1/challenge")["submissions"]
    assert [entry["student_id"] for entry in listed] == ["eric", "eric"]
    assert listed[1]["timestamp"] < str(datetime.now(timezone.utc))
    path = "submission/course1/challenge/eric"
    got = kevin.files(path, timestamp=EARLIER)
    assert got == {"a": b"1", "sub/b": b"3", "timestamp.txt": EARLIER.encode()}
    assert course.user("eric").submit("course1", "challenge", {"a": b"x"}) < "2099"
    take_out(database, tmp_path / "out")
    assert list((tmp_path / "out/course1/inbound").glob("*2099*")) == []  # nobody chooses his time


@on_sqlite
def test_a_folder_that_belongs_to_somebody_else_is_noted_and_taken(
    database: Database, exchange: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    forged = hand_in(exchange, "eric", EARLIER, {"a": b"1"})
    os.chown(hand_in(exchange, "daemon", EARLIER, {"a": b"1"}), 1, 1)
    report = bring_in(database, exchange)
    told = capsys.readouterr().err
    assert f"Note: {forged}: it belongs to the user root, not to who is named" in told
    assert told.count("it belongs to") == 1
    assert (report.left_out, report.courses["course1"].new["submissions"]) == (0, 2)


@on_sqlite
def test_two_folders_of_one_second_are_two_submissions_and_stay_so(
    database: Database, exchange: Path, tmp_path: Path
) -> None:
    for random in ("+aaaaaaaaaaaa", "+bbbbbbbbbbbb"):
        timestamp = "2020-01-30 10:30:47 UTC"
        hand_in(exchange, "eric", timestamp, {"a": random.encode()}, random=random)
    assert bring_in(database, exchange).courses["course1"].new["submissions"] == 2
    assert bring_in(database, exchange).courses["course1"].new["submissions"] == 0
    take_out(database, tmp_path / "out")
    names = {path.name for path in (exchange / "course1/inbound").iterdir()}
    assert {path.name for path in (tmp_path / "out/course1/inbound").iterdir()} == names


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2020-01-30 10:30:47.524219 UTC", 10),
        ("2020-01-30 10:30:47.524219", 10),
        ("2020-01-30 10:30:47 +0200", 8),
        ("2020-01-30 10:30:47.524219 Europe/Vienna", 9),
        ("2020-01-30 10:30:47.524219 ../etc/passwd", None),
        ("2020-01-30 10:30:47.524219 NOWHERE", None),
        ("tomorrow", None),
    ],
)
def test_times_are_read_in_the_zones_that_nbgrader_may_be_told_to_use(
    text: str, hour: int | None
) -> None:
    at = parse_time(text)
    assert (at and at.hour) == hour


def test_names_with_plus_signs_are_those_of_students() -> None:
    for name in (f"a+b+ps1+{EARLIER}", f"a+b+ps1+{EARLIER}+abcdefghijkl"):
        parsed = parse_folder_name(name)
        assert parsed
        assert (parsed.student_id, parsed.assignment_id) == ("a+b", "ps1")
    assert parse_folder_name(f"ps1+{EARLIER}") is None


@on_sqlite
def test_what_was_submitted_to_ngshare_goes_out_as_nbgrader_would_have_it(
    course: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    at = course.user("eric").submit("course1", "challenge", {"p1.ipynb": b"{}", "d/x": b"1"})
    path = "feedback/course1/challenge/eric"
    course.user("kevin").ok("POST", path, timestamp=at, files=encode({"p1.html": b"good"}))
    removed = course.user("eric").submit("course1", "challenge", {"p1.ipynb": b"{}"})
    take_out(database, tmp_path / "before")
    course.user("kevin").ok("DELETE", "submission/course1/challenge/eric", timestamp=removed)
    take_out(database, tmp_path / "out")
    [folder] = (tmp_path / "out/course1/inbound").iterdir()
    assert folder.name.startswith(f"eric+challenge+{at}+")
    assert (folder / "timestamp.txt").read_text() == at
    secret = (folder / "submission_secret.txt").read_bytes()
    [page] = (tmp_path / "out/course1/feedback").iterdir()
    assert page.name == hashlib.md5(secret + b"p1").hexdigest() + ".html"
    assert page.read_bytes() == b"good"
    tables = read_tables(database)
    for name in ("before", "out"):  # what it has itself is known, and stays removed
        assert bring_in(database, tmp_path / name).left_out == 0
    assert read_tables(database) == tables
    bring_in(other_site, tmp_path / "out")
    take_out(other_site, tmp_path / "again")
    assert read_tree(tmp_path / "again") == read_tree(tmp_path / "out")


@on_sqlite
def test_export_writes_nothing_outside_and_overwrites_nothing(
    course: Api,
    database: Database,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {"a": b"1", "b": b"2"}
    course.user("kevin").ok("PUT", "assignment/course1/challenge", files=encode(files))
    with database.engine.execution_options(writes=True).begin() as connection:  # as in 0.6.0
        bad = update(SnapshotFile).where(SnapshotFile.path == "b")
        connection.execute(bad.values(path="../../../../b"))
    parent = tmp_path / "parent"
    (parent / "full").mkdir(parents=True)
    (parent / "full" / "precious").write_text("precious")
    (parent / "link").symlink_to("full")
    assert command(ExportExchange, "--database", database_url, parent / "out") == 2
    assert "no file can have this path" in capsys.readouterr().err
    assert sorted(path.name for path in parent.iterdir()) == ["full", "link", "out"]
    for name in ("full", "link"):
        with pytest.raises(StartError, match="left as it is"):
            command(ExportExchange, "--database", database_url, parent / name)
    assert [path.name for path in (parent / "full").iterdir()] == ["precious"]
    assert sorted(path.name for path in parent.iterdir()) == ["full", "link", "out"]


@on_sqlite
def test_a_deleted_course_is_left_alone(
    course: Api, database: Database, exchange: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(exchange, "eric", EARLIER, {"a": b"1"})
    course.user("root").ok("DELETE", "course/course1")
    tables = read_tables(database)
    assert bring_in(database, exchange).left_out == 1
    assert read_tables(database) == tables
    assert "this course is deleted in ngshare; restore it first" in capsys.readouterr().err


@on_sqlite
def test_people_come_from_a_file_and_who_is_there_stays_as_he_is(
    course: Api,
    database_url: str,
    exchange: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hand_in(exchange, "eric", EARLIER, {"a": b"1"})
    hand_in(exchange, "stranger", EARLIER, {"a": b"1"})
    course.user("kevin").ok("DELETE", "student/course1/lawrence")
    roster = tmp_path / "roster.csv"
    lines = ["course_id,role,student_id,first_name,last_name,email", "course1,,eric,E,E,e"]
    lines += ["course1,instructor,ines,Ines,I,i@x", "course1,,stan,Stan,S,s@x"]
    lines += ["course1,,lawrence,L,L,l", "course1,,kevin,,,", "course9,,stan,,,"]
    roster.write_text("\n".join(lines))
    assert command(ImportExchange, "--database", database_url, exchange, "--roster", roster) == 0
    told = capsys.readouterr()
    assert "5 people (2 new)" in told.out
    assert "course1: kevin: is or was instructor there, and stays so" in told.err
    assert "course9: there are people for this" in told.err
    assert "1 who have submitted are not in its roster" in told.err
    assert ": stranger\n" in told.err
    ines = course.user("ines").ok("GET", "students/course1")["students"]
    assert {each["username"]: each["first_name"] for each in ines} == {
        "eric": "Eric",
        "stan": "Stan",
    }
    roster.write_text("course_id,student_id,first_name,last_name,email\n,eric,,,\n")
    with pytest.raises(StartError, match="line 2: there is no course_id or student_id"):
        command(ImportExchange, "--database", database_url, exchange, "--roster", roster)


@on_sqlite
def test_people_come_from_groups_of_the_hub(
    course: Api,
    database_url: str,
    exchange: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As JupyterHub 5 answers `GET /groups`, in two pages."""
    pages = {
        "0": '{"items": [{"name": "formgrade-course1", "users": ["ines"]}, {"name": "x", '
        '"users": ["y"]}], "_pagination": {"next": {"offset": 2}}}',
        "2": '{"items": [{"name": "nbgrader-course1", "users": ["stan", "ines"]}], '
        '"_pagination": {"next": null}}',
    }

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "token good"
            self.send_response(200 if known else 403)
            self.end_headers()
            assert self.path.startswith("/hub/api/groups?offset=")
            assert "jupyterhub-pagination" in self.headers["Accept"]
            self.wfile.write(pages[self.path[len("/hub/api/groups?offset=")]].encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever).start()
        url = f"http://127.0.0.1:{hub.server_port}/hub/api"
        monkeypatch.setenv("JUPYTERHUB_API_URL", url)
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "good")
        try:
            assert (
                command(ImportExchange, "--database", database_url, exchange, "--hub-groups") == 0
            )
            assert "2 people (2 new)" in capsys.readouterr().out
            pages["0"] = '{"items": [{"name": "formgrade-course1"}]}'  # without read:groups
            with pytest.raises(StartError, match="scopes list:groups and read:groups"):
                command(ImportExchange, "--database", database_url, exchange, "--hub-groups")
            monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "bad")
            with pytest.raises(StartError, match="scopes list:groups and read:groups"):
                command(ImportExchange, "--database", database_url, exchange, "--hub-groups")
        finally:
            hub.shutdown()
    students = course.user("ines").ok("GET", "students/course1")["students"]
    assert [each["username"] for each in students] == ["lawrence", "eric", "stan"]


@on_sqlite
def test_a_wrong_command_says_what_is_right(database_url: str, tmp_path: Path) -> None:
    at = ("--database", database_url)
    complains("The command is: ngshare import-exchange DIR", "import-exchange", *at)
    with pytest.raises(StartError, match="can't be read: it is no folder"):
        command(ImportExchange, *at, tmp_path / "nowhere")
    with pytest.raises(StartError, match="The command is: ngshare export-exchange DIR"):
        command(ExportExchange, *at)


@on_sqlite
def test_what_is_over_a_limit_or_endlessly_nested_is_left_out_as_a_whole(
    course: Api, database_url: str, exchange: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(exchange, "eric", EARLIER, {"a": bytes(2000)})
    hand_in(exchange, "eric", LATER, {"a": b"1"})
    hand_in(exchange, "lawrence", LATER, {f"{number}": b"1" for number in range(5)})
    hand_in(exchange, "lawrence", EARLIER, {"d/" * 60 + "a": b"1"})
    arguments = ("--database", database_url, exchange)
    limits = ("--NgShare.max_file_bytes=1500", "--NgShare.max_files=4")
    assert command(ImportExchange, *arguments, *limits) == 2
    told = capsys.readouterr()
    assert "1 submissions (1 new)" in told.out
    assert "Left out: 3\n" in told.out
    assert "over the limit max_file_bytes = 1,500" in told.err
    assert "over the limit max_files = 4" in told.err
    assert "it has folders in more than 50 folders" in told.err
    assert command(ImportExchange, *arguments) == 2
    assert "3 submissions (2 new)" in capsys.readouterr().out

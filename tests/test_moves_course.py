"""Archives of courses: whole, readable without ngshare, and refused if they are not as written."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pytest

from ngshare import moving_commands
from ngshare.database import integrity
from ngshare.database.blobs import MISSING
from ngshare.database.engine import Database, make_engine
from ngshare.errors import Conflict
from ngshare.moves.archive import DamagedArchive, Reader, Writer
from ngshare.moves.course_export import export_course
from ngshare.moves.course_import import import_course
from ngshare.moves.records import FORMAT, CourseRecord, FileEntry, ReleaseRecord, member_path
from ngshare.moves.report import Report
from ngshare.moving_commands import ExportCourse, ImportCourse
from ngshare.service import StartError
from tests.api import Api, encode, manifest_digest, segment
from tests.moving import command, read_tree, unpack_exchange
from tests.tables import read_tables
from tests.test_manual import blocks
from tests.test_moves_exchange import no_progress

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def term(course: Api) -> Api:
    """course1 after some weeks."""
    kevin, eric = course.user("kevin"), course.user("eric")
    kevin.ok("PUT", "assignment/course1/challenge", files=encode({"file2": b"3", "d/x": b""}))
    kevin.ok("POST", "assignment/course1/a b%2Fc", files=encode({"n.ipynb": b"{}"}))
    first = eric.submit("course1", "challenge", {"n.ipynb": b"{1}", "big": bytes(3_000_000)})
    second = eric.submit("course1", "challenge", {"n.ipynb": b"{2}"})
    key = {"Idempotency-Key": "homework-of-lawrence"}
    form = {"files": encode({"n.ipynb": b"{3}"})}
    path = "submission/course1/a b%2Fc"
    assert course.user("lawrence").call("POST", path, data=form, headers=key).status_code == 200
    feedback = {"n.html": "Märchen".encode()}
    path = "feedback/course1/challenge/eric"
    kevin.ok("POST", path, timestamp=first, files=encode(feedback))
    kevin.ok("DELETE", "submission/course1/challenge/eric", timestamp=second)
    kevin.ok("DELETE", "assignment/course1/challenge")
    kevin.ok("DELETE", "student/course1/lawrence")
    return course


@pytest.fixture
def other_site(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """Another ngshare, without courses."""
    database = Database(make_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'b.db')}"))
    yield database
    database.close()


def take_out(database: Database, file: Path, course_id: str = "course1") -> Report:
    report = Report()
    export_course(database, course_id, file, report, no_progress)
    return report


def bring_in(database: Database, file: Path, name: str = "") -> Report:
    report = Report()
    import_course(database, file, name, report, no_progress)
    return report


def without_times(archive: Path) -> dict[str, bytes]:
    """Every member of an archive, but for what says when it was made."""
    with tarfile.open(archive) as tar:
        found = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    course = json.loads(found["course.json"])
    del course["exported_at"], course["course_id"]
    del found["SHA256SUMS"]
    return {**found, "course.json": json.dumps(course).encode()}


def test_a_course_goes_to_another_site_with_all_that_is_in_it(
    term: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    """To a database of the other kind, when it comes from PostgreSQL."""
    taken = take_out(database, tmp_path / "c.tar")
    assert taken.courses["course1"].found == {
        "people": 3,
        "releases": 3,
        "submissions": 3,
        "feedback": 1,
    }
    brought = bring_in(other_site, tmp_path / "c.tar")
    assert brought.courses["course1"].digest == taken.courses["course1"].digest
    take_out(other_site, tmp_path / "again.tar")
    assert without_times(tmp_path / "again.tar") == without_times(tmp_path / "c.tar")
    assert list(integrity.check(other_site, lambda _: None)) == []
    after = read_tables(other_site)
    assert {row[1] for row in after["users"]} == {"kevin", "lawrence", "eric"}
    assert len(after["removals"]) == 1
    assert [row[3] for row in after["audit_log"]] == ["import course"]


def test_on_the_same_site_the_course_needs_another_name(
    term: Api, database: Database, tmp_path: Path
) -> None:
    take_out(database, tmp_path / "c.tar")
    before = read_tables(database)
    with pytest.raises(Conflict, match="There is a course course1 already"):
        bring_in(database, tmp_path / "c.tar")
    term.user("root").ok("DELETE", "course/course2")
    with pytest.raises(Conflict, match="There is a deleted course course2 already"):
        bring_in(database, tmp_path / "c.tar", "course2")
    term.user("root").ok("POST", "course/course2", instructors='["abigail"]')
    after = read_tables(database)
    assert after["submissions"] == before["submissions"]
    bring_in(database, tmp_path / "c.tar", "course1-2026")
    kevin, root = term.user("kevin"), term.user("root")
    assert kevin.ok("GET", "courses")["courses"] == ["course1", "course1-2026"]
    kevin.fails(404, "Assignment not found", "GET", "assignment/course1-2026/challenge")
    for course_id in ("course1", "course1-2026"):
        path = f"submission/{course_id}/a b%2Fc/lawrence"
        assert kevin.files(path) == {"n.ipynb": b"{3}"}
    root.ok("DELETE", "course/course1-2026", purge="true")
    assert read_tables(database, but="audit_log")["blobs"] == before["blobs"]


def rewrite(archive: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Change members of an archive, and its sums too: as somebody would who knows how."""
    with tarfile.open(archive) as tar:
        members = {m.name: file.read() for m in tar if (file := tar.extractfile(m))}
    change(members)
    if "SHA256SUMS" in members:
        del members["SHA256SUMS"]
        sums = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items())
        members["SHA256SUMS"] = "".join(list(sums)).encode()
    with tarfile.open(archive, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def substitute(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], object]:
    """A change of one member, whose name ends so."""

    def change(members: dict[str, bytes]) -> None:
        found = next(each for each in members if each.endswith(name) and old in members[each])
        assert old in members[found]
        members[found] = members[found].replace(old, new)

    return change


def move_file(members: dict[str, bytes], path: str, member: str, with_digest: bool) -> None:
    """Give the first file of a release another path, in the receipt and in the archive."""
    [receipt] = [name for name in members if name.endswith("challenge/version 1.json")]
    record = json.loads(members[receipt])
    [file] = record["files"]
    folder = receipt.removesuffix(".json")
    old = f"{folder}/{file['path']}"
    file["path"] = path
    if with_digest:
        record["sha256"] = manifest_digest({path: b"22222"})
    members[receipt] = json.dumps(record).encode()
    for name in list(members):  # in their order
        members[f"{folder}/{member}" if name == old else name] = members.pop(name)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda path: _flip(path, b"{1}"),
    "a byte of a receipt": lambda path: _flip(path, b'"student_id": "eric"'),
    "its sums": lambda path: _flip(path, b"  course.json\n"),
    "its end": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "the end of its sums": lambda path: path.write_bytes(
        path.read_bytes().partition(b"  course.json\n")[0]
    ),
    "the sums missing": lambda path: rewrite(path, lambda m: m.pop("SHA256SUMS")),
    "a byte that is no UTF-8": lambda path: rewrite(
        path, substitute("UTC.json", b'"by": "kevin"', b'"by": "kev\xc3n"')
    ),
    "a file missing": lambda path: rewrite(path, lambda m: m.pop(_ending(m, "n.html"))),
    "a file more": lambda path: rewrite(path, lambda m: m.update({"more": b"1"})),
    "another content": lambda path: rewrite(path, substitute("n.html", b"rchen", b"RCHEN")),
    "another student": lambda path: rewrite(path, substitute("UTC.json", b"lawr", b"lavr")),
    "another path": lambda path: rewrite(path, lambda m: move_file(m, "file3", "file3", False)),
    "another member": lambda path: rewrite(path, partial(rename, "n.html", "m.html")),
    "another place": lambda path: rewrite(
        path, partial(rename, "version 2.json", "version 3.json")
    ),
    "something after its end": lambda path: add_member(path, "later"),
    "another course": lambda path: path.write_bytes(b"no archive at all" * 100),
    "nothing": lambda path: path.write_bytes(b""),
}


def rename(old: str, new: str, members: dict[str, bytes]) -> None:
    for name in list(members):  # in their order
        members[name.replace(old, new)] = members.pop(name)


def add_member(path: Path, name: str) -> None:
    with tarfile.open(path, "a") as tar:
        tar.addfile(tarfile.TarInfo(name))


def _flip(path: Path, place: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(place) + 1] ^= 1
    path.write_bytes(data)


def _ending(members: dict[str, bytes], name: str) -> str:
    [found] = [each for each in members if each.endswith(name)]
    return found


@on_sqlite
def test_a_damaged_archive_is_refused_before_anything_is_written(
    term: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    take_out(database, tmp_path / "c.tar")
    before = read_tables(other_site)
    for name, damage in DAMAGES.items():
        path = Path(shutil.copy(tmp_path / "c.tar", tmp_path / "damaged.tar"))
        damage(path)
        with pytest.raises(DamagedArchive):
            pytest.fail(f"{name}: {bring_in(other_site, path)}")
        assert read_tables(other_site) == before, name


@on_sqlite
def test_a_file_that_is_mostly_a_hole_is_refused_before_it_is_read(
    term: Api, database: Database, tmp_path: Path
) -> None:
    """A terabyte of it would take a few bytes of the archive."""
    take_out(database, tmp_path / "c.tar")
    with tarfile.open(tmp_path / "c.tar") as tar, tarfile.open(tmp_path / "d.tar", "w") as new:
        for member in tar:
            content = tar.extractfile(member)
            if member.name.endswith("n.html"):
                member.size, content = 0, None
                member.pax_headers = {"GNU.sparse.map": "1000000,0", "GNU.sparse.size": "1000000"}
            new.addfile(member, content)
    with pytest.raises(DamagedArchive, match=r"n\.html is there in place of"):
        bring_in(database, tmp_path / "d.tar", "copy")


def test_of_many_files_none_is_remembered(tmp_path: Path) -> None:
    at = datetime(2020, 1, 30, tzinfo=timezone.utc)
    digest, md5 = hashlib.sha256(b"").hexdigest(), hashlib.md5(b"").hexdigest()
    files = [FileEntry(f"{number}", 0, digest, md5) for number in range(1000)]
    record = ReleaseRecord(assignment_id="a", at=at, sha256=digest, files=files, version=1, by="")
    tracemalloc.start()
    try:
        with (tmp_path / "c.tar").open("wb") as file:
            writer = Writer(file)
            writer.add_course(CourseRecord(FORMAT, "c", at, "", [], []))
            writer.add(record)
            for entry in files:
                writer.add_file(member_path(record, entry.path), 0, [], at)
            writer.close(at)
            written, _ = tracemalloc.get_traced_memory()
        with closing(Reader(tmp_path / "c.tar")) as reader:
            assert sum(len(list(entry.files)) for entry in reader.entries()) == 1000
            read = tracemalloc.get_traced_memory()[0] - written
    finally:
        tracemalloc.stop()
    assert max(written, read) < 400_000  # with their headers it would be nearly twice as much


def lose_file(members: dict[str, bytes], size: int) -> None:
    """Say that the file of a release was lost before, and how many bytes it had."""
    [receipt] = [name for name in members if name.endswith("challenge/version 1.json")]
    record = json.loads(members[receipt])
    record["files"][0] |= {"missing": True, "size": size}
    members[receipt] = json.dumps(record).encode()
    del members[receipt.replace(".json", "/file2")]


TEXTS = [
    *(("course.json", text) for text in (b'"kevin"', b'"Eric"', b'"Student"')),
    ("course.json", b'"eric@example.org"'),
    *(("UTC.json", text) for text in (b'"by": "kevin"', b'"homework-of-lawrence"')),
    *(("UTC.json", b'"removed_by": "kevin"'), ("/version 1.json", b'"by": "kevin"')),
]


@on_sqlite
def test_names_and_paths_that_no_client_may_send_are_refused_in_archives_too(
    term: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    take_out(database, tmp_path / "c.tar")
    before = read_tables(other_site)

    for change in (
        lambda members: move_file(members, "../../file2", "..%2F..%2Ffile2", True),
        substitute("course.json", b'"course1"', b'"../course1"'),
        substitute("course.json", b'"username": "kevin"', b'"username": ".."'),
        substitute("course.json", b'"instructor"', b'"owner"'),
        substitute("course.json", b"ngshare course 1", b"ngshare course 2"),
        substitute("course.json", b'"a b/c"', b'"challenge"'),
        substitute("course.json", b'"kevin"', b'"eric"'),
        *(substitute(name, text, text[:-1] + rb'\u0000"') for name, text in TEXTS),
        *(substitute(name, text, text[:-1] + rb'\u001b[2J"') for name, text in TEXTS),
        substitute("UTC.json", b"homework", b"homework" * 32),
        lambda members: lose_file(members, 1 << 62),
        substitute("/version 1.json", b'Z"', b'"'),  # a time of no zone
        substitute("/version 1.json", b'Z"', b'+00:01"'),
        substitute("/version 1.json", b'"version": 1', b'"version": 123456789012345678901'),
    ):
        path = Path(shutil.copy(tmp_path / "c.tar", tmp_path / "forged.tar"))
        rewrite(path, change)
        with pytest.raises(DamagedArchive):
            bring_in(other_site, path)
        assert read_tables(other_site) == before


def test_an_import_that_is_killed_is_seen_by_nobody_and_completed_by_the_next(
    term: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    take_out(database, tmp_path / "c.tar")
    script = (
        "import os, sys; from ngshare.database import snapshots; from ngshare.app import main\n"
        "from ngshare.moves import packing; packing.DIRECTORIES_A_TRANSACTION = 2\n"
        "put, calls = snapshots.put, []\n"
        "def put_some(*args):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 6: os.kill(os.getpid(), 9)\n"
        "    return put(*args)\n"
        "snapshots.put = put_some\n"
        "main(sys.argv[1:])"
    )
    arguments = ["import-course", f"{tmp_path}/c.tar", "--name", "copy", "--database", database_url]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_tables(database)["releases"]) > 4
    assert term.user("root").ok("GET", "courses")["courses"] == ["course1", "course2"]
    bring_in(database, tmp_path / "c.tar", "copy")
    take_out(database, tmp_path / "again.tar", "copy")
    assert without_times(tmp_path / "again.tar") == without_times(tmp_path / "c.tar")
    assert len(read_tables(database)["courses"]) == 3


@on_sqlite
def test_a_course_of_the_longest_name_that_broke_off_can_be_purged(
    term: Api, database: Database, tmp_path: Path
) -> None:
    take_out(database, tmp_path / "c.tar")
    name = "ä" * 127

    def break_off(total: int) -> AbstractContextManager[Callable[[int], object]]:
        return nullcontext(lambda done: exec("raise KeyboardInterrupt"))

    with pytest.raises(KeyboardInterrupt):
        import_course(database, tmp_path / "c.tar", name, Report(), break_off)
    [hidden] = [row[1] for row in read_tables(database)["courses"] if "not complete" in row[1]]
    assert hidden.startswith("ä" * 100 + "ä")
    term.user("root").ok("DELETE", f"course/{segment(hidden)}", purge="true")
    bring_in(database, tmp_path / "c.tar", name)
    assert name in term.user("root").ok("GET", "courses")["courses"]


@on_sqlite
def test_the_longest_names_come_back_from_an_archive_that_everybody_can_unpack(
    course: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    names = ["ä" * 126 + ":", *("/".join(["数" * 85] * 3 + [each]) for each in "ab")]
    files = {"ä" * 127: b"1", "/".join(["x" * 255] * 4): b"2"}
    for name in names:
        path = f"assignment/course1/{segment(name)}"
        course.user("kevin").ok("POST", path, files=encode(files))
    take_out(database, tmp_path / "c.tar")
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "xf", tmp_path / "c.tar", "-C", folder], check=True)
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=folder, check=True)
    [first] = folder.glob(f"releases/{'ä' * 126}%3A/version 1/{'ä' * 127}")
    assert first.read_bytes() == b"1"
    bring_in(other_site, tmp_path / "c.tar")
    take_out(other_site, tmp_path / "again.tar")
    assert without_times(tmp_path / "again.tar") == without_times(tmp_path / "c.tar")


@on_sqlite
def test_names_of_people_that_ngshare_06_did_not_clean_are_cleaned(
    course: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    with database.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("UPDATE memberships SET first_name = ?", ("A\tB\n",))
    take_out(database, tmp_path / "c.tar")
    bring_in(other_site, tmp_path / "c.tar")
    assert {row[4] for row in read_tables(other_site)["memberships"]} == {"A B"}


@on_sqlite
def test_what_ngshare_06_let_people_name_files_is_not_refused_in_an_archive(
    term: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    take_out(database, tmp_path / "c.tar")
    path = "Task 1: a\\b"
    rewrite(tmp_path / "c.tar", lambda m: move_file(m, path, "Task 1%3A a%5Cb", True))
    bring_in(other_site, tmp_path / "c.tar")
    take_out(other_site, tmp_path / "again.tar")
    assert without_times(tmp_path / "again.tar").keys() == without_times(tmp_path / "c.tar").keys()


@on_sqlite
def test_a_person_can_read_an_archive_and_verify_it_without_ngshare(
    term: Api,
    database: Database,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "c.tar"
    assert command(ExportCourse, "--database", database_url, "course1", file) == 0
    told = capsys.readouterr().out
    assert file.stat().st_mode & 0o777 == 0o600  # students' work
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "xf", file, "-C", folder], check=True)
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=folder, check=True)
    digest = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert f"its sums have sha256 {digest}" in told
    [receipt, removed] = sorted((folder / "submissions/challenge/eric").glob("*.json"))
    record = json.loads(receipt.read_text())
    assert (record["student_id"], record["files"][1]["path"]) == ("eric", "n.ipynb")
    assert (receipt.with_suffix("") / "n.ipynb").read_bytes() == b"{1}"
    assert json.loads(removed.read_text())["removed_by"] == "kevin"
    [page] = folder.glob("feedback/challenge/eric/*/n.html")
    assert page.read_text() == "Märchen"
    assert (folder / "releases/a b%2Fc/version 1/n.ipynb").exists()
    people = json.loads((folder / "course.json").read_text())["people"]
    assert people[2] == {
        "username": "eric",
        "role": "student",
        "active": True,
        "first_name": "Eric",
        "last_name": "Student",
        "email": "eric@example.org",
    }
    with pytest.raises(StartError, match="exists and was left as it is"):
        command(ExportCourse, "--database", database_url, "course1", file)
    with pytest.raises(StartError, match="There is no course course9"):
        command(ExportCourse, "--database", database_url, "course9", tmp_path / "d.tar")
    assert (
        command(ImportCourse, "--database", database_url, file, "--name", "other", "--dry-run") == 0
    )
    assert f"is whole; its sums have sha256 {digest}" in capsys.readouterr().out
    assert len(read_tables(database)["courses"]) == 2
    assert sorted(path.name for path in tmp_path.glob("*.tar*")) == ["c.tar"]


@on_sqlite
def test_a_content_that_was_lost_is_noted_and_stays_lost(
    term: Api, database: Database, other_site: Database, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"{1}").digest()
    with database.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("DELETE FROM blob_chunks WHERE digest = ?", (digest,))
        lost = (MISSING, digest)
        connection.exec_driver_sql("UPDATE blobs SET encoding = ? WHERE digest = ?", lost)
    assert take_out(database, tmp_path / "c.tar").left_out == 1
    bring_in(other_site, tmp_path / "c.tar")
    rows = {row[0]: row[3] for row in read_tables(other_site)["blobs"]}
    assert rows[digest] == MISSING


@on_sqlite
def test_the_commands_in_the_manual_do_what_it_says(
    api: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    exchange = unpack_exchange(tmp_path)
    roster = tmp_path / "roster.csv"
    columns = "course_id,student_id,first_name,last_name,email"
    roster.write_text(f"{columns}\nmath101,zoë,Zoë,Z,z@example.org\n")
    places = {
        "/srv/nbgrader/exchange": str(exchange),
        "/srv/nbgrader/exchange-2026": f"{tmp_path}/out",
        "roster.csv": str(roster),
        "/archive/math101.tar": f"{tmp_path}/math101.tar",
        "sqlite:////srv/ngshare/ngshare.db": database_url,
    }
    commands = {kind.name: kind for kind in moving_commands.MovingCommand.__subclasses__()}
    seen = set()
    for block in blocks("moving.md", "sh"):
        ngshare, name, *arguments = shlex.split(block)
        arguments = [places.get(argument, argument) for argument in arguments]
        assert command(commands[f"{ngshare} {name}"], *arguments) == 0, block
        seen.add(f"{ngshare} {name}")
    assert seen == set(commands)
    courses = api.user("root").ok("GET", "courses")["courses"]
    assert "math101-2026" in courses
    assert read_tree(exchange / "math101") == read_tree(tmp_path / "out" / "math101")
    assert [s["username"] for s in api.user("root").ok("GET", "students/math101-2026")["students"]]

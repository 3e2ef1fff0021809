"""A site that ngshare 0.6.0 really wrote (data/make_old_site.py) is taken over as it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import event

from ngshare.database import takeover
from ngshare.database.engine import make_engine
from ngshare.database.upgrade import UpgradeError, open_database, upgrade
from tests.api import Api
from tests.test_app import hub_variables, managed, run

__all__ = ["hub_variables"]

ARCHIVE = Path(__file__).parent / "data" / "old_site.tar.xz"


@pytest.fixture(scope="session")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def site(archived: Path, tmp_path: Path) -> Path:
    """A copy of the old site."""
    return Path(shutil.copytree(archived, tmp_path / "site"))


def url(site: Path, name: str = "ngshare.db") -> str:
    return f"sqlite:///{site / name}"


def take_over(site: Path, name: str = "ngshare.db") -> None:
    open_database(url(site, name), may_upgrade=True, storage=site / "files").close()


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def query(site: Path, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(site / "ngshare.db")) as connection, connection:
        return connection.execute(statement).fetchall()


def backups(site: Path) -> list[Path]:
    return list(site.glob("ngshare.db.before-1.0.*"))


def plain(answer: Any) -> Any:
    """An answer without what differs: how a time ends, and the order of files."""
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items()}
    if isinstance(answer, list):
        values = [plain(value) for value in answer]
        return (
            sorted(values, key=lambda file: file["path"]) if "path" in str(answer[:1]) else values
        )
    return answer.strip().removesuffix(" UTC") if isinstance(answer, str) else answer


def without_new_keys(got: Any, expected: Any) -> Any:
    """An answer with the keys alone that objects of another one have at the same place."""
    if isinstance(got, dict) and isinstance(expected, dict):
        return {key: without_new_keys(got[key], expected[key]) for key in got.keys() & expected}
    if isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        return [without_new_keys(*pair) for pair in zip(got, expected, strict=True)]
    return got


@pytest.fixture
def api(site: Path, hub_variables: dict[str, str], tmp_path: Path) -> Iterator[Api]:
    """The service, started on the old site by the command line that 0.6.0 had."""
    storage = ("--storage", str(site / "files"))
    with (
        managed(hub_variables, tmp_path, *storage, database=url(site)) as service,
        requests.Session() as session,
    ):
        session.trust_env = False
        yield Api(service.url, session)


def test_every_answer_is_what_0_6_0_gave(site: Path, api: Api) -> None:
    answers = json.loads((site / "answers.json").read_text())
    assert len(answers) > 400
    for call, expected in answers.items():
        user, _, path = call.partition(" ")
        if user.isascii():  # headers, and so the tests' tokens, are
            got = api.user("root" if user == "admin" else user).ok("GET", path)
            assert without_new_keys(plain(got), plain(expected)) == plain(expected), call


def test_work_goes_on_after_the_take_over(api: Api) -> None:
    student, teacher = api.user("student00"), api.user("kevin")
    before = teacher.ok("GET", "submissions/calculus/ps1/student00")["submissions"]
    timestamp = student.submit("calculus", "ps1", {"a": b"new"})
    after = teacher.ok("GET", "submissions/calculus/ps1/student00")["submissions"]
    assert after == [*before, {"student_id": "student00", "timestamp": timestamp}]
    teacher.release("calculus", "ps9", {"a": b"1"})
    assert teacher.ok("GET", "assignments/calculus")["assignments"][-1] == "ps9"


@pytest.mark.parametrize("kind", ["0.6.0", "aa00db20c10a", "no revision"])
def test_each_old_schema_is_taken_over_with_everything(site: Path, kind: str) -> None:
    if kind == "aa00db20c10a":
        (site / "first.db").replace(site / "ngshare.db")
        assert query(site, "SELECT * FROM alembic_version") == [(kind,)]
    elif kind == "no revision":
        query(site, "DROP TABLE alembic_version")
    result = run("upgrade-db", "--database", url(site), "--storage", str(site / "files"))
    assert result.returncode == 0, result.stderr
    assert (
        "Took over 23 users, 3 courses, 3 instructors, 39 students, 660 files, 5 assignments, "
        "200 submissions, 50 feedback (18,384 bytes; 0 missing, 0 damaged)"
    ) in result.stderr
    check = run("check", "--database", url(site))
    assert check.returncode == 0, check.stdout + check.stderr
    assert "old_users" not in dict(query(site, "SELECT name, name FROM sqlite_master"))


def test_the_backup_is_the_old_database_and_is_made_once(site: Path) -> None:
    old, files = dump(site / "ngshare.db"), sorted(os.listdir(site / "files"))
    take_over(site)
    [backup] = backups(site)
    assert dump(backup) == old
    assert sorted(os.listdir(site / "files")) == files
    new = dump(site / "ngshare.db")
    take_over(site)
    assert backups(site) == [backup]
    assert dump(site / "ngshare.db") == new


def test_a_missing_file_is_reported_and_its_row_kept(site: Path) -> None:
    [(name, checksum)] = query(
        site,
        "SELECT actual_name, checksum FROM files JOIN submission_files_assoc_table ON "
        "right_id = files._id WHERE left_id = '1' AND filename = 'a.ipynb'",
    )
    (site / "files" / name).unlink()
    result = run("upgrade-db", "--database", url(site), "--storage", str(site / "files"))
    assert "1 missing, 0 damaged" in result.stderr
    assert "calculus/ps1/student00 at" in result.stderr
    assert f"a.ipynb ({name}, MD5 {checksum})" in result.stderr
    check = run("check", "--database", url(site))
    assert check.returncode == 0
    assert "Lost before this database was made: 1 contents" in check.stdout


def test_a_directory_with_a_missing_file_says_so(
    site: Path, hub_variables: dict[str, str], tmp_path: Path
) -> None:
    [(name, timestamp)] = query(
        site,
        "SELECT actual_name, timestamp FROM submissions JOIN submission_files_assoc_table ON "
        "left_id = submissions._id JOIN files ON right_id = files._id "
        "WHERE submissions._id = 1 AND filename = 'a.ipynb'",
    )
    (site / "files" / name).unlink()
    take_over(site)
    with (
        managed(hub_variables, tmp_path, database=url(site)) as service,
        requests.Session() as session,
    ):
        kevin = Api(service.url, session).user("kevin")
        path = f"submission/calculus/ps1/student00?timestamp={timestamp}"
        response = kevin.send("GET", path)
        assert response.status_code == 410
        assert "a.ipynb was lost before" in response.json()["message"]
        listed = kevin.ok("GET", f"{path}&list_only=true")["files"]
        assert [file["path"] for file in listed] == ["a.ipynb", "data/x.csv", "empty"]
        assert kevin.files("submission/calculus/ps1/student00")  # the later one


def test_a_damaged_file_is_reported_and_kept_as_it_is(site: Path) -> None:
    [(name,)] = query(site, "SELECT actual_name FROM files WHERE filename = 'a.html' LIMIT 1")
    (site / "files" / name).write_bytes(b"other")
    result = run("upgrade-db", "--database", url(site), "--storage", str(site / "files"))
    assert "0 missing, 1 damaged" in result.stderr
    assert "feedback on calculus/ps1/student01" in result.stderr
    digest = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"  # of "other"
    assert query(site, f"SELECT size FROM blobs WHERE digest = x'{digest}'") == [(5,)]


@pytest.mark.parametrize("fault", ["no folder", "empty folder", "a folder for a file"])
def test_a_take_over_that_fails_leaves_the_database_as_it_was(site: Path, fault: str) -> None:
    old = dump(site / "ngshare.db")
    storage = site / "files"
    if fault == "a folder for a file":
        [(name,)] = query(site, "SELECT actual_name FROM files ORDER BY _id DESC LIMIT 1")
        (storage / name).unlink()
        (storage / name).mkdir()
    else:
        storage = site / "elsewhere"
        if fault == "empty folder":
            storage.mkdir()
    result = run("upgrade-db", "--database", url(site), "--storage", str(storage))
    assert result.returncode == 1
    reason = "can't be read (Is a directory)" if fault.startswith("a ") else "by --storage"
    assert reason in result.stderr
    assert "was left as it was" in result.stderr
    assert dump(site / "ngshare.db") == old
    assert backups(site) == []


def test_what_is_not_committed_is_not_said_to_be_taken_over(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise OSError("the disk is full")

    old = dump(site / "ngshare.db")
    engine = make_engine(url(site))
    event.listen(engine, "commit", fail)
    with caplog.at_level("INFO"), pytest.raises(OSError, match="full"):
        upgrade(engine, site / "files")
    engine.dispose()
    assert "Took over" not in caplog.text
    assert [dump(path) for path in (site / "ngshare.db", *backups(site))] == [old, old]


def test_a_take_over_that_is_killed_can_be_repeated(site: Path) -> None:
    old = dump(site / "ngshare.db")
    script = (
        "import os, sys; from pathlib import Path; from ngshare.database import snapshots; "
        "from ngshare.database.upgrade import open_database; put, calls = snapshots.put, []\n"
        "def put_some(*args):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 100: os.kill(os.getpid(), 9)\n"
        "    return put(*args)\n"
        "snapshots.put = put_some\n"
        "open_database(sys.argv[1], True, Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", script, url(site), site / "files"], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert dump(site / "ngshare.db") == old
    time.sleep(1)  # or the second backup would have the name of the first
    take_over(site)
    assert query(site, "SELECT count(*) FROM submissions") == [(200,)]


def test_of_two_at_once_one_takes_over_and_the_other_goes_on(site: Path) -> None:
    command = [sys.executable, "-m", "ngshare", "upgrade-db", "--database", url(site)]
    processes = [
        subprocess.Popen([*command, "--storage", site / "files"], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], texts
    assert sum("Took over" in text for text in texts) == 1
    assert len(backups(site)) == 1


def test_without_upgrade_the_command_is_named_and_nothing_changed(site: Path) -> None:
    old = dump(site / "ngshare.db")
    with pytest.raises(UpgradeError) as raised:
        open_database(url(site), may_upgrade=False, storage=site / "files")
    command = f"ngshare upgrade-db --database {url(site)} --storage {site}/files"
    assert str(raised.value).endswith(command)
    assert dump(site / "ngshare.db") == old
    assert backups(site) == []


def test_what_0_6_0_allowed_and_we_do_not_is_carried_over_with_a_note(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query(site, "UPDATE submissions SET timestamp = '2024-01-01 00:00:00.000000' WHERE _id < 3")
    query(site, "UPDATE submissions SET assignment_id = NULL WHERE _id = 5")
    query(site, "UPDATE submissions SET student_id = 'ghost' WHERE _id = 6")
    query(site, "UPDATE assignments SET id = 'ps1' WHERE id = 'ps2'")
    query(site, "INSERT INTO instructor_assoc_table VALUES ('student00', 'calculus', '', '', '')")
    query(site, "UPDATE files SET filename = 'a.ipynb' WHERE filename = 'empty' AND _id < 20")
    query(site, "UPDATE files SET filename = 'C:\\x' || char(0) WHERE _id = 25")
    with caplog.at_level("INFO"):
        take_over(site)
    notes = "\n".join(record.getMessage() for record in caplog.records)
    assert "student00 had two submissions at 2024-01-01 00:00:00.000000" in notes
    assert "what belongs to no course is in 'left over from ngshare 0.6', deleted" in notes
    assert "calculus had two assignments ps1; one is ps1 (2)" in notes
    assert "student00 was instructor and student of calculus" in notes
    assert "had a.ipynb twice; the older is a.ipynb (2)" in notes
    assert "200 submissions" in notes
    assert "660 files" in notes
    result = run("check", "--database", url(site))
    assert result.returncode == 0, result.stdout


def test_a_name_on_disk_that_leads_elsewhere_is_not_followed(site: Path) -> None:
    (site / "secret").write_text("secret")
    query(site, "UPDATE files SET actual_name = '../secret' WHERE _id = 1")
    take_over(site)
    assert query(site, f"SELECT count(*) FROM blobs WHERE encoding = '{takeover.MISSING}'") == [
        (1,)
    ]

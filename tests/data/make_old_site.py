"""Makes old_site.tar.xz, by the real ngshare 0.6.0: `python -m tests.data.make_old_site`.

The archive holds a site of three courses with 200 submissions: the database (ngshare.db), the same
as revision aa00db20c10a had it (first.db), the folder of files, and answers.json, what 0.6.0
answers to each GET call: {"user path": answer}.
"""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import quote

from benchmarks.servers import ADMIN, Hub, Server, old_python, old_server

ARCHIVE = Path(__file__).with_name("old_site.tar.xz")
COURSES = {"calculus": "kevin", "Märchen & Sagen": "abigail", "empty": "abigail"}
STUDENTS = [f"student{number:02}" for number in range(18)] + ["zoë", "o'neil"]
ASSIGNMENTS = {"calculus": ["ps1", "ps2", "a b/c"], "Märchen & Sagen": ["ps1", "Übung 2"]}

words = random.Random(1)


def text(lines: int) -> bytes:
    """Text that has never been there."""
    return "".join(f"line {words.getrandbits(40):x}\n" for _ in range(lines)).encode()


def encode(files: dict[str, bytes]) -> str:
    return json.dumps(
        [
            {"path": path, "content": base64.encodebytes(content).decode()}
            for path, content in files.items()
        ]
    )


def url(*segments: str) -> str:
    return "/".join(quote(segment, safe="") for segment in segments)


def person(name: str) -> dict[str, str]:
    return {"first_name": name.title(), "last_name": "Test", "email": f"{name}@example.org"}


def fill(server: Server) -> None:
    for course, teacher in COURSES.items():
        form = {"instructors": json.dumps([teacher])}
        server.call("POST", url("course", course), ADMIN, form)
    for course, assignments in ASSIGNMENTS.items():
        teacher = COURSES[course]
        server.call("POST", url("instructor", course, teacher), teacher, person(teacher))
        for student in STUDENTS:
            server.call("POST", url("student", course, student), teacher, person(student))
        for assignment in assignments:
            files = {f"{assignment.split('/')[0]}.ipynb": text(20), "data/x.csv": b"1,2\n3,4\n"}
            form = {"files": encode(files)}
            server.call("POST", url("assignment", course, assignment), teacher, form)
            submit(server, course, assignment)
    server.call("DELETE", url("student", "calculus", "student03"), "kevin")


def submit(server: Server, course: str, assignment: str) -> None:
    """Two submissions of each student, the first of which gets feedback from every other one."""
    for number, student in enumerate(STUDENTS):
        for attempt in range(2):
            files = {"a.ipynb": text(4), "data/x.csv": b"1,2\n3,4\n", "empty": b""}
            form = {"files": encode(files)}
            path = url("submission", course, assignment)
            timestamp = server.call("POST", path, student, form)["timestamp"]
            if attempt == 0 and number % 2:
                form = {"files": encode({"a.html": text(3)}), "timestamp": timestamp}
                path = url("feedback", course, assignment, student)
                server.call("POST", path, COURSES[course], form)


def record(server: Server) -> dict[str, object]:
    answers: dict[str, object] = {}

    def get(user: str, path: str) -> dict:
        answers[f"{user} {path}"] = answer = server.call("GET", path, user)
        return answer

    for user in (ADMIN, *COURSES.values(), *STUDENTS):
        get(user, "courses")
    for course, assignments in ASSIGNMENTS.items():
        teacher = COURSES[course]
        for kind in ("instructors", "students", "assignments"):
            get(teacher, url(kind, course))
        for assignment in assignments:
            get(teacher, url("assignment", course, assignment))
            listed = get(teacher, url("submissions", course, assignment))["submissions"]
            for entry in listed:
                where = (course, assignment, entry["student_id"])
                if entry["student_id"] != "student03" or course != "calculus":
                    when = f"?timestamp={quote(entry['timestamp'])}"
                    get(teacher, url("submission", *where) + when)
                    get(teacher, url("feedback", *where) + when)
    return answers


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = Hub(folder, [ADMIN, *COURSES.values(), *STUDENTS], 0)
        hub.start()
        server = old_server(folder / "site", hub.url)
        server.start()
        try:
            fill(server)
            answers = record(server)
        finally:
            server.stop()
            hub.stop()
        site = folder / "site"
        (site / "answers.json").write_text(json.dumps(answers, indent=0))
        shutil.copy(site / "ngshare.db", site / "first.db")
        downgrade = "from ngshare.dbutil import main; main(['downgrade', 'aa00db20c10a'], '{}')"
        command = [old_python(), "-I", "-c", downgrade.format(f"sqlite:///{site}/first.db")]
        subprocess.run(command, check=True)
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            for member in ("ngshare.db", "first.db", "answers.json", "files"):
                archive.add(site / member, member)
    print(f"{len(answers)} answers, {ARCHIVE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

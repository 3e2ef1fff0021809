"""Many clients at once who remember what they sent, and what was acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import requests

from tests.api import Api, Caller, person

REPORTS: list[str] = []  # lines for the end of the run

STUDENTS = [f"student{number}" for number in range(6)]
SIZES = [0, 1_000, 30_000, 300_000, 3_000_000]

Manifest = tuple[tuple[str, str], ...]


def manifest(files: Mapping[str, bytes]) -> Manifest:
    """Paths and MD5s, as lists of files show them."""
    return tuple((path, hashlib.md5(files[path]).hexdigest()) for path in sorted(files))


@dataclass
class Storm:
    """What clients know.

    Attributes:
        sent: of each student, every directory that was ever sent off.
        receipts: of each student, times and what was acknowledged with them.
    """

    sent: dict[str, set[Manifest]] = field(default_factory=lambda: {s: set() for s in STUDENTS})
    receipts: dict[str, dict[str, Manifest]] = field(
        default_factory=lambda: {s: {} for s in STUDENTS}
    )
    requests: int = 0

    @property
    def receipt_count(self) -> int:
        return sum(map(len, self.receipts.values()))

    @contextlib.contextmanager
    def raging(self, url: str) -> Iterator[None]:
        """Clients call while this lasts, and stop when the server is gone."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._submit, args=(url, student, over)) for student in STUDENTS
        ]
        threads.append(threading.Thread(target=self._teach, args=(url, over)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(60)

    def _submit(self, url: str, student: str, over: threading.Event) -> None:
        with caller(url, student) as client:
            while not over.is_set():
                files = {"a": os.urandom(random.choice(SIZES)), "b/c": os.urandom(8), "same": b"1"}
                self.sent[student].add(manifest(files))
                self.requests += 1
                try:
                    timestamp = client.submit("course1", "ps1", files)
                except (requests.RequestException, AssertionError):
                    continue
                self.receipts[student][timestamp] = manifest(files)

    def _teach(self, url: str, over: threading.Event) -> None:
        """Feedback, rosters and releases meanwhile; what becomes of them is for check to see."""
        number = 0
        with caller(url, "kevin") as client:
            while not over.is_set():
                number += 1
                with contextlib.suppress(requests.RequestException, AssertionError, KeyError):
                    files = {"x": b"%d" % number}
                    client.release("course1", f"extra {random.getrandbits(40)}", files)
                    client.ok("POST", f"student/course1/new{number}", **person("new"))
                    student = random.choice(STUDENTS)
                    listed = client.ok("GET", f"submissions/course1/ps1/{student}")["submissions"]
                    if listed:
                        response = client.send(
                            "POST",
                            f"feedback/course1/ps1/{student}",
                            timestamp=listed[-1]["timestamp"],
                            files='[{"path": "f.html", "content": "Zm9v"}]',
                        )
                        assert response.status_code == 200
                over.wait(0.02)

    def compare(self, url: str, contents: bool = True) -> tuple[int, int, int]:
        """How many receipts are lost, submissions half there, and there without a receipt."""
        lost = half = unacknowledged = 0
        with caller(url, "kevin") as client:
            for student in STUDENTS:
                path = f"submission/course1/ps1/{student}"
                listed = client.ok("GET", f"submissions/course1/ps1/{student}")["submissions"]
                times = [entry["timestamp"] for entry in listed]
                assert len(set(times)) == len(times)
                lost += len(set(self.receipts[student]) - set(times))
                for time in times:
                    if contents:
                        found = manifest(client.files(path, timestamp=time))
                    else:
                        files = client.ok("GET", path, timestamp=time, list_only="true")["files"]
                        found = tuple((file["path"], file["checksum"]) for file in files)
                    if time in self.receipts[student]:
                        lost += found != self.receipts[student][time]
                    else:
                        unacknowledged += 1
                        half += found not in self.sent[student]
        return lost, half, unacknowledged


@contextlib.contextmanager
def caller(url: str, name: str) -> Iterator[Caller]:
    with requests.Session() as session:
        session.trust_env = False
        yield Api(url, session).user(name)


def make_course(url: str) -> None:
    """course1 of kevin, with the assignment ps1 and the students."""
    with caller(url, "root") as root:
        root.ok("POST", "course/course1", instructors='["kevin"]')
    with caller(url, "kevin") as kevin:
        for student in STUDENTS:
            kevin.ok("POST", f"student/course1/{student}", **person(student))
        kevin.release("course1", "ps1", {"ps1.ipynb": b"{}"})

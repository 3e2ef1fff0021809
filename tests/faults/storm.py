"""Many clients at once who remember what they sent, and what was acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

from tests.api import Api, Caller, decode, encode, person

STUDENTS = [f"student{number}" for number in range(6)]
SIZES = [1_000] * 4 + [30_000] * 3 + [300_000] * 2 + [3_000_000]  # one is drawn for each directory
PAUSE_SECONDS = 0.02  # of a client whose call broke

Manifest = tuple[tuple[str, str], ...]


def manifest(files: Mapping[str, bytes]) -> Manifest:
    """Paths and the SHA-256 of the bytes."""
    return tuple((path, hashlib.sha256(files[path]).hexdigest()) for path in sorted(files))


@dataclass
class Found:
    """What a comparison of the service with the clients' memory showed.

    Attributes:
        lost: acknowledged, and not there or not as it was acknowledged.
        half: there, and nothing that anybody ever sent.
        twice: submissions there more often than they were sent.
        unacknowledged: submissions there whose clients got no answer.
    """

    lost: int = 0
    half: int = 0
    twice: int = 0
    unacknowledged: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.half or self.twice)


@dataclass(frozen=True)
class Refusal:
    """An answer that is no success, with the moment of its request and how long it took."""

    asked_at: float
    seconds: float
    response: requests.Response


class Ledger:
    """What may be found under a key: what was acknowledged last, or what was sent since.

    None stands for nothing. A key has one writer at a time.
    """

    def __init__(self) -> None:
        self.receipts = 0
        self._possible: dict[Hashable, list[Any]] = {}
        self._ever: dict[Hashable, set[Any]] = {}
        self._touched: set[Hashable] = set()

    def send(self, key: Hashable, value: Any) -> None:
        self._possible.setdefault(key, [None]).append(value)
        self._ever.setdefault(key, {None}).add(value)
        self._touched.add(key)

    def acknowledge(self, key: Hashable, value: Any) -> None:
        self._possible[key] = [value]
        self.receipts += 1

    def has(self, key: Hashable) -> bool:
        """Whether something is surely there."""
        return None not in self._possible.get(key, [None])

    def to_compare(self, everything: bool) -> list[Any]:
        """The keys to look at; if not all, those that were sent since the last time."""
        keys, self._touched = self._touched, set()
        return list(self._possible if everything else keys)

    def compare(self, key: Hashable, value: Any, found: Found) -> None:
        if value in self._possible[key]:
            self._possible[key] = [value]
        elif value in self._ever[key]:
            found.lost += 1
        else:
            found.half += 1


class Storm:
    """Students who hand in, and an instructor who releases, gives feedback and edits the roster.

    Attributes:
        requests: how many were begun.
        refusals: answers that were no success.
        broken: why others have no answer.
    """

    def __init__(self, seed: int, sizes: Sequence[int] = SIZES) -> None:
        self.requests = 0
        self.refusals: list[Refusal] = []
        self.broken: list[requests.RequestException] = []
        self._seed, self._sizes = seed, sizes
        self._rounds = 0
        self._lock = threading.Lock()
        self._sent: dict[str, set[Manifest]] = {student: set() for student in STUDENTS}
        self._receipts: dict[str, dict[str, Manifest]] = {student: {} for student in STUDENTS}
        self._seen: dict[str, dict[str, Manifest]] = {student: {} for student in STUDENTS}
        self._releases, self._feedback, self._people = Ledger(), Ledger(), Ledger()

    @property
    def submission_count(self) -> int:
        """How many submissions were acknowledged."""
        return sum(map(len, self._receipts.values()))

    @property
    def receipt_count(self) -> int:
        ledgers = (self._releases, self._feedback, self._people)
        return self.submission_count + sum(ledger.receipts for ledger in ledgers)

    @contextlib.contextmanager
    def raging(self, url: str) -> Iterator[None]:
        """Clients call while this lasts."""
        self._rounds += 1
        over = threading.Event()
        with ThreadPoolExecutor(len(STUDENTS) + 1) as threads:
            ends = [threads.submit(self._hand_in, url, name, over) for name in STUDENTS]
            ends.append(threads.submit(self._teach, url, over))
            try:
                yield
            finally:
                over.set()
            for end in ends:
                end.result()

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self._seed} {self._rounds} {name}")

    def _draw_files(self, chance: random.Random) -> dict[str, bytes]:
        size = chance.choice(self._sizes)
        return {"a": chance.randbytes(size), "b/c": chance.randbytes(16), "same": b"1"}

    def _send(self, client: Caller, verb: str, path: str, **fields: str) -> dict[str, Any] | None:
        """What a success says; None for everything else."""
        with self._lock:
            self.requests += 1
        asked_at = time.monotonic()
        try:
            response = client.send(verb, path, **fields)
            if response.status_code == 200:
                return response.json()
        except requests.RequestException as error:
            self.broken.append(error)
            time.sleep(PAUSE_SECONDS)
            return None
        self.refusals.append(Refusal(asked_at, time.monotonic() - asked_at, response))
        time.sleep(PAUSE_SECONDS)
        return None

    # ---- the clients ----

    def _hand_in(self, url: str, student: str, over: threading.Event) -> None:
        chance = self._chance(student)
        with caller(url, student) as client:
            while not over.is_set():
                files = self._draw_files(chance)
                self._sent[student].add(manifest(files))
                answer = self._send(client, "POST", "submission/course1/ps1", files=encode(files))
                if answer is not None:
                    self._receipts[student][answer["timestamp"]] = manifest(files)

    def _teach(self, url: str, over: threading.Event) -> None:
        chance = self._chance("kevin")
        with caller(url, "kevin") as client:
            while not over.is_set():
                chance.choice([self._release, self._edit, self._comment])(client, chance)

    def _release(self, client: Caller, chance: random.Random) -> None:
        name, files = f"extra-{chance.getrandbits(64)}", self._draw_files(chance)
        self._releases.send(name, manifest(files))
        if self._send(client, "POST", f"assignment/course1/{name}", files=encode(files)):
            self._releases.acknowledge(name, manifest(files))

    def _edit(self, client: Caller, chance: random.Random) -> None:
        name = f"new{chance.randrange(8)}"
        is_end = self._people.has(name) and chance.random() < 0.5
        first_name = None if is_end else f"N{chance.getrandbits(40)}"
        self._people.send(name, first_name)
        verb, fields = ("DELETE", {}) if is_end else ("POST", person(str(first_name)))
        if self._send(client, verb, f"student/course1/{name}", **fields):
            self._people.acknowledge(name, first_name)

    def _comment(self, client: Caller, chance: random.Random) -> None:
        student = chance.choice(STUDENTS)
        times = list(self._receipts[student])[-3:]
        if not times:
            return
        at, files = chance.choice(times), self._draw_files(chance)
        self._feedback.send((student, at), manifest(files))
        path = f"feedback/course1/ps1/{student}"
        if self._send(client, "POST", path, timestamp=at, files=encode(files)):
            self._feedback.acknowledge((student, at), manifest(files))

    # ---- afterwards ----

    def compare(self, url: str, everything: bool = False) -> Found:
        """Look at every list, and at every byte that was sent since the last time, or ever."""
        found = Found()
        with caller(url, "kevin") as client:
            for student in STUDENTS:
                self._compare_submissions(client, student, everything, found)
            for name in self._releases.to_compare(everything):
                files = find_files(client, f"assignment/course1/{name}")
                self._releases.compare(name, files, found)
            for student, at in self._feedback.to_compare(everything):
                path = f"feedback/course1/ps1/{student}"
                self._feedback.compare((student, at), find_files(client, path, at), found)
            rows = client.ok("GET", "students/course1")["students"]
            people = {row["username"]: row["first_name"] for row in rows}
            for name in self._people.to_compare(everything=True):
                self._people.compare(name, people.get(name), found)
        return found

    def _compare_submissions(
        self, client: Caller, student: str, everything: bool, found: Found
    ) -> None:
        receipts, seen = self._receipts[student], self._seen[student]
        listed = client.ok("GET", f"submissions/course1/ps1/{student}")["submissions"]
        times = {entry["timestamp"] for entry in listed}
        found.lost += len((receipts.keys() | seen.keys()) - times)
        found.twice += len(listed) - len(times)
        found.unacknowledged += len(times - receipts.keys())
        for at in times if everything else times - seen.keys():
            files = find_files(client, f"submission/course1/ps1/{student}", at) or ()
            seen[at] = files
            if at in receipts:
                found.lost += files != receipts[at]
            else:
                found.half += files not in self._sent[student]
        found.twice += len(seen) - len(set(seen.values()))


def find_files(client: Caller, path: str, timestamp: str = "") -> Manifest | None:
    """The directory behind a GET call; None for a directory that isn't there or has no files."""
    response = client.send("GET", path, timestamp=timestamp)
    if response.status_code == 404:
        return None
    assert response.status_code == 200, response.text
    return manifest(decode(response.json()["files"])) or None


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

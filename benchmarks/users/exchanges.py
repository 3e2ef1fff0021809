"""The three exchanges that are compared: how nbgrader finds them, and how they are filled."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from tests.neighbours import Proxy

from ..course import TEACHER, url
from ..processes import ROOT, BenchmarkError, cpu_seconds
from ..servers import ADMIN, OLD_VERSION, Hub, Server, old_server, our_server
from ..sites import enroll
from . import files
from .people import Usage

OURS = "ours"
OLD = OLD_VERSION
LOCAL = "local"
REFERRED_BYTES = 1_000_000
Contents = Mapping[str, bytes]  # of a directory, by path


@dataclass(frozen=True)
class Receipt:
    """What a student has of a submission; the secret is what a local directory knows it by."""

    student: str
    timestamp: str
    secret: str = ""

    def files(self) -> dict[str, bytes]:
        receipts = {"timestamp.txt": self.timestamp, "submission_secret.txt": self.secret}
        return {name: text.encode() for name, text in receipts.items() if text}


def nbgrader_in(environment: str) -> Path:
    """The command `nbgrader` of an environment, which the Makefile makes if it isn't there."""
    command = ["make", f"{environment}/installed"]
    if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode:
        raise BenchmarkError(f"`make {environment}/installed` failed")
    return ROOT / environment / "bin" / "nbgrader"


class Watch:
    """What happens at a server while a command runs."""

    def __init__(self, server: Server | None = None, proxy: Proxy | None = None) -> None:
        self._server = server
        self._proxy = proxy
        self._before = self._server_seconds()
        self.url = proxy.url if proxy else server.url if server else ""

    def _server_seconds(self) -> float:
        return cpu_seconds(self._server.pid) if self._server else 0

    def usage(self, seconds: float) -> Usage:
        """What was used since then."""
        server_seconds = self._server_seconds() - self._before
        if self._proxy is None:
            return Usage(seconds, server_seconds)
        proxy = self._proxy
        return Usage(
            seconds, server_seconds, len(proxy.calls), proxy.sent_bytes + proxy.answered_bytes
        )


class Exchange:
    """Where assignments are exchanged, and which nbgrader does it."""

    name: str
    nbgrader: Path

    def stop(self) -> None:
        """End what belongs to it."""

    @contextmanager
    def watched(self, is_counted: bool) -> Iterator[Watch]:
        """While a command runs."""
        yield Watch()

    def configuration(self, person: str) -> list[str]:
        """Lines of somebody's nbgrader_config.py."""
        raise NotImplementedError

    def create_course(self, course: str, students: Sequence[str]) -> None:
        raise NotImplementedError

    def release(self, course: str, assignment: str, contents: Contents) -> None:
        raise NotImplementedError

    def released(self, course: str, assignment: str) -> Contents:
        raise NotImplementedError

    def submit(self, course: str, assignment: str, student: str, contents: Contents) -> Receipt:
        raise NotImplementedError

    def submitted(self, course: str, assignment: str, student: str) -> Contents:
        """The latest submission."""
        raise NotImplementedError

    def release_feedback(self, course: str, assignment: str, to: Receipt, page: bytes) -> None:
        raise NotImplementedError

    def has_feedback(self, course: str, assignment: str, to: Receipt, page: bytes) -> bool:
        """Whether this, byte for byte, is the feedback on a submission."""
        raise NotImplementedError


class LocalDirectory(Exchange):
    """nbgrader's own, a folder on the local disk."""

    name = LOCAL

    def __init__(self, folder: Path) -> None:
        self.nbgrader = nbgrader_in(".venv-exchange")
        self._root = folder / "exchange"
        self._root.mkdir(parents=True)
        self._root.chmod(0o777)
        self._seconds = count()

    def configuration(self, person: str) -> list[str]:
        lines = [
            f"get_config().Exchange.root = {str(self._root)!r}",
            "get_config().ExchangeCollect.check_owner = False",
        ]
        if person != TEACHER:  # else it is whoever runs this
            lines.append(f"get_config().CourseDirectory.student_id = {person!r}")
        return lines

    def create_course(self, course: str, students: Sequence[str]) -> None:
        for name, mode in (("outbound", 0o755), ("inbound", 0o2733), ("feedback", 0o711)):
            folder = self._root / course / name
            folder.mkdir(parents=True)
            folder.chmod(mode)

    def release(self, course: str, assignment: str, contents: Contents) -> None:
        files.write(self._root / course / "outbound" / assignment, contents)

    def released(self, course: str, assignment: str) -> Contents:
        return files.read(self._root / course / "outbound" / assignment)

    def submit(self, course: str, assignment: str, student: str, contents: Contents) -> Receipt:
        at = datetime(2024, 1, 1) + timedelta(seconds=next(self._seconds))
        receipt = Receipt(student, f"{at}.000000 UTC", secrets.token_hex(64))
        name = f"{student}+{assignment}+{receipt.timestamp}+{secrets.token_urlsafe(9)}"
        target = self._root / course / "inbound" / name
        files.write(target, contents)
        files.write(target, receipt.files())
        return receipt

    def submitted(self, course: str, assignment: str, student: str) -> Contents:
        found = (self._root / course / "inbound").glob(f"{student}+{assignment}+*")
        return files.read(max(found, key=lambda path: path.name.split("+")[2]))

    def _page(self, course: str, to: Receipt) -> Path:
        notebook = files.NOTEBOOK.removesuffix(".ipynb")
        name = hashlib.md5((to.secret + notebook).encode()).hexdigest()
        return self._root / course / "feedback" / f"{name}.html"

    def release_feedback(self, course: str, assignment: str, to: Receipt, page: bytes) -> None:
        self._page(course, to).write_bytes(page)

    def has_feedback(self, course: str, assignment: str, to: Receipt, page: bytes) -> bool:
        path = self._page(course, to)
        return path.is_file() and path.read_bytes() == page


class Served(Exchange):
    """An ngshare with its plugin."""

    def __init__(self, name: str, server: Server, environment: str, config: str) -> None:
        self.name = name
        self.nbgrader = nbgrader_in(environment)
        self._config = config
        self._server = server
        self._server.start()
        self._known: set[str] = set()

    def stop(self) -> None:
        self._server.stop()

    @contextmanager
    def watched(self, is_counted: bool) -> Iterator[Watch]:
        if not is_counted:
            yield Watch(self._server)
            return
        with closing(Proxy(self._server.url)) as proxy:
            yield Watch(self._server, proxy)

    def configuration(self, person: str) -> list[str]:
        return [self._config]

    def create_course(self, course: str, students: Sequence[str]) -> None:
        form = {"instructors": json.dumps([TEACHER])}
        self._server.call("POST", url("course", course), ADMIN, form)
        enroll(self._server, course, list(students))

    def release(self, course: str, assignment: str, contents: Contents) -> None:
        form = {"files": self._files(contents)}
        self._server.call("POST", url("assignment", course, assignment), TEACHER, form)

    def released(self, course: str, assignment: str) -> Contents:
        return self._contents(url("assignment", course, assignment))

    def submit(self, course: str, assignment: str, student: str, contents: Contents) -> Receipt:
        form = {"files": self._files(contents)}
        path = url("submission", course, assignment)
        return Receipt(student, self._server.call("POST", path, student, form)["timestamp"])

    def submitted(self, course: str, assignment: str, student: str) -> Contents:
        return self._contents(url("submission", course, assignment, student))

    def _contents(self, path: str) -> Contents:
        found = self._server.call("GET", path, TEACHER)["files"]
        return {file["path"]: base64.b64decode(file["content"]) for file in found}

    def release_feedback(self, course: str, assignment: str, to: Receipt, page: bytes) -> None:
        form = {"files": self._files({files.PAGE: page}), "timestamp": to.timestamp}
        path = url("feedback", course, assignment, to.student)
        self._server.call("POST", path, TEACHER, form)

    def has_feedback(self, course: str, assignment: str, to: Receipt, page: bytes) -> bool:
        path = url("feedback", course, assignment, to.student)
        query = f"?list_only=true&timestamp={url(to.timestamp)}"
        found = self._server.call("GET", path + query, TEACHER)["files"]
        return [file["checksum"] for file in found] == [hashlib.md5(page).hexdigest()]

    def _files(self, contents: Contents) -> str:
        """The form field; ours gets long files once, and knows them by their SHA-256 then."""
        entries = []
        for path, content in contents.items():
            entry: dict[str, object] = {"path": path}
            digest = hashlib.sha256(content).hexdigest()
            if digest in self._known:
                entry |= {"sha256": digest, "size": len(content)}
            else:
                entry["content"] = base64.b64encode(content).decode()
            if self.name == OURS and len(content) >= REFERRED_BYTES:
                self._known.add(digest)
            entries.append(entry)
        return json.dumps(entries)


def local_directory(folder: Path, hub: Hub) -> Exchange:
    return LocalDirectory(folder)


def ours(folder: Path, hub: Hub) -> Exchange:
    config = "from ngshare.exchange import configure_exchange\nconfigure_exchange(get_config())"
    return Served(OURS, our_server(folder, hub.url), ".venv-exchange", config)


def old(folder: Path, hub: Hub) -> Exchange:
    config = (
        "import os, ngshare_exchange\n"
        'url = os.environ["NGSHARE_URL"].rstrip("/")\n'
        "ngshare_exchange.configureExchange(get_config(), url)"
    )
    return Served(OLD, old_server(folder, hub.url), ".venv-nbgrader", config)


EXCHANGES = {OLD: old, OURS: ours, LOCAL: local_directory}

"""How tests call the API: as a program would, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from tests.fake_hub import token_of

A = TypeVar("A")
T = TypeVar("T")


def encode(files: Mapping[str, bytes]) -> str:
    """The field `files` for a directory."""
    return json.dumps(
        [
            {"path": path, "content": base64.encodebytes(content).decode()}
            for path, content in files.items()
        ]
    )


def described(path: str, content: bytes) -> dict[str, Any]:
    """A file as answers have it, without its content."""
    return {
        "path": path,
        "checksum": hashlib.md5(content).hexdigest(),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def manifest_digest(files: Mapping[str, bytes]) -> str:
    """The `sha256` of a directory, as the manual tells how to make it."""
    lines = [f"{described(path, files[path])['sha256']} {path}\n" for path in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def decode(entries: list[dict[str, str]]) -> dict[str, bytes]:
    """The directory in an answer."""
    return {entry["path"]: base64.b64decode(entry["content"]) for entry in entries}


def write_files(folder: Path, files: Mapping[str, bytes]) -> dict[str, Path]:
    """Make files below a folder; relative path to file, as NgShareClient wants it."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return {path: folder / path for path in files}


def read_files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@dataclass
class Api:
    """A server's API, called by anybody."""

    url: str
    session: requests.Session

    def user(self, name: str) -> Caller:
        return Caller(self, {"Authorization": f"token {token_of(name)}"})

    @property
    def nobody(self) -> Caller:
        return Caller(self, {})


@dataclass
class Caller:
    """Somebody who calls, with the headers that say who."""

    api: Api
    headers: dict[str, str]

    def call(self, verb: str, path: str, **options: Any) -> requests.Response:
        """One request; options as requests has them."""
        headers = {**self.headers, **options.pop("headers", {})}
        options.setdefault("allow_redirects", False)
        options.setdefault("timeout", 30)
        return self.api.session.request(verb, self.api.url + path, headers=headers, **options)

    def send(self, verb: str, path: str, **fields: Any) -> requests.Response:
        """One request with arguments where 0.6.0 wants them: in the query, or in the form."""
        where = "data" if verb in ("POST", "PUT") else "params"
        return self.call(verb, path, **{where: fields})

    def ok(self, verb: str, path: str, **fields: Any) -> dict[str, Any]:
        """The answer to a call that must succeed."""
        response = self.send(verb, path, **fields)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer["success"] is True
        assert response.headers["Content-Type"] == "application/json"
        return answer

    def fails(self, status: int, message: str, verb: str, path: str, **fields: Any) -> None:
        """A call that must fail, with exactly this message."""
        response = self.send(verb, path, **fields)
        answer = response.json()
        assert (response.status_code, answer["message"]) == (status, message)
        assert answer["success"] is False
        assert response.headers["Content-Type"] == "application/json"

    def release(self, course: str, assignment: str, files: Mapping[str, bytes]) -> None:
        self.ok("POST", f"assignment/{course}/{assignment}", files=encode(files))

    def submit(self, course: str, assignment: str, files: Mapping[str, bytes]) -> str:
        """The timestamp of the new submission."""
        answer = self.ok("POST", f"submission/{course}/{assignment}", files=encode(files))
        return answer["timestamp"]

    def files(self, path: str, **fields: Any) -> dict[str, bytes]:
        """The directory behind a GET call."""
        return decode(self.ok("GET", path, **fields)["files"])


def segment(name: str) -> str:
    """An id as one segment of a URL."""
    return quote(name, safe="")


def person(name: str) -> dict[str, str]:
    """The fields that a roster wants for somebody."""
    return {"first_name": name.title(), "last_name": "Example", "email": f"{name}@example.org"}


def at_once(call: Callable[[A], T], arguments: Sequence[A]) -> list[T]:
    """The results of calls that threads begin at the same moment, in the order of arguments."""
    start = threading.Barrier(len(arguments))

    def run(argument: A) -> T:
        start.wait()
        return call(argument)

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(run, arguments))

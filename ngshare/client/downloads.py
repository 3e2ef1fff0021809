"""Directories on their way down: verified beside their place, then moved there.

What a server says is not believed: paths are checked by wire.check_paths, contents by their
SHA-256, and an archive may hold nothing but the files that the manifest names.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

import msgspec
import requests

from ngshare import wire
from ngshare.client.answers import Answer
from ngshare.client.transport import Transport
from ngshare.errors import ForeignAnswer, InvalidRequest, LocalFileError, NotFound, WrongContent

BLOCK_BYTES = 256 << 10
QUERY_BYTES = 4000  # of paths in a URL; servers take 8,000 and more
TAR = "application/x-tar"


class File(msgspec.Struct, frozen=True):
    """A file of the manifest, as far as it matters here."""

    path: str
    size: int
    sha256: str


def fetch(
    transport: Transport,
    where: Sequence[str],
    query: Mapping[str, str | None],
    folder: Path,
    paths: Sequence[str] | None,
    files: Sequence[Mapping[str, Any]] | None,
) -> Answer:
    """Write a directory, or some of its files, below a folder; the answer without contents.

    All files are complete and verified before the first one gets its name. A try that fails is
    repeated for the files that have not arrived yet.

    Args:
        where: the segments of the URL.
        folder: it is made if it is not there. Files of the same names are replaced, others stay.
        paths: only these files, and folders with all that is in them.
        files: what an earlier answer told of the directory; then the server is not asked for it,
            unless that proves to be outdated, and the answer has nothing else.

    Raises:
        NotFound: also if the directory has nothing of one of the `paths`.
        WrongContent: the server sent something else than it announced, or links, or paths that
            lead out of the folder.
        LocalFileError: something can't be written, or a link or a folder is in the way.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ngshare-", dir=folder) as parts:
            download = _Download(Path(parts), paths, files)
            answer = transport.repeat(lambda: download.attempt(transport, where, query))
            download.place(folder)
        return answer
    except BaseException as error:
        if is_new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        if isinstance(error, OSError):
            what = f"{error.filename or folder}: {error.strerror}"
            raise LocalFileError(f"The files can't be written: {what}") from error
        raise


class _Download:
    """What has arrived so far, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        paths: Sequence[str] | None,
        files: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        self._folder = folder
        self._paths = paths
        self._told = None if files is None else Answer(files=files)
        self._selected: list[File] = []
        self._arrived: dict[File, Path] = {}

    def attempt(
        self, transport: Transport, where: Sequence[str], query: Mapping[str, str | None]
    ) -> Answer:
        """Ask what there is, and for what has not arrived of it."""
        answer, self._told = self._told, None
        if answer is None:
            answer = transport.call_once("GET", *where, query={**query, "list_only": "true"})
        files = _manifest(answer)
        self._selected = _select(files, self._paths)
        missing = {file for file in self._selected if file not in self._arrived}
        if missing:
            exact = {**query, "timestamp": answer.get("timestamp", query.get("timestamp"))}
            selection = self._selection(files, missing)
            with transport.open(
                "GET", *where, query={**exact, "path": selection}, headers={"Accept": TAR}
            ) as response:
                self._unpack(response, {file.path: file for file in files}, missing)
        return answer

    def _selection(self, files: Sequence[File], missing: Collection[File]) -> Sequence[str] | None:
        """What to ask for: of what is missing as little more as a URL can say."""
        if len(missing) < len(files):
            for paths in (sorted(file.path for file in missing), self._paths or ()):
                if 0 < sum(len(quote(path)) + 6 for path in paths) <= QUERY_BYTES:
                    return paths
        return None

    def _unpack(
        self, response: requests.Response, files: Mapping[str, File], missing: set[File]
    ) -> None:
        if response.headers.get("Content-Type", "").partition(";")[0] != TAR:
            raise ForeignAnswer(f"{response.url} sends no archive: ngshare 1.0 or newer is needed")
        stream = _Stream(response)
        try:
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
                for member in archive:
                    file = files.get(member.name)
                    is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
                    is_plain = is_plain and not member.issparse()
                    if file is None or not is_plain or member.size != file.size:
                        raise WrongContent(
                            f"The server sent {member.name[:200]!r}, which is not as announced"
                        )
                    content = archive.extractfile(member)
                    if file in missing and content is not None:
                        self._receive(file, content)
                        missing.discard(file)
        except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
            raise WrongContent(f"The archive that the server sent is damaged: {error}") from error
        if missing:
            paths = sorted(file.path for file in missing)
            raise WrongContent(f"The archive that the server sent lacks {paths[0]!r}")
        stream.read(BLOCK_BYTES)  # the answer's end, so that the connection serves the next call

    def _receive(self, file: File, content: IO[bytes]) -> None:
        digest = hashlib.sha256()
        part = self._folder / str(len(self._arrived))
        with part.open("wb") as output:
            while block := content.read(BLOCK_BYTES):
                digest.update(block)
                output.write(block)
        if digest.hexdigest() != file.sha256:
            raise WrongContent(f"The content of {file.path} arrived damaged: its SHA-256 is wrong")
        self._arrived[file] = part

    def place(self, folder: Path) -> None:
        """Give all files their names."""
        moves = [(self._arrived[file], _target(folder, file.path)) for file in self._selected]
        for part, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)


class _Stream:
    """A response's body as tarfile reads it."""

    def __init__(self, response: requests.Response) -> None:
        self._blocks = response.iter_content(BLOCK_BYTES)

    def read(self, size: int) -> bytes:
        """The next block, of whatever length; nothing at the end."""
        return next(self._blocks, b"")


def _manifest(answer: Answer) -> list[File]:
    try:
        files = msgspec.convert(answer["files"], list[File])
        wire.check_paths([file.path for file in files])
    except msgspec.ValidationError as error:
        raise ForeignAnswer(
            f"The list of files is not as expected ({error}): ngshare 1.0 or newer is needed"
        ) from None
    except InvalidRequest:
        raise WrongContent("The server names files that must not be written") from None
    return files


def _select(files: Sequence[File], paths: Sequence[str] | None) -> list[File]:
    if paths is None:
        return list(files)
    selected: dict[File, None] = {}
    for path in paths:
        found = [file for file in files if f"{file.path}/".startswith(f"{path}/")]
        if not found:
            raise NotFound(f"There is no {path!r} in this directory")
        selected.update(dict.fromkeys(found))
    return list(selected)


def _target(folder: Path, path: str) -> Path:
    """Where a file goes; nothing on the way there may be a link, which could lead anywhere."""
    target = folder
    *folders, name = path.split("/")
    for segment in folders:
        target = target / segment
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise LocalFileError(f"{target} is in the way: it is no folder")
    target = target / name
    if target.is_dir() and not target.is_symlink():
        raise LocalFileError(f"{target} is in the way: it is a folder")
    return target

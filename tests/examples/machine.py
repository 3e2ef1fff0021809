"""A machine of its own, as far as a recipe sees one: its folders, its network, its processes.

It is made of Linux' namespaces, so that the files of a recipe run as they are, on the ports and in
the folders that they name. What would be installed is the tests' own installation, and what systemd
would start is started by its unit's command.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.hub import PROXY, ROOT, clean_environment, require, require_node

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

MAKE = r"""
set -e
mount -t tmpfs machine "$1"
for folder in etc opt srv var; do
    mkdir "$1/$folder" "$1/$folder/upper" "$1/$folder/work"
    mount -t overlay -o "lowerdir=/$folder,upperdir=$1/$folder/upper,workdir=$1/$folder/work" \
        overlay "/$folder"
done
mount -t tmpfs run /run
echo ready
exec cat
"""

# What would need the network, or a system that has been started.
NOTHING = "#!/bin/sh\n"
STAND_INS = {
    "apt-get": NOTHING,
    "npm": NOTHING,
    "createuser": NOTHING,  # the server of the tests has the user ngshare already
    "pip": NOTHING,
    "tljh-config": NOTHING,
    "sudo": '#!/bin/sh\nshift 2\nPGUSER=ngshare PGHOST=/run/postgresql exec "$@"\n',
    "systemctl": '#!/bin/sh\necho "$@" >> /run/systemctl\n',
    "python3": """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python}/python3 "$@"
mkdir -p "$3/bin"
ln -s {python}/* /opt/stand-ins/pip -t "$3/bin" -f
""",
}


class Machine:
    """Use it in a `with` statement.

    Attributes:
        root: its root folder, as we see it.
        commands: the folder with the commands that would be installed into virtual environments.
    """

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder = folder
        self.commands = commands
        self._units: dict[str, subprocess.Popen[bytes]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Machine:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        place = self.folder / "disk"
        place.mkdir()
        self._holder = subprocess.Popen(
            ["unshare", *options, "/bin/sh", "-c", MAKE, "make", str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != b"ready\n":
            _, reason = self._holder.communicate()
            pytest.skip(f"no namespaces: {reason.decode().strip()}")
        self._pid = child_of(self._holder)
        self.root = Path(f"/proc/{self._pid}/root")
        with self.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
        for name, template in STAND_INS.items():
            text = template.replace("{python}", str(self.commands))
            self.write(f"/opt/stand-ins/{name}", text, 0o755)
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()  # and with it all that was started
        self._holder.communicate()
        for process in self._processes:
            process.wait()

    @contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread, and those it starts, have the machine's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with (
            open("/proc/thread-self/ns/net", "rb") as ours,
            open(f"/proc/{self._pid}/ns/net", "rb") as its,
        ):
            assert libc.setns(its.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(ours.fileno(), CLONE_NEWNET) == 0

    def path(self, path: str) -> Path:
        """A file of the machine, as we see it."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def environment(self) -> dict[str, str]:
        """That of root's shell."""
        node = require_node().parent
        require(PROXY)
        kept = {name: value for name, value in clean_environment().items() if name[:3] != "XDG"}
        places = ["/opt/stand-ins", self.commands, node, PROXY.parent, "/usr/sbin", "/usr/bin"]
        return {**kept, "HOME": "/root", "PATH": ":".join([*map(str, places), "/sbin", "/bin"])}

    def start(
        self, name: str, command: list[str], env: Mapping[str, str], cwd: str = "/"
    ) -> subprocess.Popen[bytes]:
        """Start a process, with a log in our folder."""
        enter = ["nsenter", "--target", str(self._pid), "--mount", "--net", "--pid"]
        shell = ["/bin/sh", "-c", 'cd "$1"; shift; exec "$@"', "start", cwd]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*enter, *shell, *command],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def run(self, name: str, command: list[str], env: Mapping[str, str], cwd: str = "/") -> str:
        """Run a command to its good end; what it printed."""
        before = len(self.log(name))
        status = self.start(name, command, env, cwd).wait(120)
        printed = self.log(name)[before:]
        assert status == 0, f"{command}: {printed}"
        return printed

    def type(self, commands: str, folder: Path = ROOT) -> None:
        """Let root type something; the first command that fails is the last."""
        shell = ["/bin/bash", "-e", "-u", "-x", "-c", commands]
        self.run("shell", shell, self.environment(), str(folder))

    def follow(self, recipe: Path) -> None:
        """Do what a recipe's README says, in the recipe's folder."""
        for commands in blocks(recipe / "README.md", "sh"):
            self.type(commands, recipe)
        for config in blocks(recipe / "README.md", "python"):
            self.write("/etc/jupyter/nbgrader_config.py", config)

    def start_what_was_enabled(self) -> None:
        """Start what systemctl was told to, but the Hub, as systemd would as far as we can."""
        record = self.path("/run/systemctl")
        for line in record.read_text().splitlines() if record.exists() else []:
            if line == "restart nginx":
                self.start("nginx", ["nginx", "-g", "daemon off;"], self.environment())
            elif line.startswith("enable --now "):
                for unit in line.split()[2:]:
                    self.start_unit(unit)

    def start_unit(self, unit: str) -> None:
        """Start it, but as root; see that systemd would understand it."""
        name, _, instance = unit.partition("@")
        template = f"{name}@.service" if instance else f"{name}.service"
        file = f"/etc/systemd/system/{template}"
        if shutil.which("systemd-analyze"):
            self.run("verify", ["systemd-analyze", "verify", file], self.environment())
        text = self.path(file).read_text().replace("%i", instance)
        settings = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        if "PYTHONPATH" in os.environ:  # what is tested may not be what is installed
            env["PYTHONPATH"] = os.environ["PYTHONPATH"]
        for key, value in settings:
            if key == "EnvironmentFile":
                lines = self.path(value).read_text().splitlines()
                env |= dict(line.split("=", 1) for line in lines if line and line[0] != "#")
            elif key == "Environment":
                env |= dict([value.split("=", 1)])
            elif key == "StateDirectory":
                self.path(f"/var/lib/{value}").mkdir(mode=0o700, exist_ok=True)
        self._units[unit] = self.start(unit, shlex.split(dict(settings)["ExecStart"]), env)

    def kill(self, unit: str) -> None:
        """Let a unit die at once."""
        process = self._units[unit]
        os.kill(child_of(process), signal.SIGKILL)
        process.wait()


def child_of(process: subprocess.Popen[bytes]) -> int:
    """The process id of what unshare or nsenter runs."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def blocks(page: Path, language: str) -> list[str]:
    """A page's examples in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)

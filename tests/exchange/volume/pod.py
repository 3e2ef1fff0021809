"""Runs commands as in pods: each in a mount namespace of its own, as the same user.

It is a process of its own that has loaded nbgrader, and forks for every command; so a command
takes no longer than what it does. Commands come as lines of JSON, and so do the answers.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

HUB_FOLDER = "/srv/nbgrader-exchange"  # where the manual has the whole volume
UID = 1000
GID = 100
HOME = Path("/home/jovyan")
PASSWD = f"root:x:0:0::/root:/bin/sh\njovyan:x:{UID}:{GID}::{HOME}:/bin/sh\n"

CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source: Path | str, target: Path | str, kind: str, flags: int, data: str = "") -> None:
    texts = (str(source), str(target), kind)
    source_, target_, kind_ = (text.encode() or None for text in texts)
    check(libc.mount(source_, target_, kind_, ctypes.c_ulong(flags), data.encode() or None))


def bind(source: Path | str, target: Path | str, readonly: bool = False) -> None:
    """Mount a folder or a file, as Kubernetes does with a subPath."""
    target = Path(target)
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    mount(source, target, "", MS_BIND)
    if readonly:
        mount("", target, "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def cover(folder: Path | str, mode: str = "755") -> None:
    """Let there be an empty folder in place of one."""
    mount("tmpfs", folder, "tmpfs", 0, f"mode={mode}")


def needed() -> list[Path]:
    """Where Python and this code are."""
    return [Path(path) for path in (sys.base_prefix, sys.prefix, Path(__file__).parents[3])]


def enter(pod: dict[str, Any]) -> None:
    """Become the user in a pod: a dictionary with the volume, its mounts, the home and the name."""
    check(libc.unshare(CLONE_NEWNS))
    mount("", "/", "", MS_REC | MS_PRIVATE)
    cover("/mnt", "700")
    kept = {f"/mnt/{number}": path for number, path in enumerate(needed())}
    for copy, path in kept.items():
        bind(path, copy)
    bind(pod["volume"], "/mnt/volume")
    bind(pod["home"], "/mnt/home")
    bind(pod["passwd"], "/etc/passwd")
    # Nobody sees these, and anybody may enter what is above Python.
    parents = {parent for path in kept.values() for parent in path.parents}
    closed = [parent for parent in sorted(parents) if not parent.stat().st_mode & stat.S_IXOTH]
    for folder in (Path("/usr/local/share"), Path("/srv"), HOME.parent, *closed):
        if folder.exists():  # it may be in one that is covered already
            cover(folder)
    for copy, path in kept.items():
        if not path.exists():
            bind(copy, path)
    bind("/mnt/home", HOME)
    for each in pod["mounts"]:
        bind(f"/mnt/volume/{each['subPath']}", each["mountPath"], each["readOnly"])
    if pod["is_hub"]:
        bind("/mnt/volume", HUB_FOLDER)
    os.setgroups([])
    os.setgid(GID)
    os.setuid(UID)
    os.umask(0o022)
    os.environ.clear()
    os.environ.update(
        PATH=f"{sys.prefix}/bin:/usr/bin:/bin",
        HOME=str(HOME),
        LANG="C.UTF-8",
        JUPYTERHUB_USER=pod["name"],
    )
    os.chdir(HOME)


def run(command: list[str]) -> None:
    """Run a command of nbgrader or of the shell, or a program of Python."""
    kind, *arguments = command
    if kind == "nbgrader":
        from nbgrader.apps.nbgraderapp import NbGraderApp

        NbGraderApp.launch_instance(arguments)
    elif kind == "python":
        exec(arguments[0], {})
    else:
        os.execvp(kind, command)


def run_in_pod(pod: dict[str, Any], command: list[str]) -> tuple[int, str]:
    """The status and all that was printed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(write, 1)
            os.dup2(write, 2)
            os.close(read)
            os.close(write)
            enter(pod)
            run(command)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(write)
    with open(read, encoding="utf-8", errors="replace") as output:
        text = output.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


def main() -> None:
    import nbgrader.apps
    import nbgrader.exchange.default  # noqa: F401

    import ngshare.exchange.volume  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(run_in_pod(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

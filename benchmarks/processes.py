"""Processes that are always cleaned up, and what Linux says about their memory."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
PR_SET_PDEATHSIG = 1
OWN_BYTES = 2 << 30


class BenchmarkError(Exception):
    """A measurement could not be made; the message says why, in a line."""


def die_with_parent() -> None:
    """Run in a new process: the kernel ends it when the benchmark is gone, however that went."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(**variables: str) -> dict[str, str]:
    """A clean environment: no proxies, nothing of a Hub that this may run under."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_PROXY": "*", **variables}


def spawn(command: list[str], log: Path, cwd: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start a command whose output goes to the end of `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )


def stop(process: subprocess.Popen[bytes], patience: float = 10) -> None:
    """End a process: politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, in one line."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return " | ".join(text.strip().splitlines()[-lines:])


def memory(pid: int) -> dict[str, int]:
    """Bytes: `VmRSS` (resident now) and `VmHWM` (the most it ever was); see proc(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    pairs = (line.split(":", 1) for line in status.splitlines())
    wanted = {name: value for name, value in pairs if name in ("VmRSS", "VmHWM")}
    return {name: int(value.split()[0]) * 1024 for name, value in wanted.items()}


def forget_peak(pid: int) -> None:
    """Set a process's `VmHWM` back to what it uses now; see proc(5), clear_refs."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def own_memory() -> None:
    """Use memory for a moment, so that what is measured next need not be the first to do so.

    The host of a virtual machine takes back what is free and gives it again page by page: where
    that takes 2 ms a megabyte, it is what a server that stores megabytes is found to need.
    """
    code = f"import mmap; m = mmap.mmap(-1, {OWN_BYTES}); m[::4096] = bytes({OWN_BYTES} // 4096)"
    subprocess.run([sys.executable, "-c", code], check=True, preexec_fn=die_with_parent)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its children used so far, also in the kernel."""
    children: dict[int, list[int]] = {}
    ticks = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            fields = stat.read_text().rpartition(")")[2].split()
            process = int(stat.parent.name)
            children.setdefault(int(fields[1]), []).append(process)
            ticks[process] = sum(map(int, fields[11:15]))  # with children that have ended
    family = [pid]
    for process in family:
        family += children.get(process, [])
    return sum(ticks.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK")


# -- the load generator's process --------------------------------------------------------------


@contextmanager
def load_process() -> Iterator[subprocess.Popen[bytes]]:
    """A load generator (benchmarks/load.py) that waits for its job."""
    command = [sys.executable, "-m", "benchmarks.load"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def send_job(process: subprocess.Popen[bytes], job: dict[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(job).encode() + b"\n")
    process.stdin.flush()


def result_of(process: subprocess.Popen[bytes], timeout: float) -> dict[str, Any]:
    """Close the standard input of a load process, and wait for its result."""
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"no result after {timeout:.0f} s") from None
    if not output:
        raise BenchmarkError(f"the load generator ended with status {process.returncode}")
    result: dict[str, Any] = json.loads(output)
    if "error" in result:
        raise BenchmarkError(result["error"])
    return result


def run_load(job: dict[str, Any], timeout: float) -> dict[str, Any]:
    with load_process() as process:
        send_job(process, job)
        return result_of(process, timeout)

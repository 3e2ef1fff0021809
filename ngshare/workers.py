"""Several processes behind one address: forked, watched, replaced, and stopped together."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

from ngshare.service import StartError, prepare, run

if TYPE_CHECKING:
    from ngshare.app import NgShare

log = logging.getLogger("ngshare")

STOPPING = {signal.SIGTERM, signal.SIGINT}
AWAITED = {*STOPPING, signal.SIGCHLD, signal.SIGALRM}
QUICK_SECONDS = 10.0  # a process that ends sooner has done no work
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0


def supervise(options: NgShare) -> None:
    """Serve by `options.workers` processes until SIGTERM or SIGINT, then wait for their ends.

    No event loop and no thread may exist: of a process that is forked only one thread goes on.

    Raises:
        StartError: something is missing or wrong, or no process stays alive.
    """
    sockets = prepare(options)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # not every system keeps ignored ones
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    crew = _Crew(options, sockets)
    crew.fill()
    while (number := signal.sigwait(AWAITED)) not in STOPPING:
        if number == signal.SIGCHLD:
            crew.bury()
        else:
            crew.fill()
    crew.stop()


class _Crew:
    """The processes.

    Each has the reading end of a pipe of which the supervisor alone has the writing end: when that
    is closed the supervisor is gone, in whatever way.
    """

    def __init__(self, options: NgShare, sockets: list[socket.socket]) -> None:
        self._options = options
        self._sockets = sockets
        self._lifeline, self._supervisors_end = os.pipe()
        self._begun = time.monotonic()
        self._starts: dict[int, float] = {}  # of the processes that live, by their ids
        self._quick_ends = 0

    def fill(self) -> None:
        """Start as many processes as are missing."""
        while len(self._starts) < self._options.workers:
            process_id = os.fork()
            if process_id == 0:
                self._become_worker()
            self._starts[process_id] = time.monotonic()
            log.info("Started process %d", process_id)

    def _become_worker(self) -> None:
        status = 1
        try:
            os.close(self._supervisors_end)
            was_closed = asyncio.run(_work(self._options, self._sockets, self._lifeline))
            status = 0 if was_closed else 1
        except Exception:
            log.exception("This process fails")
        finally:
            logging.shutdown()
            os._exit(status)

    def bury(self) -> None:
        """Note who has ended, and set the time for a replacement.

        Raises:
            StartError: all ended right after the start.
        """
        while process_id := _wait_for_one(os.WNOHANG):
            now = time.monotonic()
            start = self._starts.pop(process_id, None)
            if start is None:
                continue  # process 1 of a container inherits others' children
            self._quick_ends = self._quick_ends + 1 if now - start < QUICK_SECONDS else 0
            if not self._starts and now - self._begun < QUICK_SECONDS:
                raise StartError("All processes ended right after their start; the log says why")
            pause = min(SHORTEST_PAUSE_SECONDS * 2**self._quick_ends, LONGEST_PAUSE_SECONDS)
            log.warning("Another process is started in %.1f s", pause)
            signal.setitimer(signal.ITIMER_REAL, pause)

    def stop(self) -> None:
        """Tell all processes to stop, and wait until they have finished their calls."""
        log.info("Stopping %d processes", len(self._starts))
        for sock in self._sockets:
            sock.close()
        for process_id in self._starts:
            os.kill(process_id, signal.SIGTERM)
        while _wait_for_one(0):
            pass
        log.info("All processes stopped")


def _wait_for_one(flags: int) -> int:
    """The id of a process that has ended; 0 if there is none (yet, with os.WNOHANG)."""
    try:
        process_id, status = os.waitpid(-1, flags)
    except ChildProcessError:
        return 0
    if process_id:
        code = os.waitstatus_to_exitcode(status)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        log.log(logging.ERROR if code else logging.INFO, "Process %d %s", process_id, how)
    return process_id


async def _work(options: NgShare, sockets: list[socket.socket], lifeline: int) -> bool:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def orphaned() -> None:
        loop.remove_reader(lifeline)
        log.error("The process that watches over this one is gone")
        stop.set()

    loop.add_reader(lifeline, orphaned)
    return await run(options, sockets, stop)

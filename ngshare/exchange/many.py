"""The same for many students: a few at a time, with progress, and each may fail by itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from ngshare.errors import NgShareError


def run_all(
    jobs: Mapping[str, Callable[[], None]], parallel: int, title: str, log: logging.Logger
) -> dict[str, NgShareError | OSError]:
    """Run every job, whatever becomes of the others; those that failed, in the order of jobs.

    Args:
        jobs: what to call, by the name that tells it from the others.
        parallel: how many to run at the same time.
        title: what a progress bar says, if this runs in a terminal.
    """
    failures = {}
    threads = ThreadPoolExecutor(max(1, parallel), "ngshare-exchange")
    try:
        with _progress(len(jobs), title, log) as advance:
            names = {threads.submit(job): name for name, job in jobs.items()}
            for future in as_completed(names):
                try:
                    future.result()
                except (NgShareError, OSError) as error:
                    failures[names[future]] = error
                advance()
    finally:
        threads.shutdown(cancel_futures=True)
    return {name: failures[name] for name in jobs if name in failures}


@contextmanager
def _progress(total: int, title: str, log: logging.Logger) -> Iterator[Callable[[], None]]:
    """A function that moves a bar in the terminal; what is logged meanwhile goes above the bar."""
    if not total or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # here, as most commands would load it for nothing
    from rich.progress import Progress

    terminal = sys.stderr
    with Progress(console=Console(file=terminal), transient=True) as progress:
        task = progress.add_task(title, total=total)
        handlers = [each for each in _stream_handlers(log) if each.stream is terminal]
        for handler in handlers:
            handler.setStream(sys.stderr)  # which now is Progress's own
        try:
            yield lambda: progress.advance(task)
        finally:
            for handler in handlers:
                handler.setStream(terminal)


def _stream_handlers(log: logging.Logger | None) -> Iterator[logging.StreamHandler]:
    """The handlers that write what is logged here to streams."""
    while log:
        for handler in log.handlers:
            if isinstance(handler, logging.StreamHandler):
                yield handler
        log = log.parent if log.propagate else None

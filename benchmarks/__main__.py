"""Measure ngshare beside 0.6.0, in one run on one machine. See benchmarks/README.md."""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from . import course
from .days import DAYS
from .measurements import MEASUREMENTS, Measurement, now
from .processes import BenchmarkError, own_memory
from .report import Cell, Line, footnotes, markdown_table, median, plain_table, verdict
from .servers import (
    FLOOR,
    OLD_VERSION,
    Hub,
    Server,
    floor_server,
    old_python,
    old_server,
    our_server,
    versions,
)
from .sites import SITES

ALL = [*MEASUREMENTS, *DAYS, *SITES]
GROUPS = list(dict.fromkeys(measurement.group for measurement in ALL))
WRITING = ("submit", "days", "many", "gibibyte", "workers")
WITH_FLOOR = ("courses", "fetch", "submit")
Cells = tuple[Cell, Cell, Cell]
SERVERS = {OLD_VERSION: old_server, "ours": our_server, FLOOR: floor_server}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="how long each rate is measured (default: 5)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        choices=range(1, 100),
        metavar="N",
        help="measure so often, take medians (default: 1)",
    )
    parser.add_argument(
        "--only", action="append", choices=GROUPS, help="measure only this; may be repeated"
    )
    parser.add_argument(
        "--server", action="append", choices=list(SERVERS), help="only this one; may be repeated"
    )
    parser.add_argument(
        "--hub-delay", type=float, default=5.0, help="ms the Hub takes to answer (default: 5)"
    )
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the manual's page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser.parse_args()


class Site:
    """One of the servers with its sample courses, or the reason why there is none."""

    def __init__(self, name: str, folder: Path, hub: Hub, wanted: bool) -> None:
        self.server: Server | None = None
        self.failure = ""
        if not wanted:
            return
        try:
            self.server = SERVERS[name](folder / name, hub.url)
            self.server.start()
            self.server.state["hub pid"] = hub.pid
            if name != FLOOR:
                course.create(self.server)
        except BenchmarkError as error:
            self.failure = str(error)

    def measure(self, measurement: Measurement, seconds: float) -> list[Cell]:
        """One cell a row; a measurement that fails says so in each."""
        if self.server is None or self.failure:
            return [Cell(failure=self.failure)] * len(measurement.rows)
        try:
            self.server.ensure_running()
            if measurement.group in WRITING:
                own_memory()
            return [Cell(figure) for figure in measurement.run(self.server, seconds)]
        except (BenchmarkError, OSError, LookupError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            return [Cell(failure=reason)] * len(measurement.rows)

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()


def compare(
    old: Site, ours: Site, floor: Site, measurement: Measurement, seconds: float
) -> list[Cells]:
    """Measure one server right after the other; the cells of each row."""
    if measurement.not_for_old:
        olds = [Cell(left_out=measurement.not_for_old)] * len(measurement.rows)
    else:
        olds = old.measure(measurement, seconds)
    floors = [Cell()] * len(measurement.rows)
    if measurement.group in WITH_FLOOR and floor.server is not None:
        floors = floor.measure(measurement, seconds)
    return list(zip(olds, ours.measure(measurement, seconds), floors, strict=True))


def compare_often(
    old: Site, ours: Site, floor: Site, measurement: Measurement, options: argparse.Namespace
) -> list[Line]:
    """The same in several rounds, so that what else the machine does hits both servers alike."""
    print(f"measuring: {measurement.rows[0].title}", file=sys.stderr)
    rounds = [
        compare(old, ours, floor, measurement, options.seconds) for _ in range(options.rounds)
    ]
    lines = []
    for row, *cells in zip(measurement.rows, *rounds, strict=True):
        olds, news, floors = zip(*cells, strict=True)
        lines.append(Line(row, median(olds), median(news), floors[0]))
    return lines


def measure_all(options: argparse.Namespace) -> list[Line]:
    wanted = options.server or list(SERVERS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ngshare-bench-")))
        hub = Hub(folder, course.USERS, options.hub_delay / 1000)
        stack.callback(hub.stop)
        hub.start()
        sites = []
        for name in SERVERS:
            sites.append(Site(name, folder, hub, name in wanted))
            stack.callback(sites[-1].stop)
        chosen = [m for m in ALL if not options.only or m.group in options.only]
        compared = (compare_often(*sites, measurement, options) for measurement in chosen)
        return [line for lines in compared for line in lines]


def surroundings(options: argparse.Namespace) -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    packages = ("ngshare", "tornado", "SQLAlchemy", "jupyterhub")
    return {
        "when": now(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "hub_delay_ms": options.hub_delay,
        "ours": versions(Path(sys.executable), *packages),
        OLD_VERSION: versions(old_python(), *packages),
    }


def show(lines: list[Line], about: dict[str, Any], markdown: bool) -> None:
    print(markdown_table(lines) if markdown else plain_table(lines))
    print()
    for note in footnotes(lines):
        print(f"* {note}")
    print(
        f"{about['when']}, {about['processors']} processors, Python {about['python']},"
        f" Hub answering in {about['hub_delay_ms']:g} ms, {about['seconds']:g} s a rate,"
        f" rounds: {about['rounds']}."
    )
    print(verdict(lines))


PAGE = """# Measurements

Written by `make bench`: ngshare beside its predecessor 0.6.0, both behind a Hub that answers in
{hub_delay_ms:g} ms, and a bare Tornado handler that moves the same bytes, in one run on one
machine. What is measured and how is in `benchmarks/README.md`. Identities are cached, ngshare's
commits are durable, the figures are of one process unless the row says something else; load
generator, Hub and server share the processors. "1 MB" is of random bytes in one file, as the
published plugin sends it: base64 in JSON in a form, which makes 1.4 MB of it.

{table}

{notes}

{when}: {processors} processors, Python {python}, {seconds:g} s a rate, rounds: {rounds}.
ngshare with {ours}; 0.6.0 with {old}.
"""


def page(lines: list[Line], about: dict[str, Any]) -> str:
    packages = {
        name: ", ".join(f"{package} {version}" for package, version in about[key].items())
        for name, key in (("ours", "ours"), ("old", OLD_VERSION))
    }
    notes = "\n".join(f"- {note}" for note in footnotes(lines))
    return PAGE.format(**{**about, **packages, "table": markdown_table(lines), "notes": notes})


def end(number: int, frame: object) -> NoReturn:
    """Unwind on SIGTERM as on Ctrl-C, so that every process is stopped."""
    sys.exit(128 + number)


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, end)
    lines = measure_all(options)
    about = surroundings(options)
    show(lines, about, options.markdown)
    if options.page:
        options.page.write_text(page(lines, about))
    if options.json:
        report = {"about": about, "lines": [line.as_dict() for line in lines]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if any(line.is_bad for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Measure nbgrader's commands over ngshare, over 0.6.0, and in a local directory."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..__main__ import end
from ..course import TEACHER
from ..measurements import now
from ..servers import ADMIN, Hub, versions
from .classes import CLASSMATES, classes
from .exchanges import EXCHANGES, LocalDirectory, nbgrader_in
from .people import Person
from .rounds import measure
from .table import (
    FASTER_THAN_OLD,
    HEADINGS,
    SLOWER_THAN_LOCAL,
    Line,
    markdown_table,
    plain_table,
    rows,
)
from .tasks import DATA_STUDENT, LISTED_STUDENT, NOBODY, QUICK, Sizes, data, lists, nothing

GROUPS = {"nothing": nothing, "list": lists, "data": data, "class": classes}
USERS = [ADMIN, TEACHER, NOBODY, LISTED_STUDENT, DATA_STUDENT, *CLASSMATES]
HUB_SECONDS = 0.005


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.users", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=GROUPS, help="measure only this; may be repeated"
    )
    parser.add_argument(
        "--exchange", action="append", choices=EXCHANGES, help="only this one; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the manual's page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser.parse_args()


def measure_all(options: argparse.Namespace) -> list[Line]:
    sizes = QUICK if options.quick else Sizes()
    wanted = options.exchange or list(EXCHANGES)
    lines = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ngshare-bench-")))
        hub = Hub(folder, USERS, HUB_SECONDS)
        stack.callback(hub.stop)
        hub.start()
        exchanges = []
        for name, make in EXCHANGES.items():
            if name in wanted:
                exchanges.append(make(folder / name, hub))
                stack.callback(exchanges[-1].stop)
        nobody = Person(NOBODY, LocalDirectory(folder / "nothing"), folder / NOBODY)
        nobody.nbgrader("list")  # files that the next one finds in memory
        for name, group in GROUPS.items():
            if not options.only or name in options.only:
                for results in measure(exchanges, nobody, group, sizes, folder):
                    lines.append(Line(results))
                    print(*lines[-1].texts(), sep="  ", file=sys.stderr)
    return lines


PAGE = """# What users wait for

Written by `make bench-users`: nbgrader's commands as people type them, with ngshare and its
exchange, with ngshare 0.6.0 and ngshare_exchange 0.5.3, and with nbgrader's own exchange in a
directory on the local disk, which is as fast as it gets. What is measured and how is in
`benchmarks/users/README.md`. The seconds are those of the command without nbgrader's own
start-up, which is the first line; calls, and what went over the wire in both directions, are
beside them, with the server's processor time.

{table}

{notes}

Targets of ours: {faster} times as fast as 0.6.0, at most {slower} times as slow as the local
directory. {verdict}

{about}
"""


def about() -> str:
    packages = ("nbgrader", "ngshare", "ngshare-exchange", "requests", "traitlets")
    environments = {
        name: versions(nbgrader_in(folder).parent / "python", *packages)
        for name, folder in (("ours", ".venv-exchange"), ("0.6.0", ".venv-nbgrader"))
    }
    listed = "; ".join(
        f"{name}: {', '.join(f'{package} {version}' for package, version in found.items())}"
        for name, found in environments.items()
    )
    where = f"{os.cpu_count()} processors, {platform.platform()}, Python"
    return f"{now()}: {where} {platform.python_version()}. {listed}."


def verdict(lines: list[Line]) -> str:
    """One sentence."""
    bad = [line.title for line in lines if line.is_bad]
    return f"Not met: {'; '.join(bad)}." if bad else "All are met."


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, end)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 0.5.3 connects for every call
    lines = measure_all(options)
    notes = [note for line in lines for note in line.notes()]
    print(plain_table([HEADINGS, *rows(lines)]), "", *notes, about(), verdict(lines), sep="\n")
    if options.page:
        page = PAGE.format(
            table=markdown_table(rows(lines)),
            notes="\n".join(f"- {note}" for note in notes),
            faster=FASTER_THAN_OLD,
            slower=SLOWER_THAN_LOCAL,
            verdict=verdict(lines),
            about=about(),
        )
        options.page.write_text(page)
    if options.json:
        options.json.write_text(json.dumps([line.as_dict() for line in lines], indent=1) + "\n")
    return 1 if any(line.is_bad for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())

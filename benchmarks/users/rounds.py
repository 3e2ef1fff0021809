"""How a task is measured: in rounds, each exchange right after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from ..processes import BenchmarkError, own_memory
from .exchanges import Exchange
from .people import Person, Usage
from .tasks import Sizes, Task

ROUNDS = 3
LONG_SECONDS = 15.0
CLOCK_SECONDS = 0.01  # what is less than that is noise

Group = Callable[[Exchange, Sizes, Path], Iterator[Task]]


@dataclass
class Result:
    """What a task took in one exchange; the first round is counted, the others are timed.

    A task that takes longer than LONG_SECONDS has the first round alone.

    Attributes:
        rounds: what each of the task's people used, round by round.
        start_ups: seconds that nbgrader itself took for a list of nothing, before each command.
    """

    task: Task
    rounds: list[list[Usage]] = field(default_factory=list)
    start_ups: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def is_complete(self) -> bool:
        is_long = bool(self.rounds) and self.counted.seconds > LONG_SECONDS
        return bool(self.failure) or is_long or len(self.rounds) > ROUNDS

    @property
    def counted(self) -> Usage:
        """What all people together used in the first round."""
        return sum_of(self.rounds[0])

    def seconds(self, start_up: float) -> float:
        """The median of the timed commands without nbgrader's start-up, for all that was to do."""
        timed = self.rounds[1:] or self.rounds
        seconds = median(usage.seconds for usages in timed for usage in usages) - start_up
        return max(seconds, CLOCK_SECONDS) * len(self.task.people) * self.task.factor

    def run(self, nobody: Person) -> None:
        """One round more; nobody's list of nothing tells how long nbgrader takes to start."""
        number = len(self.rounds)
        try:
            self.task.prepare(number)
            usages = []
            for person in self.task.people:
                self.start_ups.append(nobody.nbgrader("list")[1].seconds)
                command = [word.format(round=number) for word in self.task.command]
                output, usage = person.nbgrader(*command, is_counted=number == 0)
                usages.append(usage)
            self.task.check(number, output)
        except (BenchmarkError, OSError, LookupError, ValueError) as error:
            self.failure = f"{type(error).__name__}: {error}"
            return
        self.rounds.append(usages)


def sum_of(usages: Sequence[Usage]) -> Usage:
    counted = [usage for usage in usages if usage.calls is not None]
    return Usage(
        sum(usage.seconds for usage in usages),
        sum(usage.server_seconds for usage in usages),
        sum(usage.calls or 0 for usage in usages) if counted else None,
        sum(usage.wire_bytes or 0 for usage in usages) if counted else None,
    )


class Lane:
    """One exchange on its way through the tasks of a group."""

    def __init__(self, exchange: Exchange, group: Group, sizes: Sizes, folder: Path) -> None:
        self._tasks = group(exchange, sizes, folder)
        self.failure = ""

    def next_task(self) -> Task | None:
        """None at the end, or when the next one can't be made ready."""
        if not self.failure:
            try:
                return next(self._tasks, None)
            except (BenchmarkError, OSError, LookupError, ValueError) as error:
                self.failure = f"{type(error).__name__}: {error}"
        return None


def measure(
    exchanges: Sequence[Exchange], nobody: Person, group: Group, sizes: Sizes, folder: Path
) -> Iterator[dict[str, Result]]:
    """The results of each task of a group, by the names of the exchanges."""
    lanes = {}
    for each in exchanges:
        home = folder / f"{group.__name__} {each.name}"
        lanes[each.name] = Lane(each, group, sizes, home)
    while True:
        tasks = {name: lane.next_task() for name, lane in lanes.items()}
        there = [task for task in tasks.values() if task]
        if not there:
            for name, lane in lanes.items():
                if lane.failure:
                    raise BenchmarkError(f"{name}: {lane.failure}")
            return
        print(f"measuring: {there[0].title}", file=sys.stderr)
        results = {
            name: Result(task or there[0], failure=lanes[name].failure)
            for name, task in tasks.items()
        }
        own_memory()
        while not all(result.is_complete for result in results.values()):
            for result in results.values():
                if not result.is_complete:
                    result.run(nobody)
        yield results

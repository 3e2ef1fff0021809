"""The Hub is ill while the service is under load: those who are known go on."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.api import encode
from tests.fake_hub import FakeHub, LoopThread
from tests.faults.gate import Gate, gate_to
from tests.faults.report import note
from tests.faults.storm import STUDENTS, caller, make_course
from tests.faults.test_kill import STORMY
from tests.test_app import managed

HUB_TIMEOUT_SECONDS = 1.0
SLACK_SECONDS = 1.5  # for a machine that does other things too
PROBE_SECONDS = 1.0
FILES = encode({"a": b"1"})

# What is wrong, how to make it so, and the statuses of callers whom ngshare doesn't know yet.
ILLNESSES: dict[str, tuple[Callable[[FakeHub, Gate], object], set[int]]] = {
    "silent": (lambda hub, _: setattr(hub, "mode", "silent"), {503}),
    "an error": (lambda hub, _: setattr(hub, "mode", "error"), {502}),
    "no Hub": (lambda hub, _: setattr(hub, "mode", "nonsense"), {502}),
    "slow": (lambda hub, _: setattr(hub, "delay_seconds", HUB_TIMEOUT_SECONDS / 3), {200}),
    "too slow": (lambda hub, _: setattr(hub, "delay_seconds", HUB_TIMEOUT_SECONDS * 3), {503}),
    "refusing connections": (lambda _, gate: gate.turn("refusing"), {503}),
    "jammed": (lambda _, gate: gate.turn("jammed"), {503}),
    "no HTTP": (lambda _, gate: gate.turn("noisy"), {502, 503}),
    "breaking off": (lambda _, gate: gate.turn("breaking"), {502, 503}),
}


@dataclass
class Load:
    """What callers met: how often which status, and the longest answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    def call(self, function: Callable[[], requests.Response]) -> requests.Response:
        start = time.monotonic()
        response = function()
        self.statuses[response.status_code] += 1
        self.longest = max(self.longest, time.monotonic() - start)
        if response.status_code in (502, 503):
            assert response.json()["success"] is False
            assert "JupyterHub" in response.json()["message"]
            assert int(response.headers["Retry-After"]) > 0
        return response


@contextlib.contextmanager
def loaded(url: str, names: Iterator[int]) -> Iterator[tuple[Load, Load, Load]]:
    """Callers whom ngshare knows, others whom it doesn't, and a probe, while this lasts."""
    over = threading.Event()
    known, new, probe = Load(), Load(), Load()

    def call_on(student: str) -> None:
        with caller(url, student) as client:
            for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
                known.call(lambda: client.send("GET", "assignments/course1"))
                if number % 10 == 0:
                    known.call(lambda: client.send("POST", "submission/course1/ps1", files=FILES))
                over.wait(0.01)

    def call_as_new() -> None:
        while not over.is_set():
            with caller(url, f"new-{next(names)}") as client:
                new.call(lambda: client.send("GET", "courses"))
            over.wait(0.02)

    def call_probe() -> None:
        with caller(url, "nobody") as client:
            while not over.wait(0.02):
                probe.call(lambda: client.send("GET", "healthz"))

    with ThreadPoolExecutor(9) as threads:
        ends = [threads.submit(call_on, student) for student in STUDENTS[:4]]
        ends += [threads.submit(call_as_new) for _ in range(4)] + [threads.submit(call_probe)]
        try:
            yield known, new, probe
        finally:
            over.set()
        for end in ends:
            end.result()


@pytest.fixture
def gate(loop_thread: LoopThread, hub: FakeHub) -> Iterator[Gate]:
    with gate_to(loop_thread, hub.api_url) as gate:
        yield gate


def suffer(url: str, hub: FakeHub, gate: Gate, illness: str, names: Iterator[int]) -> None:
    begin, statuses = ILLNESSES[illness]
    with loaded(url, names) as (known, new, probe):
        time.sleep(0.2)
        begin(hub, gate)
        time.sleep(0.1)  # for answers that were on their way
        new.statuses.clear()
        time.sleep(HUB_TIMEOUT_SECONDS + 0.5)
        met = dict(new.statuses)
        hub.mode, hub.delay_seconds = "ok", 0.0
        gate.turn("open")
    assert set(known.statuses) == {200}
    assert probe.longest < PROBE_SECONDS
    assert met
    assert set(met) <= statuses, met
    assert new.longest < HUB_TIMEOUT_SECONDS + SLACK_SECONDS
    with caller(url, f"new-{next(names)}") as client:
        client.ok("GET", "courses")
    note(
        f"Hub {illness}: {known.statuses[200]} calls of those who are known within "
        f"{1000 * known.longest:.0f} ms, healthz within {1000 * probe.longest:.0f} ms; "
        f"others {'/'.join(map(str, sorted(met)))} within {new.longest:.2f} s"
    )


@pytest.mark.parametrize("illness", ILLNESSES)
def test_while_the_hub_is_ill_those_who_are_known_go_on(
    hub: FakeHub, gate: Gate, hub_variables: dict[str, str], tmp_path: Path, illness: str
) -> None:
    variables = {**hub_variables, "JUPYTERHUB_API_URL": gate.api_url}
    option = f"--NgShare.hub_timeout_seconds={HUB_TIMEOUT_SECONDS}"
    with managed(variables, tmp_path, *STORMY, option) as service:
        make_course(service.url)
        suffer(service.url, hub, gate, illness, itertools.count())

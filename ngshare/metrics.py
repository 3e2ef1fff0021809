"""What Prometheus is told: numbers of this process, kept by each running service for itself.

What happens often is counted on children bound beforehand, which costs a call some microseconds;
what only has a present value is looked up when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from ngshare import __version__

if TYPE_CHECKING:
    from ngshare.database.engine import Database

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))


class HubMetrics:
    """How the Hub answers the question whose token this is, and how often it is spared."""

    def __init__(self) -> None:
        self.cache_hits = Counter(
            "ngshare_identity_cache_hits",
            "Tokens that needed no question to the Hub",
            registry=None,
        )
        calls = Histogram(
            "ngshare_hub_call_duration_seconds",
            "Questions to the Hub whose token this is",
            ["outcome"],
            buckets=BUCKETS,
            registry=None,
        )
        self.calls = {name: calls.labels(name) for name in ("known", "unknown", "failed")}
        self.collectors = [self.cache_hits, calls]


class Metrics:
    """The numbers of one application.

    Args:
        calls_in_progress: tells how many calls are being worked on.
        hub: None in stand-alone mode.
        queues: by the name of a pool of threads, what waits to be handed to it.
        worker: tells apart the processes that share one address, each of which has numbers of its
            own; a label of every sample.
    """

    def __init__(
        self,
        database: Database,
        calls_in_progress: Callable[[], int],
        hub: HubMetrics | None,
        queues: Mapping[str, Sized],
        worker: str = "0",
    ) -> None:
        self._database = database
        self._calls_in_progress = calls_in_progress
        self._queues = queues
        self._worker = worker
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "ngshare_requests", "Calls that ended", ["route", "method", "status"]
        )
        self._durations = Histogram(
            "ngshare_request_duration_seconds",
            "From a call's headers to the end of its answer",
            ["route", "method"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._received = self._counter("ngshare_received_bytes", "Bytes of bodies of calls")
        self._sent = self._counter("ngshare_sent_bytes", "Bytes of bodies of answers")
        self.submissions = self._counter("ngshare_submissions", "Submissions accepted")
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        for collector in hub.collectors if hub else []:
            self._registry.register(collector)
        self._registry.register(self)
        for kind in (ProcessCollector, PlatformCollector, GCCollector):
            kind(registry=self._registry)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def count_call(
        self,
        route: str,
        method: str,
        status: int,
        seconds: float,
        received_bytes: int,
        sent_bytes: int,
    ) -> None:
        """Count a call that ended; a route is a name of the route table, never a URL."""
        key = (route, method, status)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bind(*key)
        bound[0].inc()
        bound[1].observe(seconds)
        if received_bytes:
            self._received.inc(received_bytes)
        if sent_bytes:
            self._sent.inc(sent_bytes)

    def _bind(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        name = method if method in METHODS else "other"
        bound = self._requests.labels(route, name, status), self._durations.labels(route, name)
        if name == method:  # clients invent methods, and this must not grow with them
            self._bound[route, method, status] = bound
        return bound

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(_Labelled(self._registry, self._worker))

    def collect(self) -> Iterator[Metric]:
        """For the registry: what is looked up only now."""
        build = GaugeMetricFamily("ngshare_build_info", "This release", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily(
            "ngshare_calls_in_progress",
            "Calls being worked on, this one too",
            self._calls_in_progress(),
        )
        yield from self._collect_database()

    def _collect_database(self) -> Iterator[Metric]:
        database = self._database
        yield GaugeMetricFamily(
            "ngshare_database_connections_in_use",
            "Connections that a transaction holds",
            database.connections_in_use(),
        )
        busy = GaugeMetricFamily("ngshare_threads_busy", "Threads at work", labels=["pool"])
        queue = GaugeMetricFamily("ngshare_threads_queue", "Work that waits", labels=["pool"])
        pools = {"readers": database.readers, "writers": database.writers}
        if database.writers is database.readers:
            del pools["writers"]
        for name, threads in pools.items():
            pending = threads.pending
            working = min(pending, threads.size)
            busy.add_metric([name], working)
            queue.add_metric([name], pending - working + len(self._queues[name]))
        yield busy
        yield queue
        counts = database.counts()
        offered, new = counts["offered_bytes"], counts["new_bytes"]
        for metric, text, value in (
            ("transactions_repeated", "Transactions begun anew after a collision or a lost "
             "connection", counts["repeated"]),
            ("blob_stored_bytes", "Bytes of contents stored, as compressed",
             counts["stored_bytes"]),
            ("blob_deduplicated_bytes", "Bytes of contents not stored, as they were there "
             "already", offered - new),
        ):  # fmt: skip
            yield CounterMetricFamily(f"ngshare_{metric}", text, value)


class _Labelled:
    """A registry whose samples all say which worker they are of."""

    def __init__(self, registry: CollectorRegistry, worker: str) -> None:
        self._registry = registry
        self._worker = {"worker": worker}

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, **self._worker})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric

"""Wiring of metrics and access log to what happens: requests, batches, instances, connections.

The request path calls ``finished`` and the batcher's observer; everything that already lives
somewhere (queues, instances, memory) is read by providers at scrape time.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from inferd import __version__
from inferd.api.call import Call
from inferd.api.plane import Plane
from inferd.api.routes import INFER
from inferd.control.loader import GOLDEN, LoadedModel
from inferd.control.models import Models
from inferd.control.services import Services
from inferd.core.clock import monotonic
from inferd.core.message import Timings
from inferd.execution.executor import Job
from inferd.execution.frames import OK, Outcome
from inferd.routing.pipeline.run import AnswerObserver, StepObserver
from inferd.scheduling.settings import Observer
from inferd.server.parts import by_model
from inferd.server.services import readings
from inferd.server.tracing import record
from inferd.telemetry import table
from inferd.telemetry.access import AccessLog
from inferd.telemetry.memory import Memory, read_memory
from inferd.telemetry.metrics import Histogram, Metrics, MetricSpec, Reading
from inferd.telemetry.served import ServedMetrics
from inferd.telemetry.tally import Tally
from inferd.transport.message import HTTPRequest
from inferd.transport.server import Listener

CLIENT_GONE = 499


class Accepting(Protocol):
    """What begins requests; ``accepted`` counts them."""

    @property
    def accepted(self) -> int:
        """The requests begun so far."""
        ...


class Instruments:
    """The metrics of one server, fed and provided."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.access: AccessLog | None = None
        self._models_of: Models | None = None
        self._doors: list[Accepting] = []
        self._listeners: dict[str, Listener] = {}
        self._served: dict[tuple[str, str], ServedMetrics] = {}
        self._answered = metrics.counter(table.ANSWERED)
        self._cancelled = metrics.counter(table.CANCELLED)

    def attach(self, models: Models, plane: Plane, services: Services) -> None:
        """Read ``models`` (queues, instances), ``services`` and requests of ``plane`` at every scrape."""
        self._models_of = models
        self.count(plane)
        plane.refused = self.refused
        metrics = self.metrics
        metrics.gauge(table.START_TIME).set(time.time())
        metrics.gauge(table.BUILD_INFO, __version__, platform.python_version()).set(1)
        metrics.provide(self._models)
        metrics.provide(lambda: readings(services.running))
        metrics.provide(self._transport)
        metrics.provide(self._memory, slow=True)

    def count(self, doors: Accepting) -> None:
        """Read the requests that ``doors`` accepted at every scrape."""
        self._doors.append(doors)

    def listen(self, plane: str, listener: Listener) -> None:
        """Read the connections of a listener at every scrape."""
        self._listeners[plane] = listener

    def served(self, model: str, version: str) -> ServedMetrics:
        """Return the metrics of a version, made when first asked for."""
        found = self._served.get((model, version))
        if found is None:
            found = self._served[model, version] = ServedMetrics(self.metrics, model, version)
            found.steps = lambda finished: self._asked(model, version, finished)
        return found

    def _asked(self, model: str, version: str, finished: Sequence[Timings]) -> None:
        """Hear of requests to a pipeline: their stages are those of its models too."""
        models = self._models_of
        pipeline = models.pipelines.loaded.get((model, version)) if models is not None else None
        if models is None or pipeline is None:
            return
        for row, timings in by_model(pipeline.written, finished, models.table.find).items():
            self.served(*row).asked(timings)

    def forget(self, model: str, version: str) -> None:
        """Drop the series of an unloaded version."""
        found = self._served.pop((model, version), None)
        if found is not None:
            found.close()

    def batches(self, model: str, version: str) -> Observer:
        """Return what the batcher of a version tells of its batches."""
        served = self.served(model, version)

        def observe(job: Job, outcome: Outcome) -> None:
            served.batch(job.rows, outcome.fill if outcome.fill < 1.0 else None)
            entries = job.entries
            if len(entries) == 1 and entries[0].id == GOLDEN:
                return  # nobody asked for it
            rows = job.rows
            if outcome.errors:
                rows = sum(e.rows for e, s in zip(entries, outcome.status, strict=True) if s == OK)
            if rows:
                served.tally.ran(rows, outcome.batch, outcome.run)

        return observe

    def steps(self, model: str, version: str) -> StepObserver:
        """Return what a pipeline tells of its steps."""
        known: dict[tuple[str, str], Histogram] = {}

        def observe(step: str, seconds: float, kind: str | None, skipped: bool) -> None:
            outcome = "skipped" if skipped else kind or "ok"
            child = known.get((step, outcome))
            if child is None:
                child = self.metrics.histogram(table.STEP_SECONDS, model, step, outcome)
                known[step, outcome] = child
            child.observe(seconds)

        return observe

    def answers(self, model: str, version: str) -> AnswerObserver:
        """Return what a pipeline tells of its answers; each is a run, of as many rows as it has."""

        def observe(rows: int, timings: Timings) -> None:
            # Made at the first answer: a pipeline that nobody asks has no series of its own.
            self.served(model, version).tally.ran(rows, timings.batch, timings.run)

        return observe

    def account(self, model: str, version: str) -> Tally:
        """Return what a version did since it began to serve."""
        return self.served(model, version).account()

    def finished(
        self,
        request: HTTPRequest,
        status: int,
        sent: int,
        seconds: float,
        timings: Timings | None,
        model: str | None,
    ) -> None:
        """Count and log one request of the data plane that is over."""
        call: Call = request.context
        if status == CLIENT_GONE:
            self._cancelled.value += 1
        else:
            self._answered.value += 1
        if model is not None:
            served = self._served.get((model, call.version)) or self.served(model, call.version)
            door = call.route.dialect if call.route is not None else ""
            if timings is not None and status == 200 and call.kind is None:
                served.answered(door, timings, seconds)
            elif call.kind is not None:
                served.failed(door, status, call.kind)
                if call.route is not None and call.route.permission == INFER:
                    served.tally.failure(seconds)
            else:
                served.status(door, status)
        elif call.kind is not None:
            self.metrics.counter(table.ERRORS, "", call.kind).value += 1
        trace = call.trace
        if trace is not None and trace.sink is not None:
            record(trace, request, call, status, sent, seconds, timings)
        if self.access is not None:
            self.access.record(
                call.id, request.method, request.raw_path, status, sent, model or "",
                request.received, seconds, timings, trace,
            )  # fmt: skip

    def refused(self, status: int, kind: str, sent: int) -> None:
        """Count and log what was refused before it was a request: no id, method, path or model.

        Requests accepted and answered do not include it.
        """
        self.metrics.counter(table.ERRORS, "", kind).value += 1
        if self.access is not None:
            self.access.record("-", "-", b"-", status, sent, "", monotonic(), 0.0)

    # -- providers ----------------------------------------------------------------------------------

    def _loaded(self) -> Iterable[LoadedModel]:
        return self._models_of.workers() if self._models_of is not None else ()

    def _models(self) -> Iterable[Reading]:
        ready = True
        for version in self._models_of.table.all() if self._models_of is not None else ():
            ready = ready and version.ready
            labels = (version.model, version.version)
            yield Reading(table.MODEL_READY, labels, float(version.ready))
        for model in self._loaded():
            labels = (model.spec.name, model.spec.version)
            if model.loaded is not None:
                yield Reading(table.MODEL_LOAD_SECONDS, labels, model.loaded.load_seconds)
            yield from _batcher(model, labels)
        yield Reading(table.READY, (), float(ready))

    def _transport(self) -> Iterable[Reading]:
        accepted = sum(doors.accepted for doors in self._doors)
        yield Reading(table.ACCEPTED, (), float(accepted))
        in_flight = accepted - self._answered.value - self._cancelled.value
        yield Reading(table.IN_FLIGHT, (), max(0.0, in_flight))
        receiving = 0
        for plane, listener in self._listeners.items():
            receiving += listener.receiving
            yield Reading(table.CONNECTIONS, (plane,), float(listener.connections))
        yield Reading(table.RECEIVING_BYTES, (), float(receiving))

    def _memory(self) -> Iterable[Reading]:
        own = read_memory(os.getpid())
        if own is not None:
            yield from _sizes(table.FRONT_MEMORY, (), own)
        for model in self._loaded():
            for executor in model.executors:
                told = executor.describe()
                pid = told.get("pid")
                found = read_memory(pid) if pid and pid != os.getpid() else None
                if found is None:
                    continue
                labels = (model.spec.name, model.spec.version, str(executor.index))
                yield from _sizes(table.WORKER_MEMORY, labels, found)


def _sizes(spec: MetricSpec, labels: tuple[str, ...], memory: Memory) -> Iterable[Reading]:
    yield Reading(spec, (*labels, "rss"), float(memory.rss))
    if memory.pss is not None:
        yield Reading(spec, (*labels, "pss"), float(memory.pss))


def _batcher(model: LoadedModel, labels: tuple[str, str]) -> Iterable[Reading]:
    batcher = model.batcher
    if batcher is None:
        return
    yield Reading(table.QUEUE_ITEMS, labels, float(batcher.queue.entries))
    yield Reading(table.QUEUE_BYTES, labels, float(batcher.queue.nbytes))
    counters = batcher.counters
    yield Reading(table.EXPIRED, labels, float(counters.expired))
    yield Reading(table.REPLAYS, labels, float(counters.replayed))
    yield Reading(table.QUARANTINED, labels, float(counters.quarantined))
    states = Counter(executor.state for executor in batcher.executors)
    restarts: Counter[str] = Counter()
    for executor in batcher.executors:
        restarts.update(executor.describe().get("restarts", {}))
    for reason, count in restarts.items():
        yield Reading(table.WORKER_RESTARTS, (*labels, reason), float(count))
    for state, count in states.items():
        yield Reading(table.INSTANCES, (*labels, state), float(count))

"""What is measured of one served version, bound once and fed per request and per batch.

The request path appends to a list; histograms are fed from it some hundred requests at a time, and
before every scrape. That costs a third of observing each stage of each request by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inferd.core.message import Timings
from inferd.telemetry import table
from inferd.telemetry.metrics import Counter, Metrics
from inferd.telemetry.tally import Tally

_FLUSH_AT = 256
_ASKED = ("queue", "batch", "run")
"""Stages of what a pipeline asks: its tensors are neither read nor written."""


class ServedMetrics:
    """The metrics of one version of one model, and its ``tally``. ``close`` when the version is unloaded."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        self.model = model
        self.version = version
        self.tally = Tally()
        self.steps: Callable[[Sequence[Timings]], None] | None = None
        """Hears of the timings that hold those of a pipeline's steps."""
        self._metrics = metrics
        self._finished: list[tuple[Timings, float]] = []
        self._requests: dict[tuple[str, int], Counter] = {}
        self._total = metrics.histogram(table.REQUEST_SECONDS, model, version)
        self._stages = {
            stage: metrics.histogram(table.STAGE_SECONDS, model, version, stage)
            for stage in table.STAGES
        }
        self._size = metrics.histogram(table.BATCH_SIZE, model, version)
        self._fill = metrics.histogram(table.BATCH_FILL, model, version)
        metrics.before_scrape(self.flush)

    def answered(self, door: str, timings: Timings, seconds: float) -> None:
        """Count a request answered with 200 and remember its timings.

        ``timings`` may still be completed (``encode``) until the next scrape or flush.
        """
        counter = self._requests.get((door, 200))
        if counter is None:
            self.status(door, 200)
        else:
            counter.value += 1
        finished = self._finished
        finished.append((timings, seconds))
        if len(finished) >= _FLUSH_AT:
            self.flush()

    def failed(self, door: str, status: int, kind: str) -> None:
        """Count a request that ended in an error of ``kind``."""
        self.status(door, status)
        self._metrics.counter(table.ERRORS, self.model, kind).inc()

    def status(self, door: str, status: int) -> None:
        """Count one answer with ``status`` through ``door``."""
        counter = self._requests.get((door, status))
        if counter is None:
            counter = self._metrics.counter(
                table.REQUESTS, self.model, self.version, door, str(status)
            )
            self._requests[door, status] = counter
        counter.value += 1

    def batch(self, size: int, fill: float | None = None) -> None:
        """Count one batch of ``size`` requests; ``fill`` is its share of data where it was padded."""
        self._size.observe(size)
        if fill is not None:
            self._fill.observe(fill)

    def account(self) -> Tally:
        """Return what the version did until now."""
        self.flush()
        return self.tally

    def flush(self) -> None:
        """Feed the histograms with what was remembered."""
        finished, self._finished = self._finished, []
        if not finished:
            return
        self.tally.answered(finished)
        self._total.observe_many([seconds for _, seconds in finished])
        self._observe([timings for timings, _ in finished], table.STAGES)

    def asked(self, timings: Sequence[Timings]) -> None:
        """Count the stages of answers that steps of pipelines got, who are no requests of their own."""
        self._observe(timings, _ASKED)

    def _observe(self, finished: Sequence[Timings], stages: Sequence[str]) -> None:
        for stage in stages:
            self._stages[stage].observe_many([getattr(timings, stage) for timings in finished])
        if self.steps is not None:
            staged = [timings for timings in finished if timings.steps]
            if staged:
                self.steps(staged)

    def close(self) -> None:
        """Forget the version's series: it is unloaded."""
        self._metrics.withdraw(self.flush)
        self._metrics.forget(model=self.model, version=self.version)

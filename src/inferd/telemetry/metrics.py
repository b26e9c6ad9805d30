"""Counters, gauges and histograms that cost next to nothing on the request path.

A metric is a row of ``telemetry.table.METRICS``; ``Metrics`` holds one child per combination of
label values. A child is bound once (when a version starts to serve) and then touched directly:
``child.inc()`` is one addition, ``child.observe()`` one bisection in a list. Nothing is locked:
children belong to the front's loop thread; a scrape takes a ``snapshot`` there and renders it in
another thread. Values that already live elsewhere (queue lengths, memory) are not copied into gauges; a *provider*
is called at scrape time and yields them.

The number of label combinations of one metric is bounded; what comes beyond the bound is counted
under the label value ``other``, so that no client can grow the server by inventing names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

COUNTER = "counter"
GAUGE = "gauge"
HISTOGRAM = "histogram"

MAX_CHILDREN = 2000
OTHER = "other"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One row of the table: what is measured, how it is labelled, and in which buckets."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that a provider gives at scrape time."""

    spec: MetricSpec
    labels: tuple[str, ...]
    value: float


Provider = Callable[[], Iterable[Reading]]


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        """Add ``amount`` (not negative; unchecked, this is the hot path)."""
        self.value += amount

    def copy(self) -> Counter:
        """Return a counter that stays as it is now."""
        same = Counter()
        same.value = self.value
        return same


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def set(self, value: float) -> None:
        """Set the current value."""
        self.value = value

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``, which may be negative."""
        self.value += amount

    def copy(self) -> Gauge:
        """Return a gauge that stays as it is now."""
        same = Gauge()
        same.value = self.value
        return same


class Histogram:
    """Counts of observations at or below each bound, and their sum.

    ``counts`` has one entry per bound and a last one for everything above; they are not cumulative.
    """

    __slots__ = ("_array", "bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = list(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0
        self._array: np.ndarray | None = None

    def observe(self, value: float) -> None:
        """Count one value (seconds, rows or a share, as the table says)."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_many(self, values: Sequence[float]) -> None:
        """Count many values at once; from some dozens on it is cheaper than one by one."""
        if len(values) < 32:
            for value in values:
                self.observe(value)
            return
        if self._array is None:
            self._array = np.array(self.bounds)
        array = np.array(values, dtype=np.float64)
        added = np.bincount(self._array.searchsorted(array), minlength=len(self.counts))
        self.counts = [have + new for have, new in zip(self.counts, added.tolist(), strict=True)]
        self.sum += float(array.sum())

    def copy(self) -> Histogram:
        """Return a histogram that stays as it is now."""
        same = Histogram(self.bounds)
        same.counts = self.counts.copy()
        same.sum = self.sum
        return same

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts)


Child = Counter | Gauge | Histogram


class Metrics:
    """All children of one server, and the providers that are asked at scrape time."""

    def __init__(self, *, max_children: int = MAX_CHILDREN) -> None:
        self._children: dict[MetricSpec, dict[tuple[str, ...], Child]] = {}
        self._providers: list[Provider] = []
        self._slow: list[Provider] = []
        self._before: list[Callable[[], None]] = []
        self._max_children = max_children

    def counter(self, spec: MetricSpec, *labels: str) -> Counter:
        """Return the counter for these label values, made when first asked for."""
        child = self._child(spec, COUNTER, labels)
        assert isinstance(child, Counter)
        return child

    def gauge(self, spec: MetricSpec, *labels: str) -> Gauge:
        """Return the gauge for these label values."""
        child = self._child(spec, GAUGE, labels)
        assert isinstance(child, Gauge)
        return child

    def histogram(self, spec: MetricSpec, *labels: str) -> Histogram:
        """Return the histogram for these label values."""
        child = self._child(spec, HISTOGRAM, labels)
        assert isinstance(child, Histogram)
        return child

    def _child(self, spec: MetricSpec, type_: str, labels: tuple[str, ...]) -> Child:
        children = self._children.setdefault(spec, {})
        child = children.get(labels)
        if child is not None:
            return child
        if spec.type != type_ or len(labels) != len(spec.labels):
            raise TypeError(
                f"{spec.name} is a {spec.type} with the labels {spec.labels}, "
                f"not a {type_} with the values {labels}. This is a bug."
            )
        if len(children) >= self._max_children:
            labels = (OTHER,) * len(labels)
        return children.setdefault(labels, _new(spec))

    def provide(self, provider: Provider, *, slow: bool = False) -> None:
        """Have ``provider`` called at every scrape for values that live elsewhere.

        A ``slow`` one (it reads files) is called beside the loop, in the thread that renders.
        """
        (self._slow if slow else self._providers).append(provider)

    def before_scrape(self, flush: Callable[[], None]) -> None:
        """Have ``flush`` called at every scrape first, for whoever buffers observations."""
        self._before.append(flush)

    def withdraw(self, hook: Callable[..., object]) -> None:
        """Forget a provider or flush given before; unknown ones are ignored."""
        self._providers = [p for p in self._providers if p != hook]
        self._slow = [p for p in self._slow if p != hook]
        self._before = [f for f in self._before if f != hook]

    def forget(self, **labels: str) -> None:
        """Drop every child that carries all of these label values (an unloaded version's)."""
        for spec, children in self._children.items():
            if not all(name in spec.labels for name in labels):
                continue
            at = [(spec.labels.index(name), value) for name, value in labels.items()]
            for values in [v for v in children if all(v[i] == value for i, value in at)]:
                del children[values]

    def snapshot(self) -> Snapshot:
        """Return what is counted now; call it on the loop, it takes microseconds.

        Quick providers are asked here, slow ones when the snapshot is rendered.
        """
        for before in self._before:
            before()
        values = {
            spec: {labels: child.copy() for labels, child in children.items()}
            for spec, children in self._children.items()
        }
        return Snapshot(values, ask(self._providers), tuple(self._slow))


def ask(providers: Iterable[Provider]) -> list[Reading]:
    """Ask every provider. One that fails is left out: a scrape never fails for one value."""
    found: list[Reading] = []
    for provider in providers:
        with suppress(Exception):
            found.extend(provider())
    return found


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The values of one moment: children copied, readings taken, slow providers still to ask."""

    values: dict[MetricSpec, dict[tuple[str, ...], Child]]
    readings: list[Reading]
    slow: tuple[Provider, ...] = ()


def _new(spec: MetricSpec) -> Child:
    if spec.type == HISTOGRAM:
        return Histogram(spec.buckets)
    return Counter() if spec.type == COUNTER else Gauge()

"""Metrics as Prometheus or OpenMetrics text.

``prometheus_client`` writes the formats; it is imported at the first scrape only and knows nothing
of our children: a custom collector translates a snapshot of them. Take the snapshot on the loop
and ``render`` it in a thread: the first call imports for some 60 ms, and memory is read from files.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from inferd.telemetry.metrics import COUNTER, HISTOGRAM, Histogram, MetricSpec, Snapshot, ask

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


def render(snapshot: Snapshot, accept: str = "", *, process: bool = True) -> tuple[str, bytes]:
    """Return content type and body for one scrape.

    Args:
        snapshot: what ``Metrics.snapshot`` gave.
        accept: the request's ``Accept``; OpenMetrics is given where it is asked for.
        process: add the front's own ``process_*`` metrics (CPU seconds, descriptors).
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.process_collector import ProcessCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_collector(snapshot))
    if process:
        ProcessCollector(registry=registry)
    try:
        encode, content_type = choose_encoder(accept)
        return content_type, encode(registry)
    except (TypeError, ValueError):  # a version in Accept that is no version
        encode, content_type = choose_encoder("")
        return content_type, encode(registry)


def _collector(snapshot: Snapshot) -> Collector:
    from prometheus_client.registry import Collector

    class _Ours(Collector):
        def collect(self) -> Iterator[Any]:
            return _families(snapshot)

    return _Ours()


def _families(snapshot: Snapshot) -> Iterator[Any]:
    families: dict[MetricSpec, Any] = {}
    for spec, children in snapshot.values.items():
        family = families[spec] = _family(spec)
        for labels, child in children.items():
            if isinstance(child, Histogram):
                _add_histogram(family, labels, child)
            else:
                family.add_metric(labels, child.value)
    for reading in [*snapshot.readings, *ask(snapshot.slow)]:
        family = families.get(reading.spec)
        if family is None:
            family = families[reading.spec] = _family(reading.spec)
        family.add_metric(reading.labels, reading.value)
    yield from (families[spec] for spec in sorted(families, key=lambda spec: spec.name))


def _family(spec: MetricSpec) -> Any:
    from prometheus_client import core

    kinds = {COUNTER: core.CounterMetricFamily, HISTOGRAM: core.HistogramMetricFamily}
    return kinds.get(spec.type, core.GaugeMetricFamily)(spec.name, spec.help, labels=spec.labels)


def _add_histogram(family: Any, labels: tuple[str, ...], child: Histogram) -> None:
    bounds = [*map(repr, child.bounds), "+Inf"]
    family.add_metric(
        labels, list(zip(bounds, accumulate(child.counts), strict=True)), sum_value=child.sum
    )

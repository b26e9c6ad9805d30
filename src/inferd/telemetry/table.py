"""Every metric the server exposes, as data: the one place where names, labels and texts are given.

Names follow the Prometheus conventions: a unit in the name (``_seconds``, ``_bytes``), ``_total``
for counters. Labels have few values: models and versions are the operator's, doors, statuses,
kinds and reasons are ours. The table of ``docs/observability.md`` is made from this one.
"""

from __future__ import annotations

from inferd.telemetry.metrics import COUNTER, GAUGE, HISTOGRAM, MetricSpec

SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

_SERVED = ("model", "version")


def _counter(name: str, labels: tuple[str, ...], help: str) -> MetricSpec:
    return MetricSpec(name, COUNTER, labels, help)


def _gauge(name: str, labels: tuple[str, ...], help: str) -> MetricSpec:
    return MetricSpec(name, GAUGE, labels, help)


def _histogram(
    name: str, labels: tuple[str, ...], buckets: tuple[float, ...], help: str
) -> MetricSpec:
    return MetricSpec(name, HISTOGRAM, labels, help, buckets)


REQUESTS = _counter(
    "inferd_requests_total", (*_SERVED, "door", "status"),
    "Requests answered, by the dialect they came through and the status they got",
)  # fmt: skip
ERRORS = _counter(
    "inferd_errors_total", ("model", "kind"), "Requests that failed, by kind of error"
)
REQUEST_SECONDS = _histogram(
    "inferd_request_seconds", _SERVED, SECONDS,
    "Time from the complete head of a request to its answer",
)  # fmt: skip
STAGE_SECONDS = _histogram(
    "inferd_stage_seconds", (*_SERVED, "stage"), SECONDS,
    "Time a request spent in one stage: decode, queue, batch, run, encode",
)  # fmt: skip
STEP_SECONDS = _histogram(
    "inferd_pipeline_step_seconds", ("model", "step", "outcome"), SECONDS,
    "Time of one step of a pipeline; outcome: ok, skipped, or the kind of its error",
)  # fmt: skip
QUEUE_ITEMS = _gauge("inferd_queue_items", _SERVED, "Requests waiting for a worker")
QUEUE_BYTES = _gauge("inferd_queue_bytes", _SERVED, "Bytes of the inputs that wait for a worker")
EXPIRED = _counter(
    "inferd_expired_total",
    _SERVED,
    "Requests dropped before they ran: deadline over or client gone",
)
BATCH_SIZE = _histogram("inferd_batch_size", _SERVED, ROWS, "Requests in one batch")
BATCH_FILL = _histogram(
    "inferd_batch_fill", _SERVED, SHARES,
    "Share of a padded batch that is data and not padding",
)  # fmt: skip
INSTANCES = _gauge("inferd_instances", (*_SERVED, "state"), "Workers of a version, by state")
WORKER_RESTARTS = _counter(
    "inferd_worker_restarts_total", (*_SERVED, "reason"), "Workers replaced, by reason"
)
REPLAYS = _counter(
    "inferd_replays_total", _SERVED, "Requests sent to another worker because theirs died"
)
QUARANTINED = _counter(
    "inferd_quarantined_total", _SERVED, "Inputs put under quarantine because they end workers"
)
WORKER_MEMORY = _gauge(
    "inferd_worker_memory_bytes", (*_SERVED, "instance", "kind"),
    "Memory of one worker: rss (resident), pss (its fair share of shared pages)",
)  # fmt: skip
FRONT_MEMORY = _gauge("inferd_front_memory_bytes", ("kind",), "Memory of the front: rss, pss")
MODEL_READY = _gauge(
    "inferd_model_ready", _SERVED, "1 where a version has answered its golden request and serves"
)
MODEL_LOAD_SECONDS = _gauge(
    "inferd_model_load_seconds", _SERVED, "Time the version took from start to ready"
)
READY = _gauge("inferd_ready", (), "1 where the server as a whole is ready")
CONNECTIONS = _gauge("inferd_connections", ("plane",), "Open connections (plane: data, control)")
RECEIVING_BYTES = _gauge("inferd_receiving_bytes", (), "Bytes of bodies that are being received")
IN_FLIGHT = _gauge("inferd_in_flight", (), "Requests accepted and not yet over")
ACCEPTED = _counter(
    "inferd_accepted_total", (), "Requests accepted; always answered + cancelled + in flight"
)
ANSWERED = _counter("inferd_answered_total", (), "Requests that got an answer, errors included")
CANCELLED = _counter("inferd_cancelled_total", (), "Requests whose client went away first")
LOG_DROPPED = _counter(
    "inferd_log_dropped_total", (), "Log lines dropped because the output did not keep up"
)
SPANS = _counter(
    "inferd_spans_total", ("outcome",),
    "Spans of traces: exported, failed (nobody took them), dropped (no room; one for each request)",
)  # fmt: skip
SERVICE_REPLICAS = _gauge(
    "inferd_service_replicas", ("service", "state"),
    "Replicas of a service by state: up, down (not reached), ejected (they fail)",
)  # fmt: skip
SERVICE_REQUESTS = _counter(
    "inferd_service_requests_total", ("service", "outcome"),
    "Requests to a service; outcome: ok, refused (by the breaker), or the kind of the error",
)  # fmt: skip
SERVICE_RETRIES = _counter(
    "inferd_service_retries_total",
    ("service",),
    "Requests sent once more, mostly to another replica",
)
SERVICE_BREAKER = _gauge(
    "inferd_service_breaker", ("service", "state"),
    "1 for the state of the breaker: closed, opened (requests are refused), half-opened",
)  # fmt: skip
START_TIME = _gauge("inferd_start_time_seconds", (), "Unix time at which the server started")
BUILD_INFO = _gauge("inferd_build_info", ("version", "python"), "Always 1; says what is running")

METRICS: tuple[MetricSpec, ...] = (
    REQUESTS, ERRORS, REQUEST_SECONDS, STAGE_SECONDS, STEP_SECONDS, QUEUE_ITEMS, QUEUE_BYTES, EXPIRED,
    BATCH_SIZE, BATCH_FILL, INSTANCES, WORKER_RESTARTS, REPLAYS, QUARANTINED, WORKER_MEMORY,
    FRONT_MEMORY, MODEL_READY, MODEL_LOAD_SECONDS, READY, CONNECTIONS,
    RECEIVING_BYTES, IN_FLIGHT, ACCEPTED, ANSWERED, CANCELLED, LOG_DROPPED, SPANS,
    SERVICE_REPLICAS, SERVICE_REQUESTS, SERVICE_RETRIES, SERVICE_BREAKER, START_TIME, BUILD_INFO,
)  # fmt: skip

STAGES = ("decode", "queue", "batch", "run", "encode")


def markdown() -> str:
    """Return the table as Markdown, for the documents."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for spec in METRICS:
        labels = ", ".join(f"`{name}`" for name in spec.labels) or "-"
        lines.append(f"| `{spec.name}` | {spec.type} | {labels} | {spec.help} |")
    return "\n".join(lines) + "\n"

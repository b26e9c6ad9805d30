"""Tracing of one server: who begins traces, what a finished request tells, where spans go.

The doors give each request its place (``telemetry.sampling``); the observer that hears of every finished
request makes its span of what logs and metrics are told anyway. Bodies, inputs and outputs are never part
of a span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inferd import __version__
from inferd.api.call import Call
from inferd.api.grpc.methods import PLANE as GRPC
from inferd.api.routes import PUBLIC
from inferd.config.settings import Tracing as TracingSettings
from inferd.core.errors import ConfigError
from inferd.core.message import Timings
from inferd.core.trace import SERVER, Span, Trace
from inferd.telemetry import table
from inferd.telemetry.metrics import Metrics, Reading
from inferd.telemetry.sampling import PASSED_ON, Traces, share
from inferd.telemetry.spanfile import ConsoleExporter, FileExporter
from inferd.telemetry.spanqueue import Exporter, SpanQueue
from inferd.telemetry.tracing import OTLPExporter, resource
from inferd.transport.message import HTTPRequest

NONE, OTLP, CONSOLE, FILE = "none", "otlp", "console", "file"

FLUSH = 3.0
"""Seconds that spans may take to leave when the server stops."""

_LONGEST = 1024


class Tracing:
    """Traces, spans and their way out. Without an exporter it only passes contexts on.

    What becomes of spans is told by ``metrics``.
    """

    def __init__(
        self, settings: TracingSettings, environ: Mapping[str, str], metrics: Metrics
    ) -> None:
        self.queue: SpanQueue | None = None
        self.traces = PASSED_ON
        if settings.exporter != NONE:
            self.queue = SpanQueue(exporter(settings, environ))
            self.traces = Traces(self.queue.record, share(settings.sample, environ))
            metrics.provide(self.readings)

    def start(self) -> None:
        """Open the way out; raises ``InferdError``. Imports a library, so call it beside the loop."""
        if self.queue is not None:
            self.queue.start()

    def stop(self, seconds: float) -> None:
        """Let the spans leave, for so long at most. Waits; idempotent."""
        if self.queue is not None:
            self.queue.close(seconds)

    def readings(self) -> Iterable[Reading]:
        """Yield what became of the spans, for the metrics."""
        if self.queue is not None:
            for outcome in ("exported", "failed", "dropped"):
                count: int = getattr(self.queue, outcome)
                yield Reading(table.SPANS, (outcome,), float(count))


def exporter(settings: TracingSettings, environ: Mapping[str, str]) -> Callable[[], Exporter]:
    """Return what makes the exporter that is set; raises ``ConfigError`` where a setting is missing."""
    about = resource(settings.service_name, __version__, environ)
    if settings.exporter == FILE:
        path = settings.file
        if path is None:
            raise ConfigError(
                "--trace-exporter file: which file is not said", help="add --trace-file PATH"
            )
        return lambda: FileExporter(path, about)
    if settings.exporter == CONSOLE:
        return ConsoleExporter
    return lambda: OTLPExporter(about, settings.endpoint)


def record(
    trace: Trace, request: HTTPRequest, call: Call, status: int, sent: int, seconds: float,
    timings: Timings | None,
) -> None:  # fmt: skip
    """Record the span of a finished request, and in it those of what was done for it."""
    route, sink = call.route, trace.sink
    if sink is None or (route is not None and route.permission == PUBLIC):
        return  # probes of health come all day and tell nothing
    grpc = route is not None and GRPC in route.planes
    attributes = _rpc(request, call) if grpc else _http(request, call, status, sent)
    attributes["inferd.request.id"] = call.id
    if route is not None:
        attributes["inferd.door"] = route.dialect
    if call.model:
        attributes["inferd.model"] = call.model
        attributes["inferd.version"] = call.version
    if call.priority:
        attributes["inferd.priority"] = call.priority
    if timings is not None:
        attributes["inferd.batch.size"] = timings.batch_size
        attributes["inferd.decode.seconds"] = timings.decode
        attributes["inferd.encode.seconds"] = timings.encode
    start = request.received
    sink(
        Span(
            _name(request, call, grpc=grpc), trace, start, start + seconds, SERVER, call.kind,
            status >= 500, attributes, timings or (Timings(steps=call.steps) if call.steps else None),
        )
    )  # fmt: skip


def _name(request: HTTPRequest, call: Call, *, grpc: bool) -> str:
    route = call.route
    if grpc:
        return request.path[1:]
    return f"{request.method} {route.template}" if route is not None else request.method


def _http(request: HTTPRequest, call: Call, status: int, sent: int) -> dict[str, Any]:
    """Return the attributes of HTTP by OpenTelemetry's conventions."""
    attributes: dict[str, Any] = {
        "http.request.method": request.method,
        "http.response.status_code": status,
        "http.response.body.size": sent,
        "url.path": request.path[:_LONGEST],
        "url.scheme": "https" if request.tls else "http",
    }
    if call.route is not None:
        attributes["http.route"] = call.route.template
    if request.peer:
        attributes["client.address"] = request.peer
    return attributes


def _rpc(request: HTTPRequest, call: Call) -> dict[str, Any]:
    """Return the attributes of gRPC by OpenTelemetry's conventions."""
    from inferd.api.grpc.errors import STATUS  # which needs the library that this call came through

    service, _, method = request.path[1:].partition("/")
    code: int = STATUS[call.kind].value[0] if call.kind is not None else 0
    return {
        "rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "rpc.grpc.status_code": code,
    }  # fmt: skip

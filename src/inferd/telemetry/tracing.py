"""The adapter to the OpenTelemetry SDK: spans of ours, with ids of ours, through its OTLP exporter.

The SDK is imported when an exporter is made, and not before. Its own variables hold
(``OTEL_EXPORTER_OTLP_HEADERS``, ``..._COMPRESSION``, ``..._CERTIFICATE``, ``..._TIMEOUT`` and so on), and so
does the endpoint's where the setting is not given.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from inferd.core.errors import ConfigError, MissingExtra, Unavailable
from inferd.core.trace import SERVER, Span
from inferd.telemetry.logs import Log
from inferd.telemetry.spanfile import SCOPE, Resource, attributes_of

log = Log("tracing")

EXTRA = "tracing"
TRACES_PATH = "/v1/traces"
LIBRARY = "opentelemetry"
_LONGEST = 500


def resource(service: str | None, version: str, environ: Mapping[str, str]) -> Resource:
    """Return who makes the spans.

    ``service``: the setting; else ``OTEL_SERVICE_NAME``, else what ``OTEL_RESOURCE_ATTRIBUTES`` says.
    """
    found = {
        "service.name": "inferd",
        "service.version": version,
        "service.instance.id": f"{os.uname().nodename}:{os.getpid()}",
    }
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found[key.strip()] = unquote(value.strip())
    name = service or environ.get("OTEL_SERVICE_NAME")
    return {**found, "service.name": name} if name else found


def endpoint(url: str) -> str:
    """Return where traces go: the path of OTLP is added to a URL without one.

    Raises ``ConfigError`` for what is no URL of HTTP.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"--trace-endpoint {url[:80]!r} is no URL of HTTP",
            help="write it as http://collector:4318",
        )
    return url if parts.path.strip("/") else parts._replace(path=TRACES_PATH).geturl()


class OTLPExporter:
    """Sends spans to a collector, by HTTP and protobuf. What the library says of failures is kept."""

    def __init__(self, about: Resource, url: str | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http import trace_exporter
            from opentelemetry.sdk.resources import Resource as SDKResource
            from opentelemetry.sdk.trace import ReadableSpan
            from opentelemetry.sdk.trace.export import SpanExportResult
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError:
            raise MissingExtra(
                "opentelemetry-exporter-otlp-proto-http", EXTRA, what="--trace-exporter otlp"
            ) from None
        self._api: Any = trace
        self._make = ReadableSpan
        self._done = SpanExportResult.SUCCESS
        self._scope = InstrumentationScope(SCOPE)
        self._resource = SDKResource(dict(about))
        self._said = _Said()
        try:
            self._exporter: Any = trace_exporter.OTLPSpanExporter(
                endpoint=endpoint(url) if url else None
            )
        except ConfigError:
            self._said.leave()
            raise
        except Exception as error:
            self._said.leave()
            raise ConfigError(
                f"--trace-exporter otlp: {error}", help="see the variables OTEL_EXPORTER_OTLP_*"
            ) from None
        for text in self._said.texts:
            # What it says of headers shows them, and they hold keys.
            reason = text.partition(":")[0] if "eader" in text else text
            log.warning("the exporter of traces goes on without a variable", reason=reason)
        self._closed = False

    def export(self, spans: Sequence[Span], epoch: int) -> None:
        self._said.texts.clear()
        made = [self._readable(span, epoch) for span in spans]
        if self._exporter.export(made) is not self._done:
            raise Unavailable("; ".join(self._said.texts) or "the collector did not take them")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()
            self._said.leave()

    def _readable(self, span: Span, epoch: int) -> Any:
        api, trace = self._api, span.trace
        trace_id, flags = int(trace.trace_id, 16), api.TraceFlags(api.TraceFlags.SAMPLED)
        state = api.TraceState.from_header([trace.state]) if trace.state else None
        parent = None
        if trace.parent_id:
            remote = span.kind == SERVER
            parent = api.SpanContext(trace_id, int(trace.parent_id, 16), remote, flags)
        return self._make(
            span.name,
            context=api.SpanContext(trace_id, int(trace.span_id, 16), False, flags, state),
            parent=parent,
            resource=self._resource,
            attributes=attributes_of(span),
            kind=api.SpanKind[span.kind.upper()],
            status=api.Status(api.StatusCode.ERROR if span.failed else api.StatusCode.UNSET),
            start_time=epoch + int(span.start * 1e9),
            end_time=epoch + int(span.end * 1e9),
            instrumentation_scope=self._scope,
        )


class _Said(logging.Handler):
    """Keeps the last that the library logged (what went wrong, that it gives up), instead of its lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: deque[str] = deque(maxlen=2)
        self._logger = logging.getLogger(LIBRARY)
        self._before = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage()[:_LONGEST])

    def leave(self) -> None:
        """Leave the library's logger as it was."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._before

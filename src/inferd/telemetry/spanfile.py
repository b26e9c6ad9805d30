"""Spans as lines: OTLP's JSON in a file, which collectors read, and a readable line for a terminal.

Each line of the file is one ``TracesData`` object. Needs no library.

Source: OpenTelemetry protocol file exporter; opentelemetry-proto, trace/v1/trace.proto (JSON encoding).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inferd.core.errors import ConfigError
from inferd.core.trace import CLIENT, INTERNAL, SERVER, Span

SCOPE = "inferd"
_KINDS = {INTERNAL: 1, SERVER: 2, CLIENT: 3}
_FAILED = 2

Resource = Mapping[str, str]
"""Who made the spans: attributes by name, ``service.name`` among them."""


class FileExporter:
    """Appends to a file of JSON lines. Raises ``ConfigError`` where it cannot be opened."""

    def __init__(self, path: Path, resource: Resource) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"--trace-file {path}: cannot be written: {error.strerror}",
                help="name a file in a directory that exists and may be written to",
            ) from None
        self._resource = {"attributes": _attributes(resource)}
        self._closed = False

    def export(self, spans: Sequence[Span], epoch: int) -> None:
        import orjson

        scope = {"scope": {"name": SCOPE}, "spans": [row(span, epoch) for span in spans]}
        data = {"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}
        _write(self._fd, orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._fd)


class ConsoleExporter:
    """Writes a readable line for each span to a descriptor, standard error by default."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd

    def export(self, spans: Sequence[Span], epoch: int) -> None:
        _write(self._fd, "".join(line(span) for span in spans).encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """The descriptor is not ours."""


def row(span: Span, epoch: int) -> dict[str, Any]:
    """Return a span as OTLP's JSON has it."""
    trace = span.trace
    made: dict[str, Any] = {
        "traceId": trace.trace_id,
        "spanId": trace.span_id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(epoch + int(span.start * 1e9)),
        "endTimeUnixNano": str(epoch + int(span.end * 1e9)),
        "attributes": _attributes(attributes_of(span)),
    }
    if trace.parent_id:
        made["parentSpanId"] = trace.parent_id
    if trace.state:
        made["traceState"] = trace.state
    if span.failed:
        made["status"] = {"code": _FAILED}
    return made


def attributes_of(span: Span) -> Mapping[str, Any]:
    """Return the attributes of a span; ``error.type`` is the kind of its error."""
    if span.error is None:
        return span.attributes
    return {**span.attributes, "error.type": span.error}


def line(span: Span) -> str:
    """Return a span for people: ids, kind, milliseconds, name, attributes."""
    trace = span.trace
    told = [_shown(span.name)]
    told += [f"{k}={_shown(v)}" for k, v in attributes_of(span).items()]
    parent = trace.parent_id or "-" * 16
    milliseconds = (span.end - span.start) * 1e3
    ids = f"{trace.trace_id} {parent} {trace.span_id}"
    return f"SPAN {ids} {milliseconds:.3f}ms {' '.join(told)}\n"


def _shown(value: Any) -> str:
    """Return text that moves no terminal: what clients sent may stand in it."""
    text = str(value)
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def _attributes(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in found.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

"""The one table of limits: every bound the transport puts on a peer, as data.

Each field of ``Limits`` is a row: its default, what happens beyond it (an HTTP status, or the
connection is closed or reading pauses) and what it bounds. Documentation is generated from the
rows, tests walk them, and whoever reads settings builds a ``Limits`` with ``limits_from``. A limit
bites while bytes arrive, before the memory they would need is allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from inferd.core.errors import ConfigError, nearest

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Row:
    """One limit: ``status`` is the HTTP status beyond it, or what happens instead of an answer."""

    name: str
    default: int | float
    unit: str
    status: int | str
    doc: str


def _row(default: float, unit: str, status: int | str, doc: str) -> Any:
    return field(default=default, metadata={"unit": unit, "status": status, "doc": doc})


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a listener. Sizes are bytes, times are seconds, rates bytes per second."""

    header_bytes: int = _row(
        16 * KIB, "bytes", 431, "request line and headers together, with their line ends"
    )
    header_count: int = _row(100, "headers", 431, "header lines of one request")
    target_bytes: int = _row(8 * KIB, "bytes", 414, "request target (path and query)")
    json_body_bytes: int = _row(8 * MIB, "bytes", 413, "a JSON body")
    binary_body_bytes: int = _row(64 * MIB, "bytes", 413, "a body of any other content type")
    receiving_bytes: int = _row(
        256 * MIB,
        "bytes",
        503,
        "incomplete requests of all connections of a listener together; bytes that arrived, "
        "not bytes announced; the answer carries Retry-After",
    )
    chunk_overhead: int = _row(
        16 * KIB,
        "bytes",
        413,
        "chunk sizes, extensions and line ends of a chunked body beyond a quarter of its data",
    )
    trailer_bytes: int = _row(4 * KIB, "bytes", 431, "trailers after a chunked body (ignored)")
    json_depth: int = _row(64, "levels", 400, "nesting of a JSON body; enforced by the codecs")
    header_time: float = _row(
        10.0, "s", 408, "from the first byte of a request to the end of its headers"
    )
    body_time: float = _row(
        30.0, "s", 408, "from the end of the headers to the end of the body, plus ``least_rate``"
    )
    write_time: float = _row(
        30.0, "s", "closed", "a peer that does not read its answer, plus ``least_rate``"
    )
    least_rate: int = _row(
        64 * KIB,
        "bytes/s",
        408,
        "a body that arrives (or an answer that is read) at this rate or faster is not cut off: "
        "every such number of bytes adds a second to ``body_time`` or ``write_time``",
    )
    idle_time: float = _row(75.0, "s", "closed", "a kept connection without a request")
    handshake_time: float = _row(10.0, "s", "closed", "the TLS handshake")
    connections: int = _row(
        4096, "connections", 503, "open connections of a listener; the answer carries Retry-After"
    )
    pipelined: int = _row(
        16, "requests", "reading pauses", "requests of one connection that wait for their turn"
    )
    drain_bytes: int = _row(
        64 * KIB,
        "bytes",
        "closed",
        "body of a refused request that is read and dropped to keep its connection",
    )
    linger_time: float = _row(
        2.0, "s", "closed", "after a refusal, time for the peer to read it while it still sends"
    )
    linger_bytes: int = _row(
        128 * MIB, "bytes", "closed", "after a refusal, bytes dropped while the peer still sends"
    )


LIMITS: tuple[Row, ...] = tuple(
    Row(
        f.name,
        f.default,  # type: ignore[arg-type]  # every row has a number
        f.metadata["unit"],
        f.metadata["status"],
        f.metadata["doc"],
    )
    for f in fields(Limits)
)


def limits_from(values: Mapping[str, object]) -> Limits:
    """Build ``Limits`` from settings (numbers in the row's unit); the rest keeps its default.

    Raises ``ConfigError`` for an unknown name, a value of another type, or one that is not
    positive.
    """
    rows = {row.name: row for row in LIMITS}
    for name, value in values.items():
        row = rows.get(name)
        if row is None:
            raise ConfigError(f"limits.{name}: unknown limit", help=nearest(name, rows))
        whole = isinstance(row.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "whole number" if whole else "number"
            raise ConfigError(f"limits.{name}: must be a {kind} of {row.unit}, not {value!r}")
        if not 0 < value < float("inf"):
            raise ConfigError(f"limits.{name}: must be positive, not {value!r}")
    return Limits(**values)  # type: ignore[arg-type]  # checked above


def limits_table() -> str:
    """Return the table as Markdown; ``docs/transport.md`` holds exactly this text."""
    lines = ["| limit | default | beyond it | bounds |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {_amount(row)} | {row.status} | {row.doc} |" for row in LIMITS]
    return "\n".join(lines) + "\n"


def _amount(row: Row) -> str:
    size, unit = row.default, row.unit
    for factor, prefix in ((MIB, "Mi"), (KIB, "Ki")):
        if unit.startswith("bytes") and size >= factor and size % factor == 0:
            return f"{size // factor} {prefix}B{unit.removeprefix('bytes')}"
    return f"{size:g} {unit}"

"""The place of a request in a distributed trace: W3C Trace Context, as data.

A ``Trace`` names one span. Where spans are kept here it has a ``sink``, and so have those below it; what
was done is recorded when it is over. Where they are not, the caller's context is passed on as it came.

Source: https://www.w3.org/TR/trace-context/ (``traceparent`` version 00, ``tracestate``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_STATE_MOST = 512
SAMPLED = 1

INTERNAL, SERVER, CLIENT = "internal", "server", "client"
"""Kinds of spans: work of our own, answering somebody, asking somebody else."""

_NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class Span:
    """One piece of work that is over.

    ``start`` and ``end`` are monotonic seconds. ``error``: the kind of its error, ``None`` where it went
    well. ``failed``: whether that error counts as a failure (a client's mistake is none of its server).
    ``within``: the ``Timings`` of what was done in it, from which more spans are made.
    """

    name: str
    trace: Trace
    start: float
    end: float
    kind: str = INTERNAL
    error: str | None = None
    failed: bool = False
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    within: object = None


Sink = Callable[[Span], None]
"""Takes a span that is over. Cheap, never waits, never raises."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One span's place: ids in lower-case hexadecimal, whether it is recorded, and vendors' state.

    ``parent_id``: the span above it, empty where it begins the trace. ``sink``: who keeps its spans.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""
    parent_id: str = ""
    sink: Sink | None = field(default=None, compare=False, repr=False)

    @property
    def parent(self) -> str:
        """The value of ``traceparent`` for what is asked on behalf of this span."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> Trace:
        """Return the place of a new span below this one; this one itself where no spans are kept.

        A span that nobody keeps would be a gap between the caller's and those of who is asked.
        """
        return self if self.sink is None else self.kept_by(self.sink)

    def kept_by(self, sink: Sink | None) -> Trace:
        """Return the place of a new span below this one that ``sink`` keeps."""
        return Trace(
            self.trace_id, os.urandom(8).hex(), self.sampled, self.state, self.span_id, sink
        )

    def record(
        self,
        name: str,
        start: float,
        end: float,
        *,
        kind: str = INTERNAL,
        error: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        within: object = None,
    ) -> None:
        """Tell that the work of this span is over; nothing happens where no spans are kept.

        The arguments are those of ``Span``; an ``error`` counts as a failure.
        """
        if self.sink is not None:
            self.sink(
                Span(
                    name, self, start, end, kind, error, error is not None, attributes or _NOTHING,
                    within,
                )
            )  # fmt: skip


def root(*, sampled: bool = True, sink: Sink | None = None) -> Trace:
    """Return the place of a span that begins a trace."""
    return Trace(os.urandom(16).hex(), os.urandom(8).hex(), sampled, sink=sink)


def parse(parent: str, state: str = "") -> Trace | None:
    """Return the caller's place; ``None`` for what is no valid ``traceparent``."""
    found = _PARENT.fullmatch(parent.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not trace_id.strip("0")
        or not span_id.strip("0")
    ):
        return None
    sane = len(state) <= _STATE_MOST and state.isascii() and state.isprintable()
    return Trace(trace_id, span_id, bool(int(flags, 16) & SAMPLED), state if sane else "")

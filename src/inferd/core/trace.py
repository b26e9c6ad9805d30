"""The place of a request in a distributed trace: W3C Trace Context, as data.

Source: https://www.w3.org/TR/trace-context/ (``traceparent`` version 00, ``tracestate``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_STATE_MOST = 512
SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """One span's place: ids in lower-case hexadecimal, whether it is recorded, and vendors' state."""

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    @property
    def parent(self) -> str:
        """The value of ``traceparent`` for what is asked on behalf of this span."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> Trace:
        """Return the place of a new span below this one."""
        return Trace(self.trace_id, os.urandom(8).hex(), self.sampled, self.state)


def root(*, sampled: bool = True) -> Trace:
    """Return the place of a span that begins a trace."""
    return Trace(os.urandom(16).hex(), os.urandom(8).hex(), sampled)


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
    kept = state if len(state) <= _STATE_MOST and state.isprintable() else ""
    return Trace(trace_id, span_id, bool(int(flags, 16) & SAMPLED), kept)

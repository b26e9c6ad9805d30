"""The caller's place in a trace, where the program uses OpenTelemetry: it goes with every request.

Nothing is imported for it: a program that has an active span has imported the library itself.

Source: https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

import sys
from typing import Any

LIBRARY = "opentelemetry.trace"


def context_headers() -> dict[str, str]:
    """Return ``traceparent`` and ``tracestate`` of the span that is active here; none without one."""
    library: Any = sys.modules.get(LIBRARY)
    if library is None:
        return {}
    context = library.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    flags = int(context.trace_flags) & 1
    headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"}
    state: str = context.trace_state.to_header()
    if state:
        headers["tracestate"] = state
    return headers

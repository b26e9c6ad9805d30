"""Which requests are traced: who came with a trace goes on with it, of the others a share begins one.

Parent-based: what the caller decided holds here. A trace that begins here is kept where its id, read as
a number, lies below the share, as in every OpenTelemetry SDK, so that all servers decide alike.

Source: OpenTelemetry specification, "TraceIdRatioBased" and "ParentBased".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from inferd.core.errors import ConfigError
from inferd.core.trace import Sink, Trace, parse, root

_IDS = 1 << 64
NEVER = ("always_off", "parentbased_always_off")
BY_SHARE = ("traceidratio", "parentbased_traceidratio")


class Traces:
    """Gives requests their places in traces.

    ``sink`` keeps the spans; without one (``on`` is false) a caller's context is passed on as it came.
    ``share``: of the requests that bring no context, how many are traced, 0 to 1.
    """

    __slots__ = ("_bound", "on", "sink")

    def __init__(self, sink: Sink | None = None, share: float = 1.0) -> None:
        self.sink = sink
        self.on = sink is not None
        self._bound = round(share * _IDS)

    def of(self, parent: str | None, state: str = "") -> Trace | None:
        """Return the place of a request: ``parent`` and ``state`` are its context, if it has one.

        A context that is not valid is as none.
        """
        caller = parse(parent, state) if parent is not None else None
        sink = self.sink
        if sink is None:
            return caller
        if caller is not None:
            return caller.kept_by(sink) if caller.sampled else caller
        begun = root(sink=sink)
        if int(begun.trace_id[16:], 16) < self._bound:
            return begun
        return replace(begun, sampled=False, sink=None)


PASSED_ON = Traces()
"""No spans are kept here."""


def share(chosen: float | None, environ: Mapping[str, str]) -> float:
    """Return the share of requests without a context that are traced.

    ``chosen`` is the setting; where it is not set the standard variables ``OTEL_TRACES_SAMPLER`` and
    ``OTEL_TRACES_SAMPLER_ARG`` say it. Raises ``ConfigError``.
    """
    if chosen is not None:
        return chosen
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if sampler in NEVER:
        return 0.0
    text = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    if not text or sampler not in ("", *BY_SHARE):
        return 1.0
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise ConfigError(
            f"OTEL_TRACES_SAMPLER_ARG: {text[:40]!r} is no share", help="a number from 0 to 1"
        )
    return number

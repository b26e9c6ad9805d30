"""Spans made of what is measured anyway: the stages of a request, the steps of a pipeline.

Nothing is timed for their sake. A request's ``Timings`` say when it was queued and how long each stage
took; the stages follow one another. Stages of which that moment is not known were somebody else's, who
tells of them. Steps have their own beginning, end and stages. No span reaches beyond the one it lies in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inferd.core.message import StepTiming, Timings
from inferd.core.trace import Span, Trace

MOST = 1000
"""Spans that are made of one request; a mapped step may have thousands of elements."""

STAGES = ("queue", "batch", "run")
_DEEP = 16


def expanded(span: Span) -> list[Span]:
    """Return a span and those of what was done in it."""
    made = [span]
    if isinstance(span.within, Timings):
        for inner in _inner(span.trace, span.within, span.start, span.end, _DEEP):
            made.append(inner)
            if len(made) >= MOST:
                break
    return made


def _inner(trace: Trace, timings: Timings, start: float, end: float, deep: int) -> Iterator[Span]:
    if not timings.steps:
        yield from _stages(trace, timings, start, end)
    elif deep:
        for step in timings.steps:
            yield from _step(trace, step, start, end, deep - 1)


def _stages(trace: Trace, timings: Timings, start: float, end: float) -> Iterator[Span]:
    """Yield the stages one after the other; parts that ran side by side are drawn to scale."""
    total = timings.queue + timings.batch + timings.run
    if total <= 0.0 or not timings.began:
        return
    begin = _within(timings.began, start, end)
    scale = min(1.0, (end - begin) / total)
    attributes: Mapping[str, Any] = (
        {"inferd.batch.size": timings.batch_size} if timings.batch_size else {}
    )
    for name in STAGES:
        seconds: float = getattr(timings, name) * scale
        if seconds > 0.0:
            over = min(begin + seconds, end)
            yield Span(
                name, trace.kept_by(trace.sink), begin, over,
                attributes={} if name == "queue" else attributes,
            )  # fmt: skip
            begin = over


def _step(trace: Trace, step: StepTiming, start: float, end: float, deep: int) -> Iterator[Span]:
    begin, over = _within(step.start, start, end), _within(step.end, start, end)
    own = step.trace or trace.kept_by(trace.sink)
    attributes: dict[str, Any] = {"inferd.step": step.name}
    if step.skipped:
        attributes["inferd.step.skipped"] = True
    yield Span(
        f"step {step.name}", own, begin, over, error=step.error, failed=step.error is not None,
        attributes=attributes,
    )  # fmt: skip
    if step.timings is not None:
        yield from _inner(own, step.timings, begin, over, deep)


def _within(at: float, start: float, end: float) -> float:
    return min(max(at, start), end)

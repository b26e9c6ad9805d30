"""Where the time of a pipeline goes: its steps over several runs, and their share of the critical path.

The critical path of a run is found from its end: the step that ended last, the one of those it needs that
ended last, and so on. Only what is on that path makes the answer later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from inferd.core.message import StepTiming
from inferd.routing.pipeline.check import graph
from inferd.routing.pipeline.spec import PipelineSpec

Run = Sequence[StepTiming]


@dataclass(frozen=True, slots=True)
class StepTime:
    """One step over several runs: seconds, and the part of all critical paths that it made up (0 to 1)."""

    name: str
    ran: int
    skipped: int
    failed: int
    median: float
    p95: float
    share: float

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; times in milliseconds."""
        return {
            "name": self.name,
            "ran": self.ran,
            "skipped": self.skipped,
            "failed": self.failed,
            "median_ms": round(self.median * 1e3, 4),
            "p95_ms": round(self.p95 * 1e3, 4),
            "share": round(self.share, 4),
        }


def step_times(spec: PipelineSpec, runs: Sequence[Run]) -> list[StepTime]:
    """Return the times of every step, in the order in which steps can run."""
    needs = {step.name: graph.needs(step) for step in spec.steps}
    spent = dict.fromkeys(needs, 0.0)
    for run in runs:
        for timing in _critical(run, needs):
            spent[timing.name] = spent.get(timing.name, 0.0) + timing.end - timing.start
    whole = sum(spent.values())
    found = []
    for step in graph.order(spec):
        rows = [t for run in runs for t in run if t.name == step.name]
        seconds = sorted(t.end - t.start for t in rows if not t.skipped)
        found.append(
            StepTime(
                step.name,
                ran=len(seconds),
                skipped=len(rows) - len(seconds),
                failed=sum(t.error is not None for t in rows),
                median=median(seconds) if seconds else 0.0,
                p95=seconds[math.ceil(0.95 * len(seconds)) - 1] if seconds else 0.0,
                share=spent[step.name] / whole if whole else 0.0,
            )
        )
    return found


def _critical(run: Run, needs: dict[str, frozenset[str]]) -> Iterator[StepTiming]:
    """Yield the steps of the critical path of one run, last first."""
    ended = {timing.name: timing for timing in run if timing.name in needs}
    here: StepTiming | None = max(ended.values(), key=lambda t: t.end, default=None)
    while here is not None:
        yield here
        before = [ended[name] for name in needs[here.name] if name in ended]
        here = max(before, key=lambda t: t.end, default=None)


def table(times: Sequence[StepTime]) -> str:
    """Return the times as lines of text."""
    width = max([4, *(len(t.name) for t in times)])
    lines = [
        f"{'step':<{width}}  {'runs':>5}  {'skipped':>7}  {'failed':>6}  {'median':>10}  {'p95':>10}  critical path"
    ]
    lines += [
        f"{t.name:<{width}}  {t.ran:>5}  {t.skipped:>7}  {t.failed:>6}  {_ms(t.median):>10}  {_ms(t.p95):>10}"
        f"  {t.share:>12.1%}"
        for t in times
    ]
    return "\n".join(lines) + "\n"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f} ms"

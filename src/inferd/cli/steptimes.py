"""Where the time of a running server's pipeline goes, as the server tells it in ``Server-Timing``.

The header holds durations and no order, so nothing can be said of the critical path here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from inferd.cli import remote
from inferd.core.errors import InferdError, InvalidInput

if TYPE_CHECKING:
    from inferd.cli.body import Body

STEP = "step-"
WHOLE = "(whole request)"

Timings = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One step over several requests, times in seconds; ``ran``: in how many of them."""

    name: str
    ran: int
    median: float
    p95: float

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; times in milliseconds."""
        return {
            "name": self.name, "ran": self.ran, "median_ms": round(self.median * 1e3, 4),
            "p95_ms": round(self.p95 * 1e3, 4),
        }  # fmt: skip


def ask(
    url: str, model: str, runs: int, body: Body | None, seconds: float, ca: str | None
) -> list[Timings]:
    """Ask a pipeline of a server and return what it told of each request but the first, a warm-up.

    ``body``: what to ask with, else an example is made up. Raises the error of a refusal, naming the URL.
    """
    from inferd.core.clock import monotonic

    found: list[Timings] = []
    with remote.client(url, seconds, ca, timings=True) as asking:
        try:
            question = _question(asking, model, body)
            for run in range(runs + 1):
                begin = monotonic()
                told = question()
                if run:
                    found.append({**told, WHOLE: monotonic() - begin})
        except InferdError as error:
            if body is None and error.help is None:
                error.help = "it was asked with a made-up example; give a real one with --data"
            raise remote.named(error, f"{url}, {model}", seconds) from None
    if not any(name.startswith(STEP) for told in found for name in told):
        raise InvalidInput(
            f"{url}: {model!r} told of no steps", help="is it a pipeline, on a server of inferd?"
        )
    return found


def _question(asking: Any, model: str, body: Body | None) -> Callable[[], Timings]:
    """Return what asks once and returns the timings."""
    if body is not None:
        from inferd.client.result import timings_of

        path = remote.predict_url("http://server", model, None).removeprefix("http://server")
        return lambda: timings_of(
            asking.ask("POST", path, body=body.data, media=body.media).headers.get("Server-Timing")
        )
    from inferd.execution.golden import made_from

    inputs = made_from(asking.metadata(model).signature)
    return lambda: asking.predict(model, inputs).timings


def rows(told: Sequence[Timings]) -> list[Row]:
    """Return the times of the steps in the order in which they ended first, and of all of it."""
    names = dict.fromkeys(n for one in told for n in one if n.startswith(STEP))
    return [_row(name, told) for name in (*names, WHOLE)]


def _row(name: str, told: Sequence[Timings]) -> Row:
    seconds = sorted(one[name] for one in told if name in one)
    p95 = seconds[math.ceil(0.95 * len(seconds)) - 1]
    return Row(name.removeprefix(STEP), len(seconds), median(seconds), p95)


def table(found: Sequence[Row]) -> str:
    """Return the times as lines of text."""
    width = max(len(row.name) for row in found)
    lines = [f"{'step':<{width}}  {'runs':>5}  {'median':>10}  {'p95':>10}"]
    lines += [
        f"{row.name:<{width}}  {row.ran:>5}  {row.median * 1e3:>7.3f} ms  {row.p95 * 1e3:>7.3f} ms"
        for row in found
    ]
    return "\n".join(lines) + "\n"

"""Admit or refuse, before a request costs anything: a pure decision over numbers.

A refusal says when to come back: the time the queue needs to drain, from the cost curve.
"""

from __future__ import annotations

from dataclasses import dataclass

from inferd.core.errors import DeadlineExceeded, InferdError, Overloaded, Unavailable

QUEUE_SECONDS = 1.0
"""Work that may wait, in seconds. A waiting request costs the front 9 KB, so an hour of overload
costs a server that answers 400 a second 4 MB; a longer queue adds latency and no throughput."""

ENTRIES_LEAST = 128


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of one model version's queue: requests, and payload bytes."""

    entries: int = 4096
    nbytes: int = 256 << 20


@dataclass(slots=True)
class Load:
    """What admission looks at. ``rate``: rows per second of all ready instances, 0 if none is."""

    entries: int
    rows: int
    nbytes: int
    rate: float
    alive: bool
    reason: str = ""


def refuse(
    load: Load, limits: QueueLimits, *, rows: int, nbytes: int, now: float, deadline: float,
    admitted: bool = False,
) -> InferdError | None:  # fmt: skip
    """Return why a request is refused, or ``None`` to admit it.

    ``admitted``: it is a later step of one that was. Work was done for it, and it goes before those that
    wait, so neither their number nor how long they would wait counts.
    """
    if deadline <= now:
        return DeadlineExceeded("the deadline had passed when the request arrived")
    if not load.alive:
        return Unavailable(f"no worker can serve this model: {load.reason}", retry_after=5.0)
    if not load.entries:
        return None
    wait = load.rows / load.rate if load.rate > 0 else 0.0
    bound = limits.entries
    if load.rate > 0:
        bound = min(bound, max(ENTRIES_LEAST, int(load.rate * QUEUE_SECONDS)))
    if load.entries >= bound and not admitted:
        return Overloaded(
            f"the queue is full: {load.entries} requests wait", retry_after=max(wait, 0.1)
        )
    if load.nbytes + nbytes > limits.nbytes:
        return Overloaded(
            f"the queue is full: {load.nbytes} bytes wait, {nbytes} more are over {limits.nbytes}",
            retry_after=max(wait, 0.1),
        )
    if now + wait > deadline and not admitted:
        return Overloaded(
            f"the request would wait {wait:.2g} s, past its deadline in {deadline - now:.2g} s",
            retry_after=wait,
        )
    return None

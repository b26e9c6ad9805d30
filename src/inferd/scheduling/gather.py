"""Waiting a moment for clients that were just answered: a pure decision with a memory.

Clients that send their next request when the last is answered come back together, but one by one.
An instance that takes the first of them at once runs a batch of one, and the others wait for it:
from then on small and large batches alternate and throughput is lost. So after a batch of several
requests the idle instance waits until as many have come as were answered, for ``SHARE`` of what
that batch took at most. It must never cost others: not where batches are short (they are handed
out ahead, so nothing is idle), and not at all for a while where answered clients do not come back.
"""

from __future__ import annotations

SHARE = 0.06
LEAST = 0.001  # the event loop's timers are no finer
LONGEST = 0.005
WORTH = LEAST / SHARE * 0.5  # a batch this long bears to wait for one tick of the timer
PATIENCE = 3
REST = 64


class Gather:
    """Counts whom to expect, and how often they came. Times are monotonic seconds."""

    __slots__ = ("_expected", "_misses", "_rest", "_until")

    def __init__(self) -> None:
        self._expected = 0
        self._until = 0.0
        self._misses = 0
        self._rest = 0

    def answered(self, entries: int, waiting: int, seconds: float, now: float) -> None:
        """Hear of a batch of ``entries`` that took ``seconds``, while ``waiting`` others wait."""
        if entries < 2 or seconds < WORTH:
            return
        if self._rest:
            self._rest -= 1
            return
        self._expected = (self._expected or waiting) + entries
        self._until = max(self._until, now + min(max(LEAST, seconds * SHARE), LONGEST))

    def left(self, waiting: int, enough: int, now: float) -> float:
        """Return the seconds to wait still, while ``waiting`` of at most ``enough`` wait."""
        if not self._expected:
            return 0.0
        full = waiting >= min(self._expected, enough)
        if not full and now < self._until:
            return max(self._until - now, LEAST)
        came = full or 2 * waiting >= min(self._expected, enough)
        self._misses = 0 if came else self._misses + 1
        if self._misses >= PATIENCE:
            self._misses, self._rest = 0, REST
        self._expected = 0
        self._until = 0.0
        return 0.0

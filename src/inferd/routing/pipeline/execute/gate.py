"""How many requests of a pipeline are under way, and whether one more is let in: a decision with a memory.

What waits in front of a step is bounded by its model, but only for new requests; those on their way are
bounded here. Under load the gate also knows how fast they leave, so a request that would be late after all
its first steps is refused before the first.
"""

from __future__ import annotations

from inferd.core.errors import DeadlineExceeded, Overloaded
from inferd.scheduling.admission import ENTRIES_LEAST, QueueLimits

SHARE = 1 / 32
"""Weight of the latest departure; those of one batch leave together."""

RETRY_LEAST = 0.1


class Gate:
    """Counts what is under way. Times are monotonic seconds."""

    __slots__ = ("_interval", "_last", "_limits", "entries", "nbytes", "refused")

    def __init__(self, limits: QueueLimits) -> None:
        self.entries = 0
        self.nbytes = 0
        self.refused = 0
        self._limits = limits
        self._interval = 0.0
        self._last = 0.0

    def enter(self, nbytes: int, now: float, deadline: float, *, admitted: bool = False) -> None:
        """Let a request in, or raise why not; every one let in must ``leave``.

        ``admitted``: it is a later step of a pipeline that asks this one. Work was done for it, so how
        many are under way does not keep it out.
        """
        entries = self.entries
        if deadline <= now:
            self.refused += 1
            raise DeadlineExceeded("the deadline had passed when the request arrived")
        if entries:
            limits = self._limits
            if entries >= limits.entries and not admitted:
                raise self._full(f"{entries} requests are under way")
            if self.nbytes + nbytes > limits.nbytes:
                raise self._full(
                    f"{self.nbytes} bytes are under way, {nbytes} more are over {limits.nbytes}"
                )
            late = entries >= ENTRIES_LEAST and entries * self._interval > deadline - now
            if late and not admitted:
                raise self._full(
                    f"the request would take {entries * self._interval:.2g} s, past its deadline in "
                    f"{deadline - now:.2g} s"
                )
        self.entries = entries + 1
        self.nbytes += nbytes

    def leave(self, nbytes: int, now: float) -> None:
        """Hear that a request has ended, however it did."""
        if self.entries >= ENTRIES_LEAST:  # else they leave as they come, which says nothing
            if self._last:
                self._interval += (now - self._last - self._interval) * SHARE
            self._last = now
        else:
            self._interval = self._last = 0.0
        self.entries -= 1
        self.nbytes -= nbytes

    def _full(self, why: str) -> Overloaded:
        self.refused += 1
        return Overloaded(
            f"the pipeline is full: {why}",
            retry_after=max(RETRY_LEAST, self.entries * self._interval),
        )

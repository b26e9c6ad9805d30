"""When the front waits for a fast model without going to sleep: a pure decision with a memory.

With one client at a time, most of the latency of a model of some microseconds is processes falling
asleep and being woken. If only one request is under way and the model is fast, looking for the
answer for a moment is quicker than sleeping. It must never cost others: at most ``LONGEST`` seconds,
only while requests come one by one, and not at all for a while when answers do not come in time (the
machine is busy), or when a second request comes meanwhile. That cannot be seen while waiting, which
would keep many clients in single file for ever, so now and then the front does not wait.
"""

from __future__ import annotations

LONGEST = 150e-6
FAST = 50e-6
CALM = 8
PATIENCE = 4
REST = 256
PROBE = 16


class Spin:
    """Counts single requests and useless waits."""

    __slots__ = ("_misses", "_rest", "_singles", "_waits")

    def __init__(self) -> None:
        self._singles = 0
        self._misses = 0
        self._rest = 0
        self._waits = 0

    @property
    def calm(self) -> bool:
        """Whether the last ``CALM`` batches held one request each."""
        return self._singles >= CALM

    def ran(self, entries: int) -> None:
        """Hear of a finished batch."""
        self._singles = self._singles + 1 if entries == 1 else 0

    def worth(self, seconds: float) -> bool:
        """Whether to wait for a model whose single request takes ``seconds``."""
        if seconds > FAST:
            return False
        if self._rest:
            self._rest -= 1
            return False
        self._waits += 1
        return self._waits % PROBE != 0

    def crowded(self) -> None:
        """Hear that a request came while another ran."""
        self._singles = 0
        self._rest = REST

    def waited(self, answered: bool) -> None:
        """Hear whether the answer came in time."""
        self._misses = 0 if answered else self._misses + 1
        if self._misses >= PATIENCE:
            self._misses = 0
            self._rest = REST

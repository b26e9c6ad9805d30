"""How many requests to a service may be sent again: a fifth of them, and a small floor.

Repeats save requests when a replica dies; without a bound they would double the load of a service that
fails because it has too much of it. The floor lets a quiet service repeat at all, and the store is deep
enough for what was under way at a replica when it died.
"""

from __future__ import annotations

from inferd.core.clock import Clock

SHARE = 0.2
FLOOR_PER_SECOND = 10.0
MOST = 256.0


class RetryBudget:
    """A token bucket filled by requests and, slowly, by time; a repeat takes one token."""

    def __init__(
        self, clock: Clock, share: float = SHARE, floor: float = FLOOR_PER_SECOND,
        most: float = MOST,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._share = share
        self._floor = floor
        self._most = most
        self._tokens = most
        self._at = clock()

    @property
    def left(self) -> int:
        """Repeats that may be made now."""
        self._fill(0.0)
        return int(self._tokens)

    def request(self) -> None:
        """Count a request."""
        self._fill(self._share)

    def take(self) -> bool:
        """Take the token of one repeat; whether there was one."""
        self._fill(0.0)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self, more: float) -> None:
        now = self._clock()
        more += (now - self._at) * self._floor
        self._at = now
        self._tokens = min(self._most, self._tokens + more)

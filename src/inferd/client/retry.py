"""When a request is sent again, and after which pause.

Only what cannot have been answered is repeated: a connection that was not made or ended before a
response began, and 429 or 503. The pauses grow exponentially with full jitter (a random part of the
bound, so that clients who failed together do not come back together) on top of the server's
``Retry-After``. A budget shared by all calls of a client keeps repeats to a tenth of its requests
and a small floor, so that repeats cannot hold down a server that is already overloaded.

Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import threading

from inferd.client.wire import Answer, Failure
from inferd.core.clock import Clock

RETRIED = (429, 503)
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0

RATIO = 0.1
FLOOR_PER_SECOND = 0.5
MOST_TOKENS = 10.0


class Budget:
    """Repeats that may be made: a token bucket filled by requests and, slowly, by time.

    Each request adds ``ratio`` tokens, each second ``floor``; a repeat takes one. Never holds more
    than ``most``, with which it begins. Used by any number of threads.
    """

    def __init__(
        self,
        clock: Clock,
        ratio: float = RATIO,
        floor: float = FLOOR_PER_SECOND,
        most: float = MOST_TOKENS,
    ) -> None:
        self._clock = clock
        self._ratio = ratio
        self._floor = floor
        self._most = most
        self._tokens = most
        self._at = clock()
        self._lock = threading.Lock()

    def request(self) -> None:
        """Count a request."""
        with self._lock:
            self._fill(self._ratio)

    def take(self) -> bool:
        """Take the token of one repeat; whether there was one."""
        with self._lock:
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


def may_repeat(got: Answer | Failure) -> bool:
    """Return whether a request that ended so may be sent again."""
    if isinstance(got, Failure):
        return not got.began and not got.late
    return got.status in RETRIED


def pause_before(attempt: int, after: float | None, draw: float) -> float:
    """Return the seconds to wait before repeat number ``attempt`` (from 0).

    ``after``: what the server asked for; ``draw``: a random number of [0, 1).
    """
    bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt, 30))
    return (after or 0.0) + draw * bound

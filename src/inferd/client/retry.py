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
from inferd.routing.remote.budget import RetryBudget

RETRIED = (429, 503)
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0

RATIO = 0.1
FLOOR_PER_SECOND = 0.5
MOST_TOKENS = 10.0


class Budget(RetryBudget):
    """The budget of a client: smaller than that of a service, and used by any number of threads."""

    def __init__(
        self, clock: Clock, share: float = RATIO, floor: float = FLOOR_PER_SECOND,
        most: float = MOST_TOKENS,
    ) -> None:  # fmt: skip
        super().__init__(clock, share, floor, most)
        self._lock = threading.Lock()

    def request(self) -> None:
        with self._lock:
            super().request()

    def take(self) -> bool:
        with self._lock:
            return super().take()


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

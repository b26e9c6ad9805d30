"""Time as a dependency, so that nothing that waits needs a sleep to be tested.

All deadlines in the project are readings of a monotonic clock in seconds; on Linux that clock is
shared by all processes of the machine, so a deadline crosses to a worker unchanged. Wall-clock
time is used for log lines only.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of monotonic seconds."""

    def __call__(self) -> float:
        """Return the current monotonic time in seconds."""
        ...


monotonic: Clock = time.monotonic


class FakeClock:
    """A clock that moves only when told to; shipped so that users' tests need no sleeps."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        """Return the time last set."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move forward by ``seconds`` (never back)."""
        if seconds < 0:
            raise ValueError("a monotonic clock never goes back")
        self.now += seconds

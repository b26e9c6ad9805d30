"""Replicas that fail are left out for a while: whom, for how long, and when they may come back.

A replica is *down* when it cannot be reached (two connections in a row failed) and *ejected* when it
answers and fails (five in a row: 5xx, or no answer in time). It stays out for a time that doubles with
each relapse, up to a minute, and comes back when a probe finds it ready: one that was down at once, one
that was ejected not before its time is over.

At most half of the replicas are ejected at a time: if more fail, the fault is likely not theirs, and the
rest could not bear the load. Who is down cannot be asked anyhow, so only the last one is kept. Where
nobody is left, all are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

UNREACHED = 2
FAILURES = 5
FIRST, LONGEST = 1.0, 60.0
FORGIVEN = 60.0
"""Seconds of good service after which earlier ejections no longer count."""

UP, DOWN, EJECTED = STANDINGS = "up", "down", "ejected"


class Standing:
    """How one replica has done of late.

    ``state``: ``UP``, ``DOWN`` or ``EJECTED``. ``until``: when an ejected one may be back. ``reason``: of
    its last failure.
    """

    __slots__ = ("failures", "reason", "relapses", "since", "state", "unreached", "until")

    def __init__(self) -> None:
        self.state = UP
        self.failures = self.unreached = self.relapses = 0
        self.until = self.since = 0.0
        self.reason = ""

    def answered(self, now: float) -> None:
        """Take note of a good answer."""
        self.failures = self.unreached = 0
        if self.relapses and self.state == UP and now - self.since > FORGIVEN:
            self.relapses = 0

    def failed(self, reason: str, now: float, *, reached: bool) -> bool:
        """Take note of a failure; whether it should be left out now. ``reached``: it was connected."""
        self.reason = reason
        if reached:
            self.failures += 1
            self.unreached = 0
        else:
            self.unreached += 1
        return self.state == UP and (self.failures >= FAILURES or self.unreached >= UNREACHED)

    def out(self, now: float) -> None:
        """Leave it out."""
        self.state = DOWN if self.unreached >= UNREACHED else EJECTED
        self.until = now + min(LONGEST, FIRST * 2.0**self.relapses)
        self.relapses = min(self.relapses + 1, 16)

    def probed(self, ready: bool, now: float) -> bool:
        """Take note of a probe; whether it is back with that."""
        if not ready or self.state == UP:
            return False
        if self.state == EJECTED and now < self.until:
            return False
        self.state = UP
        self.failures = self.unreached = 0
        self.since = now
        return True


class Standed(Protocol):
    """Whatever has a standing."""

    @property
    def standing(self) -> Standing:
        """Its standing."""
        ...


R = TypeVar("R", bound=Standed)


def may_leave_out(one: Standed, every: Sequence[Standed]) -> bool:
    """Return whether ``one`` of ``every`` may be left out, for what it has failed at."""
    others = [r.standing for r in every if r is not one]
    up = sum(s.state == UP for s in others)
    if one.standing.unreached >= UNREACHED:
        return up > 0
    ejected = sum(s.state == EJECTED for s in others)
    return up > 0 and (ejected + 1) * 2 <= len(every)


def candidates(every: Sequence[R], tried: Sequence[R] = ()) -> list[R]:
    """Return whom to choose from.

    Who is up and was not tried; else who is up; else who was not tried; else all.
    """
    up = [r for r in every if r.standing.state == UP]
    among = up or every
    return [r for r in among if r not in tried] or list(among)

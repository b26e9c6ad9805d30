"""Which replica is asked next: the better of two drawn at random.

Better is who has less to do, weighed by how fast it answered of late: requests under way (and this
one) times the average latency, newer answers counting more. Two draws are enough to spread load nearly
as well as looking at all, and, unlike always taking the best, they do not send everybody to the one that
happens to look best at the moment.

What is known fades while nothing is asked, so that a replica that was slow once is tried again.

Source: M. Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

DECAY = 5.0
"""Seconds after which an old latency counts for a third."""

ALIKE = 2.0
"""Latencies within this factor say nothing of two replicas."""

Draw = Callable[[int], int]
"""Returns a random number below its argument (``random.randrange``)."""


class Load:
    """What one replica has to do, and how fast it is: ``latency`` in seconds, ``None``: not known."""

    __slots__ = ("_at", "_latency", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._latency: float | None = None
        self._at = 0.0

    def latency(self, now: float) -> float | None:
        """Return the average latency as it counts now."""
        if self._latency is None or self.in_flight:
            return self._latency
        return self._latency * math.exp(-max(0.0, now - self._at) / DECAY)

    def answered(self, seconds: float, now: float) -> None:
        """Take note of an answer that took ``seconds``."""
        if self._latency is None:
            self._latency = seconds
        else:
            share = math.exp(-max(0.0, now - self._at) / DECAY) * 0.9
            self._latency = self._latency * share + seconds * (1.0 - share)
        self._at = now

    def failed(self, seconds: float, now: float) -> None:
        """Take note of a failure: a quick one must not make a replica look fast."""
        if self._latency is not None and seconds > self._latency:
            self.answered(seconds, now)


class Loaded(Protocol):
    """Whatever has a load."""

    @property
    def load(self) -> Load:
        """Its load."""
        ...


R = TypeVar("R", bound=Loaded)


def choose(among: Sequence[R], draw: Draw, now: float) -> R:
    """Return one of ``among``, which is not empty."""
    count = len(among)
    if count == 1:
        return among[0]
    first = draw(count)
    second = draw(count - 1)
    second += second >= first
    return lighter(among[first], among[second], now)


def lighter(one: R, other: R, now: float) -> R:
    """Return who has less to do, ``one`` where they are equal.

    Latencies that are alike count as equal: else a service with little to do would ask one replica only.
    """
    a, b = one.load, other.load
    slow_a, slow_b = a.latency(now), b.latency(now)
    if slow_a is None or slow_b is None or ALIKE * min(slow_a, slow_b) >= max(slow_a, slow_b):
        return one if a.in_flight <= b.in_flight else other
    return one if (a.in_flight + 1) * slow_a <= (b.in_flight + 1) * slow_b else other

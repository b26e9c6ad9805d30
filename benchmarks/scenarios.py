"""What is measured, who takes part, and the bars: all as tables.

A scenario runs its sides in turn (A, B, C, A, B, C, ...), so that whatever else the machine does
meets all of them alike. A bar compares medians of the rounds; ratios are taken round by round and
their median counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import sides
from benchmarks.sides import Side

LIMIT = "in-process limit"
OVERLOAD = 3.0
"""The ragged scenario offers so many times what first-come, pad-to-longest can do."""

Rounds = Mapping[str, Sequence[Mapping[str, Any]]]
"""Results by side, one for each round; empty where a side failed."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``kind``: ``load``, ``ragged``, ``start`` or ``memory``. ``metric`` is what is compared."""

    name: str
    title: str
    model: str
    connections: int
    sides: tuple[Side, ...]
    metric: str = "rate"
    kind: str = "load"
    limit: bool = False


_MOSEC = tuple(side for side in sides.PEERS if side.family == "mosec")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("T64", "4 -> 3 MLP of some microseconds, 64 connections, requests/s", "T", 64,
             (sides.CEILING, sides.INFERD, *sides.PEERS, sides.MOSEC_AS_IT_COMES)),
    Scenario("T1", "4 -> 3 MLP, 1 connection, median latency in ms", "T", 1,
             (sides.CEILING, sides.INFERD, *_MOSEC), "p50_ms"),
    Scenario("M16", "MiniLM-shaped transformer, 32 tokens, 16 connections, requests/s", "M", 16,
             (sides.INFERD, *sides.PEERS), limit=True),
    Scenario("C8", "ResNet-18-shaped network, images as npy, 8 connections, requests/s", "C", 8,
             (sides.INFERD, *sides.PEERS), limit=True),
    Scenario("ragged", "MiniLM-shaped transformer, sentences of 4..128 tokens, tokens/s", "R", 128,
             (sides.FIRST_COME, sides.INFERD), "units_rate", "ragged"),
    Scenario("start", "from the command to the first answer (T, nothing remembered), ms", "T", 1,
             (sides.INFERD,), "start_ms", "start"),
    Scenario("memory", "proportional set size of all processes, one idle instance (T), MB", "T", 1,
             (sides.INFERD,), "pss_mb", "memory"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that must hold: ``figure(rounds)`` against ``bound``."""

    scenario: str
    text: str
    figure: Callable[[Rounds], float | None]
    bound: float
    at_least: bool = True

    def holds(self, figure: float) -> bool:
        """Return whether ``figure`` meets the bar."""
        return figure >= self.bound if self.at_least else figure <= self.bound


def middle(rows: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Return the median of a metric over rounds, ``None`` where there are none."""
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return median(values) if values else None


def ratio(rounds: Rounds, over: str, metric: str = "rate") -> float | None:
    """Return the median over rounds of inferd's metric over another side's."""
    pairs = zip(rounds.get("inferd", ()), rounds.get(over, ()), strict=False)
    ratios = [ours[metric] / theirs[metric] for ours, theirs in pairs if theirs[metric]]
    return median(ratios) if ratios else None


def best(rounds: Rounds, family: str | None = None) -> str | None:
    """Return the fastest peer by median (of one family where named)."""
    names = [s.name for s in sides.PEERS if s.name in rounds and family in (None, s.family)]
    figures = {n: middle(rounds[n], "rate") for n in names}
    known = {n: f for n, f in figures.items() if f is not None}
    return max(known, key=lambda n: known[n]) if known else None


def _over_best(family: str | None) -> Callable[[Rounds], float | None]:
    def figure(rounds: Rounds) -> float | None:
        name = best(rounds, family)
        return ratio(rounds, name) if name else None

    return figure


def _over(side: str, metric: str = "rate") -> Callable[[Rounds], float | None]:
    return lambda rounds: ratio(rounds, side, metric)


def _behind_ceiling(rounds: Rounds) -> float | None:
    pairs = zip(rounds.get("inferd", ()), rounds.get(sides.CEILING.name, ()), strict=False)
    gaps = [ours["p50_ms"] - theirs["p50_ms"] for ours, theirs in pairs]
    return median(gaps) if gaps else None


def _own(metric: str) -> Callable[[Rounds], float | None]:
    return lambda rounds: middle(rounds.get("inferd", ()), metric)


BARS: tuple[Bar, ...] = (
    Bar("T64", "of the raw ceiling", _over(sides.CEILING.name), 0.65),
    Bar("T64", "times mosec's best", _over_best("mosec"), 1.5),
    Bar("T1", "ms behind the raw ceiling (p50)", _behind_ceiling, 0.1, at_least=False),
    Bar("M16", "of the in-process limit", _over(LIMIT), 0.95),
    Bar("M16", "times the best peer", _over_best(None), 1.0),
    Bar("C8", "of the in-process limit", _over(LIMIT), 0.95),
    Bar("ragged", "times first-come's tokens/s", _over(sides.FIRST_COME.name, "units_rate"), 2.0),
    Bar("start", "ms from command to first answer", _own("start_ms"), 1200, at_least=False),
    Bar("memory", "MB of all processes, idle", _own("pss_mb"), 110, at_least=False),
)

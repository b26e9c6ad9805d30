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
    """``kind``: ``load``, ``grpc``, ``ragged``, ``client``, ``turns``, ``together``, ``beside``, ``start`` or ``memory``.

    ``metric`` is what is compared. ``pool`` names what is sent where it is not the model's letter.
    ``streams``: calls at once on each connection (gRPC). ``ours``: the side that others are held
    against.
    """

    name: str
    title: str
    model: str
    connections: int
    sides: tuple[Side, ...]
    metric: str = "rate"
    kind: str = "load"
    limit: bool = False
    pool: str = ""
    streams: int = 0
    ours: str = "inferd"

    @property
    def sent(self) -> str:
        """The name of the pool that is sent."""
        return self.pool or self.model


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
    Scenario("B", "3x224x224 float32 in the binary form, 4 connections, requests/s", "B", 4,
             (*sides.BINARY_CEILINGS, sides.INFERD)),
    Scenario("J", "the same as JSON, infer requests, values flat, 4 connections, requests/s", "B", 4,
             (sides.INFERD, *sides.FASTAPI_JSON), pool="J"),
    Scenario("N", "the same as JSON, simple dialect, nested, 4 connections, requests/s", "B", 4,
             (sides.INFERD, *sides.FASTAPI_JSON), pool="N"),
    Scenario("G32", "4 -> 3 MLP over gRPC, 32 unary calls at once, calls/s", "T", 4,
             (sides.INFERD_GRPC, *sides.GRPC_PEERS), kind="grpc", pool="G", streams=8),
    Scenario("S32", "4 -> 3 MLP over gRPC, 32 streams, messages/s", "T", 4,
             (sides.INFERD_GRPC, *sides.STREAM_PEERS), kind="grpc", pool="S", streams=8),
    Scenario("ragged", "MiniLM-shaped transformer, sentences of 4..128 tokens, tokens/s", "R", 128,
             (sides.FIRST_COME, sides.INFERD), "units_rate", "ragged"),
    Scenario("P", "what a local step adds to its model, one request at a time, ms", "T", 1,
             (sides.FIVE_STEPS,), "step_ms", "turns", ours=sides.FIVE_STEPS.name),
    Scenario("P1", "pipelines of steps like T, 1 connection, median latency in ms", "T", 1,
             (sides.INFERD, sides.ONE_STEP, sides.FIVE_STEPS), "p50_ms", ours=sides.FIVE_STEPS.name),
    Scenario("R32", "M between two steps that change nothing, 32 connections, requests/s", "M", 32,
             (sides.SLOWEST, sides.THREE_SERVICES), ours=sides.THREE_SERVICES.name),
    Scenario("X64", "T behind NGINX, 64 connections, requests/s", "T", 64,
             (sides.INFERD, sides.NGINX), ours=sides.NGINX.name),
    Scenario("X1", "T behind NGINX, 1 connection, median latency in ms", "T", 1,
             (sides.INFERD, sides.NGINX), "p50_ms", ours=sides.NGINX.name),
    Scenario("G8", "SmolLM2-135M, 4-bit weights, 8 streamed answers of 64 tokens at once, tokens/s",
             "T", 8, (sides.INFERD,), kind="together"),
    Scenario("GC", "M, 1 connection: p99 beside an answer of 500 tokens over p99 alone", "M", 1,
             (sides.INFERD,), "ratio", "beside"),
    Scenario("start", "from the command to the first answer (T, nothing remembered), ms", "T", 1,
             (sides.INFERD,), "start_ms", "start"),
    Scenario("memory", "proportional set size of all processes, one idle instance (T), MB", "T", 1,
             (sides.INFERD,), "pss_mb", "memory"),
    Scenario("client", "4 -> 3 MLP, one call after the other in Python, median latency in ms", "T",
             1, sides.CLIENTS, "p50_ms", "client", ours="inferd.Client"),
    Scenario("client-B", "3x224x224 float32, one call after the other in Python, median latency "
             "in ms", "B", 1, sides.CLIENTS, "p50_ms", "client", ours="inferd.Client"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that must hold: ``figure(rounds)`` against ``bound``; without one it is reported."""

    scenario: str
    text: str
    figure: Callable[[Rounds], float | None]
    bound: float | None
    at_least: bool = True

    def holds(self, figure: float) -> bool:
        """Return whether ``figure`` meets the bar."""
        if self.bound is None:
            return True
        return figure >= self.bound if self.at_least else figure <= self.bound


def middle(rows: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Return the median of a metric over rounds, ``None`` where there are none."""
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return median(values) if values else None


def ratio(rounds: Rounds, over: str, metric: str = "rate", ours: str = "inferd") -> float | None:
    """Return the median over rounds of our side's metric over another side's."""
    pairs = zip(rounds.get(ours, ()), rounds.get(over, ()), strict=False)
    ratios = [mine[metric] / theirs[metric] for mine, theirs in pairs if theirs[metric]]
    return median(ratios) if ratios else None


_ALL = (*sides.PEERS, *sides.FASTAPI_JSON, *sides.GRPC_PEERS)


def best(rounds: Rounds, family: str | None = None) -> str | None:
    """Return the fastest peer by median (of one family where named)."""
    names = [s.name for s in _ALL if s.name in rounds and family in (None, s.family)]
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


def _behind(side: str, ours: str = "inferd") -> Callable[[Rounds], float | None]:
    def figure(rounds: Rounds) -> float | None:
        pairs = zip(rounds.get(ours, ()), rounds.get(side, ()), strict=False)
        gaps = [mine["p50_ms"] - theirs["p50_ms"] for mine, theirs in pairs]
        return median(gaps) if gaps else None

    return figure


def _own(metric: str) -> Callable[[Rounds], float | None]:
    return lambda rounds: middle(rounds.get("inferd", ()), metric)


def _each_step(rounds: Rounds) -> float | None:
    gap = _behind(sides.ONE_STEP.name, sides.FIVE_STEPS.name)(rounds)
    return None if gap is None else gap / 4


_CLIENT = _behind("raw connection", "inferd.Client")

BARS: tuple[Bar, ...] = (
    Bar("T64", "of the raw ceiling", _over(sides.CEILING.name), 0.65),
    Bar("T64", "times mosec's best", _over_best("mosec"), 1.5),
    Bar("T1", "ms behind the raw ceiling (p50)", _behind(sides.CEILING.name), 0.1, at_least=False),
    Bar("M16", "of the in-process limit", _over(LIMIT), 0.95),
    Bar("M16", "times the best peer", _over_best(None), 1.0),
    Bar("C8", "of the in-process limit", _over(LIMIT), 0.95),
    Bar("B", "of the raw ceiling", _over(sides.BINARY_CEILINGS[0].name), 0.9),
    Bar("J", "times FastAPI's best", _over_best("fastapi"), 2.0),
    Bar("N", "times FastAPI's best", _over_best("fastapi"), 2.0),
    Bar("G32", "times the best server of gRPC in Python", _over_best("grpc"), 1.0),
    Bar("S32", "times the best server of gRPC in Python", _over_best("grpc"), 1.0),
    Bar("ragged", "times first-come's tokens/s", _over(sides.FIRST_COME.name, "units_rate"), 2.0),
    Bar(
        "P",
        "ms that a local step adds to its model (p50)",
        lambda rounds: middle(rounds.get(sides.FIVE_STEPS.name, ()), "step_ms"),
        0.1,
        at_least=False,
    ),
    Bar("P1", "ms for each further step, its model's worker included (p50)", _each_step, None),
    Bar(
        "R32",
        "of the slowest service alone",
        lambda rounds: ratio(rounds, sides.SLOWEST.name, ours=sides.THREE_SERVICES.name),
        0.9,
    ),
    Bar(
        "X64",
        "of the server alone",
        lambda rounds: ratio(rounds, "inferd", ours=sides.NGINX.name),
        None,
    ),
    Bar("X1", "ms behind the server alone (p50)", _behind("inferd", sides.NGINX.name), None),
    Bar("G8", "of the same engine without a server", _own("of_engine"), 0.95),
    Bar("G8", "of the library's engine in a process", _own("of_library"), 0.95),
    Bar("G8", "times one answer alone", _own("of_alone"), 1.15),
    Bar(
        "G8",
        "times the first's time to first token, the last's",
        _own("last_of_first"),
        3.0,
        at_least=False,
    ),
    Bar("GC", "times the p99 alone", _own("ratio"), 1.5, at_least=False),
    Bar("start", "ms from command to first answer", _own("start_ms"), 1200, at_least=False),
    Bar("memory", "MB of all processes, idle", _own("pss_mb"), 110, at_least=False),
    Bar("client", "ms behind a raw connection (p50)", _CLIENT, None),
    Bar("client-B", "ms behind a raw connection (p50)", _CLIENT, None),
)

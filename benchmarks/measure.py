"""One measurement of one side: start it, wait for its first answer, load it, end it.

Every round starts its server afresh, so no round inherits another's luck, and nothing of the others
runs meanwhile.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson

from benchmarks import bodies, callers, grpcload, limit, sides
from benchmarks.process import ROOT, Failed, ask_http, free_port
from benchmarks.scenarios import OVERLOAD, Scenario
from benchmarks.sides import Side

IDLE_SECONDS = 3.0
FAST_POLL = 0.002


class Generator:
    """The load generator's process with one pool of requests; a context manager.

    ``kind``: the scenario's; ``grpc`` takes the generator of gRPC.
    """

    def __init__(self, pool: str, kind: str) -> None:
        self.pool = pool
        self.module = "benchmarks.grpcload" if kind == "grpc" else "benchmarks.load"
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.child = subprocess.Popen(
            [sys.executable, "-m", self.module, self.pool], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.child is not None:
            self.child.kill()
            self.child.communicate()

    def run(self, **job: Any) -> dict[str, Any]:
        """Run one job (see ``benchmarks.load``) and return its result."""
        assert self.child is not None
        assert self.child.stdin is not None
        self.child.stdin.write(orjson.dumps(job) + b"\n")
        self.child.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.child is not None
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            raise Failed("the load generator ended")
        row: dict[str, Any] = orjson.loads(line)
        return row


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a round measures and warms up, in seconds."""

    seconds: float = 3.0
    warm: float = 1.0


Measure = Callable[[], dict[str, Any]]
"""Measures once; raises ``Failed``."""


def load(side: Side, scenario: Scenario, generator: Generator, pace: Pace, rate: float) -> Measure:
    """Return a measurement under load; ``rate`` is offered openly, 0 is a closed loop."""

    def measure() -> dict[str, Any]:
        port = free_port()
        with side.start(scenario.model, port) as process:
            asked = grpcload.ask if scenario.kind == "grpc" else ask_http
            process.wait_for(port, bodies.probe(scenario.sent), ask=asked)
            row = generator.run(
                port=port, connections=scenario.connections, seconds=pace.seconds,
                warm=pace.warm, rate=rate, streams=scenario.streams,
            )  # fmt: skip
            if not row["rate"]:
                raise Failed(
                    f"no right answers ({row['refused']} refused, {row['broken']} broken, "
                    f"{row['wrong']} wrong): {process.last_words()}"
                )
        return row

    return measure


def in_process(scenario: Scenario, setting: limit.Setting, pace: Pace) -> Measure:
    """Return a measurement of the in-process limit."""

    def measure() -> dict[str, Any]:
        return {"rate": limit.measure(scenario.model, setting, pace.seconds)}

    return measure


def client(side: Side, scenario: Scenario, pace: Pace) -> Measure:
    """Return a measurement of calls in Python, one after the other."""

    def measure() -> dict[str, Any]:
        port = free_port()
        with side.start(scenario.model, port) as process:
            process.wait_for(port, callers.probe(scenario.model))
            return callers.measure(side.client, scenario.model, port, pace.seconds, pace.warm)

    return measure


def turns(pace: Pace) -> Measure:
    """Return a measurement of what a local step of a pipeline adds to its model."""

    def measure() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.turns", "5", str(pace.seconds), str(pace.warm)],
            cwd=ROOT, stdout=subprocess.PIPE, timeout=120 + pace.seconds, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"status {done.returncode}")
        row: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
        return row

    return measure


def generations(what: str, pace: Pace) -> Measure:
    """Return a measurement of generations: ``together``, or ``beside`` a classifier."""

    def measure() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.generations", what, str(pace.seconds)],
            cwd=ROOT, stdout=subprocess.PIPE, timeout=600 + 10 * pace.seconds, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"status {done.returncode}")
        row: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
        return row

    return measure


def start(side: Side, model: str) -> Measure:
    """Return a measurement of the time from spawning to the first 200, with no state kept."""

    def measure() -> dict[str, Any]:
        shutil.rmtree(sides.STATE, ignore_errors=True)
        port = free_port()
        begin = time.monotonic()
        with side.start(model, port) as process:
            process.wait_for(port, bodies.probe(model), pause=FAST_POLL)
            return {"start_ms": (time.monotonic() - begin) * 1e3}

    return measure


def memory(side: Side, model: str) -> Measure:
    """Return a measurement of the PSS of all processes, idle after one answer."""

    def measure() -> dict[str, Any]:
        port = free_port()
        with side.start(model, port) as process:
            process.wait_for(port, bodies.probe(model))
            time.sleep(IDLE_SECONDS)
            return {"pss_mb": process.pss_mb(), "processes": process.count()}

    return measure


def saturation(side: Side, scenario: Scenario, generator: Generator, pace: Pace) -> float:
    """Return the rate to offer in the ragged scenario: ``OVERLOAD`` times what ``side`` can do."""
    row = load(side, scenario, generator, pace, 0)()
    return float(row["rate"]) * OVERLOAD

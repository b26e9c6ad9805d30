"""What a step costs beyond its model: a pipeline beside the same models asked in turn, one request at a time.

Both ask the same loaded models, each in its worker, in this process and in turns, so whatever the machine
does meets both alike; the difference, by step, is what the pipeline adds. Every answer is compared.

Usage: ``python -m benchmarks.turns STEPS SECONDS WARM`` prints one result as JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import numpy as np
import orjson
import uvloop

from benchmarks import pipelines
from benchmarks.pool import TOLERANCE, run

DEADLINE = 10.0
INPUTS = 256

Call = Callable[[np.ndarray], Awaitable[np.ndarray]]


async def measure(steps: int, seconds: float, warm: float) -> dict[str, Any]:
    """Return the median latency of both in ms, and the difference by step."""
    from inferd.control.curves import CurveStore
    from inferd.control.loader import Loader, LoadSettings
    from inferd.control.models import Models
    from inferd.control.pipeline.loader import Pipelines
    from inferd.control.sources import read_specs
    from inferd.routing.table import RouteTable
    from inferd.scheduling.admission import QueueLimits

    folder = pipelines.steps(steps)
    table = RouteTable()
    loader = Loader(table, LoadSettings(), CurveStore(None))
    models = Models(loader, Pipelines(loader, QueueLimits()))
    try:
        for failure in await models.load_all(read_specs([str(folder)])):
            raise failure
        ways = {"pipeline": _one(table, folder.name), "in turn": _in_turn(table, steps)}
        return await _measured(ways, steps, seconds, warm)
    finally:
        await models.stop(1.0)


def _asked(table: Any, name: str, input: str, output: str) -> Call:
    from inferd.core.message import Request

    servable = table.resolve(name).servable

    async def call(x: np.ndarray) -> np.ndarray:
        answer = await servable(Request(name, {input: x}, deadline=time.monotonic() + DEADLINE))
        found: np.ndarray = answer.outputs[output]
        return found

    return call


def _one(table: Any, name: str) -> Call:
    return _asked(table, name, "x", "probabilities")


def _in_turn(table: Any, steps: int) -> Call:
    same, last = _asked(table, "s", "x", "same"), _asked(table, "t", "x", "probabilities")

    async def call(x: np.ndarray) -> np.ndarray:
        for _ in range(steps - 1):
            x = await same(x)
        return await last(x)

    return call


async def _measured(
    ways: dict[str, Call], steps: int, seconds: float, warm: float
) -> dict[str, Any]:
    rows = np.random.default_rng(14).uniform(-3, 3, (INPUTS, 1, 4)).astype(np.float32)
    expected = run("T", [{"x": row} for row in rows])
    taken: dict[str, list[float]] = {name: [] for name in ways}
    gaps: list[float] = []
    wrong, index, begin = 0, 0, time.monotonic()
    while (now := time.monotonic()) < begin + warm + seconds:
        x, last = rows[index % INPUTS], {}
        for name, call in ways.items():
            start = time.perf_counter()
            answer = await call(x)
            last[name] = time.perf_counter() - start
            wrong += bool(np.abs(answer[0] - expected[index % INPUTS]).max() > TOLERANCE)
        index += 1
        if now > begin + warm:
            gaps.append(last["pipeline"] - last["in turn"])
            for name, one in last.items():
                taken[name].append(one)
    return {
        "step_ms": median(gaps) / steps * 1e3, "answered": 2 * index, "wrong": wrong,
        **{f"{name} p50_ms": median(values) * 1e3 for name, values in taken.items()},
    }  # fmt: skip


def main() -> None:
    """Measure as the arguments say."""
    steps, seconds, warm = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(measure(steps, seconds, warm))) + b"\n")


if __name__ == "__main__":
    main()

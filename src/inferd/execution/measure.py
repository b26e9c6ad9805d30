"""Measuring the cost curve at load: what one run takes at growing batch sizes, and with threads.

At most ``BUDGET`` seconds. Points come from the runtime alone, on what it is given for the golden
request, repeated; the least of several runs each (the least is what the machine can do; the rest is
noise). What is too slow to measure here is learned from live batches. A model that says it takes
batches and fails on more than so many rows is given no more.
"""

from __future__ import annotations

import threading
import time

import numpy as np

from inferd.core.tensor import Tensors
from inferd.execution.executor import Curve
from inferd.execution.program import Program, check_rows

BUDGET = 0.3
LARGEST = 256
REPEATS = 20
PARALLEL_MIN = 0.0005


def measure(program: Program, inputs: Tensors, threads: int, budget: float = BUDGET) -> Curve:
    """Return the cost curve of a loaded program; its error on a single row passes through.

    ``inputs``: what its runtime is given for the golden request.
    """
    plan = program.chain.plan
    largest = LARGEST if plan.batched else 1
    if plan.max_batch is not None:
        largest = min(largest, plan.max_batch)
    end = time.perf_counter() + budget * 0.7
    points: list[tuple[int, float]] = []
    rows = 1
    cpu = 1.0
    ran: int | None = None
    while rows <= largest:
        batch = _repeat(inputs, rows) if plan.batched else inputs
        try:
            if plan.batched and rows > 1:
                check_rows(_run(program, batch), rows)
            # A quarter of what is left for each size: the smallest must not use up the budget.
            now = time.perf_counter()
            taken = _time(program, batch, now + (end - now) / 4)
        except Exception:
            if rows == 1:
                raise
            ran = rows // 2
            break
        points.append((rows, taken))
        if rows == 1:
            cpu = _cpu_share(program, batch, taken)
        if time.perf_counter() + 2.2 * taken > end or _flat(points):
            break
        rows *= 2
    best = max(points, key=lambda p: p[0] / p[1])
    parallel = 1.0
    if program.runtime.releases_gil and threads > 1 and best[1] >= PARALLEL_MIN:
        batch = _repeat(inputs, best[0]) if plan.batched else inputs
        parallel = _parallel(program, batch, best[1], threads, budget * 0.3)
    return Curve(tuple(points), parallel, threads, best[0], cpu, ran)


def _run(program: Program, inputs: Tensors) -> Tensors:
    """Run once, on copies where the model may change what it is given."""
    if program.runtime.keeps_inputs:
        inputs = {k: a.copy() for k, a in inputs.items()}
    return program.runtime.run(inputs)


def _repeat(inputs: Tensors, rows: int) -> Tensors:
    return {k: np.concatenate([a[:1]] * rows) for k, a in inputs.items()}


def _time(program: Program, inputs: Tensors, end: float) -> float:
    least = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        _run(program, inputs)
        now = time.perf_counter()
        least = min(least, now - start)
        if now + least > end:
            break
    return max(least, 1e-7)


def _flat(points: list[tuple[int, float]]) -> bool:
    """Whether the last two doublings gained under 3 % each."""
    if len(points) < 3:
        return False
    rates = [n / s for n, s in points[-3:]]
    return rates[1] < rates[0] * 1.03 and rates[2] < rates[1] * 1.03


def _cpu_share(program: Program, inputs: Tensors, taken: float) -> float:
    """Return CPU seconds per wall second of one run (a sleeping or remote model is near 0)."""
    if taken < 0.002:
        return 1.0
    cpu, wall = time.process_time(), time.perf_counter()
    _run(program, inputs)
    return (time.process_time() - cpu) / max(time.perf_counter() - wall, 1e-9)


def _parallel(
    program: Program, inputs: Tensors, taken: float, threads: int, budget: float
) -> float:
    runs = int(min(50, max(2, budget / taken / 1.5)))
    if runs * taken > 2 * budget:
        return 1.0
    barrier = threading.Barrier(threads + 1)

    def work() -> None:
        barrier.wait(5)
        for _ in range(runs):
            _run(program, inputs)

    crew = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in crew:
        thread.start()
    barrier.wait(5)
    start = time.perf_counter()
    for thread in crew:
        thread.join()
    return threads * runs * taken / max(time.perf_counter() - start, 1e-9)

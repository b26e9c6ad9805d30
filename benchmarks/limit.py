"""The in-process limit: what ONNX Runtime alone does on this machine with nothing around it.

Every split of the cores is tried - one session with all of them, several threads with a core each on
one session, several processes - with every batch that the scenario's connections could fill. The
best is the limit; the interleaved rounds then measure that one setting again and again.
Usage: ``python -m benchmarks.limit MODEL SECONDS BATCH INTRA THREADS`` prints items per second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

from benchmarks import bodies, models

TRIAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Setting:
    """``batch`` items a run; ``intra`` threads inside one; ``threads`` runs at once per process."""

    batch: int
    intra: int
    threads: int = 1
    processes: int = 1

    def __str__(self) -> str:
        return (
            f"batch {self.batch}, {self.intra} intra-op thread(s), {self.threads} run(s) at once, "
            f"{self.processes} process(es)"
        )


def candidates(connections: int, cores: int) -> list[Setting]:
    """Return every setting worth trying with ``connections`` requests in flight."""
    found = []
    for intra, threads, processes in ((cores, 1, 1), (1, cores, 1), (1, 1, cores)):
        batch = 1
        while batch * threads * processes <= connections:
            found.append(Setting(batch, intra, threads, processes))
            batch *= 2
    return found


def measure(model: str, setting: Setting, seconds: float) -> float:
    """Return items per second of ``setting``, in fresh processes."""
    command = [
        sys.executable, "-m", "benchmarks.limit", model, str(seconds), str(setting.batch),
        str(setting.intra), str(setting.threads),
    ]  # fmt: skip
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(setting.processes)
    ]
    return sum(float(child.communicate()[0]) for child in children)


def best(model: str, connections: int) -> tuple[Setting, float]:
    """Try all candidates once and return the best with its figure."""
    figures = {
        setting: measure(model, setting, TRIAL_SECONDS)
        for setting in candidates(connections, os.cpu_count() or 1)
    }
    winner = max(figures, key=lambda setting: figures[setting])
    return winner, figures[winner]


def feed(model: str, batch: int) -> dict[str, np.ndarray]:
    """Return one batch of inputs of model ``T``, ``M`` or ``C``."""
    rng = np.random.default_rng(4)
    if model == "T":
        return {"x": rng.standard_normal((batch, 4), np.float32)}
    if model == "C":
        return {"image": rng.standard_normal((batch, 3, 224, 224), np.float32)}
    ids = rng.integers(1, bodies.VOCABULARY, (batch, 32))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def run(model: str, seconds: float, setting: Setting) -> float:
    """Run ``setting`` in this process and return items per second."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.intra
    session = onnxruntime.InferenceSession(str(models.path(model)), options)
    inputs = feed(model, setting.batch)
    for _ in range(3):
        session.run(None, inputs)
    counts = [0] * setting.threads
    until = time.monotonic() + seconds

    def loop(index: int) -> None:
        while time.monotonic() < until:
            session.run(None, inputs)
            counts[index] += setting.batch

    start = time.monotonic()
    others = [threading.Thread(target=loop, args=(i,)) for i in range(1, setting.threads)]
    for thread in others:
        thread.start()
    loop(0)
    for thread in others:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def main() -> None:
    """Measure one setting given on the command line."""
    model, seconds, batch, intra, threads = sys.argv[1:6]
    setting = Setting(int(batch), int(intra), int(threads))
    print(run(model, float(seconds), setting))


if __name__ == "__main__":
    main()

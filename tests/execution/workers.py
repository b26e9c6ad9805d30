"""Real workers for tests: a Python model that misbehaves on demand, and an owner that listens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import textwrap
from pathlib import Path

import numpy as np

from inferd.execution.executor import Curve, Entry, Job, Name
from inferd.execution.layout import Layout
from inferd.execution.supervisor import Launch, ProcessExecutor
from inferd.repository.spec import ModelSpec

PATIENCE = 20.0
CURVE = Curve(((1, 0.0005), (2, 0.0005), (4, 0.0005), (8, 0.0005)), cpu=1.0)
"""A remembered curve: nothing is measured when a test's model loads."""

MODEL = '''
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from inferd import Model


class Probe(Model):
    """Doubles its input; the second column of a row says what else happens."""

    inputs = {"x": ("float32", [-1, 2])}
    outputs = {"y": ("float32", [-1])}

    def load(self, path):
        print("probe is loading", flush=True)
        mode = os.environ.get("PROBE_LOAD", "")
        if mode == "raise":
            raise ValueError("no such weights")
        if mode == "hang":
            time.sleep(600)
        if mode == "die":
            os._exit(7)
        if mode == "exit":
            sys.exit(3)

    def predict(self, x):
        x *= 1.0  # in place, as careless code does
        for value, order in x.tolist():
            if order == 1:
                raise ValueError(f"cannot take {value:g}")
            if order == 2:
                os.abort()
            if order == 3:
                time.sleep(value)
            if order == 4:
                print(f"seen {value:g}", flush=True)
            if order == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            if order == 6:
                sys.exit(4)
            if order == 7:
                os.close(int(os.environ["PROBE_FD"])) if "PROBE_FD" in os.environ else None
            if order == 8:
                time.sleep(0.05)
        x *= 2
        bad = (x[:, 1] == 18).nonzero()[0]
        if len(bad):
            raise ValueError(f"late: {x[bad[0], 0] / 2:g}")
        return x[:, 0]
'''
OK, RAISE, ABORT, SLEEP, PRINT, KILL, EXIT, PAUSE, LATE = 0, 1, 2, 3, 4, 5, 6, 8, 9


def probe_spec(directory: Path, source: str = MODEL, **changes) -> ModelSpec:
    """Write the model into ``directory`` and return its spec."""
    (directory / "probe.py").write_text(textwrap.dedent(source))
    given = {
        "name": "probe", "version": "1", "runtime": "python", "directory": directory,
        "options": {"class": "probe:Probe", "directory": str(directory)},
    }  # fmt: skip
    return ModelSpec(**{**given, **changes})


def launch(spec: ModelSpec, **changes) -> Launch:
    order = {"spec": spec.to_json(), "threads": 1, "cpus": 1}
    return Launch(**{"label": Name(spec.name, spec.version), "order": order, **changes})


class Ear:
    """An owner that writes down what it hears."""

    def __init__(self) -> None:
        self.outcomes = {}
        self.losses = []
        self.states = []
        self.ids = itertools.count(1)

    def finished(self, executor, job, outcome):
        self.outcomes[job.id] = (job, outcome)

    def lost(self, executor, started, waiting, loss):
        self.losses.append((loss, [j.id for j in started], [j.id for j in waiting]))

    def changed(self, executor):
        self.states.append(executor.state)

    def job(self, *rows, deadline=float("inf"), exclusive=False, budget=1000) -> Job:
        """Return a job of one entry for each (value, order) row."""
        layout = Layout(1, (), 1, 8)
        entries = [
            Entry({"x": np.array([row], np.float32)}, layout, None, deadline=deadline, enqueued=0.0)
            for row in rows
        ]
        job = Job(next(self.ids), entries, len(rows), exclusive=exclusive)
        job.budget = budget
        return job

    async def until(self, check, patience=PATIENCE):
        async with asyncio.timeout(patience):
            while not check():
                await asyncio.sleep(0.005)

    async def run(self, executor, *rows, **given):
        """Submit a job when there is room and return its outcome."""
        job = self.job(*rows, **given)
        await self.until(lambda: executor.room > 0)
        executor.submit(job)
        await self.until(lambda: job.id in self.outcomes)
        return self.outcomes[job.id][1]


def values(outcome):
    """Return the answers of an outcome, ``None`` where an entry failed."""
    from inferd.execution.blocks import each

    good = iter(each(outcome.blocks))
    return [
        None if i in outcome.errors else float(next(good)["y"][0])
        for i in range(len(outcome.status))
    ]  # fmt: skip


@contextlib.asynccontextmanager
async def probe(directory: Path, *, curve=CURVE, source=MODEL, run_timeout=10.0, slots=1,
                prefetch=0, spec=None, **changes):  # fmt: skip
    """Run one instance: yields (executor, ear)."""
    ear = Ear()
    spec = spec or probe_spec(directory, source)
    executor = ProcessExecutor(launch(spec, **changes), curve=curve)
    executor.configure(slots, prefetch, run_timeout)
    await executor.start(ear)
    try:
        yield executor, ear
    finally:
        await executor.stop(1.0)


def pid_of(executor) -> int:
    return executor.describe()["pid"]


def exists(pid: int) -> bool:
    """Whether a process is there (a zombie is)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

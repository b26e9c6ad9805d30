"""The ``inline`` executor: the model runs in this process, for embedding, notebooks and the edge.

A batch that takes under a millisecond runs on the event loop itself (a hop to a thread would cost
more than the model); a slower one runs in a thread, so that the loop goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from inferd.core.errors import InferdError
from inferd.core.tensor import Tensors
from inferd.execution.blocks import Block
from inferd.execution.engine import EngineLoop
from inferd.execution.executor import READY, STARTING, STOPPED, Curve, Job, Loaded, Owner
from inferd.execution.frames import Outcome, all_failed
from inferd.execution.loading import load_program
from inferd.execution.program import Program
from inferd.execution.spawn import usable_cpus
from inferd.execution.streams import ended
from inferd.execution.supervisor import Launch

THREAD_FROM = 0.001
STEP_SECONDS = 10.0
"""How long the step of an engine that is under way is waited for."""


class InlineExecutor:
    """One instance in this process. See ``executor.Executor`` for the interface."""

    def __init__(self, launch: Launch, index: int = 0, curve: Curve | None = None) -> None:
        self.index = index
        self.state = STARTING
        self.reason = "starting"
        self._launch = launch
        self._curve = curve
        self._owner: Owner | None = None
        self._program: Program | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._jobs: set[int] = set()
        self._slots = 1
        self._slow = True
        self._engine: EngineLoop | None = None
        self._streams: dict[int, Job] = {}

    async def start(self, owner: Owner) -> Loaded:
        """Load the model in a thread; raises ``InferdError``."""
        self._owner = owner
        loop = asyncio.get_running_loop()
        self._program, loaded = await loop.run_in_executor(None, self._load)
        points = loaded.curve.points
        self._slow = not points or points[-1][1] >= THREAD_FROM
        if loaded.streams:
            self._start_engine(loop)
        self.state, self.reason = READY, ""
        return loaded

    def _start_engine(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._program is not None
        runtime: Any = self._program.runtime

        def emit(key: int, piece: Tensors) -> None:
            loop.call_soon_threadsafe(self._piece, key, piece)

        def end(key: int, error: InferdError | None, seconds: float, pieces: int) -> None:
            loop.call_soon_threadsafe(self._ended, key, ended(error, seconds))

        self._engine = EngineLoop(self._program, runtime.engine(), emit, end)
        self._engine.start()

    def _piece(self, key: int, piece: Tensors) -> None:
        job = self._streams.get(key)
        stream = job.entries[0].stream if job is not None and job.entries else None
        if stream is not None and not stream.cancelled():
            stream.put({name: np.array(array) for name, array in piece.items()})

    def _ended(self, key: int, outcome: Outcome) -> None:
        job = self._streams.pop(key, None)
        if job is not None:
            self._finish(job, outcome)

    def _load(self) -> tuple[Program, Loaded]:
        order = self._launch.order
        return load_program(
            order["spec"], threads=order["threads"], curve=self._curve, cpus=usable_cpus()
        )

    def configure(self, slots: int, prefetch: int, run_timeout: float) -> None:
        """Set how many jobs run at once; an inline job can be neither prefetched nor killed."""
        self._slots = slots if self._slow or self._engine is not None else 1

    @property
    def running(self) -> int:
        """Jobs given and not answered."""
        return len(self._jobs)

    @property
    def room(self) -> int:
        """Jobs it takes now."""
        return self._slots - len(self._jobs) if self.state == READY else 0

    def submit(self, job: Job) -> None:
        """Run a job: here when the model is fast, else in a thread."""
        self._jobs.add(job.id)
        stream = job.entries[0].stream
        if stream is not None and self._engine is not None:
            (entry,) = job.entries
            self._streams[job.id] = job
            self._engine.add(job.id, stream.parameters, entry.deadline, entry.inputs)
            return
        loop = asyncio.get_running_loop()
        if not self._slow:
            loop.call_soon(self._finish, job, None)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._slots, thread_name_prefix="inferd-inline")
        future = loop.run_in_executor(self._pool, self._run, job)
        future.add_done_callback(lambda done: self._finish(job, done.result()))

    def _run(self, job: Job) -> Outcome:
        if self._program is None:
            raise RuntimeError("run before start. This is a bug.")
        blocks = [Block(1, e.inputs) for e in job.entries]
        try:
            outcome = self._program.run(
                blocks, [e.deadline for e in job.entries], job.budget, shared=True
            )
            if self._program.runtime.keeps_inputs:  # it may keep what it returned, too
                for block in outcome.blocks:
                    block.tensors = {k: np.array(a) for k, a in block.tensors.items()}
            return outcome
        except BaseException as error:  # a job must end, whatever happens
            failure = InferdError(f"the job failed: {type(error).__name__}: {error}")
            return all_failed(len(job.entries), failure)

    def _finish(self, job: Job, outcome: Outcome | None) -> None:
        if outcome is None:
            outcome = self._run(job)
        self._jobs.discard(job.id)
        if self._owner is not None:
            self._owner.finished(self, job, outcome)

    def spin(self, seconds: float) -> bool:
        """There is nobody to wait for: the model runs here."""
        return False

    def cancel(self, job: Job) -> None:
        """An inline job that has started cannot be taken back, unless it streams."""
        if self._engine is not None:
            self._engine.cancel(job.id)

    def taken(self, job: Job, count: int) -> None:
        """A client has taken ``count`` pieces of the answer to ``job``."""
        if self._engine is not None:
            self._engine.taken(job.id, count)

    def abandon(self, job: Job, message: str) -> None:
        """An inline job cannot be ended from outside."""

    def describe(self) -> Mapping[str, Any]:
        """Return state and load."""
        return {
            "index": self.index,
            "executor": "inline",
            "state": self.state,
            "reason": self.reason,
            "pid": os.getpid(),
            "restarts": {},
            "running": self.running,
            "slots": self._slots,
            "prefetch": 0,
        }

    async def stop(self, grace: float) -> None:
        """Wait for running jobs, then release the model."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while self._jobs and loop.time() < end:
            await asyncio.sleep(0.005)
        self.state, self.reason = STOPPED, "stopped"
        idle = self._engine is None or await asyncio.to_thread(self._engine.stop, STEP_SECONDS)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if self._program is not None and idle:  # never while it runs
            self._program.close()

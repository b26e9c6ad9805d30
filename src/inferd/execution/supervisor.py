"""The ``process`` executor: one instance, kept alive through a succession of worker processes.

States: starting -> ready -> (restarting -> ready)* -> stopped, or failed where the model cannot be
loaded again. Restart intensity counts only deaths before the first answered batch: a worker that
answered and then died is replaced at once, one that never gets that far is retried with growing
pauses, and after ``FAILURES_MAX`` such deaths the instance is ``failed`` (and still retried, slowly).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inferd.codecs.simple import SimpleCodec
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.execution import memory
from inferd.execution.executor import (
    FAILED,
    READY,
    RESTARTING,
    STARTING,
    STOPPED,
    Curve,
    Job,
    Loaded,
    Loss,
    Name,
    Owner,
)  # fmt: skip
from inferd.execution.frames import Outcome
from inferd.execution.process import WorkerProcess
from inferd.execution.spawn import spawn
from inferd.telemetry.logs import Log

log = Log("worker")

TICK = 0.25
FAILURES_MAX = 3
PAUSE_FIRST = 0.2
PAUSE_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What a worker of this instance is told to load: the LOAD order but for the cost curve."""

    label: Name
    order: Mapping[str, Any]
    threads: int = 1
    load_timeout: float = 120.0
    recycle_after: int | None = None
    memory_size: int = memory.DEFAULT_SIZE


class ProcessExecutor:
    """One supervised instance. See ``executor.Executor`` for the interface."""

    def __init__(
        self, launch: Launch, index: int = 0, clock: Clock = monotonic, curve: Curve | None = None
    ) -> None:
        self.index = index
        self.state = STARTING
        self.reason = "starting"
        self.restarts: dict[str, int] = {}
        self._launch = launch
        self._clock = clock
        self._curve = curve
        self._owner: Owner | None = None
        self._worker: WorkerProcess | None = None
        self._loading: set[WorkerProcess] = set()
        self._leaving: set[WorkerProcess] = set()  # until their process is reaped
        self._slots = 1
        self._prefetch = 0
        self._run_timeout = 10.0
        self._failures = 0
        self._stopping = False
        self._watch: asyncio.Task[None] | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._recycling = False
        self._exclusive = False

    async def start(self, owner: Owner) -> Loaded:
        """Spawn, load and supervise; raises ``InferdError`` when the first load fails."""
        self._owner = owner
        self._watch = asyncio.get_running_loop().create_task(self._supervise())
        try:
            worker, answer = await self._spawn()
            try:
                loaded = parse_loaded(answer)
            except (LookupError, TypeError, ValueError, AttributeError, InferdError) as error:
                worker.kill(Loss("broken", "answered LOAD with nonsense"))
                await worker.wait(1.0)
                told = error.message if isinstance(error, InferdError) else repr(error)
                raise InferdError(
                    f"model {self._launch.label}: its worker's answer to LOAD makes no sense: {told}"
                ) from None
        except BaseException as error:
            self._watch.cancel()
            self.state, self.reason = FAILED, str(error)
            raise
        self._curve = loaded.curve
        self._adopt(worker)
        return loaded

    async def start_codec(self, owner: Owner) -> None:
        """Start a worker that runs no model but codecs (its order has the kind ``codec``)."""
        self._owner = owner
        self._watch = asyncio.get_running_loop().create_task(self._supervise())
        worker, _ = await self._spawn()
        self._adopt(worker)

    def configure(self, slots: int, prefetch: int, run_timeout: float) -> None:
        """Set slots, prefetched jobs and the age (seconds) at which a job counts as stuck."""
        self._slots = max(1, min(slots, memory.SLOTS_MAX))
        self._prefetch = prefetch
        self._run_timeout = run_timeout
        if self._worker is not None:
            self._worker.set_slots(self._slots)

    @property
    def running(self) -> int:
        """Jobs given and not answered."""
        return len(self._worker.jobs) if self._worker is not None else 0

    @property
    def room(self) -> int:
        """Jobs it takes now."""
        if self._worker is None or self.state != READY or self._exclusive:
            return 0
        return self._slots + self._prefetch - len(self._worker.jobs)

    def submit(self, job: Job) -> None:
        """Send a job to the worker."""
        if self._worker is None:
            raise RuntimeError("submit without room. This is a bug.")
        self._worker.submit(job)
        self._exclusive = job.exclusive

    def spin(self, seconds: float) -> bool:
        """Wait for an answer for ``seconds`` at most, without leaving to the event loop."""
        return self._worker is not None and self._worker.spin(seconds)

    def cancel(self, job: Job) -> None:
        """Nobody waits for ``job`` any more."""
        for worker in (self._worker, *self._leaving):
            if worker is not None:
                worker.cancel(job)

    def taken(self, job: Job, count: int) -> None:
        """A client has taken ``count`` pieces of the answer to ``job``."""
        for worker in (self._worker, *self._leaving):
            if worker is not None:
                worker.taken(job, count)

    def abandon(self, job: Job, message: str) -> None:
        """A job all of whose requests are gone has run too long: replace the worker."""
        for worker in (self._worker, *self._leaving):
            if worker is not None and worker.started(job):
                worker.kill(Loss("stuck", message))
                return

    def describe(self) -> Mapping[str, Any]:
        """Return state, process id, resident memory, restarts and load."""
        worker = self._worker
        return {
            "index": self.index,
            "executor": "process",
            "state": self.state,
            "reason": self.reason,
            "pid": worker.pid if worker else None,
            "memory_bytes": worker.memory() if worker else None,
            "restarts": dict(self.restarts),
            "running": self.running,
            "slots": self._slots,
            "prefetch": self._prefetch,
        }

    async def stop(self, grace: float) -> None:
        """Let the worker finish within ``grace`` seconds, then end it."""
        self._stopping = True
        end = self._clock() + grace
        for task in (self._reviving, self._watch):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, InferdError):
                    await task
        workers = [w for w in (self._worker, *self._loading, *self._leaving) if w is not None]
        while any(w.jobs for w in workers) and self._clock() < end:
            await asyncio.sleep(0.005)
        for worker in workers:
            if not worker.gone:
                worker.unload()
        await asyncio.gather(*(w.wait(max(0.5, end - self._clock())) for w in workers))
        self.state, self.reason = STOPPED, "stopped"

    # -- inside -------------------------------------------------------------------------------

    async def _spawn(self) -> tuple[WorkerProcess, Mapping[str, Any]]:
        launch = self._launch
        loop = asyncio.get_running_loop()
        try:
            spawned = spawn(launch.threads, launch.memory_size)
        except OSError as error:
            raise InferdError(f"a worker process cannot be started: {error}") from None
        worker = WorkerProcess(spawned, launch.label, loop, self._clock, self._done, self._lost)
        worker.open()
        order = {**launch.order, "curve": self._curve.to_json() if self._curve else None}
        self._loading.add(worker)  # supervised while it loads, too
        try:
            answer = await worker.load(order, launch.load_timeout)
        except BaseException:
            worker.unload()
            worker.kill(Loss("load", "could not load"))
            await worker.wait(1.0)  # its last words reach the log first
            raise
        finally:
            self._loading.discard(worker)
        return worker, answer

    def _adopt(self, worker: WorkerProcess) -> None:
        old, self._worker = self._worker, worker
        self._exclusive = False
        worker.set_slots(self._slots)
        if old is not None:
            self._leaving.add(old)
        self.state, self.reason = READY, ""
        self._changed()

    def _done(self, job: Job, outcome: Outcome) -> None:
        if job.exclusive:
            self._exclusive = False
        self._failures = 0
        assert self._owner is not None
        self._owner.finished(self, job, outcome)
        after = self._launch.recycle_after
        worker = self._worker
        if after and worker and worker.answered >= after and not self._recycling:
            self._recycling = True
            self._reviving = asyncio.get_running_loop().create_task(self._recycle())

    def _lost(
        self, worker: WorkerProcess, loss: Loss, started: list[Job], waiting: list[Job]
    ) -> None:
        current = worker is self._worker
        if current:
            self._worker = None
            self._exclusive = False
            self._leaving.add(worker)
            if not worker.answered and (started or waiting or not loss.external):
                self._failures += 1
        self.restarts[loss.reason] = self.restarts.get(loss.reason, 0) + 1
        log.warning("worker lost", **self._launch.label.fields, pid=worker.pid, reason=loss.message)
        assert self._owner is not None
        if current and not self._stopping:
            self.state = FAILED if self._failures >= FAILURES_MAX else RESTARTING
            self.reason = loss.message
            if self._reviving is not None:
                self._reviving.cancel()  # a recycling that was under way
            self._reviving = asyncio.get_running_loop().create_task(self._revive())
        self._owner.lost(self, started, waiting, loss)
        self._changed()

    async def _revive(self) -> None:
        while True:
            if self._failures:
                await asyncio.sleep(min(PAUSE_MAX, PAUSE_FIRST * 2 ** (self._failures - 1)))
            try:
                worker, _ = await self._spawn()
            except Exception as error:  # whatever it was, an instance is never given up
                self._failures += 1
                self.reason = error.message if isinstance(error, InferdError) else repr(error)
                if self._failures >= FAILURES_MAX:
                    self.state = FAILED
                name = self._launch.label
                log.error(
                    "worker cannot be restarted", model=name.model, version=name.version,
                    reason=self.reason,
                )  # fmt: skip
                self._changed()
                continue
            self._adopt(worker)
            return

    async def _recycle(self) -> None:
        """Replace a worker that has answered enough, without a pause."""
        try:
            worker, _ = await self._spawn()
        except InferdError as error:
            log.warning("recycling failed", **self._launch.label.fields, reason=error.message)
        else:
            self.restarts["recycled"] = self.restarts.get("recycled", 0) + 1
            self._adopt(worker)
        finally:
            self._recycling = False

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for worker in (self._worker, *self._loading, *self._leaving):
                if worker is not None:
                    self._check(worker)

    def _check(self, worker: WorkerProcess) -> None:
        try:
            worker.check(self._run_timeout)
        except Exception as error:  # supervision must go on
            log.error("supervision failed", exc=error, model=str(self._launch.label))
        if worker in self._leaving:
            if worker.reaped:
                self._leaving.discard(worker)
            elif not worker.jobs and not worker.gone:
                worker.unload()

    def _changed(self) -> None:
        if self._owner is not None:
            self._owner.changed(self)


def parse_loaded(answer: Mapping[str, Any]) -> Loaded:
    """Build what a worker says of its model from the LOAD answer."""
    signature, plan = Signature.from_json(answer["signature"]), BatchPlan.from_json(answer["plan"])
    codec = SimpleCodec(signature, plan)
    golden = [codec.decode(body.encode()) for body in answer["golden"]]
    return Loaded(
        signature=signature,
        plan=plan,
        runtime=str(answer["runtime"]),
        runtime_version=str(answer["runtime_version"]),
        releases_gil=bool(answer["releases_gil"]),
        curve=Curve.from_json(answer["curve"]),
        load_seconds=float(answer["load_seconds"]),
        golden=tuple(t for g in golden for t in (g.rows or [g.inputs or {}])),
        model_signature=Signature.from_json(answer["model_signature"]),
        streams=bool(answer.get("streams")),
        sequences=int(answer["sequences"]) if answer.get("sequences") else None,
    )

"""One worker process as the front sees it: its jobs, its memory, its signs of life.

``WorkerProcess`` is one process from spawn to end; it never restarts. ``supervisor`` holds the
succession of processes that make one instance. All methods run on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np
import orjson

from inferd.core.clock import Clock
from inferd.core.errors import InferdError, ModelFileError, from_kind
from inferd.execution import frames, streams
from inferd.execution.blocks import FrameError
from inferd.execution.channel import Channel
from inferd.execution.executor import Job, Loss, Name
from inferd.execution.frames import Outcome
from inferd.execution.memory import SharedMemory
from inferd.execution.output import OutputReader
from inferd.execution.spawn import Spawned, cpu_seconds, describe_exit, memory_bytes
from inferd.telemetry.logs import Log

log = Log("worker")

SILENT = 2.0
MISSED = 0.75
SILENT_AT_START = 10.0  # until the first beat: a cold disk may hold up the interpreter itself
CPU_NOISE = 0.02
TRIM_EVERY = 2.0
LATE = 1.0
LEAVING_MAX = 5.0
ENDING_MAX = 0.2
_BEAT = struct.Struct("<QQ")


class WorkerProcess:
    """A running worker.

    ``on_done(job, outcome)`` per answered job; ``on_lost(worker, loss, started, waiting)`` once,
    unless the end was asked for with ``unload`` and no job was left.
    """

    def __init__(
        self,
        spawned: Spawned,
        label: Name,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        on_done: Callable[[Job, Outcome], None],
        on_lost: Callable[[WorkerProcess, Loss, list[Job], list[Job]], None],
    ) -> None:
        self.pid = spawned.process.pid
        self.label = label
        self.jobs: dict[int, Job] = {}
        self.answered = 0
        self.gone = False
        self.reaped = False
        self._spawned = spawned
        self._loop = loop
        self._clock = clock
        self._on_done = on_done
        self._on_lost = on_lost
        self._memory = SharedMemory(spawned.memory_fd, "inputs")
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._channel = Channel(spawned.sock, loop, self._frame, self._closed)
        self._outputs = (
            OutputReader(spawned.output, loop, self._said),
            OutputReader(spawned.errors, loop, self._complained),
        )
        self._loading: asyncio.Future[Mapping[str, Any]] | None = None
        self._expected = False
        self._leave_by = float("inf")
        self._greeted = False
        self._heard = clock()
        self._cpu: float | None = None
        self._last_job = 0.0
        self._steps = 0
        self._stepped = 0.0
        self._slots = 1
        self._last_check = clock()

    def open(self) -> None:
        """Start reading what the worker says."""
        os.close(self._spawned.memory_fd)
        self._channel.open()
        for output in self._outputs:
            output.open()
        if self._spawned.pidfd is not None:
            self._loop.add_reader(self._spawned.pidfd, self._exited)

    async def load(self, order: Mapping[str, Any], timeout: float) -> Mapping[str, Any]:
        """Load a model; returns the worker's answer. Raises ``InferdError``."""
        self._loading = self._loop.create_future()
        self._channel.send(frames.load_frame(order))
        try:
            answer = await asyncio.wait_for(self._loading, timeout)
        except TimeoutError:
            raise ModelFileError(
                f"model {self.label}: loading took longer than {timeout:g} s",
                help="raise load_timeout in model.yaml if the model is that large",
            ) from None
        finally:
            self._loading = None
        if "error" in answer:
            kind, message, help_ = answer["error"]
            raise from_kind(str(kind), str(message), help_)
        return answer

    def submit(self, job: Job) -> None:
        """Send a job."""
        data = self._written(job)
        self.jobs[job.id] = job
        job.submitted = self._last_job = self._clock()
        self._channel.send_bytes(data)

    def _written(self, job: Job) -> bytes:
        entries = job.entries
        stream = entries[0].stream
        if stream is not None:
            (entry,) = entries
            return frames.joined(
                streams.write_generate(job.id, stream.parameters, entry.deadline, entry.inputs)
            )
        deadlines = [e.deadline for e in entries]
        layout = entries[0].layout
        if all(e.layout is layout for e in entries):
            inputs = [e.inputs for e in entries]
            data = frames.write_alike(job.id, layout, inputs, deadlines, job.budget)
            if data is not None:
                return data
        told = [(e.layout if e.layout.key is not None else None, e.inputs) for e in entries]
        parts, spans = frames.write_add(job.id, told, deadlines, job.budget, self._memory.place)
        if spans:
            self._spans[job.id] = spans
        return frames.joined(parts)

    def started(self, job: Job) -> bool:
        """Return whether the worker says that it runs ``job``."""
        return not self.gone and job.id in self.jobs and job.id in self._memory.marks()

    def spin(self, seconds: float) -> bool:
        """Wait for an answer for ``seconds`` at most, without leaving to the event loop."""
        return self._channel.spin(seconds)

    def cancel(self, job: Job) -> None:
        """Say that nobody waits for a job any more."""
        if job.id in self.jobs:
            self._channel.send(frames.frame(frames.CANCEL, job.id, []))

    def taken(self, job: Job, count: int) -> None:
        """Say that ``count`` pieces of an answer were taken."""
        if job.id in self.jobs:
            job.submitted = self._clock()  # while it was held it did not run
            self._channel.send(streams.taken_frame(job.id, count))

    def set_slots(self, slots: int) -> None:
        """Allow ``slots`` jobs at once."""
        if slots != self._slots:
            self._slots = slots
            self._credit([])

    def _credit(self, offsets: list[int]) -> None:
        payload = struct.pack(f"<I{len(offsets)}Q", self._slots, *offsets)
        self._channel.send(frames.frame(frames.CREDIT, 0, [payload]))

    def _frame(self, kind: int, handle: int, payload: memoryview) -> None:
        self._heard = self._clock()
        self._cpu = None
        self._greeted = True
        if kind == frames.DONE:
            if handle == 0:
                self._loaded(payload)
            else:
                self._done(handle, payload)
        elif kind == frames.CHUNK:
            self._piece(handle, payload)
        elif kind == frames.END:
            self._ended(handle, payload)
        elif kind == frames.BEAT:
            self._beaten(payload)
        else:
            raise FrameError(f"a worker does not send {frames.KINDS[kind]}")

    def _loaded(self, payload: memoryview) -> None:
        if self._loading is None or self._loading.done():
            raise FrameError("a load nobody asked for")
        try:
            self._loading.set_result(orjson.loads(payload))
        except orjson.JSONDecodeError as error:
            raise FrameError(f"malformed load answer: {error}") from None

    def _done(self, handle: int, payload: memoryview) -> None:
        job = self.jobs.get(handle)
        if job is None:
            raise FrameError("an answer to a job that was never given")
        outcome, spans = frames.read_outcome(payload, len(job.entries), self._memory.view)
        if spans:  # copy before the worker may use the memory again
            for block in outcome.blocks:
                block.tensors = {k: np.array(a) for k, a in block.tensors.items()}
            self._credit([offset for offset, _ in spans])
        del self.jobs[handle]
        for offset, _ in self._spans.pop(handle, ()):
            self._memory.arena.release(offset)
        self.answered += len(job.entries)
        if len(self.jobs) >= self._slots:  # one that waited in the worker starts only now
            next(islice(self.jobs.values(), self._slots - 1, None)).submitted = self._heard
        self._on_done(job, outcome)

    def _beaten(self, payload: memoryview) -> None:
        try:
            _, steps = _BEAT.unpack(payload)
        except struct.error as error:
            raise FrameError(f"malformed BEAT frame: {error}") from None
        if steps != self._steps:
            self._steps, self._stepped = steps, self._heard

    def _piece(self, handle: int, payload: memoryview) -> None:
        job = self._streaming(handle)
        job.submitted = self._stepped = self._heard
        stream = job.entries[0].stream if job.entries else None
        if stream is not None and not stream.cancelled():
            stream.put(streams.read_chunk(payload))

    def _ended(self, handle: int, payload: memoryview) -> None:
        job = self._streaming(handle)
        outcome = streams.read_end(payload)
        self._stepped = self._heard
        del self.jobs[handle]
        self.answered += 1
        self._on_done(job, outcome)

    def _streaming(self, handle: int) -> Job:
        job = self.jobs.get(handle)
        if job is None or job.entries[0].stream is None:
            raise FrameError("a piece of an answer that was never asked for")
        return job

    def _said(self, text: str) -> None:
        log.info(text, **self.label.fields, pid=self.pid)

    def _complained(self, text: str) -> None:
        log.warning(text, **self.label.fields, pid=self.pid)

    # -- life and death ---------------------------------------------------------------------

    def check(self, run_timeout: float) -> None:
        """Look for signs of life, four times a second; kills a dead or stuck worker."""
        if self.gone:
            return
        now = self._clock()
        late = now - self._last_check > LATE
        self._last_check = now
        if late:  # this loop itself stood still: hear first what was said meanwhile
            self._heard = max(self._heard, now - SILENT / 2)
            return
        if now > self._leave_by:
            self.kill(Loss("stopped", "did not end when it was told to"))
            return
        limit = SILENT if self._greeted else SILENT_AT_START
        silence = now - self._heard
        if silence > limit and not self._has_worked():
            self.kill(Loss("dead", f"no heartbeat and no CPU time for {limit:g} s"))
            return
        if silence > MISSED and self._cpu is None:
            self._cpu = cpu_seconds(self.pid)  # what it uses from here on is a sign of life
        if self.jobs:
            oldest = min((self._since(j) for j in self.jobs.values() if not _held(j)), default=now)
            if now - oldest > run_timeout:
                self.kill(Loss("stuck", f"a batch ran longer than {run_timeout:g} s"))
                return
        elif now - self._last_job > TRIM_EVERY:
            self._memory.trim()

    def _since(self, job: Job) -> float:
        """Return when a job was last known to go on.

        Answers in pieces share the steps of one engine: each step shows that none of them is stuck, also one
        that gave this job nothing (it was another's turn, or part of a long prompt was read).
        """
        stream = job.entries[0].stream if job.entries else None
        return job.submitted if stream is None else max(job.submitted, self._stepped)

    def _has_worked(self) -> bool:
        used, before = cpu_seconds(self.pid), self._cpu
        if used is None or before is None or used - before <= CPU_NOISE:
            return False
        self._heard = self._clock()
        self._cpu = None
        return True

    def kill(self, loss: Loss) -> None:
        """End the process now; its jobs are lost."""
        with contextlib.suppress(ProcessLookupError):
            self._spawned.process.kill()
        self._finish(loss)

    def unload(self) -> None:
        """Ask the worker to end; to be called when it has no jobs."""
        self._expected = True
        self._leave_by = min(self._leave_by, self._clock() + LEAVING_MAX)
        self._channel.send(frames.frame(frames.UNLOAD, 0, []))

    async def wait(self, timeout: float) -> None:
        """Wait for the process to end, at most ``timeout`` seconds; then kill it."""
        end = self._clock() + timeout
        while self._spawned.process.poll() is None and self._clock() < end:
            await asyncio.sleep(0.005)
        if self._spawned.process.poll() is None:
            self._spawned.process.kill()
            await asyncio.get_running_loop().run_in_executor(None, self._spawned.process.wait)
        self._finish(Loss("stopped", "stopped"))
        self._reap()

    def _exited(self) -> None:
        self._channel.drain()  # its last answers
        self._end()

    def _closed(self, reason: str | None) -> None:
        if reason is not None:
            name = self.label
            log.error(
                "broke the worker protocol", model=name.model, version=name.version, reason=reason
            )
            self.kill(Loss("broken", f"broke the worker protocol: {reason}"))
        elif self._spawned.pidfd is None:
            self._end()
        else:  # its end is told by the process descriptor, at once unless it lives on
            self._loop.call_later(ENDING_MAX, self._end)

    def _end(self) -> None:
        if self.gone:
            return
        try:
            wait = 0 if self._spawned.pidfd is not None else ENDING_MAX
            status = self._spawned.process.wait(wait)
        except subprocess.TimeoutExpired:  # closed its socket, lives on: not ours to keep
            self.kill(Loss("dead", "the worker closed its socket"))
            return
        how = describe_exit(status)
        self._finish(Loss("dead", f"the worker {how}", external=status == -signal.SIGKILL))

    def _finish(self, loss: Loss) -> None:
        if self.gone:
            return
        self.gone = True
        marks = self._memory.marks()
        if self._spawned.pidfd is not None:
            self._loop.remove_reader(self._spawned.pidfd)
            os.close(self._spawned.pidfd)
        self._channel.close()
        self._loop.call_later(0.1, self._reap)
        jobs = list(self.jobs.values())
        self.jobs.clear()
        self._spans.clear()
        self._memory.close()
        if self._loading is not None and not self._loading.done():
            self._loading.set_exception(_load_failure(self.label, loss))
        if jobs or not self._expected:
            started = [j for j in jobs if j.id in marks]
            waiting = [j for j in jobs if j.id not in marks]
            self._on_lost(self, loss, started, waiting)

    def _reap(self) -> None:
        """Take the exit status and the last lines of output."""
        for output in self._outputs:
            if not output.closed:
                output.drain()
        if self._spawned.process.poll() is None:
            self._loop.call_later(0.1, self._reap)
        else:
            self.reaped = True

    def memory(self) -> int | None:
        """Return resident bytes, or ``None``."""
        return None if self.gone else memory_bytes(self.pid)


def _held(job: Job) -> bool:
    """Whether a job stands still because its client does not take what is there."""
    stream = job.entries[0].stream if job.entries else None
    return stream is not None and stream.full


def _load_failure(label: Name, loss: Loss) -> InferdError:
    return ModelFileError(
        f"model {label}: the worker ended while loading it: {loss.message}",
        help="the file may be corrupt, or the machine out of memory; see the log",
    )

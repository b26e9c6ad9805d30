"""The codec worker as the doors see it: ``await decode(...)`` and ``await encode(...)``.

Started with the first large body, ended after a quiet minute. Bounded in jobs and bytes; every
wait has the request's deadline. It is supervised like any worker; a body under which it is lost is
refused, not tried again, unless somebody else ended it (SIGKILL).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from inferd.codecs.base import Decoded, Encoded
from inferd.codecs.json import MAX_DEPTH
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import DeadlineExceeded, InferdError, InvalidInput, Overloaded, Unavailable
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors, nbytes
from inferd.execution.blocks import each
from inferd.execution.codecs import answer_from_wire, decoded_from_wire, pack, text
from inferd.execution.executor import FAILED, Entry, Executor, Job, Loss, Name
from inferd.execution.frames import Outcome
from inferd.execution.layout import Layout
from inferd.execution.supervisor import Launch, ProcessExecutor

JOBS_MAX = 64
BYTES_MAX = 256 << 20
IDLE = 60.0
RUN_TIMEOUT = 60.0
REPLAYS = 2
_ALONE = Layout(1, None, 1, 0)


class CodecPool:
    """Decodes and encodes large bodies in a worker process. Owner of that worker.

    ``max_depth``: how deep JSON may nest.
    """

    def __init__(self, clock: Clock = monotonic, max_depth: int = MAX_DEPTH) -> None:
        self._clock = clock
        self._max_depth = max_depth
        self._executor: ProcessExecutor | None = None
        self._starting: asyncio.Task[ProcessExecutor] | None = None
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._open = 0
        self._ids = itertools.count(1)
        self._idle: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None

    async def decode(
        self, door: str, body: bytes, signature: Signature, plan: BatchPlan, deadline: float
    ) -> Decoded:
        """Decode a request body; raises what the codec raises."""
        order = _order("decode", door, signature, plan)
        order["depth"] = self._max_depth
        inputs = {"order": text(order), "body": np.frombuffer(body, dtype=np.uint8)}
        return decoded_from_wire(await self._run(inputs, deadline))

    async def encode(
        self,
        door: str,
        outputs: Tensors | list[Tensors],
        signature: Signature,
        plan: BatchPlan,
        decoded: Decoded,
        model: str,
        version: str,
        deadline: float,
    ) -> bytes | Encoded:
        """Encode a response body; raises what the codec raises."""
        order = _order("encode", door, signature, plan)
        order.update(
            single=decoded.single, id=decoded.id, model=model, version=version, form=decoded.form
        )
        answer = await self._run({"order": text(order), **pack(outputs)}, deadline)
        return answer_from_wire(answer)

    async def _run(self, inputs: Tensors, deadline: float) -> Tensors:
        size = sum(nbytes(a) for a in inputs.values())
        if self._open >= JOBS_MAX or self._bytes + size > BYTES_MAX:
            raise Overloaded("too many large bodies are being read", retry_after=1.0)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Tensors] = loop.create_future()
        entry = Entry(
            inputs, _ALONE, future, deadline=deadline, enqueued=self._clock(), nbytes=size
        )
        self._open += 1
        self._bytes += size
        if self._idle is not None:
            self._idle.cancel()
        timeout = None if deadline == float("inf") else max(0.0, deadline - self._clock())
        try:
            async with asyncio.timeout(timeout):
                await self._ready()
                self._waiting.append(entry)
                self._dispatch()
                return await future
        except TimeoutError:
            raise DeadlineExceeded("the deadline passed while a large body was read") from None
        finally:
            future.cancel()
            self._open -= 1
            self._bytes -= size
            if not self._open:
                self._idle = loop.call_later(IDLE, self._retire)

    async def _ready(self) -> None:
        if self._executor is None:
            if self._starting is None:
                self._starting = asyncio.get_running_loop().create_task(self._start())
            await asyncio.shield(self._starting)

    async def _start(self) -> ProcessExecutor:
        executor = ProcessExecutor(Launch(Name("codecs"), {"kind": "codec"}), clock=self._clock)
        try:
            await executor.start_codec(self)
        finally:
            self._starting = None
        executor.configure(1, 1, RUN_TIMEOUT)
        self._executor = executor
        return executor

    def _dispatch(self) -> None:
        executor = self._executor
        while executor is not None and self._waiting and executor.room > 0:
            entry = self._waiting.popleft()
            if not entry.future.done():
                executor.submit(Job(next(self._ids), [entry], 1))

    def _retire(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            self._leaving = asyncio.get_running_loop().create_task(executor.stop(1.0))

    # -- owner of the worker ----------------------------------------------------------------------

    def finished(self, executor: Executor, job: Job, outcome: Outcome) -> None:
        """Answer one job."""
        (entry,) = job.entries
        if not entry.future.done():
            if outcome.errors:
                entry.future.set_exception(outcome.errors[0])
            else:
                entry.future.set_result(each(outcome.blocks)[0])
        self._dispatch()

    def lost(self, executor: Executor, started: list[Job], waiting: list[Job], loss: Loss) -> None:
        """Refuse what ran when the worker was lost; keep what only waited or is innocent."""
        again = [job.entries[0] for job in waiting]
        for job in started:
            (entry,) = job.entries
            if loss.external and entry.attempts < REPLAYS:
                entry.attempts += 1
                again.append(entry)
            else:
                _fail(entry, InvalidInput(f"the body could not be read: {loss.message}"))
        if self._executor is executor:
            self._waiting.extendleft(reversed(again))
        else:
            self._fail_all(again)

    def changed(self, executor: Executor) -> None:
        """Go on when the worker is back; refuse who waits when it cannot come back."""
        if executor.state == FAILED and executor is self._executor:
            self._fail_all(self._waiting)
            self._waiting.clear()
        self._dispatch()

    def _fail_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            _fail(entry, Unavailable("large bodies cannot be read now", retry_after=1.0))

    async def stop(self) -> None:
        """End the worker and refuse who waits for it."""
        if self._idle is not None:
            self._idle.cancel()
        if self._starting is not None:
            self._starting.cancel()
        executor, self._executor = self._executor, None
        self._fail_all(self._waiting)
        self._waiting.clear()
        if executor is not None:
            await executor.stop(1.0)
        if self._leaving is not None:
            await self._leaving


def _order(op: str, door: str, signature: Signature, plan: BatchPlan) -> dict[str, Any]:
    return {"op": op, "codec": door, "signature": signature.to_json(), "plan": plan.to_json()}


def _fail(entry: Entry, error: InferdError) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)

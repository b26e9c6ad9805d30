"""The batched model: the servable that joins validation, batcher and executors.

A request of more rows than one turn should take is run in parts, two at a time, so that a large
request neither blocks others nor waits for them.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from inferd.core.errors import InferdError, InvalidInput
from inferd.core.message import Request, Response, Timings
from inferd.core.plan import BatchPlan
from inferd.core.servable import Promise, answer_all
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors
from inferd.execution.executor import Entry
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.costs import part_rows
from inferd.scheduling.parts import join, no_rows, split
from inferd.scheduling.validate import Validator

WINDOW = 2


class BatchedModel:
    """Answers requests of one model version through its batcher. A ``Direct`` servable."""

    def __init__(
        self, model: str, version: str, signature: Signature, plan: BatchPlan, batcher: Batcher
    ) -> None:
        self.model = model
        self.version = version
        self.batcher = batcher
        self._validator = Validator(signature, plan)
        self._signature = signature
        self._batched = plan.batched
        self._most = plan.max_batch
        self._loop = asyncio.get_running_loop()
        self._part_limit = 0
        self._part_rows = 1

    def begin(
        self, inputs: Tensors, promise: Promise, deadline: float, priority: int, id: str
    ) -> Entry | None:
        """Admit a request that is one entry; ``None`` for one of no rows or of many parts."""
        layout = self._validator.layout(inputs)
        rows, batcher = layout.rows, self.batcher
        if not rows or (rows > batcher.limit and self._batched and rows > self._rows_at_once()):
            return None
        nbytes, length = self._validator.measure(inputs, layout)
        entry = Entry(
            inputs, layout, promise, deadline=deadline, enqueued=0.0, priority=priority,
            nbytes=nbytes, length=length, id=id,
        )  # fmt: skip
        batcher.submit(entry)
        return entry

    def timings(self, handle: Entry) -> Timings:
        """Return the timings of a request that was answered."""
        began = handle.enqueued
        timings = Timings(queue=handle.dispatched - began, began=began)
        job = handle.job
        if job is not None and job.outcome is not None:
            timings.batch = job.outcome.batch
            timings.run = job.outcome.run
            timings.batch_size = job.rows
        return timings

    def abandon(self, handle: Entry) -> None:
        """Forget a request whose client is gone."""
        self.batcher.cancel(handle)

    async def __call__(self, request: Request) -> Response:
        """Answer one request; raises ``InferdError``."""
        future: asyncio.Future[Tensors] = self._loop.create_future()
        entry = self.begin(request.inputs, future, request.deadline, request.priority, request.id)
        if entry is None:
            if self._validator.layout(request.inputs).rows:
                return await self._in_parts(request, request.inputs)
            return Response(
                self.model, self.version, no_rows(self._signature, request.inputs), Timings()
            )
        try:
            outputs = await future
        except asyncio.CancelledError:
            self.batcher.cancel(entry)
            raise
        except InferdError:
            del entry, future  # the future holds the error, whose traceback holds this frame
            raise
        if request.outputs is not None:
            outputs = chosen(outputs, request.outputs)
        return Response(self.model, self.version, outputs, self.timings(entry))

    def _rows_at_once(self) -> int:
        limit = self.batcher.limit
        if self._part_limit != limit:
            self._part_limit = limit
            self._part_rows = part_rows(self.batcher.costs, limit, self._most)
        return self._part_rows

    async def _in_parts(self, request: Request, inputs: Tensors) -> Response:
        parts = [replace(request, inputs=p) for p in split(inputs, self._rows_at_once())]
        answers = await answer_all(self, parts, WINDOW)
        outputs = join([a.outputs for a in answers])
        timings = Timings(
            queue=answers[0].timings.queue,
            batch=sum(a.timings.batch for a in answers),
            run=sum(a.timings.run for a in answers),
            batch_size=max(a.timings.batch_size for a in answers),
            began=answers[0].timings.began,
        )
        return Response(self.model, self.version, outputs, timings)


def chosen(outputs: Tensors, names: tuple[str, ...]) -> Tensors:
    """Return the outputs asked for; raises ``InvalidInput`` for a name that is none."""
    missing = [n for n in names if n not in outputs]
    if missing:
        raise InvalidInput(
            f"unknown output {missing[0]!r}", help="outputs: " + ", ".join(sorted(outputs))
        )
    return {n: outputs[n] for n in names}

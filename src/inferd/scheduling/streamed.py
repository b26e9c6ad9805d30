"""The streamed model: the servable of a model that answers in pieces.

A request is one job of its own for as long as it is generated; how requests share a step is the
engine's matter. Queue, admission, deadlines, replay (until the first piece) and supervision are those
of every model: they are the batcher's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.message import Request, Response, Timings
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors
from inferd.execution.executor import Entry
from inferd.execution.streams import Stream
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.validate import Validator

SEQUENCES = 8
"""Requests that one instance generates for at once, where neither class nor ``model.yaml`` says."""


class StreamedModel:
    """Answers requests of one model version through its batcher. A ``Servable``."""

    def __init__(
        self, model: str, version: str, signature: Signature, plan: BatchPlan, batcher: Batcher
    ) -> None:
        self.model = model
        self.version = version
        self.batcher = batcher
        self._validator = Validator(signature, plan)

    async def __call__(self, request: Request) -> Response:
        """Begin to answer one request; raises ``InferdError`` where it is refused."""
        layout = self._validator.layout(request.inputs)
        if layout.rows != 1:
            raise InvalidInput(
                f"a model that streams answers one example at a time, got {layout.rows}",
                help="send each in a request of its own",
            )
        nbytes, _ = self._validator.measure(request.inputs, layout)
        stream = Stream(request.parameters)
        entry = Entry(
            request.inputs, layout, stream, deadline=request.deadline, enqueued=0.0,
            priority=request.priority, nbytes=nbytes, id=request.id, stream=stream,
        )  # fmt: skip
        self.batcher.submit(entry)
        timings = Timings(batch_size=1)
        return Response(
            self.model, self.version, {}, timings,
            Pieces(self.batcher, entry, stream, timings, request.outputs),
        )  # fmt: skip


class Pieces:
    """The pieces of one answer. Closing it before the end stops the generation."""

    def __init__(
        self,
        batcher: Batcher,
        entry: Entry,
        stream: Stream,
        timings: Timings,
        outputs: tuple[str, ...] | None,
    ) -> None:
        self._batcher = batcher
        self._entry = entry
        self._stream = stream
        self._timings = timings
        self._outputs = outputs
        self._closed = False
        stream.taken = self._taken

    def _taken(self, count: int) -> None:
        self._batcher.taken(self._entry, count)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> Tensors:
        if self._closed:
            raise StopAsyncIteration
        try:
            piece = await self._stream.next()
        except BaseException:
            await self.aclose()
            raise
        if piece is None:
            await self.aclose()
            raise StopAsyncIteration
        if not self._timings.queue:
            entry, timings = self._entry, self._timings
            timings.began = entry.enqueued
            timings.queue = max(0.0, entry.dispatched - entry.enqueued)
        return piece if self._outputs is None else self._chosen(piece, self._outputs)

    def _chosen(self, piece: Tensors, names: tuple[str, ...]) -> Tensors:
        return {name: piece[name] for name in names if name in piece}

    async def aclose(self) -> None:
        """Stop waiting; the generation ends before its next step where it still goes on."""
        if self._closed:
            return
        self._closed = True
        entry = self._entry
        if not self._stream.done():
            self._batcher.cancel(entry)
            return
        job = entry.job
        if job is not None and job.outcome is not None:
            self._timings.run = job.outcome.run


async def first_of(pieces: AsyncIterator[Tensors]) -> Tensors:
    """Return the first piece of an answer and stop it; raises ``ModelFailed`` where there is none."""
    try:
        async for piece in pieces:
            return piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
    raise ModelFailed("the model ended its answer before the first piece")

"""One question of a step to a servable: by promise where that will do, else in a task of its own.

Whoever asks is told once, from the event loop and never from within the servable's own code, so that an
answer may at once be the next step's request. A question that was dropped is never told: the servable
is asked to stop, and not waited for, as it may not heed that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from inferd.core.errors import Cancelled
from inferd.core.message import Parameters, Request, Timings, completed, joined
from inferd.core.servable import Direct, Servable
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors
from inferd.core.trace import Trace
from inferd.scheduling.model import BatchedModel
from inferd.scheduling.steps import InlineStep, WorkerStep

_LEAVES = (BatchedModel, WorkerStep, InlineStep)


class Asker(Protocol):
    """Who waits for an answer."""

    def answered(self, ask: Ask, outputs: Tensors) -> None:
        """Hear of the outputs; ``ask.timings`` are those of the answer."""
        ...

    def refused(self, ask: Ask, error: Exception) -> None:
        """Hear of the error."""
        ...

    def broke(self, error: Exception) -> None:
        """Hear of what was raised while hearing of the others: a bug here."""
        ...


class Sink(Protocol):
    """Where the pieces of a streamed answer go. ``opened``: one has begun."""

    opened: bool

    def open(self) -> None:
        """Hear that the answer has begun."""
        ...

    async def put(self, piece: Tensors) -> None:
        """Take a piece; returns when there is room for another."""
        ...


@dataclass(slots=True, eq=False)
class Terms:
    """What the questions of a step have in common; ``tasks`` holds those that are under way.

    ``sink``: where a streamed answer goes; without it, pieces are collected. ``keep``: they are in any case.
    ``answer``: what an answer in pieces holds, though none of them does.
    """

    model: str
    version: str | None
    outputs: tuple[str, ...] | None
    parameters: Parameters
    id: str
    deadline: float
    priority: int
    trace: Trace | None
    loop: asyncio.AbstractEventLoop
    tasks: set[asyncio.Task[None]]
    sink: Sink | None = None
    keep: bool = False
    answer: Callable[[], Signature] | None = None

    def whole(self, pieces: list[Tensors]) -> Tensors:
        """Return an answer in pieces as one."""
        outputs = joined(pieces)
        return outputs if self.answer is None else completed(outputs, self.answer())

    def request(self, inputs: Tensors) -> Request:
        """Return the request to the servable."""
        return Request(
            self.model, inputs, self.version, self.outputs, self.parameters, self.id, self.deadline,
            self.priority, self.trace,
        )  # fmt: skip


class Ask:
    """A question that was asked. A ``core.servable.Promise``."""

    __slots__ = (
        "_asker", "_begun", "_gone", "_handle", "_loop", "_result", "_servable", "_task", "index", "timings",
    )  # fmt: skip

    def __init__(self, asker: Asker, index: int = 0) -> None:
        self.index = index
        self.timings: Timings | None = None
        self._asker: Asker | None = asker
        self._servable: Servable | None = None
        self._handle: Any = None
        self._task: asyncio.Task[None] | None = None
        self._result: Tensors | Exception | None = None
        self._begun = False
        self._gone = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, servable: Servable, inputs: Tensors, terms: Terms) -> None:
        """Ask; whoever asks may be told before this returns."""
        # Only who is asked in full hears of trace and parameters; those below have no use for them.
        if not (terms.trace or terms.parameters or terms.sink) or type(servable) in _LEAVES:
            begin = getattr(servable, "begin", None)
            if begin is not None and self._by_promise(begin, servable, inputs, terms):
                return
        task = terms.loop.create_task(self._call(servable, inputs, terms))
        self._task = task
        terms.tasks.add(task)
        task.add_done_callback(terms.tasks.discard)

    def _by_promise(self, begin: Any, servable: Servable, inputs: Tensors, terms: Terms) -> bool:
        self._servable, self._loop = servable, terms.loop
        try:
            handle = begin(inputs, self, terms.deadline, terms.priority, terms.id)
        except Exception as error:
            self._tell(error)
            return True
        if handle is None:
            return False
        if self._gone:
            cast("Direct", servable).abandon(handle)
            return True
        self._handle = handle
        self._begun = True
        if self._result is not None:
            self._settled()
        return True

    # -- the promise ----------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether it was settled or dropped."""
        return self._gone or self._result is not None

    def cancelled(self) -> bool:
        """Whether it was dropped."""
        return self._gone

    def cancel(self) -> bool:
        """Give up; whether that was news. A servable that gives up by itself has refused."""
        news = not self.done()
        if news:
            self.set_exception(Cancelled("it was cancelled"))
        return news

    def set_result(self, result: Tensors, /) -> None:
        """Settle with outputs."""
        self._settle(result)

    def set_exception(self, exception: Exception, /) -> None:
        """Settle with an error."""
        self._settle(exception)

    def _settle(self, result: Tensors | Exception) -> None:
        if self.done():
            return
        self._result = result
        # Within ``begin`` it is told once the handle is there; later, in a turn of the loop of its own, for
        # here others of the same batch still wait for their answers.
        if self._begun and self._loop is not None:
            self._loop.call_soon(self._settled)

    def _settled(self) -> None:
        result, handle, servable = self._result, self._handle, self._servable
        if self._gone or result is None:
            return
        self._handle = self._servable = None
        if isinstance(result, Exception):
            self._tell(result)
            return
        self.timings = cast("Direct", servable).timings(handle)
        self._tell(result)

    def _tell(self, result: Tensors | Exception) -> None:
        """Tell whoever asks, once; they hold this and this holds them, so that ends here."""
        asker, self._asker, self._result = self._asker, None, None
        self._gone = True
        if asker is None:
            return
        try:
            if isinstance(result, Exception):
                asker.refused(self, result)
            else:
                asker.answered(self, result)
        except Exception as error:  # nobody above waits: the request would only end by its deadline
            asker.broke(error)

    # -- the task -------------------------------------------------------------------------------

    async def _call(self, servable: Servable, inputs: Tensors, terms: Terms) -> None:
        try:
            response = await servable(terms.request(inputs))
            outputs = response.outputs
            if response.chunks is not None:
                outputs = await self._pieces(response.chunks, terms)
        except asyncio.CancelledError:
            self._tell(Cancelled("it was cancelled"))  # unheard where it was dropped
            raise
        except Exception as error:
            self._tell(error)
        else:
            self.timings = response.timings
            self._tell(outputs)

    async def _pieces(self, chunks: AsyncIterator[Tensors], terms: Terms) -> Tensors:
        """Collect a streamed answer, hand its pieces on, or both. The generation ends with this."""
        kept: list[Tensors] = []
        sink, keep = terms.sink, terms.keep
        try:
            if self._gone:  # its cancellation was swallowed
                return {}
            if sink is None:
                return terms.whole([piece async for piece in chunks])
            sink.open()
            async for piece in chunks:
                if keep:
                    kept.append(piece)
                await sink.put(piece)
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        return terms.whole(kept) if keep else {}

    def drop(self) -> None:
        """Nobody waits any more: what was asked is told so."""
        if self._gone:
            return
        answered = self._result is not None  # in this very turn
        self._gone = True
        self._asker = self._result = None
        task, handle, servable = self._task, self._handle, self._servable
        self._task = self._handle = self._servable = None
        if task is not None:
            task.cancel()
        elif handle is not None and not answered:
            cast("Direct", servable).abandon(handle)

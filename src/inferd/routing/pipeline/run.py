"""The pipeline: a servable that answers a request by asking those of its steps.

A request is admitted once, for the whole way: what its later steps ask goes before new requests
(``core.message.ADMITTED``) and is not refused for the length of a queue; so that is bounded here. One
example runs the graph once (``flow``); several run it once together where every step takes rows as they
are (``PipelinePlan.straight``), else once for each, a bounded number at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError, InvalidParameter, nearest
from inferd.core.message import ADMITTED, Parameters, Request, Response, Timings
from inferd.core.servable import Promise, Servable, answer_all
from inferd.core.tensor import Tensors
from inferd.routing.pipeline.execute.flow import Asked, Course, Flow
from inferd.routing.pipeline.execute.gate import Gate
from inferd.routing.pipeline.execute.wiring import wired
from inferd.routing.pipeline.plan import PipelinePlan
from inferd.scheduling.admission import QueueLimits
from inferd.scheduling.parts import join, no_rows, split
from inferd.scheduling.validate import Validator

ROWS_AT_ONCE = 16
ROWS_TOLD = 64
"""Rows of one request whose steps are told one by one; there may be many thousands."""

Answer = Callable[[Flow, "asyncio.Future[Tensors]"], Awaitable[Response]]

Bind = Callable[[], Mapping[str, Servable]]
"""Gives the servable of every step by its name, and the model of a fallback under ``step!fallback``.

Called once for each request, which keeps the versions that it was given. Raises ``Unavailable``, naming
the step, where one does not serve; for a step with a fallback it gives a servable that raises it.
"""

AnswerObserver = Callable[[int, Timings], None]
"""Hears of every answer: its rows, and its timings. Must be cheap and never raise."""


class StepObserver(Protocol):
    """Hears of every step that ended (metrics). Must be cheap and never raise."""

    def __call__(self, step: str, seconds: float, kind: str | None, skipped: bool, /) -> None:
        """``kind``: of the step's error, ``None`` where it answered.

        A step that falls back on a model ends twice: once with its error, once as ``step!fallback``.
        """
        ...


class Pipeline:
    """Answers requests of one version of a pipeline. A ``Direct`` servable."""

    def __init__(
        self,
        name: str,
        version: str,
        plan: PipelinePlan,
        bind: Bind,
        *,
        limits: QueueLimits,
        clock: Clock = monotonic,
        observe: StepObserver | None = None,
        answered: AnswerObserver | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:
        self.model = name
        self.version = version
        self.plan = plan
        self.gate = Gate(limits)
        self._bind = bind
        self._clock = clock
        self._answered = answered
        self._rows_at_once = rows_at_once
        self._validator = Validator(plan.signature, plan.batch)
        self._course = Course(wired(plan), clock, observe, set())

    @property
    def running(self) -> int:
        """Requests under way."""
        return self.gate.entries

    @property
    def busy(self) -> bool:
        """Whether requests are under way, or what they asked has not ended yet."""
        return bool(self.gate.entries or self._course.tasks)

    # -- without a coroutine (``core.servable.Direct``) -------------------------------------------

    def begin(
        self, inputs: Tensors, promise: Promise, deadline: float, priority: int, id: str
    ) -> Flow | None:
        """Admit a request that runs the graph once; ``None`` for any other."""
        rows = self._validator.layout(inputs).rows
        if self.plan.streams is not None or not self._at_once(rows):
            return None
        asked = Asked(deadline, priority, id, {})
        return self._enter(inputs, rows, asked, promise)

    def timings(self, handle: Flow) -> Timings:
        """Return the timings of a request that was answered."""
        return handle.timings

    def abandon(self, handle: Flow) -> None:
        """Forget a request whose client is gone."""
        handle.drop()

    # -- the plain call ---------------------------------------------------------------------------

    async def __call__(self, request: Request) -> Response:
        """Answer one request; raises ``InferdError`` that names the step which failed."""
        inputs = request.inputs
        rows = self._validator.layout(inputs).rows
        _check(request.parameters, self.plan.signature.parameters)
        if not rows:
            return self._response(no_rows(self.plan.signature, inputs), Timings())
        if self._at_once(rows):
            return await self._once(request, rows)
        return await self._by_rows(request, rows)

    def _at_once(self, rows: int) -> bool:
        """Whether a request runs the graph once."""
        return rows == 1 or (rows > 1 and self.plan.straight)

    async def _once(self, request: Request, rows: int) -> Response:
        future: asyncio.Future[Tensors] = asyncio.get_running_loop().create_future()
        flow = self._enter(request.inputs, rows, _asked(request, pieces=True), future)
        return await self._answer(flow, future)

    async def _by_rows(self, request: Request, rows: int) -> Response:
        """Run the graph for each row; the first error ends the others."""
        most, gate = self._rows_at_once, self.gate
        nbytes = self._nbytes(request.inputs)
        admitted = request.priority == ADMITTED
        gate.enter(nbytes, self._clock(), request.deadline, admitted=admitted)
        try:
            servables = self._bind()
            parts = [
                # Those that begin when others have ended are of a request that is well on its way.
                replace(request, inputs=part, priority=request.priority if i < most else ADMITTED)
                for i, part in enumerate(split(request.inputs, 1))
            ]
            answers = await answer_all(_Row(self._course, servables, self._answer), parts, most)
        finally:
            gate.leave(nbytes, self._clock())
        timings = _longest(answers)
        if self._answered is not None:
            self._answered(rows, timings)
        return self._response(join([a.outputs for a in answers]), timings)

    async def _answer(self, flow: Flow, future: asyncio.Future[Tensors]) -> Response:
        try:
            outputs = await future
        except asyncio.CancelledError:
            flow.drop()
            if future.done() and not future.cancelled():
                future.exception()  # settled in this very turn: nobody else will look
            raise
        except InferdError:
            del flow, future  # the future holds the error, whose traceback holds this frame
            raise
        stream = flow.sink
        response = self._response(outputs, flow.timings)
        if stream is not None and stream.opened:
            response.chunks = stream
        return response

    def _response(self, outputs: Tensors, timings: Timings) -> Response:
        return Response(self.model, self.version, outputs, timings)

    def _enter(self, inputs: Tensors, rows: int, asked: Asked, promise: Promise) -> Flow:
        """Admit a request that runs the graph once, and begin; raises the refusal."""
        nbytes = self._nbytes(inputs)
        admitted = asked.priority == ADMITTED
        self.gate.enter(nbytes, self._clock(), asked.deadline, admitted=admitted)
        try:
            flow = Flow(self._course, self._bind(), asked, promise, self._left, nbytes)
        except BaseException:
            self.gate.leave(nbytes, self._clock())
            raise
        flow.start(inputs, rows if self.plan.straight else None)
        return flow

    def _left(self, flow: Flow) -> None:
        self.gate.leave(flow.nbytes, self._clock())
        if self._answered is not None and flow.good:
            self._answered(flow.rows or 1, flow.timings)

    def _nbytes(self, inputs: Tensors) -> int:
        validator = self._validator
        return validator.measure(inputs, validator.layout(inputs))[0]


class _Row:
    """Runs the graph for one row of a request that was admitted. A ``Servable``."""

    def __init__(self, course: Course, servables: Mapping[str, Servable], answer: Answer) -> None:
        self._course = course
        self._servables = servables
        self._answer = answer
        self._told = 0

    async def __call__(self, request: Request) -> Response:
        future: asyncio.Future[Tensors] = asyncio.get_running_loop().create_future()
        asked = _asked(request, pieces=False)
        flow = Flow(self._course, self._servables, asked, future, _ignore)
        flow.start(request.inputs, None)
        response = await self._answer(flow, future)
        self._told += 1
        if self._told > ROWS_TOLD:
            response.timings.steps = ()
        return response


def _check(given: Parameters, known: tuple[str, ...] | None) -> None:
    """Refuse a parameter that no step would be given. Raises ``InvalidParameter``."""
    if known is None:
        return
    for name in given:
        if name not in known:
            raise InvalidParameter(f"unknown parameter {name[:64]!r}", help=nearest(name, known))


def _asked(request: Request, *, pieces: bool) -> Asked:
    return Asked(
        request.deadline, request.priority, request.id, request.parameters, request.trace,
        request.outputs, pieces,
    )  # fmt: skip


def _ignore(flow: Flow) -> None:
    return None


def _longest(answers: Sequence[Response]) -> Timings:
    """Return the timings of rows that ran side by side: the longest of each stage, and their steps."""
    found = [answer.timings for answer in answers]
    return Timings(
        queue=max(t.queue for t in found), batch=max(t.batch for t in found),
        run=max(t.run for t in found), batch_size=max(t.batch_size for t in found),
        steps=tuple(step for t in found for step in t.steps), began=min(t.began for t in found),
    )  # fmt: skip

"""One step of one request: asked, checked, and answered by its fallback where it fails.

The step ends by its own deadline, the earlier of its ``timeout`` and the request's: a servable that does not
heed it is dropped.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import numpy as np

from inferd.core.errors import DeadlineExceeded, InferdError, ModelFailed
from inferd.core.message import Timings
from inferd.core.servable import Servable
from inferd.core.tensor import Tensors
from inferd.core.trace import Trace
from inferd.routing.pipeline.execute.ask import Ask, Terms
from inferd.routing.pipeline.execute.blame import at_fault, blamed, falls_back
from inferd.routing.pipeline.execute.mapped import Mapped, work
from inferd.routing.pipeline.execute.values import Values, fitted, found, lowered, repeated, taken
from inferd.routing.pipeline.execute.wiring import Line
from inferd.telemetry.logs import Log

log = Log("pipeline")

FALLBACK = "!fallback"
"""What follows a step's name where that means the model of its fallback."""


class Way(Protocol):
    """The request that a step belongs to, as the step sees it.

    ``rows``: of a request whose rows go through together, ``None`` where values are those of one example.
    """

    values: Values
    rows: int | None
    deadline: float
    loop: asyncio.AbstractEventLoop

    def now(self) -> float:
        """Return the time."""
        ...

    def terms(self, line: Line) -> Terms:
        """Return what a step's questions have in common."""
        ...

    def servable(self, name: str) -> Servable:
        """Return who answers."""
        ...

    def told(self, run: StepRun, timings: Timings | None, kind: str | None) -> None:
        """Hear that a step, or what was tried before its fallback, is over; ``kind``: of its error."""
        ...

    def ended(self, run: StepRun, values: list[np.ndarray]) -> None:
        """Hear of the outputs, in the order of the line's."""
        ...

    def failed(self, run: StepRun, error: InferdError) -> None:
        """Hear that the step failed, and with it the request."""
        ...

    def broke(self, error: Exception) -> None:
        """Hear of a bug here, which ends the request."""
        ...


class StepRun:
    """A step under way. ``start``: when it, or its fallback, began. ``trace``: its span."""

    __slots__ = (
        "_ask", "_batched", "_inputs", "_lists", "_over", "_terms", "_timer", "_way", "line", "name", "start",
        "trace",
    )  # fmt: skip

    def __init__(self, way: Way, line: Line) -> None:
        self.line = line
        self.name = line.name
        self.start = 0.0
        self.trace: Trace | None = None
        self._way = way
        self._batched = line.node.batched
        self._over = False
        self._ask: Ask | Mapped | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._inputs: Tensors = {}
        self._lists: Tensors = {}
        self._terms: Terms | None = None

    def gather(self) -> bool:
        """Find what feeds the step; whether all of it is there."""
        way, line = self._way, self.line
        values, rows = way.values, way.rows
        lead = 0 if rows is None else 1
        for source in line.inputs:
            value = found(source, values)
            if value is None:
                return False
            if rows is not None and value is source.constant:
                value = repeated(value, rows)
            if source.rank is not None and value.ndim != source.rank + lead:
                value = fitted(value, source.rank + lead)
            self._inputs[source.name] = value
        for source in line.mapped:
            value = found(source, values)
            if value is None:
                return False
            self._lists[source.name] = value
        return True

    def begin(self) -> None:
        """Ask; how it went may be told before this returns."""
        way, line = self._way, self.line
        terms = way.terms(line)
        timeout = line.node.spec.timeout
        self.start = now = way.now()
        if timeout is not None and now + timeout < terms.deadline:
            terms.deadline = now + timeout
            self._timer = way.loop.call_later(timeout, self._late)
        if terms.deadline <= now:
            self._fail(DeadlineExceeded("the deadline had passed before it began"))
            return
        self._question(terms)

    def _question(self, terms: Terms) -> None:
        way, line = self._way, self.line
        self._terms, self.trace = terms, terms.trace
        servable = way.servable(self.name)
        if line.mapped:
            try:
                todo = work(line, self._inputs, self._lists, batched=self._batched)
            except ModelFailed as error:
                self._fail(error)
                return
            mapped = Mapped(self, line, servable, terms, todo, batched=self._batched)
            self._ask = mapped
            mapped.start()
            return
        inputs = self._inputs
        if self._batched and way.rows is None:
            inputs = {name: array[None] for name, array in inputs.items()}
        self._ask = ask = Ask(self)
        ask.start(servable, inputs, terms)

    # -- how it went ----------------------------------------------------------------------------

    def answered(self, ask: Ask, outputs: Tensors) -> None:
        """Check the outputs and hand them on."""
        if self._over:
            return
        way, slots = self._way, self.line.outputs
        terms = self._terms
        sink = terms.sink if terms is not None else None
        if terms is not None and sink is not None and sink.opened and not terms.keep:
            self._end([], ask.timings)  # what there is to see of them has gone out in pieces
            return
        try:
            if way.rows is not None:
                values = taken(outputs, slots, way.rows)
            elif self._batched:
                values = [lowered(array) for array in taken(outputs, slots, 1)]
            else:
                values = taken(outputs, slots, None)
        except ModelFailed as error:
            self._fail(error)
            return
        self._end(values, ask.timings)

    def refused(self, ask: Ask, error: Exception) -> None:
        """Give the error on, or ask the fallback."""
        self._fail(error)

    def mapped(self, values: list[np.ndarray], timings: Timings) -> None:
        """Hand the lists on."""
        if not self._over:
            self._end(values, timings)

    def unmapped(self, error: Exception) -> None:
        """Give the error on, or ask the fallback."""
        self._fail(error)

    def broke(self, error: Exception) -> None:
        """A bug here ends the request."""
        self._way.broke(error)

    def _late(self) -> None:
        """The step's own time is up."""
        self._timer = None
        self._drop()
        timeout = self.line.node.spec.timeout
        try:
            self._fail(DeadlineExceeded(f"it took longer than its timeout of {timeout:g} s"))
        except Exception as error:
            self.broke(error)

    def _end(self, values: list[np.ndarray], timings: Timings | None) -> None:
        self._close()
        self._way.told(self, timings, None)
        self._way.ended(self, values)

    def _fail(self, error: Exception) -> None:
        if self._over:
            return
        way, line = self._way, self.line
        node = line.node
        if not isinstance(error, InferdError):
            log.error(
                "a step failed in a way that was not foreseen", exc=error, step=self.name,
                request_id=self._terms.id if self._terms is not None else "",
            )  # fmt: skip
        late = way.now() >= way.deadline
        theirs = at_fault(error, inputs=node.from_request, parameters=self._told_how())
        named = blamed(line.name, error, from_request=theirs, fallback=self.name != line.name)
        again = node.spec.fallback is not None and self.name == line.name and falls_back(
            error, from_request=theirs, late=late
        )  # fmt: skip
        self._close()
        way.told(self, None, named.kind)
        if not again:
            way.failed(self, named)
        elif line.other is None:
            way.ended(self, self._values())
        else:
            self._again(line.other.model, line.other.version)

    def _told_how(self) -> bool:
        """Whether it was asked with parameters of the request."""
        terms = self._terms
        return terms is not None and any(n not in self.line.parameters for n in terms.parameters)

    def _values(self) -> list[np.ndarray]:
        """Return the values of the fallback."""
        rows, values = self._way.rows, self.line.node.values
        given = [values[slot.name] for slot in self.line.outputs]
        return given if rows is None else [repeated(value, rows) for value in given]

    def _again(self, model: str, version: str | None) -> None:
        """Ask the model of the fallback, which has what is left of the request's time."""
        self._over = False
        self.name += FALLBACK
        self.start = self._way.now()
        self._batched = self.line.node.fallback_batched
        terms = self._way.terms(self.line)
        terms.model, terms.version = model, version
        self._question(terms)

    def _close(self) -> None:
        self._over = True
        self._ask = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop(self) -> None:
        ask, self._ask = self._ask, None
        if ask is not None:
            ask.drop()

    def drop(self) -> None:
        """Nobody waits any more."""
        self._drop()
        self._close()

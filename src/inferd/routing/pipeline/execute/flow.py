"""One run of the graph: steps begin as soon as what they need has ended.

There are no tasks here and nothing is awaited: a step that ends fills its places and begins those that
waited for it, in a loop that is never entered twice. The first failure drops what still runs and is the
answer; so does the deadline, whatever servables do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from inferd.core.clock import Clock
from inferd.core.errors import Cancelled, DeadlineExceeded, InferdError
from inferd.core.message import ADMITTED, Parameters, StepTiming, Timings
from inferd.core.servable import Promise, Servable
from inferd.core.tensor import Tensors
from inferd.core.trace import Trace
from inferd.routing.pipeline.execute.ask import Terms
from inferd.routing.pipeline.execute.blame import blamed
from inferd.routing.pipeline.execute.mapped import add
from inferd.routing.pipeline.execute.outputs import outputs_of, wanted
from inferd.routing.pipeline.execute.step import StepRun
from inferd.routing.pipeline.execute.streamed import Stream
from inferd.routing.pipeline.execute.values import Values, lowered
from inferd.routing.pipeline.execute.wiring import Line, Wiring
from inferd.telemetry.logs import Log

log = Log("pipeline")

NAMED = 5
"""Steps that the error of a late request names."""

Observe = Callable[[str, float, "str | None", bool], None]


@dataclass(frozen=True, slots=True)
class Course:
    """What all runs of a pipeline have in common. ``tasks``: those of steps, until they have ended."""

    wiring: Wiring
    clock: Clock
    observe: Observe | None
    tasks: set[asyncio.Task[None]]


@dataclass(slots=True)
class Asked:
    """What a request asks besides its tensors.

    ``outputs``: those wanted, ``None`` for all. ``pieces``: its answer may be streamed.
    """

    deadline: float
    priority: int
    id: str
    parameters: Parameters
    trace: Trace | None = None
    outputs: tuple[str, ...] | None = None
    pieces: bool = False


class Flow:
    """A request on its way, a ``step.Way``.

    ``promise`` gets the outputs or the error; for an answer in pieces no outputs, when it begins.
    ``close`` is called once, however it ends; ``good``: it ended well. ``over``: for each step, whether it
    has ended.
    """

    __slots__ = (
        "_asked", "_close", "_course", "_going", "_left", "_promise", "_ready", "_running", "_servables",
        "_steps", "_timer", "_waits", "deadline", "exits", "good", "loop", "nbytes", "over", "rows", "sink",
        "timings", "values",
    )  # fmt: skip

    def __init__(
        self,
        course: Course,
        servables: Mapping[str, Servable],
        asked: Asked,
        promise: Promise,
        close: Callable[[Flow], None],
        nbytes: int = 0,
    ) -> None:
        """Raises ``InvalidInput`` for an output wanted that is none."""
        wiring = course.wiring
        self.exits = wanted(wiring, asked.outputs)
        self.loop = asyncio.get_running_loop()
        self.deadline = asked.deadline
        self.rows: int | None = None
        self.timings = Timings()
        self.values: Values = [None] * wiring.size
        self.over = [False] * len(wiring.lines)
        self.nbytes = nbytes
        self.good = False
        self.sink: Stream | None = None
        self._course = course
        self._servables = servables
        self._asked = asked
        self._promise: Promise | None = promise
        self._close: Callable[[Flow], None] | None = close
        self._running: dict[int, StepRun] = {}
        self._ready: deque[Line] = deque()
        self._waits = [line.waits for line in wiring.lines]
        self._left = len(self._waits)
        self._steps: list[StepTiming] = []
        self._timer: asyncio.TimerHandle | None = None
        self._going = False

    def start(self, inputs: Tensors, rows: int | None) -> None:
        """Begin. ``inputs`` have a batch axis; the promise may be settled before this returns."""
        course, self.rows = self._course, rows
        wiring, values = course.wiring, self.values
        for name, place in wiring.inputs:
            array = inputs[name]
            values[place] = array if rows is not None else lowered(array)
        self.timings.began = now = course.clock()
        if self.deadline < float("inf"):
            self._timer = self.loop.call_later(max(0.0, self.deadline - now), self._late)
        streams = wiring.streams
        if (
            streams is not None
            and self._asked.pieces
            and any(streams.index in e.steps for e in self.exits)
        ):
            self.sink = Stream(self, streams)
        self._ready.extend(wiring.firsts)
        self._go()

    def _go(self) -> None:
        """Begin what is ready, and end when nothing is left. What ends meanwhile is seen by this loop."""
        if self._going:
            return
        self._going = True
        try:
            while self._ready and self._close is not None:
                self._begin(self._ready.popleft())
            if not self._left and self._close is not None:
                self._finish()
        except Exception as error:
            self.broke(error)
        finally:
            self._going = False

    def _begin(self, line: Line) -> None:
        run = StepRun(self, line)
        try:
            there = run.gather() and self._holds(line)
        except InferdError as error:
            run.start = self.now()
            self.told(run, None, error.kind)
            self._fail(blamed(line.name, error, from_request=True))
            return
        if not there:
            self._skip(line)
            return
        self._running[line.index] = run
        run.begin()

    def _holds(self, line: Line) -> bool:
        """Whether a step's condition is true; not where a value it looks at is absent."""
        when = line.node.spec.when
        if when is None:
            return True
        looked = {ref: self.values[place] for ref, place in line.condition}
        if any(value is None for value in looked.values()):
            return False
        return when.test(looked)

    def _skip(self, line: Line) -> None:
        now = self.now()
        self._steps.append(StepTiming(line.name, now, now, skipped=True))
        self._observe(line.name, 0.0, None, skipped=True)
        self._done(line)

    def _done(self, line: Line) -> None:
        """A step is over: those that waited for it alone are ready."""
        self._left -= 1
        self.over[line.index] = True
        waits, lines = self._waits, self._course.wiring.lines
        for index in line.then:
            waits[index] -= 1
            if not waits[index]:
                self._ready.append(lines[index])
        if self.sink is not None:
            self.sink.news()

    # -- what steps ask and tell (``step.Way``) ---------------------------------------------------

    def now(self) -> float:
        """Return the time."""
        return self._course.clock()

    def terms(self, line: Line) -> Terms:
        """Return what a step's questions have in common."""
        asked = self._asked
        trace = asked.trace
        streams = line is self._course.wiring.streams
        return Terms(
            line.model, line.version, line.used, line.parameters_of(asked.parameters), asked.id, asked.deadline,
            ADMITTED if line.waits else asked.priority,
            trace.child() if trace is not None else None,
            self.loop, self._course.tasks,
            self.sink if streams else None, bool(line.then), line.answer,
        )  # fmt: skip

    def servable(self, name: str) -> Servable:
        """Return who answers."""
        return self._servables[name]

    def told(self, run: StepRun, timings: Timings | None, kind: str | None) -> None:
        """Note how a step went."""
        now, name = self.now(), run.name
        self._steps.append(StepTiming(name, run.start, now, timings, kind, False, run.trace))
        add(self.timings, timings)
        self._observe(name, now - run.start, kind)

    def _observe(
        self, name: str, seconds: float, kind: str | None, *, skipped: bool = False
    ) -> None:
        observe = self._course.observe
        if observe is None:
            return
        try:
            observe(name, seconds, kind, skipped)
        except Exception as error:  # no reason for a request to fail, or to end half
            log.error("an observer of steps failed", exc=error, step=name)

    def ended(self, run: StepRun, values: list[np.ndarray]) -> None:
        """Keep a step's outputs and go on."""
        line = run.line
        if self._running.pop(line.index, None) is None:
            return
        for slot, value in zip(line.outputs, values, strict=False):  # none where they were pieces
            self.values[slot.place] = value
        self._done(line)
        self._go()

    def failed(self, run: StepRun, error: InferdError) -> None:
        """End with the error of a step."""
        if self._running.pop(run.line.index, None) is not None:
            self._fail(error)

    def broke(self, error: Exception) -> None:
        """End with an error that tells nothing; the log has it."""
        log.error(
            "a pipeline failed in a way that was not foreseen", exc=error, request_id=self._asked.id
        )
        self._fail(InferdError("the pipeline failed in a way that was not foreseen"))

    def opened(self) -> None:
        """The answer has begun to come in pieces."""
        self._settle({})

    # -- the end ----------------------------------------------------------------------------------

    def _late(self) -> None:
        """The request's time is up, whatever its steps do."""
        self._timer = None
        names = [repr(run.line.name) for run in self._running.values()]
        self._end(DeadlineExceeded.kind)
        which = ("step " if len(names) == 1 else "steps ") + " and ".join(names[:NAMED])
        self._told_failed(DeadlineExceeded(f"{which}: the deadline passed while it ran"))

    def _finish(self) -> None:
        stream = self.sink
        if stream is not None and stream.opened:
            stream.finish()
            self.good = True
            self._end()
            return
        outputs = outputs_of(self.exits, self.values, self.rows)
        self.good = True
        self._end()
        self._settle(outputs)

    def _fail(self, error: InferdError) -> None:
        if self._close is not None:
            self._end(Cancelled.kind)
            self._told_failed(error)

    def _told_failed(self, error: InferdError) -> None:
        error.steps = self.timings.steps
        stream = self.sink
        if stream is not None and stream.opened:
            stream.fail(error)
        else:
            self._settle(error)

    def _settle(self, result: Tensors | InferdError) -> None:
        promise, self._promise = self._promise, None
        if promise is None or promise.done():
            return
        if isinstance(result, InferdError):
            promise.set_exception(result)
        else:
            promise.set_result(result)

    def drop(self) -> None:
        """Nobody waits any more."""
        self._promise = None
        self._end(Cancelled.kind)

    def _end(self, kind: str | None = None) -> None:
        """Drop what still runs, which ends with ``kind``. Idempotent."""
        close, self._close = self._close, None
        if close is None:
            return
        self._ready.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        running, self._running = self._running, {}
        for run in running.values():
            run.drop()
            self.told(run, None, kind)
        self.timings.steps = tuple(self._steps)
        close(self)

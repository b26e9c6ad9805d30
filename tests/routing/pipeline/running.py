"""Pipelines over servables in memory, for the tests beside this file."""

import asyncio
import time

import numpy as np
from tests.routing.pipeline.written import read

from inferd.core.errors import InferdError
from inferd.core.message import Request, Response, Timings
from inferd.routing.pipeline.check.typing import plan
from inferd.routing.pipeline.run import Pipeline
from inferd.scheduling.admission import QueueLimits


class Plain:
    """A servable that answers with what ``function`` makes of the inputs; keeps what it was asked.

    ``hold``: seconds to take, or an event to wait for.
    """

    def __init__(self, function, hold=0.0, timings=None):
        self.function = function
        self.hold = hold
        self.asked = []
        self.running = 0
        self.most = 0
        self.cancelled = 0
        self.timings = timings

    async def __call__(self, request):
        self.asked.append(request)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if isinstance(self.hold, asyncio.Event):
                await self.hold.wait()
            elif self.hold:
                await asyncio.sleep(self.hold)
            return self.answer(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    def answer(self, request):
        if isinstance(self.function, Exception):
            raise self.function
        outputs = self.function(request.inputs)
        if hasattr(outputs, "__aiter__"):
            return Response("m", "1", {}, Timings(), outputs)
        return Response("m", "1", outputs, self.timings or Timings(0.1, 0.2, 0.3, batch_size=4))


class Prompt:
    """A servable that answers by promise: at once, in a turn of the loop, or when told to (``held``)."""

    def __init__(self, function, when="later"):
        self.function = function
        self.when = when
        self.asked = []
        self.held = []
        self.abandoned = []

    def begin(self, inputs, promise, deadline, priority, id):
        self.asked.append((inputs, deadline, priority, id))
        handle = (promise, inputs)
        if self.when == "refuse":
            raise self.function
        if self.when == "at once":
            self.settle(handle)
        elif self.when == "later":
            asyncio.get_running_loop().call_soon(self.settle, handle)
        else:
            self.held.append(handle)
        return handle

    def settle(self, handle):
        promise, inputs = handle
        if promise.done():
            return
        try:
            promise.set_result(self.function(inputs))
        except InferdError as error:
            promise.set_exception(error)

    def timings(self, handle):
        return Timings(0.1, 0.2, 0.3, batch_size=2)

    def abandon(self, handle):
        self.abandoned.append(handle)


def pipeline(directory, text, callees, servables, **given):
    """Return the pipeline that ``text`` describes, over servables by step."""
    bind = servables if callable(servables) else lambda: servables
    found = plan(read(directory, text), callees)
    limits = given.pop("limits", QueueLimits())
    return Pipeline("flow", "7", found, bind, limits=limits, **given)


def request(**inputs):
    """Return a request; keywords with an underscore first are its fields."""
    fields = {k[1:]: v for k, v in inputs.items() if k.startswith("_")}
    arrays = {k: np.asarray(v) for k, v in inputs.items() if not k.startswith("_")}
    fields.setdefault("deadline", time.monotonic() + 20.0)
    return Request("flow", arrays, id="r1", **fields)


def ask(subject, **inputs):
    """Ask in a loop of its own, and return the response; no task may be left."""

    async def main():
        response = await subject(request(**inputs))
        await nothing_left(subject)
        return response

    return asyncio.run(main())


async def nothing_left(subject):
    """Check that a pipeline has no request and the loop no other task, after a moment."""
    for _ in range(200):
        if not subject.busy and len(asyncio.all_tasks()) == 1:
            break
        await asyncio.sleep(0.005)
    assert not subject.busy
    assert subject.gate.entries == subject.gate.nbytes == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


def texts(*values):
    """Return byte strings as a tensor."""
    out = np.empty(len(values), object)
    out[:] = values
    return out

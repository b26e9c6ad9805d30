"""Answering without a coroutine: the short way of a request that is one entry of a batch.

``PredictingDoor.start`` decodes the body and admits the request; the batch settles a ``Reply`` later,
which encodes the outputs and hands the response to the transport. Nothing is awaited on the way, so
no future and no task are made, which is half of what a small request costs. Whatever is more than
that (large bodies, rows that are run one by one, a servable that wraps others) is left to the
coroutine of ``inference``, which uses the same steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from inferd.api.call import Call
from inferd.api.coding import compressed, worth
from inferd.api.errors import respond
from inferd.api.inference import Aim, Inference, Target, begin_of, carried
from inferd.api.routes import SIMPLE
from inferd.codecs.base import Decoded
from inferd.core.clock import Clock
from inferd.core.servable import Direct
from inferd.core.tensor import Tensors
from inferd.routing.table import READY
from inferd.transport.message import Deliver, HTTPRequest, HTTPResponse

_REMEMBERED = 256


class PredictingDoor:
    """One door that predicts: the short way, and the coroutine that takes every request."""

    def __init__(self, aim: Aim, inference: Inference, clock: Clock) -> None:
        self._aim = aim
        self._inference = inference
        self._clock = clock
        self._targets: dict[tuple[tuple[str, ...], str, str, int | None], Target] = {}
        self._generation = -1

    async def answer(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer in a coroutine; takes every request."""
        return await self._inference.answer(request, call, self._aim(request, call))

    def start(
        self, request: HTTPRequest, call: Call, deliver: Deliver
    ) -> Reply | HTTPResponse | None:
        """Begin to answer; ``None`` where ``answer`` is needed. Raises the refusal."""
        terms, inference = call.terms, self._inference
        if not terms.short:
            return None
        target = terms.target
        if terms.generation != inference.table.generation or target.version.state != READY:
            target = self._target(request, call)
        version = target.version
        call.model, call.version = version.model, version.version
        begin = begin_of(version, call)
        if begin is None or not inference.takes(target, request.body):
            return None
        before = self._clock()
        call.decoded = decoded = target.decoder.decode(request.body)
        call.decode = self._clock() - before
        inference.heed(decoded, request, call)
        if not carried(version, decoded):
            return None
        reply = Reply(inference, call, target, decoded, deliver)
        priority = call.priority if decoded.priority is None else decoded.priority
        handle = begin(decoded.inputs, reply, call.deadline, priority, call.id)
        if handle is None:
            return None
        reply.handle = handle
        return reply.early() if reply.done() else reply

    def _target(self, request: HTTPRequest, call: Call) -> Target:
        """Return what the door aims at; what was found for a path holds until the table changes.

        A head that came before has it in its terms; one that differs in nothing which matters here
        finds it in the door.
        """
        generation = self._inference.table.generation
        if generation != self._generation or len(self._targets) >= _REMEMBERED:
            self._generation = generation
            self._targets.clear()
        terms = call.terms
        key = (call.values, terms.media, terms.accept, terms.json_bytes)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self._aim(request, call)
        elif target.version.state != READY:
            return self._aim(request, call)
        terms.target, terms.generation = target, generation
        return target


class Reply:
    """The answer to one request: a ``core.servable.Promise`` and a ``transport`` ``Started``.

    ``handle``: what the servable gave for it, ``None`` until then.
    """

    __slots__ = (
        "_call", "_decoded", "_deliver", "_gone", "_inference", "_result", "_settled", "_target",
        "_task", "handle",
    )  # fmt: skip

    def __init__(
        self, inference: Inference, call: Call, target: Target, decoded: Decoded, deliver: Deliver
    ) -> None:
        self._inference = inference
        self._call = call
        self._target = target
        self._decoded = decoded
        self._deliver = deliver
        self._settled = False
        self._gone = False
        self._result: Tensors | Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self.handle: object = None

    def done(self) -> bool:
        """Whether it was settled or cancelled."""
        return self._settled

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._gone

    def cancel(self) -> bool:
        """Give up; whether that was news."""
        news = not self._settled
        self._settled = self._gone = True
        return news

    def set_result(self, result: Tensors, /) -> None:
        """Answer with ``result``; while the request is still being admitted, keep it."""
        self._settle(result)

    def set_exception(self, exception: Exception, /) -> None:
        """Answer with an error."""
        self._settle(exception)

    def _settle(self, result: Tensors | Exception) -> None:
        if self._settled:
            return
        self._settled = True
        if self.handle is None:
            self._result = result
            return
        response = self._response(result)
        self.handle = None  # it holds this in turn
        if response is not None:
            self._deliver(response)

    def early(self) -> Reply | HTTPResponse:
        """Return the response to what was settled while it was admitted."""
        result, self._result = self._result, None
        assert result is not None
        response = self._response(result)
        self.handle = None
        return response or self

    def _response(self, result: Tensors | Exception) -> HTTPResponse | None:
        """Return the response, or ``None`` where it is written off the loop and comes later."""
        call, inference = self._call, self._inference
        if type(result) is not dict:
            return _failed(cast("Exception", result), call)
        try:
            servable = cast("Direct", self._target.version.servable)
            timings = servable.timings(self.handle)
            if inference.is_long(self._decoded, result):
                later = inference.encode_elsewhere(
                    call, self._target, self._decoded, result, timings
                )
            else:
                response = inference.encode(call, self._target, self._decoded, result, timings)
                wish = call.terms.wish
                if wish is None or not worth(response, wish):
                    return response
                later = compressed(response, wish.coding)
            self._task = asyncio.get_running_loop().create_task(self._later(later))
        except Exception as error:
            return _failed(error, call)
        return None

    async def _later(self, response: Coroutine[Any, Any, HTTPResponse]) -> None:
        try:
            answer, wish = await response, self._call.terms.wish
            if wish is not None and not _is_coded(answer) and worth(answer, wish):
                answer = await compressed(answer, wish.coding)
            self._deliver(answer)
        except Exception as error:
            self._deliver(_failed(error, self._call))

    def abandon(self) -> None:
        """The client is gone, or was answered otherwise."""
        self._call.kind = "cancelled"
        if self._task is not None:
            self._task.cancel()
        elif self.handle is not None:
            handle, self.handle = self.handle, None
            cast("Direct", self._target.version.servable).abandon(handle)


def _is_coded(response: HTTPResponse) -> bool:
    return any(name == b"Content-Encoding" for name, _ in response.headers)


def _failed(error: Exception, call: Call) -> HTTPResponse:
    return respond(error, call.route.dialect if call.route is not None else SIMPLE, call)

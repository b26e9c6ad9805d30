"""The remote model: the servable of a model that another server serves.

A request goes to one replica; where that cannot answer, to another, as often as the service's
``retries``, its budget and the request's deadline allow. Inference has no effects, so it may be asked
twice; a streamed answer is not, once a piece of it was given. What is cancelled here is stopped there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import NoReturn

from inferd.codecs.oip_described import Described
from inferd.core.defaults import Defaults
from inferd.core.errors import (
    Cancelled,
    InferdError,
    InvalidInput,
    ModelFailed,
    NotFound,
    Unavailable,
)
from inferd.core.message import Request, Response, Timings
from inferd.core.tensor import Tensors
from inferd.core.trace import CLIENT, Trace
from inferd.routing.remote import failure
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.service import WAITING, Replica, Service
from inferd.routing.remote.spec import OPENAI
from inferd.routing.remote.wire import Asked, chosen, headers_of, rows_of, unfit

OK, REFUSED = "ok", "refused"
FIRST_PAUSE, LONGEST_PAUSE = 0.025, 0.5
ENOUGH = 1.0
"""Seconds in which any replica should have answered; where the service is known to be quick, so many
times its latency, and not fewer than the least.
"""

LEAST, QUICK = 0.05, 20.0

ENGINE_ENOUGH = 10.0
"""The same of an engine, whose answers are as long as clients wish, and wait for those asked before."""


class RemoteModel:
    """Answers requests through a service. A ``Servable``.

    ``version`` is the one that answered last. ``doubted`` is called when an answer does not fit ``model``.
    """

    def __init__(
        self, service: Service, model: Described, version: str, *,
        doubted: Callable[[], None] = lambda: None,
        draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self.service = service
        self.model = model
        self.version = version
        self._defaults = Defaults(model.signature)
        self._doubted = doubted
        self._draw = draw

    async def __call__(self, request: Request) -> Response:
        """Answer one request; raises ``InferdError``."""
        service, spec = self.service, self.service.spec
        self._defaults.fill(request.inputs)
        try:
            trying = service.breaker.enter()
        except Unavailable:
            service.outcomes[REFUSED] += 1
            raise
        error: Exception | None = None
        known = False
        outcome: str | None = InferdError.kind
        try:
            now = service.clock()
            deadline = request.deadline
            if spec.timeout is not None:
                deadline = min(deadline, now + spec.timeout)
            service.budget.request()
            response = await self._answer(request, deadline)
            known = True
            outcome = OK if response.chunks is None else None  # known when its pieces end
            return response
        except Failure as failed:
            outcome = failed.error.kind
            # Late for want of time, refused for want of places, or failed by one replica while another
            # answers: that says nothing of the service as a whole.
            ours = failed.ours and service.failing
            known = ours or not (failed.ours or failed.late or failed.crowded)
            error = failed.error if ours else None
            raise failed.error from None
        except asyncio.CancelledError:
            outcome = Cancelled.kind
            raise
        finally:
            if outcome is not None:
                service.outcomes[outcome] += 1
            if known:
                service.breaker.leave(trying, error)
            else:
                service.breaker.give_up(trying)

    async def _answer(self, request: Request, deadline: float) -> Response:
        """Ask replicas until one answers; raises the last ``Failure``."""
        service, spec = self.service, self.service.spec
        tried: list[Replica] = []
        replica = service.pick(tried)
        if replica is None:
            reason = service.problem or "its addresses are not known yet"
            raise failure.unreached(spec.name, "no address", reason)
        while True:
            left = deadline - service.clock()
            if left <= 0:
                raise failure.late(spec.name, str(replica.site), "no time is left to ask it")
            begin = service.clock()
            replica.load.in_flight += 1
            trace = None if request.trace is None else request.trace.child()
            try:
                response = await self._ask(replica, request, left, trace)
            except Failure as failed:
                replica.load.in_flight -= 1
                self._traced(trace, replica, begin, error=failed.error.kind)
                self._blame(replica, failed, service.clock() - begin, left)
                if isinstance(failed.error, (InvalidInput, NotFound)):
                    self._doubted()  # it fits what the model is known to take: is that still true?
                tried.append(replica)
                if len(tried) > spec.retries or not failed.again:
                    raise
                replica = await self._next(failed, tried, deadline)
            except BaseException:
                replica.load.in_flight -= 1
                raise
            else:
                if response.chunks is None:
                    replica.load.in_flight -= 1
                    service.answered(replica, service.clock() - begin)
                    self._traced(trace, replica, begin)
                return response

    def _traced(
        self, trace: Trace | None, replica: Replica, begin: float, error: str | None = None
    ) -> None:
        """Record the span of one question; a request that is sent again has one for each."""
        if trace is not None and trace.sink is not None:
            endpoint = replica.site.endpoint
            trace.record(
                f"ask {self.service.spec.name}", begin, self.service.clock(), kind=CLIENT, error=error,
                attributes={
                    "server.address": endpoint.host, "server.port": endpoint.port,
                    "network.peer.address": replica.site.host, "inferd.service": self.service.spec.name,
                },
            )  # fmt: skip

    def _blame(self, replica: Replica, failed: Failure, waited: float, given: float) -> None:
        """Tell the service of a failure."""
        if failed.late:
            latency = self.service.latency()
            enough = ENOUGH if latency is None else min(ENOUGH, max(LEAST, QUICK * latency))
            if self.service.spec.protocol == OPENAI:
                enough = ENGINE_ENOUGH
            failed.blame = min(waited, given) >= enough * 0.99
        self.service.failed(replica, failed, waited)

    async def _next(self, failed: Failure, tried: list[Replica], deadline: float) -> Replica:
        """Return who is asked next, when it may be asked; raises ``failed`` where nobody may be."""
        service = self.service
        replica = service.pick(tried)
        pause = 0.0
        if replica in tried:  # nobody else is there
            if failed.reached:  # it said no: it will not say otherwise at once
                raise failed
            bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (len(tried) - 1))
            pause = bound * (0.5 + 0.5 * self._draw())
        if replica is None or service.clock() + pause >= deadline or not service.budget.take():
            raise failed
        service.retries += 1
        if pause:
            await asyncio.sleep(pause)
        return replica

    async def _ask(
        self, replica: Replica, request: Request, left: float, trace: Trace | None
    ) -> Response:
        """Ask one replica; raises ``Failure``."""
        model, spec = self.model, self.service.spec
        if replica.load.in_flight > spec.connections + WAITING:
            raise failure.crowded(spec.name, str(replica.site), "too many requests are under way")
        rows = rows_of(request.inputs, model.signature)
        asked = Asked(
            request.inputs, request.outputs, request.parameters, headers_of(request, left, trace)
        )
        if model.streams:
            if rows is not None and rows != 1:
                raise Failure(
                    InvalidInput(
                        f"a model that streams answers one example at a time, got {rows}",
                        help="send each in a request of its own",
                    )
                )
            return await self._stream(replica, asked, left, trace)
        answered = await replica.wire.infer(asked, model, left)
        reason = unfit(answered.outputs, model.signature, asked.outputs, rows)
        if reason is not None:
            self._doubted()
            raise failure.mismatched(spec.name, str(replica.site), reason)
        self.version = answered.version or self.version
        return Response(
            spec.name, self.version, chosen(answered.outputs, model.signature, asked.outputs),
            answered.timings,
        )  # fmt: skip

    async def _stream(
        self, replica: Replica, asked: Asked, left: float, trace: Trace | None
    ) -> Response:
        """Return once the first piece is there: until then another replica could be asked."""
        pieces = replica.wire.stream(asked, self.model, left)
        begin = self.service.clock()
        try:
            first = await anext(pieces, None)
        except BaseException:
            await _close(pieces)
            raise
        now = self.service.clock()
        timings = Timings(run=now - begin, batch_size=1)
        # How long an answer becomes is the request's doing; how soon it begins is the replica's.
        replica.load.answered(now - begin, now)
        chunks = Pieces(
            self.service, replica, pieces, first, timings, begin,
            lambda error: self._traced(trace, replica, begin, error),
        )  # fmt: skip
        return Response(self.service.spec.name, self.version, {}, timings, chunks)


class Pieces:
    """The pieces of one answer; its replica is busy until they end. Closing it stops the generation."""

    def __init__(
        self, service: Service, replica: Replica, pieces: AsyncIterator[Tensors],
        first: Tensors | None, timings: Timings, begin: float,
        over: Callable[[str | None], None],
    ) -> None:  # fmt: skip
        self._service = service
        self._replica = replica
        self._pieces = pieces
        self._first = first
        self._timings = timings
        self._waited = timings.run
        self._begin = begin
        self._told = over
        self._over = False

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> Tensors:
        if self._over:
            raise StopAsyncIteration
        if self._first is not None:
            piece, self._first = self._first, None
            return piece
        try:
            found = await anext(self._pieces)
        except StopAsyncIteration:
            self._end()
            raise
        except Failure as failed:
            await self._broken(failed)
        except BaseException:
            await self.aclose()
            raise
        return found

    async def _broken(self, failed: Failure) -> NoReturn:
        self._end(failed)
        await _close(self._pieces)
        error: InferdError = failed.error
        if isinstance(error, Unavailable):  # what was given cannot be taken back and asked again
            error = ModelFailed(error.message, help="ask again")
        raise error from None

    def _end(self, failed: Failure | None = None) -> None:
        if self._over:
            return
        self._over = True
        self._replica.load.in_flight -= 1
        now = self._service.clock()
        self._timings.run = now - self._begin
        kind = None if failed is None else failed.error.kind
        self._told(kind)
        self._service.outcomes[kind or OK] += 1
        if failed is None:
            self._replica.standing.answered(now)
        else:
            self._service.failed(self._replica, failed, self._waited)

    async def aclose(self) -> None:
        """Want no more. Idempotent."""
        if not self._over:
            self._over = True
            self._replica.load.in_flight -= 1
            self._told(Cancelled.kind)
            self._service.outcomes[Cancelled.kind] += 1
        await _close(self._pieces)

    def __del__(self) -> None:
        if not self._over:
            self._replica.load.in_flight -= 1
            self._service.outcomes[Cancelled.kind] += 1


async def _close(pieces: AsyncIterator[Tensors]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()

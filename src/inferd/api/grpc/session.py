"""``ModelStreamInfer``: many requests in one stream, each answered when it is ready.

The reader takes messages and begins requests, the writer sends what is ready; nothing else waits, so
a request that is one entry of a batch needs no task (``pending``). The answers of several requests,
and the pieces of answers that come in pieces, are sent in the order they got ready.

All is bounded: a stream has so many requests at once and so many messages that wait to be sent;
beyond that the reader rests, and the client is held back by gRPC's own flow control.

An error is a message that says so, and the stream goes on; with ``triton_grpc_error: true`` in the
metadata it is the stream's status and its end.

Sources: triton-inference-server/common, protobuf/grpc_service.proto;
triton-inference-server/server, docs/user_guide/decoupled_models.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import grpc

from inferd.api.call import Call
from inferd.api.grpc.calls import Asked, Calls, Context, asked, conclude, id_of
from inferd.api.grpc.errors import Status, explain
from inferd.api.grpc.infer import Inferring
from inferd.api.grpc.methods import Rpc
from inferd.api.grpc.pending import Pending
from inferd.api.grpc.streams import Handler, Streams, stopping

AT_ONCE = 128
"""Requests of one stream that may be begun and not yet answered."""

WAITING = 32
"""Messages of one stream that may wait to be sent before its generating requests rest."""


class Sessions:
    """The door of ``ModelStreamInfer``."""

    def __init__(self, calls: Calls, streams: Streams, inferring: Inferring) -> None:
        self._calls = calls
        self._streams = streams
        self._inferring = inferring

    def handler(self, rpc: Rpc) -> Handler:
        """Return the handler of the method."""
        calls = self._calls

        async def handle(messages: Any, context: Context) -> None:
            metadata = context.invocation_metadata()
            given = id_of(metadata)
            try:
                wanted = asked(metadata)
                calls.check(rpc)
            except Exception as error:
                calls.refuse(context, calls.begin(rpc, given), error)
                return
            session = Session(rpc, calls, self._inferring, context, wanted, calls.id(given))
            try:
                with self._streams.opened(session):
                    await session.run()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # that of a request was told to the observer already
                conclude(context, session.status(error))

        return handle


class Session:
    """One stream. ``id`` begins the ids of its requests."""

    def __init__(
        self, rpc: Rpc, calls: Calls, inferring: Inferring, context: Context, wanted: Asked, id: str
    ) -> None:
        self.calls = calls
        self.inferring = inferring
        self._rpc = rpc
        self._context = context
        self._wanted = wanted
        self._id = id
        self._count = 0
        self._live: set[Pending] = set()
        self._out: deque[bytes] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._space = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._ended = self._closed = False
        self._failure: Exception | None = None
        self._status: Status | None = None

    async def run(self) -> None:
        """Serve the stream to its end; raises what is to be its status."""
        self._context.set_trailing_metadata((("x-request-id", self._id),))
        self._reader = asyncio.ensure_future(self._receive())
        try:
            await self._send()
        finally:
            self._reader.cancel()
            for pending in list(self._live):
                pending.abandon()
        if self._closed:
            raise stopping()

    def close(self) -> None:
        """Take no more requests and end once those taken are answered."""
        self._closed = self._ended = True
        if self._reader is not None:
            self._reader.cancel()
        self._woken()

    def status(self, error: Exception) -> Status:
        """Return the status with which the stream ends."""
        return self._status or explain(error, Call(self._id, []))

    # -- reading ------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        context, live, out = self._context, self._live, self._out
        try:
            while True:
                while len(live) >= AT_ONCE or len(out) >= AT_ONCE:
                    await self._spaced()
                message = await context.read()
                if message is grpc.aio.EOF:
                    return
                self._begin(message)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._failure = error
        finally:
            self._ended = True
            self._woken()

    def _begin(self, message: bytes) -> None:
        self._count += 1
        calls = self.calls
        request = calls.begin(self._rpc, f"{self._id}.{self._count}")
        pending = Pending(self, request)
        self._live.add(pending)
        try:
            calls.admit(self._rpc, request.context, self._wanted, request.received, self._context)
            pending.start(message)
        except Exception as error:
            pending.fail(error)

    # -- writing ------------------------------------------------------------------------------------

    async def _send(self) -> None:
        out, context = self._out, self._context
        loop = asyncio.get_running_loop()
        while True:
            while out:
                message = out.popleft()
                self._space.set()
                await context.write(message)
            if self._failure is not None:
                raise self._failure
            if self._ended and not self._live:
                return
            self._wake = loop.create_future()
            await self._wake

    def push(self, message: bytes) -> None:
        """Send a message when those before it are sent."""
        self._out.append(message)
        self._woken()

    async def put(self, message: bytes) -> None:
        """Send a message; returns when not too many wait."""
        self.push(message)
        while len(self._out) > WAITING:
            await self._spaced()

    def over(self, pending: Pending) -> None:
        """Hear that a request is over."""
        self._live.discard(pending)
        self._space.set()
        if self._ended:
            self._woken()

    def failed(self, error: Exception, call: Call) -> bool:
        """Hear of a request that failed; whether that ends the stream."""
        if not self._wanted.strict:
            return False
        if self._failure is None:
            self._failure, self._status = error, explain(error, call)
        self._woken()
        return True

    async def _spaced(self) -> None:
        self._space.clear()
        await self._space.wait()

    def _woken(self) -> None:
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

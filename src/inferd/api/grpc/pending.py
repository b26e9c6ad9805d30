"""One request of a stream: begun, answered in one message or in pieces, failed or given up.

It is a ``core.servable.Promise``: the batch settles it, and the answer is written and sent at once.
What is more than one entry of a batch has a task of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from inferd.api.call import Call
from inferd.api.grpc.errors import worded
from inferd.api.inference import begin_of, carried
from inferd.api.stream import aclose, opened
from inferd.codecs.base import Decoded
from inferd.codecs.protobuf.infer import REQUEST, InferCodec, failed
from inferd.codecs.protobuf.messages import parse, read
from inferd.codecs.protobuf.weigh import MANY, is_intricate
from inferd.core.servable import Direct
from inferd.core.tensor import Tensors
from inferd.routing.table import Version
from inferd.transport.message import HTTPRequest

if TYPE_CHECKING:
    from inferd.api.grpc.session import Session


class Pending:
    """A request of ``session`` that is not over."""

    __slots__ = (
        "_call", "_codec", "_decoded", "_early", "_gone", "_handle", "_id", "_over", "_request", "_session",
        "_settled", "_task", "_version",
    )  # fmt: skip

    _version: Version
    _codec: InferCodec
    _decoded: Decoded

    def __init__(self, session: Session, request: HTTPRequest) -> None:
        self._session = session
        self._request = request
        self._call: Call = request.context
        self._id: str | None = None
        self._handle: object = None
        self._task: asyncio.Task[None] | None = None
        self._early: Tensors | Exception | None = None
        self._settled = self._over = self._gone = False

    def start(self, body: bytes) -> None:
        """Begin to answer a message; raises the refusal."""
        inferring, call = self._session.inferring, self._call
        begin = inferring.clock()
        asked = inferring.known(body, call)
        if asked is None:
            if is_intricate(REQUEST, body):
                self._task = asyncio.ensure_future(self._much_later(body, begin))
                return
            message = read(REQUEST, body)
            version, codec = self._aim(message)
            if inferring.is_slow(codec, message, body):
                self._task = asyncio.ensure_future(self._later(message, begin))
                return
            self._decoded = inferring.decode(body, message, version, codec)
        else:
            self._version, self._codec, self._decoded = asked
        inferring.heed(self._decoded, call, begin)
        if not self._direct():
            self._task = asyncio.ensure_future(self._answer())

    def _aim(self, message: Any) -> tuple[Version, InferCodec]:
        """Note whom a message asks."""
        self._id = message.id or None
        self._version, self._codec = found = self._session.inferring.aim(message, self._call)
        return found

    def _direct(self) -> bool:
        """Begin a request that is one entry of a batch; whether it is one."""
        decoded, call = self._decoded, self._call
        begin = begin_of(self._version, call)
        if begin is None or not carried(self._version, decoded):
            return False
        handle = begin(decoded.inputs, self, call.deadline, call.priority, call.id)
        if handle is None:
            return False
        self._handle = handle
        if self._early is not None:
            self._settle(self._early)
        return True

    # -- the promise --------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether it was settled or cancelled."""
        return self._settled

    def cancelled(self) -> bool:
        """Whether it was given up."""
        return self._gone

    def cancel(self) -> bool:
        """Give up; whether that was news."""
        news = not self._settled
        self._settled = self._over = self._gone = True
        return news

    def set_result(self, result: Tensors, /) -> None:
        """Answer; while the request is still being admitted, keep the answer."""
        self._settle(result)

    def set_exception(self, exception: Exception, /) -> None:
        """Answer with an error."""
        self._settle(exception)

    def _settle(self, result: Tensors | Exception) -> None:
        if self._over:
            return
        self._settled = True
        if self._handle is None:
            self._early = result
            return
        handle, self._handle = self._handle, None  # it holds this in turn
        if not isinstance(result, dict):
            self.fail(result)
            return
        try:
            timings = cast("Direct", self._version.servable).timings(handle)
            answer = self._session.inferring.write(
                self._codec, self._call, self._decoded, result, timings, streamed=True
            )
        except Exception as error:
            self.fail(error)
            return
        self._session.push(answer)
        self._end(len(answer))

    # -- what takes a task ---------------------------------------------------------------------------

    async def _much_later(self, body: bytes, begin: float) -> None:
        try:
            message = await asyncio.to_thread(parse, REQUEST, body, MANY)
            self._aim(message)
        except Exception as error:
            self.fail(error)
            return
        await self._later(message, begin)

    async def _later(self, message: Any, begin: float) -> None:
        try:
            self._decoded = await asyncio.to_thread(self._codec.decode, message)
            self._session.inferring.heed(self._decoded, self._call, begin)
        except Exception as error:
            self.fail(error)
            return
        await self._answer()

    async def _answer(self) -> None:
        session, call, decoded = self._session, self._call, self._decoded
        inferring = session.inferring
        try:
            if self._version.streams and decoded.inputs is not None:
                sent = await self._pieces(decoded)
            else:
                outputs, timings = await inferring.run(self._version, call, decoded)
                answer = inferring.write(
                    self._codec, call, decoded, outputs, timings, streamed=True
                )
                session.push(answer)
                sent = len(answer)
        except Exception as error:
            self.fail(error)
        else:
            self._end(sent)

    async def _pieces(self, decoded: Decoded) -> int:
        """Send an answer that comes in pieces; return its bytes."""
        session, codec, sent = self._session, self._codec, 0
        response = await session.inferring.inference.ask(self._version, self._call, decoded)
        told = bool(decoded.form and decoded.form.get("final"))
        pieces = await opened(response)
        try:
            async for piece in pieces:
                if decoded.outputs is not None:
                    piece = {n: piece[n] for n in decoded.outputs if n in piece}
                message = codec.encode(
                    piece, decoded.id, decoded.form, final=False if told else None, streamed=True
                )
                sent += len(message)
                await session.put(message)
        finally:
            await aclose(pieces)
        if told:
            message = codec.empty(decoded.id)
            sent += len(message)
            session.push(message)
        response.timings.decode = self._call.decode
        self._call.timings = response.timings
        return sent

    # -- the end -------------------------------------------------------------------------------------

    def fail(self, error: Exception) -> None:
        """End with an error."""
        if self._over:
            return
        kind, text = worded(error, self._call)
        self._call.kind = kind
        if not self._session.failed(error, self._call):
            self._session.push(failed(text, self._id))
        self._over = self._settled = True
        self._session.calls.failed(self._request)
        self._session.over(self)

    def _end(self, sent: int) -> None:
        self._over = self._settled = True
        self._session.calls.over(self._request, 200, sent)
        self._session.over(self)

    def abandon(self) -> None:
        """Nobody waits any more: stop what goes on."""
        if self._over:
            return
        self._over = self._settled = self._gone = True
        handle, self._handle = self._handle, None
        if self._task is not None:
            self._task.cancel()
        elif handle is not None:
            cast("Direct", self._version.servable).abandon(handle)
        self._session.calls.gone(self._request)
        self._session.over(self)

"""One connection to another server: a request is written, its answer read, then comes the next.

Half of a small exchange is what the loop and the system do, so the rest is kept short: the answer is
settled in one future, its head is cut out and parsed once, a body that came with it is a slice. A
large body is read straight into its own memory (``filling``). Limits bite while bytes arrive.

A connection that failed, was given up or said something nobody asked for is closed, never used again:
nobody could tell whose the next bytes are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from inferd.transport.body import FixedBody
from inferd.transport.filling import FILL_FROM, Filling
from inferd.transport.framing import Refused
from inferd.transport.outgoing_head import (
    UNTIL_CLOSE,
    AnswerHead,
    Decoder,
    Garbage,
    decoder,
    parse_answer,
)

Buffer = bytes | bytearray | memoryview
_END = b"\r\n\r\n"
_JOINED = 32 * 1024
_INTERIM = 8
_WAITING = 256 * 1024


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """The most bytes of an answer that are taken."""

    header_bytes: int = 32 * 1024
    body_bytes: int = 256 << 20


class NoAnswer(Exception):
    """An exchange came to no answer.

    ``connected``: a connection was there. ``began``: bytes of an answer had come. ``late``: its time was
    up. ``full``: too many wait for a connection.
    """

    def __init__(
        self, reason: str, *, connected: bool = True, began: bool = False, late: bool = False,
        full: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(reason)
        self.reason = reason
        self.connected = connected
        self.began = began
        self.late = late
        self.full = full


class HTTPAnswer:
    """An answer: ``headers`` by lower-case name; ``body`` is one buffer, read-only."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, head: AnswerHead, body: Buffer) -> None:
        self.status = head.status
        self.headers = head.headers
        self.body = body


class AnswerStream:
    """An answer whose body is given in pieces, as they come: an async iterator of bytes.

    Reading from the socket rests while too much waits to be taken. ``aclose`` before the end closes the
    connection, which tells the other side to stop. Raises ``NoAnswer`` where the body breaks off.
    """

    def __init__(self, head: AnswerHead, connection: OutgoingConnection) -> None:
        self.status = head.status
        self.headers = head.headers
        self._connection: OutgoingConnection | None = connection
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._paused = self._ended = False
        self._failure: NoAnswer | None = None
        self._wake: asyncio.Future[None] | None = None

    def push(self, piece: bytes) -> None:
        """Take a piece from the connection."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _WAITING and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.rest()
        self._woken()

    def end(self, failure: NoAnswer | None = None) -> None:
        """Hear that nothing more comes."""
        self._ended, self._failure = True, failure
        self._connection = None
        self._woken()

    def __aiter__(self) -> AnswerStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._paused and self._size < _WAITING // 2 and self._connection is not None:
            self._paused = False
            self._connection.go_on()
        return piece

    async def aclose(self) -> None:
        """Want no more of it. Idempotent."""
        connection, self._connection = self._connection, None
        self._pieces.clear()
        if connection is not None:
            connection.fail(NoAnswer("the answer was given up", began=True))

    def _woken(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)


Whole = HTTPAnswer | AnswerStream


class OutgoingConnection(asyncio.Protocol):
    """One connection; ``lost`` is called when it ends, ``over`` when a streamed answer does.

    ``used``: it has answered before. ``reusable``: another request may be sent.
    """

    __slots__ = (
        "_body", "_decoder", "_head", "_interim", "_limits", "_loop", "_lost", "_partial", "_stream",
        "_streams", "_timer", "_tls", "_transport", "_waiter", "_whole", "began", "idle_since", "over",
        "reusable", "used",
    )  # fmt: skip

    def __init__(
        self, limits: AnswerLimits, lost: Callable[[OutgoingConnection], None], *, tls: bool
    ) -> None:
        self._limits = limits
        self._lost = lost
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Whole] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._partial = b""
        self._head: AnswerHead | None = None
        self._body: FixedBody | None = None
        self._decoder: Decoder | None = None
        self._whole = bytearray()
        self._stream: AnswerStream | None = None
        self._streams = False
        self._interim = 0
        self.over: Callable[[OutgoingConnection], None] | None = None
        self.began = self.used = self.reusable = False
        self.idle_since = 0.0

    @property
    def streaming(self) -> bool:
        """Whether a streamed answer goes on."""
        return self._stream is not None

    # -- asking ------------------------------------------------------------------------------------

    def send(
        self, message: Sequence[Buffer], seconds: float, *, streams: bool = False
    ) -> asyncio.Future[Whole]:
        """Write a request, head and pieces of its body; return what will be its answer.

        ``seconds``: time until the end of the answer. ``streams``: a good answer is given open.
        Raises ``NoAnswer`` where the connection is gone.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise NoAnswer("the connection ended before the request was sent")
        waiter: asyncio.Future[Whole] = self._loop.create_future()
        self._waiter = waiter
        self._streams = streams
        self.began = self.reusable = False
        if seconds != float("inf"):
            self._timer = self._loop.call_later(seconds, self._late, seconds)
        if sum(map(len, message)) <= _JOINED:
            transport.write(b"".join(message))
        else:
            transport.writelines(message)
        return waiter

    def rest(self) -> None:
        """Read no more for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def fail(self, error: NoAnswer) -> None:
        """End the exchange and the connection."""
        self._settle(None, error)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _late(self, seconds: float) -> None:
        self._timer = None
        self.fail(NoAnswer(f"no answer within {seconds:.3g} s", began=self.began, late=True))

    def _settle(self, answer: HTTPAnswer | None, error: NoAnswer | None = None) -> None:
        """Give the answer, or say that none comes, to who waits; ready for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiter, stream, over = self._waiter, self._stream, self.over
        self._waiter = self._stream = self.over = None
        self._head = self._body = self._decoder = None
        if stream is not None:
            stream.end(error)
        elif waiter is not None and not waiter.done():
            if error is not None:
                waiter.set_exception(error)
            elif answer is not None:
                waiter.set_result(answer)
        if over is not None:
            over(self)

    # -- reading -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        head = self._head
        self.reusable = False
        if exc is None and head is not None and head.length == UNTIL_CLOSE:  # its end is the body's
            self._finish(head)
            self.reusable = False
        elif self._waiter is not None or self._stream is not None:
            reason = "the connection ended before the answer" + (" was whole" if self.began else "")
            self._settle(None, NoAnswer(reason, began=self.began))
        self._lost(self)

    def eof_received(self) -> None:
        """End of input: the transport closes itself."""

    def data_received(self, data: bytes) -> None:
        if self._waiter is None and self._stream is None:
            self.abort()
            return
        self.began = True
        try:
            if self._head is None:
                self._take_head(data)
            elif self._body is not None:
                self._take_fixed(self._body, data)
            else:
                self._take_part(data)
        except (Garbage, Refused) as error:
            self.fail(NoAnswer(f"the answer is not understood: {error}", began=True))

    def _take_head(self, data: bytes) -> None:
        if self._partial:
            data, self._partial = self._partial + data, b""
        most = self._limits.header_bytes
        while data:
            end = data.find(_END) + 4
            if end > most or (end < 4 and len(data) > most):
                raise Garbage(f"its head is longer than {most} bytes")
            if end < 4:
                self._partial = data
                return
            head, data = parse_answer(data[:end]), data[end:]
            if head.status >= 200:
                self._interim = 0
                self._open(head, data)
                return
            self._interim += 1
            if self._interim > _INTERIM:
                raise Garbage(f"more than {_INTERIM} interim answers precede it")

    def _open(self, head: AnswerHead, data: bytes) -> None:
        """Begin with the body, of which ``data`` is the first part."""
        self._head = head
        length, most = head.length, self._limits.body_bytes
        if length > most:
            raise Garbage(f"its body of {length} bytes is longer than {most}")
        if self._streams and 200 <= head.status < 300:
            self._stream = stream = AnswerStream(head, self)
            self._decoder = decoder(length)
            waiter, self._waiter = self._waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_result(stream)
            if data or self._decoder.done:
                self._take_part(data)
        elif length >= 0:
            if len(data) >= length:
                self._done(head, HTTPAnswer(head, data[:length]), more=len(data) > length)
                return
            self._body = FixedBody(length)
            self._take_fixed(self._body, data)
        else:
            self._whole = bytearray()
            self._decoder = decoder(length)
            if data:
                self._take_part(data)

    def _take_fixed(self, body: FixedBody, data: bytes) -> None:
        """Take bytes of a body of known length; a long one is read into its own memory."""
        rest = body.feed(data) if data else b""
        if body.done:
            head = cast("AnswerHead", self._head)
            self._done(head, HTTPAnswer(head, body.take()), more=bool(rest))
        elif body.left >= FILL_FROM and not self._tls and self._transport is not None:
            self._transport.set_protocol(Filling(self, body))

    def body_grew(self) -> None:
        """More of a body that is read into its own memory is there."""
        body, head = self._body, self._head
        if body is None or head is None or not body.done or self._transport is None:
            return
        self._transport.set_protocol(self)
        self._done(head, HTTPAnswer(head, body.take()), more=False)

    def _take_part(self, data: bytes) -> None:
        """Take bytes of a body of unsaid length, or of one that is given in pieces."""
        read, head = cast("Decoder", self._decoder), cast("AnswerHead", self._head)
        part = read.feed(data)
        if self._stream is not None:
            if part:
                self._stream.push(part)
        else:
            self._whole += part
            if len(self._whole) > self._limits.body_bytes:
                raise Garbage(f"its body is longer than {self._limits.body_bytes} bytes")
        if read.done:
            self.reusable = head.keep and not read.more
            self._finish(head)

    def _finish(self, head: AnswerHead) -> None:
        """The body of unsaid length is over."""
        whole, self._whole = self._whole, bytearray()
        self._done(head, HTTPAnswer(head, memoryview(whole).toreadonly()), more=not self.reusable)

    def _done(self, head: AnswerHead, answer: HTTPAnswer, *, more: bool) -> None:
        """The answer is whole; ``more``: bytes follow that nobody asked for."""
        self.used = True
        self.reusable = head.keep and not more and self._transport is not None
        self._settle(answer)
        if not self.reusable:
            self.abort()

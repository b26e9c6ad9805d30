"""The answering half of a connection: its requests, one after the other, in order.

One long-lived task per connection runs the handlers, so that answers cannot overtake each other
(pipelining) and a handler always runs inside a real task: timeouts, task groups and cancellation
work as everywhere else. Waking it costs less than a task per request. The receiving half pushes
exchanges; a refusal is an exchange whose response is there already.

An application may *start* a request instead, without any task, and deliver its response later: half
of what a small request costs is futures and coroutines. That is tried where nothing else is being
answered; the task takes over whatever comes meanwhile.

Back-pressure: while the transport's write buffer is full the task waits, so neither a stream nor
pipelined requests pile up answers for a client that does not read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from inferd.transport.framing import Head
from inferd.transport.message import Accepted, HTTPRequest, HTTPResponse, Started
from inferd.transport.response import BODILESS, LAST_CHUNK
from inferd.transport.shared import Shared, logger

if TYPE_CHECKING:
    from inferd.transport.connection import Connection

Exchange = tuple[HTTPRequest | None, Head, Accepted | None, HTTPResponse | None]
"""Request (``None``: its head was malformed), head, and either who takes it or a ready response."""

CLIENT_GONE = 499
_JOINED = 64 * 1024
_BYTES = (bytes, bytearray, memoryview)


class Answers:
    """Answers the exchanges pushed to it.

    ``current``: the exchange being answered. ``ready``: those that wait. ``paused_at``: since when
    the write buffer is full. ``streaming``: the current answer's head has been sent.
    """

    __slots__ = (
        "_connection", "_ended", "_loop", "_resumed", "_started", "_sent", "_shared", "_task", "_transport", "_wake", "current",
        "paused_at", "ready", "streaming",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, shared: Shared, transport: asyncio.Transport
    ) -> None:
        self._connection = connection
        self._shared = shared
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._ended = False
        self._resumed: asyncio.Future[None] | None = None
        self._started: Started | None = None
        self.current: Exchange | None = None
        self.ready: deque[Exchange] = deque()
        self.paused_at: float | None = None
        self._sent = 0
        self.streaming = False

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or waits."""
        return self.current is not None or bool(self.ready)

    def push(self, exchange: Exchange) -> None:
        """Queue an exchange; it is answered after those before it."""
        accepted = exchange[2]
        if (
            accepted is not None
            and accepted.start is not None
            and self.current is None
            and not self.ready
            and self.paused_at is None
            and self._start(exchange, accepted)
        ):
            return
        self.ready.append(exchange)
        if self._started is None:
            self._go_on()

    def _go_on(self) -> None:
        """Have the task answer what waits."""
        wake = self._wake
        if wake is not None:
            self._wake = None
            wake.set_result(None)
        elif self._task is None and not self._ended:
            self._task = self._loop.create_task(self._work())

    def _start(self, exchange: Exchange, accepted: Accepted) -> bool:
        """Try to answer an exchange without the task; False where it needs its handler."""
        request = exchange[0]
        assert request is not None
        assert accepted.start is not None
        self.current = exchange
        try:
            started = accepted.start(request, self._delivered)
        except Exception:
            logger.exception("a handler could not be started; this is a bug")
            started = self._shared.error(request, 500, "internal error")[0]
        if started is None:
            self.current = None
            return False
        if isinstance(started, HTTPResponse):
            self._delivered(started)
        else:
            self._started = started
        return True

    def _delivered(self, response: HTTPResponse) -> None:
        """Write the answer of what was started, and go on."""
        self._started = None
        if self.current is None:
            return  # the client went away
        request, head, _, _ = self.current
        try:
            last = self._complete(request, head, response)
        except Exception:
            logger.exception("a response cannot be sent")
            last = self._fail(request, head)
        self.current = None
        if last:
            self._connection.finish()
        elif self.ready or self.paused_at is not None:
            self._go_on()
        else:
            self._connection.rest()

    def resume(self) -> None:
        """The write buffer has room again."""
        self.paused_at = None
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    def cancel(self) -> None:
        """The client went away: cancel what runs and report everything as unanswered."""
        self._report_unanswered()
        self._abandon()
        if self._task is not None:
            self._task.cancel()
        else:
            self._end()

    def _abandon(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            started.abandon()

    def _end(self) -> None:
        """Let go of what holds this in turn: nobody should have to look for garbage."""
        if not self._ended:
            self._ended = True
            self._wake = self._task = None
            del self._connection

    def overdue(self) -> None:
        """Answer everything that waits with 503 and cancel what runs (the stop deadline)."""
        waiting = list(self.ready) if self.current is None else [self.current, *self.ready]
        self.current = None
        self.ready.clear()
        for place, (request, head, _, response) in enumerate(waiting, 1):
            body = response.body if response is not None else None
            if response is None or not isinstance(body, _BYTES):
                response, body = self._shared.error(request, 503, "the server is stopping")
            self._write(request, head, response, body, close=place == len(waiting))
        self._abandon()
        if self._task is not None:
            self._task.cancel()

    def _report_unanswered(self) -> None:
        """Tell the application of everything that the client did not wait for."""
        exchanges = list(self.ready) if self.current is None else [self.current, *self.ready]
        self.current = None
        self.ready.clear()
        for request, _, _, _ in exchanges:
            if request is not None:
                self._shared.finished(request, CLIENT_GONE, self._sent)
            self._sent = 0

    async def _work(self) -> None:
        """Answer exchanges until the connection ends."""
        connection, ready = self._connection, self.ready
        try:
            while True:
                if self.paused_at is not None:
                    await self._room()
                while ready:
                    self.current = ready.popleft()
                    last = await self._answer(self.current)
                    self.current = None
                    if last:
                        connection.finish()
                        return
                    if self.paused_at is not None:
                        await self._room()
                connection.rest()
                self._wake = self._loop.create_future()
                await self._wake
        except Exception:
            logger.exception("answering a connection failed; this is a bug")
            connection.abort()
        finally:
            self._report_unanswered()
            self._end()

    async def _answer(self, exchange: Exchange) -> bool:
        """Answer one exchange; return whether the connection ends with it."""
        request, head, accepted, response = exchange
        try:
            if response is None:
                assert accepted is not None
                assert request is not None
                response = await accepted.handler(request)
            if self.current is None:
                return True
            body = response.body
            if type(body) is bytes or isinstance(body, _BYTES):
                return self._complete(request, head, response)
            close = response.close or not head.keep_alive or self._ends()
            return await self._stream(request, head, response, body, close=close)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.current is None or task is None or task.cancelling():
                raise
            logger.error("a handler was cancelled from inside")
        except Exception:
            if self.current is None:
                return True
            logger.exception("a handler failed")
        return self._fail(request, head)

    def _complete(self, request: HTTPRequest | None, head: Head, response: HTTPResponse) -> bool:
        """Write a response whose body is bytes; return whether the connection ends with it."""
        close = response.close or not head.keep_alive or (self._shared.draining and self._ends())
        body = response.body
        if type(body) is not bytes and not isinstance(body, _BYTES):
            raise TypeError("what was started may not stream")
        return self._write(request, head, response, body, close=close)

    def _fail(self, request: HTTPRequest | None, head: Head) -> bool:
        """Write that something went wrong here; return whether the connection ends with it."""
        response, body = self._shared.error(request, 500, "internal error")
        close = not head.keep_alive or self._ends()
        return self._write(request, head, response, body, close=close)

    def _ends(self) -> bool:
        """Whether a stop lets the connection end here: nothing has arrived that is unanswered."""
        return self._shared.draining and not self.ready and self._connection.at_rest

    def _write(
        self,
        request: HTTPRequest | None,
        head: Head,
        response: HTTPResponse,
        body: bytes | bytearray | memoryview,
        *,
        close: bool,
    ) -> bool:
        """Write a response whose body is complete; return ``close``.

        Raises ``ValueError``, with nothing written, for a response that cannot be sent.
        """
        if not isinstance(body, bytes):
            body = bytes(body)
        size = len(body)
        is_head = head.is_head
        joined = size <= _JOINED
        message = self._shared.renderer.fixed(
            response, body, is_head=is_head or not joined, http10=head.http10, close=close
        )
        self._transport.write(message)
        if is_head or response.status in BODILESS:
            size = 0
        elif not joined:
            self._transport.write(body)
        if request is not None:
            self._shared.finished(request, response.status, size)
        return close

    async def _stream(
        self,
        request: HTTPRequest | None,
        head: Head,
        response: HTTPResponse,
        chunks: AsyncIterator[bytes],
        *,
        close: bool,
    ) -> bool:
        """Write a response as its chunks come; return whether the connection ends with it."""
        http10, status, broken = head.http10, response.status, False
        close = close or http10
        self._transport.write(self._shared.renderer.streamed(response, http10=http10, close=close))
        self.streaming = True
        try:
            if not head.is_head and status not in BODILESS:
                await self._chunks(chunks, http10=http10)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.current is None or task is None or task.cancelling():
                raise
            logger.error("a stream was cancelled from inside")
            broken, status, close = True, 500, True
        except Exception:
            logger.exception("a stream failed after its head was sent")
            broken, status, close = True, 500, True
        finally:
            self.streaming = False
            await _close(chunks)
        if self.current is None:
            return True
        if request is not None:
            self._shared.finished(request, status, self._sent)
        self._sent = 0
        if broken and http10:
            self.current = None
            self._connection.abort(reset=True)  # nothing else tells: its end is the connection's
        return close

    async def _chunks(self, chunks: AsyncIterator[bytes], *, http10: bool) -> None:
        """Write chunks, waiting while the client does not keep up."""
        write = self._transport.write
        async for chunk in chunks:
            if self.current is None:
                return
            if chunk:
                self._sent += len(chunk)
                write(chunk if http10 else b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if self.paused_at is not None:
                    await self._room()
        if not http10:
            write(LAST_CHUNK)

    async def _room(self) -> None:
        """Wait until the write buffer has room; the listener's sweep bounds the wait."""
        while self.paused_at is not None:
            self._resumed = self._loop.create_future()
            await self._resumed


async def _close(chunks: AsyncIterator[bytes]) -> None:
    """Close a stream's iterator; its failure is logged, for nothing can be answered any more."""
    close = getattr(chunks, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:
        logger.exception("closing a stream failed")

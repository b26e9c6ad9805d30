"""Connections of a client: lanes, each a transport of httpx that holds one connection.

A pool of httpx looks at all of its connections, in the square of their number, whenever a request
begins or ends: with fifty in use that costs ten times what the request does. A lane is taken from the
end of a list and put back there, so the busiest stay warm and those unused for long are closed. Who
finds all lanes taken waits for one, as long as its request may take.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Generic, TypeVar, cast

import httpx

from inferd.core.clock import Clock, monotonic
from inferd.core.errors import Unavailable

L = TypeVar("L")

KEPT_SECONDS = 30.0
"""Idle connections are closed before servers would: inferd keeps them for 75 s."""

LANE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_SECONDS)
"""What each lane is limited to."""


class Idle(Generic[L]):
    """The lanes that nobody uses, the longest unused first. Safe from any thread."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lanes: deque[tuple[L, float]] = deque()
        self._closed = False

    def take(self) -> L | None:
        """Return the lane used last, ``None`` where there is none; raises once closed."""
        if self._closed:
            raise Unavailable("the client is closed", help="make a new one")
        try:
            return self._lanes.pop()[0]
        except IndexError:
            return None

    def give(self, lane: L) -> list[L]:
        """Put a lane back; return those to be closed."""
        now = self._clock()
        self._lanes.append((lane, now))
        return self._before(float("inf") if self._closed else now - KEPT_SECONDS)

    def close(self) -> list[L]:
        """Take no more requests; return the lanes to be closed."""
        self._closed = True
        return self._before(float("inf"))

    def _before(self, time: float) -> list[L]:
        old: list[L] = []
        try:
            while self._lanes[0][1] < time:
                old.append(self._lanes.popleft()[0])
        except IndexError:
            pass
        return old


class Pool:
    """Lanes for threads: at most ``size`` requests at a time."""

    def __init__(self, make: Callable[[], httpx.HTTPTransport], size: int) -> None:
        self._make = make
        self._idle: Idle[httpx.HTTPTransport] = Idle()
        self._slots = threading.Semaphore(size)

    def send(self, request: httpx.Request, seconds: float | None) -> httpx.Response:
        """Send a request; the response holds its lane until it is closed.

        Raises ``httpx.PoolTimeout`` where no lane is free within ``seconds``.
        """
        if not self._slots.acquire(timeout=seconds):
            raise httpx.PoolTimeout("all connections are in use")
        lane: httpx.HTTPTransport | None = None
        try:
            lane = self._idle.take() or self._make()
            response = lane.handle_request(request)
        except BaseException:
            self._release(lane)
            raise
        stream = cast("httpx.SyncByteStream", response.stream)
        response.stream = _Held(stream, lambda: self._release(lane))
        return response

    def _release(self, lane: httpx.HTTPTransport | None) -> None:
        # The lane first, so that whom the slot wakes finds it.
        unused = self._idle.give(lane) if lane is not None else []
        self._slots.release()
        for old in unused:
            old.close()

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        for lane in self._idle.close():
            lane.close()


class AsyncPool:
    """Lanes for tasks: at most ``size`` requests at a time."""

    def __init__(self, make: Callable[[], httpx.AsyncHTTPTransport], size: int) -> None:
        self._make = make
        self._idle: Idle[httpx.AsyncHTTPTransport] = Idle()
        self._slots = asyncio.Semaphore(size)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response holds its lane until it is closed."""
        await self._slots.acquire()
        lane: httpx.AsyncHTTPTransport | None = None
        try:
            lane = self._idle.take() or self._make()
            response = await lane.handle_async_request(request)
        except BaseException:
            await self._release(lane)
            raise
        stream = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _AsyncHeld(stream, lane, self._release)
        return response

    async def _release(self, lane: httpx.AsyncHTTPTransport | None) -> None:
        unused = self._idle.give(lane) if lane is not None else []
        self._slots.release()
        for old in unused:
            await old.aclose()

    async def aclose(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        for lane in self._idle.close():
            await lane.aclose()


class _Held(httpx.SyncByteStream):
    """A response's body, whose end gives the lane back, once."""

    def __init__(self, stream: httpx.SyncByteStream, release: Callable[[], None]) -> None:
        self._stream = stream
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        release, self._release = self._release, None
        try:
            self._stream.close()
        finally:
            if release is not None:
                release()


class _AsyncHeld(httpx.AsyncByteStream):
    """The same for tasks."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        lane: httpx.AsyncHTTPTransport,
        release: Callable[[httpx.AsyncHTTPTransport], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self._lane: httpx.AsyncHTTPTransport | None = lane
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        try:
            await self._stream.aclose()
        finally:
            if lane is not None:
                await self._release(lane)

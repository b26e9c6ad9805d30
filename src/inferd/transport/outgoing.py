"""Asking other servers over HTTP/1.1: a pool of kept connections to one address.

The connection used last is used next, so the busiest stay warm and those unused for long are closed.
Connections are bounded, and so are those who wait for one. An exchange has one deadline: waiting,
connecting, writing and reading all count. Who is cancelled closes its connection.

A server may close a kept connection at the very moment a request is sent on it. Such a request is sent
once more, on a fresh connection, if nothing of an answer has come: what is asked here may be asked twice.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from inferd.transport.outgoing_connection import (
    AnswerLimits,
    Buffer,
    HTTPAnswer,
    NoAnswer,
    OutgoingConnection,
    Whole,
)

UNHEARD = 5000
"""Milliseconds for which a host may leave unacknowledged what was sent to it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: an IP address (or a name), a port; ``name``: whom the certificate must be of."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Bounds of a pool. ``idle_time`` is shorter than servers keep a connection."""

    connections: int = 64
    waiting: int = 1024
    connect_timeout: float = 1.0
    idle_time: float = 30.0
    limits: AnswerLimits = field(default_factory=AnswerLimits)


class Pool:
    """Connections to one address."""

    def __init__(self, address: Address, settings: PoolSettings | None = None) -> None:
        self.address = address
        self.settings = settings or PoolSettings()
        self._idle: list[OutgoingConnection] = []
        self._open: set[OutgoingConnection] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._busy = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def busy(self) -> int:
        """Exchanges that go on."""
        return self._busy

    @property
    def open(self) -> int:
        """Connections, used or idle."""
        return len(self._open)

    async def exchange(self, message: Sequence[Buffer], seconds: float) -> HTTPAnswer:
        """Send a request (head, then pieces of its body) and return the answer, whatever its status.

        Raises ``NoAnswer``.
        """
        answer = await self._exchange(message, seconds, streams=False)
        assert isinstance(answer, HTTPAnswer)
        return answer

    async def stream(self, message: Sequence[Buffer], seconds: float) -> Whole:
        """Do the same for an answer in pieces; one that is no success is given whole.

        ``seconds`` bounds all of it. Read the stream to its end, or close it.
        """
        return await self._exchange(message, seconds, streams=True)

    async def _exchange(self, message: Sequence[Buffer], seconds: float, *, streams: bool) -> Whole:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if seconds <= 0:
            raise NoAnswer("no time was left to ask", late=True)
        if self._closed or self._busy >= self.settings.connections:
            await self._turn(seconds)
        else:
            self._busy += 1
        connection: OutgoingConnection | None = None
        answer: Whole | None = None
        try:
            connection = self._take() or await self._connect(end)
            try:
                answer = await connection.send(message, end - loop.time(), streams=streams)
            except NoAnswer as error:
                if error.began or error.late or not connection.used:
                    raise
                connection = await self._connect(end)
                answer = await connection.send(message, end - loop.time(), streams=streams)
        finally:
            if answer is not None and connection is not None and connection.streaming:
                connection.over = self._over  # its place is taken until the stream ends
            else:
                if answer is None and connection is not None:
                    connection.fail(NoAnswer("the request was given up", began=connection.began))
                self._over(connection)
        return answer

    # -- places ------------------------------------------------------------------------------------

    async def _turn(self, seconds: float) -> None:
        """Wait for one of the places; raises ``NoAnswer``."""
        if self._closed:
            raise NoAnswer("the connections are closed", connected=False)
        if len(self._waiters) >= self.settings.waiting:
            raise NoAnswer(f"{len(self._waiters)} requests wait for a connection", full=True)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise NoAnswer(
                    f"no connection was free within {seconds:.3g} s", late=True
                ) from None
            raise

    def _leave(self) -> None:
        """Give a place to who waits longest, or back."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._busy -= 1

    def _over(self, connection: OutgoingConnection | None) -> None:
        """An exchange is over: keep its connection where that may be."""
        if connection is not None:
            if connection.reusable and not self._closed:
                loop = asyncio.get_running_loop()
                connection.idle_since = loop.time()
                self._idle.append(connection)
                if self._sweeper is None:
                    self._sweeper = loop.call_later(self.settings.idle_time, self._sweep)
            else:
                connection.abort()
        self._leave()

    # -- connections -------------------------------------------------------------------------------

    def _take(self) -> OutgoingConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None

    async def _connect(self, end: float) -> OutgoingConnection:
        """Return a new connection; raises ``NoAnswer``."""
        loop = asyncio.get_running_loop()
        address = self.address
        left = end - loop.time()
        seconds = min(left, self.settings.connect_timeout)
        made = OutgoingConnection(self.settings.limits, self._lost, tls=address.tls is not None)
        self._open.add(made)
        try:
            async with asyncio.timeout(seconds):
                transport, _ = await loop.create_connection(
                    lambda: made, address.host, address.port, ssl=address.tls,
                    server_hostname=address.name or None if address.tls is not None else None,
                )  # fmt: skip
            sock = transport.get_extra_info("socket")
            if sock is not None:
                _tune(sock)
        except BaseException as error:
            made.abort()
            self._open.discard(made)
            if isinstance(error, TimeoutError):
                raise NoAnswer(
                    f"no connection within {seconds:.3g} s", connected=False, late=left <= seconds
                ) from None
            if isinstance(error, OSError):
                raise NoAnswer(reason_of(error), connected=False) from None
            raise
        return made

    def _lost(self, connection: OutgoingConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _sweep(self) -> None:
        """Close what has been idle for long."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        old = loop.time() - self.settings.idle_time
        while self._idle and self._idle[0].idle_since <= old:
            self._idle.pop(0).abort()
        if self._idle:
            next_ = self._idle[0].idle_since - old
            self._sweeper = loop.call_later(max(0.001, next_), self._sweep)

    def close(self) -> None:
        """Take no more requests; what goes on is finished. Idempotent."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._idle:
            self._idle.pop().abort()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(NoAnswer("the connections are closed", connected=False))

    async def aclose(self) -> None:
        """Close everything, what goes on too."""
        self.close()
        for connection in list(self._open):
            connection.fail(NoAnswer("the connections are closed", began=connection.began))
        for _ in range(3):  # a transport closes in the loop's next rounds
            await asyncio.sleep(0)


def _tune(sock: socket.socket) -> None:
    """Send at once, and hear of a host that is gone long before the system would give it up."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD)


def reason_of(error: OSError) -> str:
    """Return what the system says of a failed connection: asyncio puts the address in its own words."""
    said = error.strerror
    if isinstance(error, ssl.SSLCertVerificationError):
        said = f"the certificate is not accepted ({error.verify_message})"
    elif isinstance(error, ssl.SSLError):
        said = f"TLS failed ({error.reason or error})"
    elif error.errno and not isinstance(error, socket.gaierror):
        said = os.strerror(error.errno)
    return f"no connection: {said or error}"

"""Load on a running server: raw sockets on uvloop, open loop at a rate or closed loop.

A ``Shot`` is one request and what became of it. Its latency counts from the moment it was due, so
a server that stalls is charged for the requests that had to wait meanwhile. A shot that got no
answer has status 0 and says why in ``error``.
"""

import asyncio
import gc
import json
import math
import re
import statistics
import time
import weakref
from collections import deque
from dataclasses import dataclass, field

import uvloop

PATIENCE = 40.0
_open = weakref.WeakSet()
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.I)
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.I)


@dataclass(slots=True)
class Shot:
    """One request. ``sent`` is monotonic; ``stale``: its kept connection ended before a byte came."""

    index: int
    sent: float = 0.0
    seconds: float = 0.0
    status: int = 0
    body: bytes = b""
    retry_after: int | None = None
    error: str = ""
    stale: bool = False

    @property
    def ok(self):
        return self.status == 200

    @property
    def result(self):
        return json.loads(self.body)["result"]


class Link(asyncio.Protocol):
    """One connection with one request on it at a time."""

    def __init__(self):
        self.transport = None
        self.closed = False
        self.used = 0
        self._buffer = b""
        self._need = 0
        self._answer = None

    def connection_made(self, transport):
        self.transport = transport
        _open.add(self)

    def data_received(self, data):
        self._buffer = data = self._buffer + data if self._buffer else data
        if self._need == 0:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(data, 0, end + 2)
            assert length, data[:end]
            self._need = end + 4 + int(length[1])
        if len(data) >= self._need:
            assert len(data) == self._need, "more than one answer"
            self._buffer, self._need = b"", 0
            answer, self._answer = self._answer, None
            assert answer is not None, f"an answer nobody asked for: {data[:300]}"
            if not answer.done():
                answer.set_result(data)

    def eof_received(self):
        self._end("closed")

    def connection_lost(self, error):
        self._end("closed" if error is None else f"reset: {error}")

    def _end(self, why):
        self.closed = True
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(
                ConnectionError(why + (" inside an answer" if self._buffer else ""))
            )

    async def ask(self, message, shot, patience=PATIENCE):
        """Send one request and fill ``shot`` with its answer."""
        if self.closed:
            shot.error, shot.stale = "closed before it was sent", True
            return
        answer = self._answer = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(patience, _give_up, answer)
        self.transport.write(message)
        try:
            data = await answer
        except (ConnectionError, TimeoutError) as error:
            shot.error = str(error) or type(error).__name__
            shot.stale = bool(self.used) and not self._buffer and isinstance(error, ConnectionError)
            self.close()
            return
        finally:
            timer.cancel()
        self.used += 1
        end = data.find(b"\r\n\r\n")
        shot.status = int(data[9:12])
        shot.body = data[end + 4 :]
        retry = _RETRY.search(data, 0, end + 2)
        shot.retry_after = int(retry[1]) if retry else None
        if _CLOSE.search(data, 0, end + 2):
            self.close()

    def close(self):
        self.closed = True
        if self.transport is not None:
            self.transport.close()


def _give_up(answer):
    if not answer.done():
        answer.set_exception(TimeoutError("no answer"))


def request(path, value, *, headers="", raw=None, kind="application/json"):
    """Return the bytes of one predict request for ``value`` (or the body ``raw``)."""
    body = raw if raw is not None else json.dumps({"data": value}).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Type: {kind}\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


@dataclass
class Load:
    """Where requests go and how they are made: ``make(i)`` gives the bytes of request ``i``."""

    address: tuple
    make: object
    keep: bool = True
    patience: float = PATIENCE
    shots: list = field(default_factory=list)
    _idle: deque = field(default_factory=deque)

    def close(self):
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _link(self):
        while self.keep and self._idle:
            link = self._idle.popleft()  # the one idle longest: every connection stays in use
            if not link.closed:
                return link
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(Link, *self.address)
        return link

    async def shoot(self, index, due=None):
        """Send request ``index``; its latency counts from ``due``."""
        shot = Shot(index)
        self.shots.append(shot)
        due = due or time.monotonic()
        try:
            link = await self._link()
        except OSError as error:
            shot.error = f"connect: {error}"
            return shot
        shot.sent = time.monotonic()
        await link.ask(self.make(index), shot, self.patience)
        shot.seconds = time.monotonic() - due
        if not link.closed:
            if self.keep:
                self._idle.append(link)
            else:
                link.close()
        return shot

    async def open_loop(self, rate, seconds, *, first=0, stop=None):
        """Send ``rate`` requests a second whatever becomes of them; wait for the last answer."""
        loop_start = time.monotonic()
        tasks = set()
        for i in range(int(rate * seconds)):
            due = loop_start + i / rate
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if stop is not None and stop.is_set():
                break
            task = asyncio.create_task(self.shoot(first + i, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks)
        return self.shots

    async def closed_loop(self, workers, count=None, seconds=None):
        """Let ``workers`` clients ask one request after the other, ``count`` or ``seconds`` in all."""
        end = time.monotonic() + seconds if seconds is not None else math.inf
        numbers = iter(range(count if count is not None else 1 << 40))

        async def client():
            for number in numbers:
                if time.monotonic() > end:
                    return
                await self.shoot(number)

        await asyncio.gather(*(client() for _ in range(workers)))
        return self.shots


def run(coroutine):
    """Run a driver on uvloop, without pauses for garbage collection."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_closing(coroutine))
    finally:
        gc.enable()


async def _closing(coroutine):
    try:
        return await coroutine
    finally:
        for link in list(_open):
            link.close()
        await asyncio.sleep(0.05)


def quantile(shots, share):
    """Return the latency (seconds) that ``share`` of the answered shots stay under."""
    times = sorted(s.seconds for s in shots if s.status)
    return times[min(len(times) - 1, int(share * len(times)))]


def counts(shots):
    """Return how many shots came to which status or error, for messages."""
    out = {}
    for shot in shots:
        key = shot.status or shot.error
        out[key] = out.get(key, 0) + 1
    return out


def summary(shots):
    """Return one line for people."""
    answered = [s.seconds for s in shots if s.status]
    middle = statistics.median(answered) if answered else math.nan
    p99 = quantile(shots, 0.99) if answered else math.nan
    return f"{counts(shots)} p50 {middle * 1e3:.1f} ms p99 {p99 * 1e3:.1f} ms"

"""The load generator of gRPC: as ``load``, one process and one epoll, over HTTP/2.

The clients of gRPC for Python take ten times as long for a call as this does, and would be what is
measured. ``streams`` calls are under way on each of ``connections``; a call is one unary call, or,
on streams that stay open, one message and its answer. Answers are read and compared when the clock
has stopped. Both windows of HTTP/2 are heeded.

Run as ``python -m benchmarks.grpcload POOL`` with the jobs of ``load``, and ``streams``.
"""

from __future__ import annotations

import resource
import select
import socket
import time
from collections import deque

import numpy as np

from benchmarks import http2, load
from benchmarks.calls import METHODS, stream_result
from benchmarks.http2 import Frame, Head
from benchmarks.load import DRAIN_SECONDS, Job, Record
from benchmarks.pool import Pool

RECEIVE = 65536


class Stream:
    """One call, or a row of them on a stream that stays open."""

    __slots__ = ("data", "due", "index", "window")

    def __init__(self, window: int) -> None:
        self.data = b""
        self.due = 0.0
        self.index = -1
        self.window = window


class Channel:
    """One connection and the streams on it. ``lasting``: streams stay open."""

    def __init__(self, port: int, path: str, *, lasting: bool) -> None:
        self.head = Head(path)
        self.lasting = lasting
        self.streams: dict[int, Stream] = {}
        self.spent: deque[tuple[int, bytes]] = deque()
        self.window = self.initial = http2.WINDOW_BYTES
        self.next = 1
        self.buffer = bytearray()
        self.out = bytearray(http2.opening())
        self.alive = True
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)

    def call(self, message: bytes, index: int, due: float) -> None:
        """Begin a call."""
        number = self.next
        self.next = number + 2
        self.streams[number] = stream = Stream(self.initial)
        stream.index, stream.due = index, due
        block = self.head.first if number == 1 else self.head.again
        self.out += http2.frame(http2.HEADERS, http2.END_HEADERS, number, block)
        self.write(number, message)

    def write(self, number: int, message: bytes) -> None:
        """Send a message on a stream, or keep it until the windows allow it."""
        data, stream = http2.framed(message), self.streams[number]
        size = len(data)
        if size > self.window or size > stream.window:
            self.spent.append((number, message))
            return
        self.window -= size
        stream.window -= size
        self.out += http2.frame(http2.DATA, 0 if self.lasting else http2.END_STREAM, number, data)

    def open_windows(self, frame: Frame) -> None:
        """Note that more may be sent, and send what waited for it."""
        more = int.from_bytes(frame.payload, "big")
        if not frame.stream:
            self.window += more
        elif frame.stream in self.streams:
            self.streams[frame.stream].window += more
        for _ in range(len(self.spent)):
            number, message = self.spent.popleft()
            if number in self.streams:
                self.write(number, message)

    def set(self, frame: Frame) -> None:
        """Take over the peer's settings."""
        if frame.flags & http2.ACK:
            return
        for number, value in http2.settings(frame.payload):
            if number == http2.INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.window += value - self.initial
                self.initial = value
        self.out += http2.frame(http2.SETTINGS, http2.ACK, 0)

    def flush(self) -> bool:
        """Send what there is; whether all of it went out."""
        try:
            sent = self.sock.send(self.out) if self.out else 0
        except BlockingIOError:
            sent = 0
        del self.out[:sent]
        return not self.out


class Load:
    """Drives channels to one port of this machine in a closed loop."""

    def __init__(self, pool: Pool, cursor: int, job: Job, path: str, *, lasting: bool) -> None:
        self.requests = pool.requests
        self.cursor = cursor
        self.record = Record()
        self.poller = select.epoll()
        self.on = True
        self.channels: dict[int, Channel] = {}
        for _ in range(job["connections"]):
            channel = Channel(job["port"], path, lasting=lasting)
            self.channels[channel.sock.fileno()] = channel
            self.poller.register(channel.sock.fileno(), select.EPOLLIN)
            for _ in range(job["streams"]):
                channel.call(*self._next())
            self._flush(channel)

    def _next(self) -> tuple[bytes, int, float]:
        index = self.cursor
        self.cursor = index + 1 if index + 1 < len(self.requests) else 0
        return self.requests[index], index, time.monotonic()

    def _flush(self, channel: Channel) -> None:
        """Send, and wait for room where there is none."""
        events = select.EPOLLIN if channel.flush() else select.EPOLLIN | select.EPOLLOUT
        self.poller.modify(channel.sock.fileno(), events)

    def step(self, timeout: float = 0.1) -> None:
        """Handle what has happened."""
        for fd, _ in self.poller.poll(timeout):
            channel = self.channels[fd]
            try:
                data = channel.sock.recv(RECEIVE)
                if data:
                    self._received(channel, data)
                    self._flush(channel)
                else:
                    self._lost(channel)
            except BlockingIOError:
                self._flush(channel)
            except OSError:
                self._lost(channel)

    def _received(self, channel: Channel, data: bytes) -> None:
        channel.buffer += data
        found, end = http2.frames(channel.buffer)
        del channel.buffer[:end]
        for frame in found:
            kind = frame.kind
            if kind == http2.DATA:
                self._data(channel, frame)
            elif kind in (http2.HEADERS, http2.RESET):
                if kind == http2.RESET or frame.flags & http2.END_STREAM:
                    self._ended(channel, frame.stream)
            elif kind == http2.WINDOW:
                channel.open_windows(frame)
            elif kind == http2.SETTINGS:
                channel.set(frame)
            elif kind == http2.PING and not frame.flags & http2.ACK:
                channel.out += http2.frame(http2.PING, http2.ACK, 0, frame.payload)
            elif kind == http2.GOAWAY:
                raise ConnectionError("the server closes the connection")

    def _data(self, channel: Channel, frame: Frame) -> None:
        stream = channel.streams.get(frame.stream)
        if stream is None:
            return
        if frame.flags & http2.PADDED:
            raise ConnectionError("padded frames are not read here")
        stream.data += frame.payload
        if not channel.lasting:
            return
        answer = http2.unframed(stream.data)
        if answer is None:
            return
        self._answered(stream, answer)
        stream.data = b""
        if self.on:
            message, stream.index, stream.due = self._next()
            channel.write(frame.stream, message)

    def _ended(self, channel: Channel, number: int) -> None:
        """A call is over: with a message it was answered, without one refused."""
        stream = channel.streams.pop(number, None)
        if stream is None:  # reset after its end
            return
        if stream.index >= 0:
            self._answered(stream, http2.unframed(stream.data) or b"")
        if self.on:
            channel.call(*self._next())

    def _answered(self, stream: Stream, answer: bytes) -> None:
        now, record = time.monotonic(), self.record
        record.indices.append(stream.index)
        record.answers.append(answer)
        record.latencies.append(now - stream.due)
        record.finished.append(now)
        stream.index = -1

    def _lost(self, channel: Channel) -> None:
        """Give a broken connection up: with too few left, the rate shows it."""
        self.record.broken += sum(s.index >= 0 for s in channel.streams.values())
        self.poller.unregister(channel.sock.fileno())
        del self.channels[channel.sock.fileno()]
        channel.sock.close()

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Wait for what is under way; then close everything."""
        self.on = False
        end = time.monotonic() + seconds
        while self._busy() and time.monotonic() < end:
            self.step()
        for channel in list(self.channels.values()):
            self._lost(channel)
        self.poller.close()

    def _busy(self) -> bool:
        return any(s.index >= 0 for c in self.channels.values() for s in c.streams.values())


def run_job(pool: Pool, job: Job, cursor: int) -> tuple[Job, int]:
    """Run one job; return its result and where in the pool the next one starts."""
    lasting = pool.read is stream_result
    driver = Load(pool, cursor, job, METHODS["S" if lasting else "G"], lasting=lasting)
    begin = time.monotonic() + job["warm"]
    until = begin + job["seconds"]
    used = resource.getrusage(resource.RUSAGE_SELF)
    while time.monotonic() < until and driver.channels:
        driver.step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    driver.drain()
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    result = load.summary(pool, driver.record, begin, until)
    return result | {"generator_us": cpu / max(1, len(driver.record.indices)) * 1e6}, driver.cursor


def ask(port: int, message: bytes, seconds: float = 10.0) -> int:
    """Make one unary call on a fresh connection; return 200 where it was answered, else 0."""
    pool = Pool([message], np.zeros((1, 1)), np.ones(1))
    job = {"port": port, "connections": 1, "streams": 1}
    try:
        driver = Load(pool, 0, job, METHODS["G"], lasting=False)
        driver.drain(seconds)
    except OSError:
        return 0
    return 200 if any(driver.record.answers) else 0


if __name__ == "__main__":
    load.serve(run_job)

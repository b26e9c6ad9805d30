"""The load generator: one process, one epoll, requests made beforehand, answers checked after.

It shares two cores with what it measures, so the hot path is a handful of system calls per request
and no parsing beyond the response's length; bodies are decoded and compared when the clock has
stopped. Two modes: *closed* (each connection sends its next request when the last is answered) and
*open* (arrivals of a Poisson process at a fixed rate; latency counts from the scheduled arrival,
also while every connection is busy, so a stalled server cannot hide its queue).

Run as ``python -m benchmarks.load POOL``: reads one job per line from stdin and writes one result
per line to stdout, both JSON; the pool is built once. Job: ``port``, ``connections``, ``seconds``,
``warm`` (seconds before counting), ``rate`` (requests/s, absent for closed).
"""

from __future__ import annotations

import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from benchmarks import bodies
from benchmarks.pool import Pool

RECEIVE = 16384
DRAIN_SECONDS = 10.0
MAX_BROKEN = 1000
"""Connections that may break before the job gives up: past it, reconnecting is all it does."""
END_OF_HEAD = b"\r\n\r\n"


@dataclass(slots=True)
class Record:
    """What one job gathered; times are seconds of the monotonic clock."""

    indices: list[int] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    broken: int = 0


class Connection:
    """One keep-alive connection with at most one request in flight."""

    __slots__ = ("buffer", "due", "index", "rest", "sock")

    sock: socket.socket

    def __init__(self) -> None:
        self.index = -1
        self.due = 0.0
        self.rest = memoryview(b"")
        self.buffer = b""


def complete(data: bytes) -> int:
    """Return how many bytes the response in ``data`` has, 0 where it is not all there yet."""
    head = data.find(END_OF_HEAD)
    if head < 0:
        return 0
    # With the line end before it: the Open Inference Protocol has another header of a length.
    at = data.find(b"\nContent-Length: ", 0, head)
    if at < 0:
        at = data.find(b"\ncontent-length: ", 0, head)
    if at < 0:
        return _complete_slowly(data, head)
    size = head + 4 + int(data[at + 17 : data.find(b"\r", at)])
    return size if len(data) >= size else 0


def _complete_slowly(data: bytes, head: int) -> int:
    """Do the same for chunked responses (and lengths written without a space)."""
    lower = data[:head].lower()
    at = lower.find(b"\ncontent-length:")
    if at >= 0:
        size = head + 4 + int(lower[at + 16 :].split(b"\r", 1)[0])
        return size if len(data) >= size else 0
    end = data.find(b"\r\n0\r\n\r\n", head)
    return end + 7 if end >= 0 else 0


def body_of(data: bytes) -> bytes:
    """Return the body of a complete response; empty for any status but 200."""
    head, _, body = data.partition(END_OF_HEAD)
    if head[9:12] != b"200":
        return b""
    if b"chunked" not in head.lower():
        return body
    out = []
    while body:
        size, _, body = body.partition(b"\r\n")
        out.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(out)


class Load:
    """Drives connections to one port of this machine."""

    def __init__(self, pool: Pool, cursor: int, port: int) -> None:
        self.requests = pool.requests
        self.tail = memoryview(pool.tail)
        self.cursor = cursor
        self.port = port
        self.record = Record()
        self.poller = select.epoll()
        self.by_fd: dict[int, Connection] = {}
        self.idle: list[Connection] = []

    def open(self, count: int) -> None:
        """Open ``count`` connections; all are idle."""
        for _ in range(count):
            self.idle.append(self._connect(Connection()))

    def _connect(self, connection: Connection) -> Connection:
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        connection.sock, connection.buffer, connection.rest = sock, b"", memoryview(b"")
        self.by_fd[sock.fileno()] = connection
        self.poller.register(sock.fileno(), select.EPOLLIN)
        return connection

    def send(self, connection: Connection, due: float) -> None:
        """Send the next request of the pool; ``due`` is when its latency starts."""
        index = self.cursor
        self.cursor = index + 1 if index + 1 < len(self.requests) else 0
        connection.index, connection.due = index, due
        data = self.requests[index]
        tail = self.tail
        try:
            sent = connection.sock.sendmsg((data, tail)) if tail else connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._reopen(connection)
            return
        if sent < len(data) + len(tail):
            own = len(data)
            # The tail is not copied; a request's own beginning nearly always went out whole.
            rest = tail[sent - own :] if sent >= own else memoryview(data + tail)[sent:]
            connection.rest = rest
            self.poller.modify(connection.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def ready(self, fd: int, event: int) -> Connection | None:
        """Handle one event; return the connection when its answer is complete."""
        connection = self.by_fd[fd]
        if connection.rest and event & select.EPOLLOUT:
            self._send_more(connection, fd)
        if event & ~select.EPOLLOUT == 0:
            return None
        try:
            data = connection.sock.recv(RECEIVE)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            return self._reopen(connection)
        if connection.buffer:
            data = connection.buffer + data
        if not complete(data):
            connection.buffer = data
            return None
        connection.buffer = b""
        now = time.monotonic()
        record = self.record
        record.indices.append(connection.index)
        record.answers.append(data)
        record.latencies.append(now - connection.due)
        record.finished.append(now)
        connection.index = -1
        return connection

    def _send_more(self, connection: Connection, fd: int) -> None:
        try:
            sent = connection.sock.send(connection.rest)
        except OSError:
            return
        connection.rest = connection.rest[sent:]
        if not connection.rest:
            self.poller.modify(fd, select.EPOLLIN)

    def _reopen(self, connection: Connection) -> Connection:
        """Replace a closed connection; a request it had in flight counts as broken."""
        if connection.index >= 0:
            self.record.broken += 1
            connection.index = -1
            if self.record.broken > MAX_BROKEN:
                raise ConnectionError(f"the server broke {MAX_BROKEN} connections under load")
        self.by_fd.pop(connection.sock.fileno(), None)
        connection.sock.close()
        return self._connect(connection)

    def closed(self, until: float) -> None:
        """Keep every connection busy until the monotonic time ``until``."""
        clock = time.monotonic
        for idle in self.idle:
            self.send(idle, clock())
        self.idle = []
        poll, ready, send = self.poller.poll, self.ready, self.send
        while clock() < until:
            for fd, event in poll(0.1):
                connection = ready(fd, event)
                if connection is not None:
                    send(connection, clock())

    def opened(self, until: float, rate: float) -> None:
        """Send at the arrivals of a Poisson process until ``until``; wait for free connections."""
        clock = time.monotonic
        start = clock()
        gaps = np.random.default_rng(9).exponential(1 / rate, int(rate * (until - start) * 2) + 10)
        arrivals = (start + np.cumsum(gaps)).tolist()
        position = 0
        while (now := clock()) < until:
            while self.idle and arrivals[position] <= now:
                self.send(self.idle.pop(), arrivals[position])
                position += 1
            pause = max(0.0, arrivals[position] - now) if self.idle else 0.1
            # epoll rounds its timeout to milliseconds; select on the epoll itself does not.
            select.select([self.poller], [], [], min(pause, 0.1))
            self._collect()

    def drain(self) -> None:
        """Wait for what is in flight; then close everything."""
        end = time.monotonic() + DRAIN_SECONDS
        while any(c.index >= 0 for c in self.by_fd.values()) and time.monotonic() < end:
            self._collect(0.1)
        for connection in list(self.by_fd.values()):
            self.record.broken += connection.index >= 0
            connection.sock.close()
        self.poller.close()

    def _collect(self, timeout: float = 0.0) -> None:
        for fd, event in self.poller.poll(timeout):
            connection = self.ready(fd, event)
            if connection is not None:
                self.idle.append(connection)


def run_job(pool: Pool, job: dict[str, Any], cursor: int) -> tuple[dict[str, Any], int]:
    """Run one job; return its result and where in the pool the next one starts."""
    load = Load(pool, cursor, job["port"])
    load.open(job["connections"])
    begin = time.monotonic() + job["warm"]
    until = begin + job["seconds"]
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        if job.get("rate"):
            load.opened(until, job["rate"])
        else:
            load.closed(until)
    except OSError as error:
        print(f"load generator: {error}", file=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_SELF)
    load.drain()
    load.record.answers = [body_of(data) for data in load.record.answers]
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return summary(pool, load.record, begin, until) | {
        "generator_us": cpu / max(1, len(load.record.indices)) * 1e6
    }, load.cursor


def summary(pool: Pool, record: Record, begin: float, until: float) -> dict[str, Any]:
    """Check every answer and summarise those finished within ``begin`` .. ``until``.

    The record's answers are bodies, empty where the request was refused.
    """
    answers = record.answers
    refused = sum(not body for body in answers)
    finished = np.array(record.finished)
    good = np.fromiter(map(bool, answers), bool, len(answers))
    counted = (finished >= begin) & (finished <= until) & good if answers else good
    latencies = np.array(record.latencies)[counted] if counted.any() else np.array([np.nan])
    units = pool.units[np.array(record.indices, int)][counted].sum() if answers else 0
    return {
        "rate": float(counted.sum() / (until - begin)),
        "units_rate": float(units / (until - begin)),
        "p50_ms": float(np.percentile(latencies, 50) * 1e3),
        "p99_ms": float(np.percentile(latencies, 99) * 1e3),
        "answered": int(good.sum()),
        "refused": refused,
        "broken": record.broken,
        "repeated": max(0, len(answers) - len(pool.requests)),
        "wrong": pool.wrong(record.indices, answers) - refused,
    }


Job = dict[str, Any]


def serve(run: Callable[[Pool, Job, int], tuple[Job, int]]) -> None:
    """Build the pool that the command line names and serve jobs from stdin until it closes."""
    pool = bodies.build(sys.argv[1])
    print('{"ready":true}', flush=True)
    cursor = 0
    for line in sys.stdin:
        result, cursor = run(pool, orjson.loads(line), cursor)
        print(orjson.dumps(result).decode(), flush=True)


if __name__ == "__main__":
    serve(run_job)

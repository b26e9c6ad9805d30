"""One exchange with a server: bounded in time, repeated where that is right. Decisions only.

The functions are generators (``wire.Steps``): they yield what is to be done, are given back what came of
it, and return the result. Clock and random numbers are passed in, so every rule is tested without a
network or a sleep.
"""

from __future__ import annotations

import itertools
import math
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from inferd.client.errors import error_of, failed, too_late
from inferd.client.options import Options, base_of, seconds_of
from inferd.client.retry import Budget, may_repeat, pause_before
from inferd.client.wire import (
    EVENTS,
    JSON,
    REQUEST_ID,
    Answer,
    Failure,
    Outgoing,
    Pause,
    Send,
    Steps,
)
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError


@dataclass(frozen=True, slots=True)
class Terms:
    """What bounds one call: its id, its time in seconds, and when that is over."""

    id: str
    seconds: float
    deadline: float


class Exchanges:
    """The exchanges of one client, which share a budget of repeats."""

    def __init__(
        self,
        options: Options,
        clock: Clock = monotonic,
        draw: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.url = base_of(options.url)
        self.clock = clock
        self._draw = draw
        self._wall = wall
        self._budget = Budget(clock)
        self._prefix = secrets.token_hex(4)
        self._count = itertools.count(1)

    def terms(self, timeout: float | str | None = None, request_id: str | None = None) -> Terms:
        """Return the bounds of a call that begins now."""
        seconds = self.options.seconds if timeout is None else seconds_of(timeout)
        id = request_id if request_id is not None else f"{self._prefix}-{next(self._count):x}"
        return Terms(id, seconds, self.clock() + seconds)

    def exchange(self, request: Outgoing, terms: Terms, *, stream: bool = False) -> Steps[Answer]:
        """Send a request until it is answered well; raises the error of the last answer."""
        self._budget.request()
        for attempt in itertools.count():
            left = terms.deadline - self.clock()
            if left <= 0:
                raise too_late(self.url, terms.id, terms.seconds)
            got = yield Send(_bounded(request, terms.id, left), left, stream)
            assert got is not None
            if isinstance(got, Answer) and 200 <= got.status < 300:
                return got
            error = self._error(got, terms)
            wait = self._wait(got, error, attempt, terms.deadline - self.clock())
            if wait is None:
                raise error
            yield Pause(wait)
        raise AssertionError("This is a bug.")

    def _error(self, got: Answer | Failure, terms: Terms) -> InferdError:
        if isinstance(got, Failure):
            return failed(got, self.url, terms.id, terms.seconds)
        return error_of(got, self._wall())

    def _wait(
        self, got: Answer | Failure, error: InferdError, attempt: int, left: float
    ) -> float | None:
        """Return the pause before the next attempt, ``None`` where there is none to be."""
        if attempt >= self.options.retries or not may_repeat(got):
            return None
        wait = pause_before(attempt, getattr(error, "retry_after", None), self._draw())
        return wait if wait < left and self._budget.take() else None

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        media: str | None = None,
        accept: str = JSON,
        timeout: float | str | None = None,
        request_id: str | None = None,
    ) -> Steps[Answer]:
        """Send any request to the server."""
        headers = {"Accept": accept} if media is None else {"Accept": accept, "Content-Type": media}
        terms = self.terms(timeout, request_id)
        return (yield from self.exchange(Outgoing(method, path, headers, body), terms))

    def events(self, path: str, body: bytes, media: str, terms: Terms) -> Steps[Answer]:
        """Post any body for an answer in events; returns once it begins."""
        request = Outgoing("POST", path, {"Accept": EVENTS, "Content-Type": media}, body)
        return (yield from self.exchange(request, terms, stream=True))


def _bounded(request: Outgoing, id: str, left: float) -> Outgoing:
    """Return a request with its id and the time that is left for it."""
    headers = {REQUEST_ID: id, **request.headers}
    if left != float("inf"):
        # Rounded up, so that the server's time is never over before the client's.
        headers["X-Request-Timeout"] = f"{math.ceil(left * 1000) / 1000:.3f}s"
    return request._replace(headers=headers)

"""The circuit breaker of a service: after failures in a row, nobody waits for the next one.

purgatory's state machine does the counting: closed, open for a while, half open, where the next request
decides. It is used without its wrapper: a request that is refused costs no exception of its own (the
library raises one and the same object, whose traceback grows), time is our clock's, and only one request
at a time may find out whether a service is back.

A failure is one of the service as a whole: no replica could be reached, or answered in time.
"""

from __future__ import annotations

from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context

from inferd.core.clock import Clock
from inferd.core.errors import Unavailable

STATES = (CLOSED, OPENED, HALF_OPENED)
FAILURES = 5
OPEN_SECONDS = 2.0
_AT_ONCE = float("-inf")  # half open whenever it is asked: when that may be is decided here


class Breaker:
    """Lets requests to one service through, or refuses them at once for ``seconds``."""

    def __init__(
        self, service: str, clock: Clock, failures: int = FAILURES, seconds: float = OPEN_SECONDS
    ) -> None:
        self._service = service
        self._clock = clock
        self._context = Context(service, failures, _AT_ONCE)
        self._seconds = seconds
        self._opened = 0.0
        self._trying = False
        self.reason = ""

    @property
    def state(self) -> str:
        """``closed``, ``opened`` or ``half-opened``."""
        return str(self._context.state)

    def enter(self) -> bool:
        """Begin a request; return whether it is the one that tries. Raises ``Unavailable``."""
        context = self._context
        if context.state == CLOSED:
            return False
        left = self._opened + self._seconds - self._clock()
        if context.state == OPENED and left > 0:
            raise self._refusal(left)
        if self._trying:
            raise self._refusal(0.1)
        if context.state == OPENED:
            context.handle_new_request()
        self._trying = True
        return True

    def leave(self, trying: bool, error: Exception | None = None) -> None:
        """End a request: well, or with an ``error`` that counts as a failure of the service."""
        if trying:
            self._trying = False
        context = self._context
        if error is None:
            context.handle_end_request()
        else:
            before = context.state
            self.reason = str(error).partition("\n")[0]
            context.handle_exception(error)
            if context.state == OPENED and before != OPENED:
                self._opened = self._clock()
        context.messages.clear()  # events for listeners, of which there are none

    def give_up(self, trying: bool) -> None:
        """End a request of which nothing is known: its client went away."""
        if trying:
            self._trying = False

    def _refusal(self, left: float) -> Unavailable:
        return Unavailable(
            f"service {self._service!r} is not asked for the moment, it keeps failing: {self.reason}",
            retry_after=max(0.1, left),
        )

"""Spans on their way out: a bounded queue, and one thread that hands them to an exporter.

Recording is an append. What the queue has no room for is dropped and counted; what the exporter cannot
get rid of is counted as well, and said in the log now and then. A request never waits and never fails
because of its trace.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from inferd.core.clock import monotonic
from inferd.core.trace import Span
from inferd.telemetry.logs import Log
from inferd.telemetry.spans import expanded

log = Log("tracing")

MOST = 8192
"""Requests (and what else records spans by itself) that may wait."""

BATCH = 32
"""How many of them are exported at a time: writing them holds up the loop, which shares the interpreter."""

REST = 3.0
"""How many times as long as it computed the thread rests: it takes a quarter of a core at most."""

INTERVAL = 1.0
QUIET = 60.0
"""Seconds between two lines of the log about spans that were lost."""

_SET = 50_000_000
_LEAVING = 0.5


class Exporter(Protocol):
    """Where spans go. Used by one thread."""

    def export(self, spans: Sequence[Span], epoch: int) -> None:
        """Hand over spans; raises where they cannot be got rid of.

        ``epoch``: nanoseconds to add to a span's monotonic time for wall-clock time.
        """
        ...

    def close(self) -> None:
        """Let go of what is held, and end a running ``export``. Called from another thread too."""
        ...


class SpanQueue:
    """Takes spans on the loop and exports them beside it.

    ``make`` makes the exporter when the queue starts. ``exported``, ``failed`` and ``dropped`` count; of a
    request that is dropped its own span counts and not what would have been made of it.
    """

    def __init__(
        self, make: Callable[[], Exporter], *, most: int = MOST, batch: int = BATCH,
        interval: float = INTERVAL, quiet: float = QUIET,
    ) -> None:  # fmt: skip
        self._make = make
        self._most = most
        self._batch = batch
        self._interval = interval
        self._quiet = quiet
        self._spans: deque[Span] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._exporter: Exporter | None = None
        self._thread: threading.Thread | None = None
        self._leaving = 0
        self._epoch = 0
        self._told = float("-inf")
        self._told_of = 0
        self.exported = 0
        self.failed = 0
        self.dropped = 0

    def record(self, span: Span) -> None:
        """Take a span that is over."""
        spans = self._spans
        if len(spans) >= self._most or self._closing.is_set():
            self.dropped += 1
            return
        spans.append(span)
        if len(spans) == self._batch:
            self._wake.set()

    def start(self) -> None:
        """Make the exporter (raises ``InferdError`` where it cannot be) and start the thread."""
        self._exporter = self._make()
        self._thread = threading.Thread(target=self._run, name="inferd-spans", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Export what waits, for so many seconds at most; idempotent."""
        self._closing.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout)
            self.dropped += len(self._spans)
            self._spans.clear()
        if self._exporter is not None:
            self._exporter.close()
            self._exporter = None
        if thread is not None:
            thread.join(_LEAVING)
            if thread.is_alive():
                self.failed += self._leaving
            self._tell("they had not left when the server stopped", always=True)

    def _run(self) -> None:
        exporter, spans = self._exporter, self._spans
        assert exporter is not None
        while True:
            if not spans:
                if self._closing.is_set():
                    return
                self._wake.wait(self._interval)
                self._wake.clear()
            self._export(exporter)

    def _export(self, exporter: Exporter) -> None:
        while taken := self._taken():
            self._leaving = len(taken)
            begin = time.thread_time()
            try:
                made = [inner for span in taken for inner in expanded(span)]
                self._leaving = len(made)
                exporter.export(made, self._to_epoch())
            except Exception as error:
                self.failed += self._leaving
                self._tell(str(error) or type(error).__name__)
            else:
                self.exported += self._leaving
            self._leaving = 0
            self._closing.wait((time.thread_time() - begin) * REST)

    def _taken(self) -> list[Span]:
        """Return what is to be exported next; who closes the queue may empty it meanwhile."""
        taken: list[Span] = []
        with contextlib.suppress(IndexError):
            while len(taken) < self._batch:
                taken.append(self._spans.popleft())
        return taken

    def _tell(self, reason: str, *, always: bool = False) -> None:
        """Say in the log that spans were lost, unless that was said a moment ago."""
        lost = self.failed + self.dropped
        now = monotonic()
        if lost == self._told_of or (not always and now < self._told + self._quiet):
            return
        log.warning("spans were lost", reason=reason, spans=lost - self._told_of)
        self._told, self._told_of = now, lost

    def _to_epoch(self) -> int:
        """Return what makes wall-clock time of monotonic time; steady until the clock is set."""
        found = time.time_ns() - int(monotonic() * 1e9)
        if abs(found - self._epoch) > _SET:
            self._epoch = found
        return self._epoch

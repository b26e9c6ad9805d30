"""The loop around an engine: requests join, step, and leave, on one thread.

Whoever gives requests (a worker's socket, the inline executor) calls ``add``, ``cancel`` and ``taken``
from any thread; what comes of them goes to ``emit`` and ``end`` on the loop's thread. A request that
was cancelled or is out of time leaves before the next step. One whose client does not keep up is held:
where the engine cannot leave it out, its pieces wait here.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from inferd.core.errors import DeadlineExceeded, InferdError
from inferd.core.message import Parameters
from inferd.core.runtime import Engine
from inferd.core.tensor import Tensors
from inferd.execution.program import EXPIRED, Program
from inferd.execution.streams import WINDOW
from inferd.transforms.collate import Collated

Emit = Callable[[int, Tensors], None]
End = Callable[[int, InferdError | None, float, int], None]
"""Hears of a request's end: its key, what ended it, seconds since it came, pieces sent."""


@dataclass(slots=True)
class _Running:
    """One request in the engine; ``credit``: how many pieces may still be sent."""

    since: float
    deadline: float
    collated: Collated | None = None
    credit: int = WINDOW
    pieces: int = 0
    waiting: deque[Tensors] = field(default_factory=deque)
    over: bool = False


class EngineLoop:
    """Runs the engine of one program. ``steps``: how many have ended, a sign that it goes on."""

    def __init__(self, program: Program, engine: Engine, emit: Emit, end: End) -> None:
        self._program = program
        self._engine = engine
        self._emit = emit
        self._end = end
        self._hold: Callable[..., None] | None = getattr(engine, "hold", None)
        self._orders: deque[tuple[str, int, Any]] = deque()
        self._running: dict[int, _Running] = {}
        self._wake = threading.Condition()
        self._stopped = False
        self.steps = 0
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, key: int, parameters: Parameters, deadline: float, inputs: Tensors) -> None:
        """Take a request of one row; ``deadline`` is in monotonic seconds."""
        self._order("add", key, (parameters, deadline, inputs, time.monotonic()))

    def cancel(self, key: int) -> None:
        """Let a request go before the next step; unknown ones are ignored."""
        self._order("cancel", key, None)

    def taken(self, key: int, count: int) -> None:
        """Allow ``count`` more pieces."""
        self._order("taken", key, count)

    def stop(self, seconds: float = 0.0) -> bool:
        """End the thread; what runs is cancelled. Whether it ended within ``seconds``."""
        self._stopped = True
        self._order("cancel", 0, None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _order(self, verb: str, key: int, value: Any) -> None:
        with self._wake:
            self._orders.append((verb, key, value))
            self._wake.notify()

    def _stand_back(self) -> None:
        """Let other models go first, where the engine says so: they answer in less than a step takes."""
        niceness = getattr(self._engine, "niceness", 0)
        if niceness and sys.platform == "linux":  # elsewhere it is a whole process that is nice
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

    def _loop(self) -> None:
        self._stand_back()
        while not self._stopped:
            with self._wake:
                while not self._orders and not self._steps():
                    self._wake.wait(self._patience())
                    if self._overdue():
                        break
                orders = list(self._orders)
                self._orders.clear()
            for verb, key, value in orders:
                self._obey(verb, key, value)
            for key in self._overdue():
                self._engine.cancel(key)
                self._leave(key, DeadlineExceeded("the deadline passed while it ran"))
            if self._steps():
                self._step()
        for key in list(self._running):
            self._engine.cancel(key)

    def _steps(self) -> bool:
        """Whether a step would advance anybody."""
        return any(r.credit > 0 and not r.over for r in self._running.values())

    def _overdue(self) -> list[int]:
        now = time.monotonic()
        return [key for key, r in self._running.items() if r.deadline <= now]

    def _patience(self) -> float | None:
        """Return the seconds until the first of those who are held is out of time."""
        first = min((r.deadline for r in self._running.values()), default=float("inf"))
        return None if first == float("inf") else max(0.0, first - time.monotonic())

    def _obey(self, verb: str, key: int, value: Any) -> None:
        if verb == "add":
            self._admit(key, *value)
            return
        running = self._running.get(key)
        if running is None:
            return
        if verb == "cancel":
            self._engine.cancel(key)
            self._leave(key, None)
        else:
            if running.credit <= 0 and self._hold is not None:
                self._hold(key, on=False)
            running.credit += value
            self._send(key, running)

    def _admit(
        self, key: int, parameters: Parameters, deadline: float, inputs: Tensors, since: float
    ) -> None:
        running = _Running(since, deadline)
        self._running[key] = running
        if deadline <= time.monotonic():
            self._leave(key, DeadlineExceeded(EXPIRED))
            return
        try:
            prepared, running.collated = self._program.opened(inputs)
            self._engine.add(key, prepared, parameters)
        except BaseException as error:  # foreign code: this request fails alone
            self._leave(key, self._program.told(error))

    def _step(self) -> None:
        try:
            found = self._engine.step()
        except BaseException as error:  # foreign code: nobody's answer can go on
            failure = self._program.told(error)
            for key in list(self._running):
                self._engine.cancel(key)
                self._leave(key, failure)
            return
        finally:
            self.steps += 1
        if self._stopped:  # nobody hears any more
            return
        if not found:
            time.sleep(0.0005)  # an engine that has nothing to say must not spin
        for key, piece, last in found:
            running = self._running.get(key)
            if running is None:
                continue
            if isinstance(piece, BaseException):
                self._leave(key, self._program.told(piece))
                continue
            self._take(key, running, piece, last)

    def _take(self, key: int, running: _Running, piece: Tensors, last: bool) -> None:
        """Pass on what a step gave one request."""
        try:
            if piece:
                running.waiting.append(self._program.piece(piece, running.collated))
        except BaseException as error:  # foreign code again: a postprocess verb
            if not last:
                self._engine.cancel(key)
            self._leave(key, self._program.told(error))
            return
        running.over = running.over or last
        self._send(key, running)

    def _send(self, key: int, running: _Running) -> None:
        """Send what may be sent; end what is over."""
        while running.waiting and running.credit > 0:
            piece = running.waiting.popleft()
            try:
                self._emit(key, piece)
            except InferdError as error:
                if not running.over:
                    self._engine.cancel(key)
                self._leave(key, error)
                return
            running.pieces += 1
            running.credit -= 1
            if running.credit == 0 and self._hold is not None and not running.over:
                self._hold(key, on=True)
        if running.over and not running.waiting:
            self._leave(key, None)

    def _leave(self, key: int, error: InferdError | None) -> None:
        running = self._running.pop(key, None)
        if running is not None:
            self._end(key, error, time.monotonic() - running.since, running.pieces)

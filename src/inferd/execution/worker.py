"""The worker process: loads one version of one model and answers jobs until its socket closes.

Slots are threads that take turns at the socket: whoever holds the reading lock takes the next
frame, lets the next thread read, and runs its job itself. With one slot there is one thread and no
hand-over. A further thread beats every half second, so that the front can tell a stopped process
from a busy one. Nothing received is ever unpickled; a frame that breaks the schema ends the worker.

Started as ``python -m inferd.execution.worker SOCKET_FD MEMORY_FD``.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections import deque
from typing import Any

from inferd.core.errors import InferdError, ModelFailed
from inferd.core.tensor import Tensors
from inferd.execution import frames
from inferd.execution.blocks import FrameError
from inferd.execution.executor import Curve
from inferd.execution.frames import Outcome
from inferd.execution.memory import SLOTS_MAX, SharedMemory
from inferd.execution.reader import FrameReader

BEAT_EVERY = 0.5
TRIM_EVERY = 2.0
_CREDIT = struct.Struct("<I")
_OF_STREAMS = (frames.GENERATE, frames.TAKEN, frames.CANCEL)


class Worker:
    """The loops of one worker process around a program.

    ``program`` needs ``run(blocks, deadlines, budget, shared) -> Outcome``.
    """

    def __init__(self, sock: socket.socket, memory: SharedMemory) -> None:
        self._sock = sock
        self._memory = memory
        self._reading = threading.Lock()
        self._sending = threading.Lock()
        self._arena = threading.Lock()
        self._program: Any = None
        self._engine: Any = None  # an EngineLoop, for a model that streams
        self._places: dict[int, int] = {}
        self._waiting: deque[tuple[int, bytearray]] = deque()
        self._cancelled: set[int] = set()
        self._reader = FrameReader(sock)
        self._slots = 1
        self._started = 1
        self._stop = threading.Event()
        self._busy = 0.0

    def serve(self) -> int:
        """Answer frames until the front goes away or says UNLOAD; returns the exit status."""
        threading.Thread(target=self._beat, daemon=True).start()
        self._loop(0)
        return 0

    def _loop(self, slot: int) -> None:
        while True:
            with self._reading:
                job = self._next()
            if job is None:
                return
            self._job(slot, *job)

    def _next(self) -> tuple[int, bytearray] | None:
        """Return the next job, after reading what else has come: it may be cancelled there."""
        waiting = self._waiting
        while not self._stop.is_set():
            if waiting and not self._reader.more():
                return waiting.popleft()
            got = self._reader.read()
            if got is None:
                self._stop.set()
                return None
            kind, handle, payload = got
            if kind == frames.ADD:
                waiting.append((handle, payload))
            else:
                self._control(kind, handle, payload)
        return None

    def _control(self, kind: int, handle: int, payload: bytearray) -> None:
        if kind == frames.LOAD:
            self._load(handle, json.loads(payload))
        elif self._engine is not None and kind in _OF_STREAMS:
            self._streamed(kind, handle, payload)
        elif kind == frames.CANCEL:
            if any(handle == job for job, _ in self._waiting):  # else it runs or has run
                self._cancelled.add(handle)
        elif kind == frames.CREDIT:
            (slots,) = _CREDIT.unpack_from(payload)
            with self._arena:
                for (offset,) in struct.iter_unpack("<Q", payload[_CREDIT.size :]):
                    self._memory.arena.release(offset)
            self._grow(slots)
        elif kind == frames.UNLOAD:
            self._stop.set()

    def _streamed(self, kind: int, handle: int, payload: bytearray) -> None:
        """Pass what concerns an answer in pieces on to the engine."""
        from inferd.execution import streams

        if kind == frames.CANCEL:
            self._engine.cancel(handle)
        elif kind == frames.TAKEN:
            self._engine.taken(handle, streams.read_taken(memoryview(payload)))
        else:
            parameters, deadline, inputs = streams.read_generate(memoryview(payload))
            free = set(range(SLOTS_MAX)) - set(self._places.values())
            if free:  # a place to say in that this request runs
                self._places[handle] = place = min(free)
                self._memory.mark(place, handle)
            self._engine.add(handle, parameters, deadline, inputs)

    def _start_engine(self) -> None:
        from inferd.execution import streams
        from inferd.execution.engine import EngineLoop

        def emit(handle: int, piece: Tensors) -> None:
            try:
                data = streams.write_chunk(handle, piece)
            except Exception as error:  # an array of a kind that has no name, texts that are none
                raise ModelFailed(f"a piece of the answer cannot be sent: {error}") from None
            self._send(data)

        def end(handle: int, error: InferdError | None, seconds: float, pieces: int) -> None:
            place = self._places.pop(handle, None)
            if place is not None:
                self._memory.mark(place, 0)
            self._send(streams.write_end(handle, error, seconds, pieces))

        self._engine = EngineLoop(self._program, self._program.runtime.engine(), emit, end)
        self._engine.start()

    def _grow(self, slots: int) -> None:
        while self._started < slots:
            slot = self._started
            self._started += 1
            threading.Thread(target=self._follow, args=(slot,), daemon=True).start()

    def _follow(self, slot: int) -> None:
        try:
            self._loop(slot)
        except (OSError, FrameError) as error:
            _die(f"worker: {error}")

    def _load(self, handle: int, order: dict[str, Any]) -> None:
        try:
            answer = self._loaded(order)
        except InferdError as error:
            if error.__cause__ is not None:
                traceback.print_exception(error.__cause__, file=sys.stderr)
            answer = {"error": frames.told(error)}
        self._send(frames.json_frame(frames.DONE, handle, answer))

    def _loaded(self, order: dict[str, Any]) -> dict[str, Any]:
        if order.get("kind") == "codec":
            from inferd.execution.codecs import CodecProgram

            self._program = CodecProgram()
            return {"codec": True}
        from inferd.execution.loading import describe_loaded, load_program

        curve = Curve.from_json(order["curve"]) if order.get("curve") else None
        self._program, loaded = load_program(
            order["spec"], threads=order["threads"], curve=curve, cpus=order["cpus"]
        )
        if loaded.streams:
            self._start_engine()
        gc.collect()
        gc.freeze()  # what a model brought stays: later collections need not walk it
        return describe_loaded(loaded)

    def _job(self, slot: int, handle: int, payload: bytearray) -> None:
        self._memory.mark(slot, handle)
        job = frames.read_add(memoryview(payload), self._memory.view)
        deadlines: tuple[float, ...] = job.deadlines
        if handle in self._cancelled:
            self._cancelled.discard(handle)
            deadlines = (0.0,) * len(deadlines)
        try:
            outcome = self._program.run(job.blocks, deadlines, job.budget, bool(job.spans))
        except BaseException as error:  # a job must be answered, whatever happens
            traceback.print_exc()
            failure = InferdError(f"the job failed: {type(error).__name__}: {error}")
            outcome = frames.all_failed(len(deadlines), failure)
        with self._arena:
            done = self._written(handle, outcome)
        self._busy = time.monotonic()
        self._send(done)
        self._memory.mark(slot, 0)

    def _written(self, handle: int, outcome: Outcome) -> frames.Frame:
        """Write an outcome; what a model answered and cannot be sent fails its entries only."""
        placed: list[int] = []

        def place(size: int) -> tuple[int, memoryview] | None:
            got = self._memory.place(size)
            if got is not None:
                placed.append(got[0])
            return got

        try:
            return frames.write_outcome(handle, outcome, place)[0]
        except Exception:  # an array of a kind that has no name, texts that are none, too much
            for offset in placed:
                self._memory.arena.release(offset)
        try:
            return frames.write_outcome(handle, frames.sendable(outcome))[0]
        except FrameError as error:
            failure = ModelFailed(f"the answer is too large: {error}")
            return frames.write_outcome(handle, frames.all_failed(len(outcome.status), failure))[0]

    def _send(self, parts: frames.Frame) -> None:
        data = frames.joined(parts)
        with self._sending:
            self._sock.sendall(data)

    def _beat(self) -> None:
        beat = struct.Struct("<QQ")
        while not self._stop.wait(BEAT_EVERY):
            try:
                steps = 0 if self._engine is None else self._engine.steps
                self._send(frames.frame(frames.BEAT, 0, [beat.pack(time.process_time_ns(), steps)]))
            except OSError:
                _die("")
            if time.monotonic() - self._busy > TRIM_EVERY:
                with self._arena:
                    self._memory.trim()


def _die(message: str) -> None:
    """End the process at once from any thread; the front has gone or broke the protocol."""
    if message:
        print(message, file=sys.stderr, flush=True)
    os._exit(1)


def _tie_to_parent(parent: int) -> None:
    """Ask Linux to end this process when the front dies, however it dies."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _yield_to_front() -> None:
    """Ask not to preempt others on waking: the front, which everybody waits for, goes first."""
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main(argv: list[str]) -> int:
    """Run a worker on inherited descriptors: ``argv`` is socket, memory, parent process id."""
    sock_fd, memory_fd, parent = (int(a) for a in argv)
    _tie_to_parent(parent)
    _yield_to_front()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    memory = SharedMemory(memory_fd, "outputs")
    os.close(memory_fd)
    sock = socket.socket(fileno=sock_fd)
    try:
        return Worker(sock, memory).serve()
    except (OSError, FrameError) as error:
        print(f"worker: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

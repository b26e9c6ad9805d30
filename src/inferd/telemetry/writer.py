"""Lines to a file descriptor without ever waiting for it.

A terminal that is scrolled, a full disk or a stalled log collector must not stop the loop. Lines
go into a bounded queue and one thread writes them; when the queue is full they are dropped and
counted, and the next line that fits is preceded by one that says how many are missing.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

MAX_BYTES = 8 << 20


class BoundedWriter:
    """Writes byte chunks to ``fd`` from a thread of its own.

    ``write`` never blocks and never raises. ``dropped`` counts the lines lost since the start.
    ``note`` makes the line that reports a gap, in the format of the log.
    """

    def __init__(
        self, fd: int, *, max_bytes: int = MAX_BYTES, note: Callable[[int], bytes] | None = None
    ) -> None:
        self._fd = fd
        self._max_bytes = max_bytes
        self._note = note
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._unreported = 0
        self.dropped = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="inferd-log-writer", daemon=True)
        self._thread.start()

    def write(self, data: bytes, lines: int = 1) -> bool:
        """Queue ``data``, whole lines with their ends; return whether there was room."""
        with self._condition:
            if self._closing or self._bytes + len(data) > self._max_bytes:
                self.dropped += lines
                self._unreported += lines
                return False
            if self._unreported and self._note is not None:
                self._put(self._note(self._unreported))
            self._unreported = 0
            self._put(data)
            self._condition.notify()
        return True

    def _put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._bytes += len(data)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._chunks:
                    if self._closing:
                        return
                    self._condition.wait()
                data = b"".join(self._chunks)
                self._chunks.clear()
            written = self._write_all(data)
            with self._condition:
                self._bytes -= len(data)
                if not written:
                    self.dropped += data.count(b"\n")

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Somebody made the descriptor non-blocking (it is shared with the terminal).
                _wait_writable(self._fd)
            except OSError:  # disk full, reader gone: nothing to be done and nobody to tell
                return False
        return True

    def close(self, timeout: float = 1.0) -> None:
        """Write what is queued, waiting at most ``timeout`` seconds for it."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(timeout)


def _wait_writable(fd: int) -> None:
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll(1000)

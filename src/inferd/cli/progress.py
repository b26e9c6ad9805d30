"""A line on the terminal while something takes time; silent where nobody watches."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

_FRAMES = "|/-\\"
_PERIOD = 0.12


class Progress:
    """``with Progress("loading iris"):`` shows what goes on and for how long, on standard error."""

    def __init__(self, message: str, stream: TextIO | None = None) -> None:
        self._message = message
        self._stream = stream if stream is not None else sys.stderr
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._thread = threading.Thread(target=self._spin, name="inferd-progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _spin(self) -> None:
        start = time.monotonic()
        turn = 0
        while not self._done.wait(_PERIOD):
            frame = _FRAMES[turn % len(_FRAMES)]
            self._write(f"\r{frame} {self._message} ({time.monotonic() - start:.0f} s)")
            turn += 1
        # Back to the start of the line, and clear it: only results stay on the screen.
        self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

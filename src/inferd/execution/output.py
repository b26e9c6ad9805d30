"""What a worker prints reaches the log line by line, with the model's name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

LINE_MAX = 8192


class OutputReader:
    """Reads a pipe on the event loop and hands on whole lines, cut at ``LINE_MAX`` bytes."""

    def __init__(
        self, fd: int, loop: asyncio.AbstractEventLoop, on_line: Callable[[str], None]
    ) -> None:
        self._fd = fd
        self._loop = loop
        self._on_line = on_line
        self._rest = b""
        self.closed = False

    def open(self) -> None:
        """Start reading."""
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > LINE_MAX:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        text = line[:LINE_MAX].decode("utf-8", "replace").rstrip()
        if text:
            self._on_line(text)

    def drain(self) -> None:
        """Read what is there now, then close: the writer has ended."""
        for _ in range(64):
            if self.closed:
                return
            before = self._rest
            self._readable()
            if self._rest == before:
                break
        self.close()

    def close(self) -> None:
        """Hand on what is left and close the pipe. Idempotent."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._fd)
            if self._rest:
                self._say(self._rest)
            os.close(self._fd)

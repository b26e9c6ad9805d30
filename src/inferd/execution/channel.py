"""The front's end of a worker's socket: frames over a non-blocking stream on the event loop.

Writes go out at once where the kernel takes them; what it does not take is queued and sent as the
socket drains. Reads land in one reused buffer when small and in a buffer of their own when a frame
is large, so a payload handed on is never overwritten.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable

from inferd.execution.blocks import FrameError
from inferd.execution.frames import HEAD, Frame, joined, parse_head

READ = 256 * 1024


class Channel:
    """Sends and receives frames.

    ``on_frame(kind, handle, payload)`` gets each frame with a private payload; ``on_close(reason)``
    is called once, when the peer is gone (``None``) or broke the protocol (the reason).
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_frame: Callable[[int, int, memoryview], None],
        on_close: Callable[[str | None], None],
    ) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = loop
        self._on_frame = on_frame
        self._on_close = on_close
        self._pending: deque[memoryview] = deque()
        self._buffer = b""
        self._large: bytearray | None = None
        self._filled = 0
        self._head: tuple[int, int, int] | None = None
        self.closed = False

    def open(self) -> None:
        """Start reading."""
        self._sock.setblocking(False)
        self._loop.add_reader(self._fd, self._readable)

    @property
    def backlog(self) -> int:
        """Bytes the kernel has not taken yet."""
        return sum(len(part) for part in self._pending)

    def send(self, parts: Frame) -> None:
        """Send one frame; never blocks. Silently dropped once closed (the loss is reported)."""
        self.send_bytes(joined(parts))

    def send_bytes(self, data: bytes) -> None:
        """Send one frame that is ready to go."""
        if self.closed:
            return
        if self._pending:
            self._pending.append(memoryview(data))
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._pending.append(memoryview(data)[sent:])
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        pending = self._pending
        while pending:
            part = pending[0]
            try:
                sent = self._sock.send(part)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                pending.clear()
                break
            if sent < len(part):
                pending[0] = part[sent:]
                return
            pending.popleft()
        self._loop.remove_writer(self._fd)

    def spin(self, seconds: float) -> bool:
        """Look for something to read for ``seconds``, without leaving; whether there was."""
        end = time.perf_counter() + seconds
        while not self.closed and time.perf_counter() < end:
            if self._readable():
                return True
        return False

    def drain(self) -> None:
        """Read what is there now: the peer has ended."""
        while not self.closed and self._readable():
            pass

    def _readable(self) -> bool:
        """Read once; False where nothing was there."""
        try:
            if self._large is not None:
                self._read_large(self._large)
                return True
            data = self._sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            self._on_close(None)
            return True
        try:
            self._parse(self._buffer + data if self._buffer else data)
        except FrameError as error:
            self.close()
            self._on_close(str(error))
        return True

    def _read_large(self, large: bytearray) -> None:
        got = self._sock.recv_into(memoryview(large)[self._filled :])
        if not got:
            self.close()
            self._on_close(None)
            return
        self._filled += got
        if self._filled == len(large):
            self._large = None
            assert self._head is not None
            kind, _, handle = self._head
            try:
                self._on_frame(kind, handle, memoryview(large))
            except FrameError as error:
                self.close()
                self._on_close(str(error))

    def _parse(self, data: bytes) -> None:
        position, end = 0, len(data)
        view = memoryview(data)
        while end - position >= HEAD.size and not self.closed:
            kind, size, handle = parse_head(view[position : position + HEAD.size])
            start = position + HEAD.size
            if size > end - start:
                if size > READ:
                    self._head = (kind, size, handle)
                    self._large = bytearray(size)
                    self._filled = end - start
                    self._large[: self._filled] = view[start:]
                    self._buffer = b""
                    return
                break
            self._on_frame(kind, handle, view[start : start + size])
            position = start + size
        self._buffer = data[position:]

    def close(self) -> None:
        """Stop reading and close the socket. Idempotent."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._pending.clear()
            self._sock.close()

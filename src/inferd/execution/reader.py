"""The worker's end of its socket: frames read by blocking, one system call for a small frame.

What arrives is read into one buffer; a frame's payload is copied out of it, so that every job has
memory of its own. The rest of a frame larger than the buffer is read straight into its payload.
"""

from __future__ import annotations

import select
import socket

from inferd.execution.frames import HEAD, parse_head

BUFFER = 64 * 1024

Received = tuple[int, int, bytearray]


class FrameReader:
    """Reads frames; not thread-safe, the caller serialises access."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(BUFFER))
        self._start = 0
        self._end = 0
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def more(self) -> bool:
        """Whether something can be read without waiting."""
        return self._end > self._start or bool(self._poll.poll(0))

    def read(self) -> Received | None:
        """Return (kind, handle, payload), or ``None`` when the peer is gone.

        Raises ``FrameError`` for a head that breaks the schema, ``OSError`` as sockets do.
        """
        if not self._have(HEAD.size):
            return None
        start = self._start
        kind, size, handle = parse_head(self._buffer[start : start + HEAD.size])
        self._start = start + HEAD.size
        there = min(size, self._end - self._start)
        payload = bytearray(self._buffer[self._start : self._start + there])
        self._start += there
        if there < size:
            payload.extend(bytes(size - there))
            if not self._fill(memoryview(payload)[there:]):
                return None
        return kind, handle, payload

    def _have(self, size: int) -> bool:
        """Wait until ``size`` bytes are in the buffer."""
        while self._end - self._start < size:
            if self._start:
                rest = bytes(self._buffer[self._start : self._end])
                self._buffer[: len(rest)] = rest
                self._start, self._end = 0, len(rest)
            got = self._sock.recv_into(self._buffer[self._end :])
            if not got:
                return False
            self._end += got
        return True

    def _fill(self, view: memoryview) -> bool:
        while len(view):
            got = self._sock.recv_into(view, len(view), socket.MSG_WAITALL)
            if not got:
                return False
            view = view[got:]
        return True

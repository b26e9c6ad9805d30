"""Receiving a large body in place: the socket is read straight into the body's own memory.

Otherwise every read makes a bytes object of up to 256 KiB, and joining them copies the whole body
once more. While a body is being filled this protocol stands in for its connection; it asks for no
more bytes than the body still lacks, so nothing that follows can end up in it. The memory is not
touched before bytes arrive: a client that announces 64 MiB and sends nothing costs nothing.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from inferd.transport.body import FixedBody

FILL_FROM = 64 * 1024  # bytes still to come; below, switching costs more than it saves


class Receiver(Protocol):
    """The connection that a body is filled for."""

    def body_grew(self) -> None:
        """More of the body is there, perhaps all of it."""
        ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def eof_received(self) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Filling(asyncio.BufferedProtocol):
    """Fills ``body`` for ``receiver``; everything else that happens is passed on."""

    __slots__ = ("_body", "_receiver")

    def __init__(self, receiver: Receiver, body: FixedBody) -> None:
        self._receiver = receiver
        self._body = body

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self._body.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of ``nbytes`` that were read."""
        self._body.filled(nbytes)
        self._receiver.body_grew()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.connection_lost(exc)

    def eof_received(self) -> None:
        self._receiver.eof_received()

    def pause_writing(self) -> None:
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        self._receiver.resume_writing()

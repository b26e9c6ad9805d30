"""The barest HTTP server of the benchmark: uvloop, httptools, keep-alive and nothing else.

The raw ceilings and the first-come baseline stand on it. No limits, no timeouts, no errors beyond
500: it shows what the parts can do when nothing is asked of them, not how a server should be.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import httptools
import uvloop

Handler = Callable[[bytes, Callable[[bytes], None]], None]
"""Called with a body and a function that takes the answer's body, now or later."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Protocol(asyncio.Protocol):
    """One connection: each complete request goes to the handler."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.handler = handler
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Not an isinstance check: uvloop's transports are no subclasses of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Gather the body."""
        self.body.append(body)

    def on_message_complete(self) -> None:
        """Hand the whole body over."""
        self.handler(self.whole(), self.answer)

    def whole(self) -> bytes:
        """Return the body and forget it."""
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body = []
        return body

    def answer(self, body: bytes) -> None:
        """Write one response."""
        if self.transport is not None:
            self.transport.write(HEAD % len(body) + body)


def serve(port: int, connect: Callable[[], Protocol]) -> None:
    """Serve until the process is ended; ``connect`` makes what answers a new connection."""
    uvloop.run(_serve(port, connect))


async def _serve(port: int, connect: Callable[[], Protocol]) -> None:
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    server = await loop.create_server(connect, sock=sock, backlog=1024)
    await server.serve_forever()

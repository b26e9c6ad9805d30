"""A listener: its sockets, its one timer, and the graceful stop.

The stop goes in stages. *Draining*: still accepting and serving, but every response closes its
connection, so that clients move on. *Closing*: what waits in the accept queue is accepted, the
sockets are closed, idle connections are closed, everything in flight is answered. *Overdue* (the
deadline passed, or ``abort`` was called): what is unanswered gets a 503 and its connection is
closed; what cannot even be written is cut off.

One sweep per listener enforces all limits of time; no request costs a timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
import weakref

from inferd.core.clock import Clock, monotonic
from inferd.transport import sockets
from inferd.transport.connection import Connection
from inferd.transport.limits import Limits
from inferd.transport.message import Application
from inferd.transport.shared import Shared, logger

SWEEP = 0.25
_POLL = 0.02
_FIRST_REQUEST = 1.0
_LAST_WORDS = 1.0


class Listener:
    """Serves one application on some sockets, in the running event loop.

    ``context``: a TLS context (``tls.server_context``), or ``None`` for plain HTTP. ``clock`` is
    read for every limit of time; ``sweep`` may be called by hand where it is a fake one.
    """

    def __init__(
        self,
        application: Application,
        *,
        limits: Limits | None = None,
        context: ssl.SSLContext | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self._context = context
        self._shared = Shared(application, limits or Limits(), clock, tls=context is not None)
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._handshakes: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._aborted = asyncio.Event()

    # ------------------------------------------------------------------ starting

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, descriptor: int | None = None
    ) -> None:
        """Listen on ``host:port`` (port 0: a free one), or on an inherited ``descriptor``.

        Raises ``ConfigError`` when that is impossible.
        """
        if self._sockets:
            raise RuntimeError("the listener is started already")
        if descriptor is None:
            self._sockets = sockets.bind(host, port)
        else:
            self._sockets = [sockets.inherit(descriptor)]
        loop = asyncio.get_running_loop()
        self._sweep_later(loop)
        for sock in self._sockets:
            server = await loop.create_server(
                self._connection,
                sock=sock,
                backlog=sockets.BACKLOG,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_time,
            )
            self._servers.append(server)

    def _connection(self) -> Connection:
        connection = Connection(self._shared)
        if self._context is not None:
            self._handshakes.add(connection)
        return connection

    @property
    def _handshake_time(self) -> float | None:
        return self._shared.limits.handshake_time if self._context is not None else None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every socket listened on."""
        names = [sock.getsockname() for sock in self._sockets]
        return [(n[0], n[1]) if isinstance(n, tuple) else (str(n), 0) for n in names]

    @property
    def port(self) -> int:
        """The port listened on (0 for a Unix socket)."""
        return self.addresses[0][1]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._shared.connections)

    @property
    def receiving(self) -> int:
        """Bytes of incomplete requests held now."""
        return self._shared.receiving

    @property
    def draining(self) -> bool:
        """Whether a stop has begun."""
        return self._shared.draining

    # ------------------------------------------------------------------ the sweep

    def sweep(self) -> None:
        """Enforce the limits of time on every connection and refresh the Date header."""
        shared = self._shared
        shared.renderer.tick(time.time())
        now = shared.clock()
        for connection in list(shared.connections):
            try:
                connection.expire(now)
            except Exception:
                logger.exception("the sweep failed on a connection; this is a bug")
                connection.abort()

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self.sweep()
        self._timer = loop.call_later(SWEEP, self._sweep_later, loop)

    # ------------------------------------------------------------------ stopping

    async def stop(self, drain_delay: float = 1.0, deadline: float = 25.0) -> None:
        """Stop gracefully: returns when every connection is closed.

        ``drain_delay``: seconds of serving on with ``Connection: close``. ``deadline``: seconds
        from now after which what is unanswered gets a 503; ``abort`` brings it forward.
        """
        self._shared.draining = True
        end = time.monotonic() + deadline
        await self._unless_aborted(min(drain_delay, deadline))
        await self._close_sockets()
        closing = time.monotonic()
        while self._busy():
            now = time.monotonic()
            for connection in list(self._shared.connections):
                connection.close_if_idle(fresh=now - closing >= _FIRST_REQUEST)
            if now >= end or self._aborted.is_set():
                await self._overdue()
                break
            await self._unless_aborted(_POLL)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """End a running (or coming) ``stop`` now, as if its deadline had passed."""
        self._aborted.set()

    async def _unless_aborted(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._aborted.wait()

    def _busy(self) -> bool:
        return bool(self._shared.connections) or any(
            not c.gone and not c.made for c in self._handshakes
        )

    async def _close_sockets(self) -> None:
        """Accept what waits, then close the sockets in the same turn of the loop."""
        loop = asyncio.get_running_loop()
        waiting: list[socket.socket] = []
        servers, self._servers = self._servers, []
        for server, sock in zip(servers, self._sockets, strict=False):
            waiting += sockets.accept_waiting(sock)
            server.close()
        results = await asyncio.gather(
            *(
                loop.connect_accepted_socket(
                    self._connection,
                    sock,
                    ssl=self._context,
                    ssl_handshake_timeout=self._handshake_time,
                )
                for sock in waiting
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                logger.warning("a waiting connection could not be taken over: %s", result)

    async def _overdue(self) -> None:
        """Answer what is overdue, give the answers a moment to leave, then cut off the rest."""
        for connection in list(self._shared.connections):
            connection.overdue()
        end = time.monotonic() + _LAST_WORDS
        while self._shared.connections and time.monotonic() < end:
            await asyncio.sleep(_POLL)
        for connection in list(self._shared.connections):
            connection.abort()
        await asyncio.sleep(0)

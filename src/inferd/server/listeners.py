"""The sockets of a server: data plane, control plane, and metrics alone where asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from inferd.config.reference import is_loopback
from inferd.config.settings import Settings
from inferd.core.errors import ConfigError
from inferd.server.instruments import Instruments
from inferd.transport.limits import Limits
from inferd.transport.message import Application
from inferd.transport.server import Listener


class Listeners:
    """Starts and stops the listeners together."""

    def __init__(self, settings: Settings, limits: Limits, instruments: Instruments) -> None:
        self._server = settings.server
        self._limits = limits
        self._instruments = instruments
        self._data: Listener | None = None
        self._others: list[Listener] = []
        self.data_url = ""
        self.data_socket: str | None = None
        self.admin_url: str | None = None
        self.metrics_url: str | None = None

    async def start_data(self, application: Application) -> None:
        """Listen for the data plane; raises ``ConfigError`` where its address cannot be had."""
        server = self._server
        context = None
        if server.tls_cert is not None and server.tls_key is not None:
            from inferd.transport.tls import server_context

            context = server_context(server.tls_cert, server.tls_key)
        self._data = Listener(application, limits=self._limits, context=context)
        with _named("--host/--port" if server.listen_fd is None else "--listen-fd"):
            await self._data.start(server.host, server.port, descriptor=server.listen_fd)
        host = server.host if server.listen_fd is None else self._inherited(self._data)
        self._instruments.listen("data", self._data)
        if server.listen_fd is not None and not self._data.port:
            self.data_socket, host = (
                host,
                "localhost",
            )  # a client connects by path, and names a host
        self.data_url = url(host, self._data.port, tls=context is not None)

    async def start_control(self, control: Application, metrics: Application) -> None:
        """Listen for the control plane, and for metrics alone where asked for."""
        server = self._server
        admin = await self._other(
            control, server.admin_host, server.admin_port, "--admin-host/--admin-port"
        )
        self._instruments.listen("control", admin)
        self.admin_url = url(server.admin_host, admin.port)
        if server.metrics_host is not None:
            only = await self._other(
                metrics, server.metrics_host, server.metrics_port, "--metrics-host/--metrics-port"
            )
            self.metrics_url = url(server.metrics_host, only.port)

    def _inherited(self, listener: Listener) -> str:
        """Return the address of an inherited socket; it is bound by the same rule as ``host``."""
        host, port = listener.addresses[0]
        unix = port == 0
        if not (unix or is_loopback(host) or self._server.allow_anonymous):
            raise ConfigError(
                f"the inherited socket listens on {host}, which can be reached from other machines,"
                " and no authentication is configured",
                help="let it listen on 127.0.0.1, or say --allow-anonymous to let everybody call",
            )
        return host

    async def _other(self, application: Application, host: str, port: int, flag: str) -> Listener:
        listener = Listener(application, limits=self._limits)
        with _named(flag):
            await listener.start(host, port)
        self._others.append(listener)
        return listener

    async def stop(self, drain_delay: float, deadline: float) -> None:
        """Drain the data plane, then close the others (they tell of the drain until it is over)."""
        if self._data is not None:
            await self._data.stop(drain_delay, deadline)
        await asyncio.gather(*(listener.stop(0.0, 1.0) for listener in self._others))

    def abort(self) -> None:
        """End a running stop now: 503 for what is overdue."""
        for listener in (self._data, *self._others):
            if listener is not None:
                listener.abort()


@contextmanager
def _named(flag: str) -> Iterator[None]:
    """Say in an error which flags name the address that cannot be had."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error.message}", help=error.help) from None


def url(host: str, port: int, *, tls: bool = False) -> str:
    """Return the URL under which a listener is called from this machine; port 0: without one."""
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    if host == "::":
        host = "::1"
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}" + (f":{port}" if port else "")

"""The gRPC listener of the data plane: started while models load, drained with the others.

``grpc`` and what stands on it is imported when the listener starts, beside the loop, so that a
server of HTTP alone does not pay for it and HTTP does not wait. Without the library gRPC is off, and
one line of the log says so.

The library listens by itself (it cannot take an inherited socket) and speaks HTTP/2 in threads of its
own; the handlers run on our loop. Its limits are those of HTTP where it has such: the size of a
message, of metadata, and how much goes on at once.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inferd.config.settings import Settings
from inferd.core.errors import ConfigError, MissingExtra
from inferd.telemetry.logs import Log
from inferd.transport.limits import Limits
from inferd.transport.sockets import bind

if TYPE_CHECKING:
    from inferd.api.grpc.application import GRPCApplication

log = Log("grpc")

APPLICATION = "inferd.api.grpc.application"
CALLS_OF_A_CONNECTION = 1024
CALLS = 8192
ABOUT_A_MESSAGE = 64 * 1024  # names, shapes and parameters around the tensors
DEAD_AFTER, ANSWER_WITHIN, PINGS_EVERY = 60_000, 20_000, 5_000  # milliseconds


class GRPCListener:
    """Listens for gRPC. ``make`` makes the application, given its class.

    ``address``: ``host:port`` under which it is called from this machine, ``None`` while it is off.
    """

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        make: Callable[[type[GRPCApplication]], GRPCApplication],
    ) -> None:
        self._server = settings.server
        self._limits = limits
        self._make = make
        self._listening: Any = None
        self._application: GRPCApplication | None = None
        self._insisted = asyncio.Event()
        self._wanted: int | None = None
        self.address: str | None = None

    def claim(self) -> None:
        """Find out whether the port can be had, before anything is loaded; raises ``ConfigError``."""
        port = self._server.grpc_port
        if port is None:
            return
        if importlib.util.find_spec("grpc") is None:
            missing = MissingExtra("grpcio", "grpc", what="serving gRPC")
            log.info("gRPC is off: grpcio is not installed", help=missing.help)
            return
        try:
            for sock in bind(self._server.host, port):  # the library's own refusal names no reason
                sock.close()
        except ConfigError as error:
            raise ConfigError(
                f"--grpc-port: {error.message}", help=f"{error.help}; --grpc-port off does without"
            ) from None
        self._wanted = port

    async def start(self) -> None:
        """Listen, where ``claim`` found that it can; raises ``ConfigError`` where it cannot now."""
        port = self._wanted
        if port is None:
            return
        loop = asyncio.get_running_loop()
        module = await loop.run_in_executor(None, importlib.import_module, APPLICATION)
        import grpc.aio

        self._application = application = self._make(module.GRPCApplication)
        listening = grpc.aio.server(options=options(self._limits), maximum_concurrent_rpcs=CALLS)
        listening.add_generic_rpc_handlers([application.handlers])
        host = self._server.host
        bound = self._listen(listening, host, port)
        self._listening = listening
        await listening.start()
        self.address = _called(host, bound)

    def _listen(self, listening: Any, host: str, port: int) -> int:
        """Bind the address; returns the port."""
        address = f"{f'[{host}]' if ':' in host else host}:{port}"
        credentials = self._credentials()
        try:
            if credentials is None:
                return int(listening.add_insecure_port(address))
            return int(listening.add_secure_port(address, credentials))
        except RuntimeError as error:
            raise ConfigError(
                f"--grpc-port: cannot listen on {host}:{port}: {error}",
                help="choose another port, or --grpc-port off",
            ) from None

    def _credentials(self) -> Any:
        certificate, key = self._server.tls_cert, self._server.tls_key
        if certificate is None or key is None:
            return None
        import grpc

        return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])

    async def stop(self, drain_delay: float, deadline: float) -> None:
        """Serve on for the delay, then answer what is open; returns when all is closed."""
        listening, self._listening = self._listening, None
        if listening is None or self._application is None:
            return
        await self._unless_insisted(min(drain_delay, deadline))
        self._application.close()
        stopping = asyncio.ensure_future(listening.stop(max(0.0, deadline - drain_delay)))
        insisted = asyncio.ensure_future(self._insisted.wait())
        await asyncio.wait({stopping, insisted}, return_when=asyncio.FIRST_COMPLETED)
        insisted.cancel()
        if not stopping.done():
            await listening.stop(None)
        await stopping

    def abort(self) -> None:
        """End a running (or coming) ``stop`` now."""
        self._insisted.set()

    async def _unless_insisted(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._insisted.wait()
        except TimeoutError:
            return


def options(limits: Limits) -> list[tuple[str, int]]:
    """Return the library's options."""
    return [
        # Else a second server would share the port, unseen.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.binary_body_bytes + ABOUT_A_MESSAGE),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.max_concurrent_streams", CALLS_OF_A_CONNECTION),
        # Whoever vanished is found out, and who asks whether we live may do so.
        ("grpc.keepalive_time_ms", DEAD_AFTER),
        ("grpc.keepalive_timeout_ms", ANSWER_WITHIN),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PINGS_EVERY),
    ]


def _called(host: str, port: int) -> str:
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    if host == "::":
        host = "::1"
    return f"{f'[{host}]' if ':' in host else host}:{port}"

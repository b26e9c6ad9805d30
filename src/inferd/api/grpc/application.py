"""The data plane over gRPC: methods, doors and what they share, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from inferd.api.call import Call, RequestIds
from inferd.api.grpc.calls import Calls, Door, Handlers
from inferd.api.grpc.health import HealthService
from inferd.api.grpc.infer import Inferring
from inferd.api.grpc.methods import ABSENT, METHODS, REFUSED, Rpc
from inferd.api.grpc.oip import InferenceDoors
from inferd.api.grpc.reflection import ReflectionService
from inferd.api.grpc.session import Sessions
from inferd.api.grpc.streams import Streams
from inferd.api.grpc.tfserving import ServingDoors
from inferd.api.guard import Authorize, allow_anonymous
from inferd.api.health import Readiness
from inferd.api.inference import Inference
from inferd.api.offload import Offload
from inferd.api.plane import Observer, observe_nothing
from inferd.api.settings import ApiSettings
from inferd.api.triton import Account, Repository, no_account
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import NotAllowed, Unsupported
from inferd.routing.table import RouteTable
from inferd.telemetry.sampling import PASSED_ON, Traces


class GRPCApplication:
    """Everything behind the gRPC listener. ``handlers`` answer by a method's path."""

    def __init__(
        self,
        table: RouteTable,
        settings: ApiSettings,
        *,
        readiness: Readiness | None = None,
        offload: Offload | None = None,
        observer: Observer = observe_nothing,
        authorize: Authorize = allow_anonymous,
        clock: Clock = monotonic,
        ids: str = "g",
        product: tuple[str, str] = ("inferd", "0"),
        account: Account = no_account,
        repository: Repository | None = None,
        traces: Traces = PASSED_ON,
    ) -> None:
        readiness = readiness or Readiness(table)
        self.calls = Calls(settings, observer, authorize, clock, RequestIds(ids), traces)
        self.streams = Streams(self.calls)
        inference = Inference(table, settings, clock, offload)
        inferring = Inferring(table, inference, clock, settings.offload_bytes)
        health = HealthService(readiness)
        sessions = Sessions(self.calls, self.streams, inferring)
        unary: dict[str, Door] = {
            **InferenceDoors(table, readiness, product, account, repository).doors(),
            **ServingDoors(table, inferring).doors(),
            "infer": inferring.infer,
            "check": health.check,
        }
        streaming: dict[str, Callable[[Rpc], Any]] = {
            "stream": sessions.handler,
            "watch": lambda rpc: self.streams.exchange(rpc, health.watch),
            "reflect": lambda rpc: self.streams.exchange(rpc, ReflectionService().reflect),
        }
        self.handlers = Handlers(
            {rpc.path: self._handler(rpc, unary, streaming) for rpc in METHODS}
        )

    @property
    def accepted(self) -> int:
        """The requests begun so far."""
        return self.calls.accepted

    def close(self) -> None:
        """End open streams: the server is stopping."""
        self.streams.close()

    def _handler(
        self, rpc: Rpc, unary: dict[str, Door], streaming: dict[str, Callable[[Rpc], Any]]
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        door = rpc.route.door
        if rpc.streams:
            return grpc.stream_stream_rpc_method_handler(streaming[door](rpc))
        answer = _SPECIAL[door](rpc) if door in _SPECIAL else unary[door]
        return grpc.unary_unary_rpc_method_handler(self.calls.unary(rpc, answer))


def _absent(rpc: Rpc) -> Callable[[bytes, Call], Awaitable[bytes]]:
    async def answer(body: bytes, call: Call) -> bytes:
        raise Unsupported(f"{rpc.service} does not offer {rpc.name} here")

    return answer


def _refused(rpc: Rpc) -> Callable[[bytes, Call], Awaitable[bytes]]:
    async def answer(body: bytes, call: Call) -> bytes:
        raise NotAllowed(
            f"{rpc.name} is not allowed: what is served is decided where the server is started"
        )

    return answer


_SPECIAL = {ABSENT: _absent, REFUSED: _refused}

"""The health service of gRPC.

Healthy is what ready is over HTTP: every model named at the start has answered its golden request,
and the server is not stopping. The server as a whole (an empty name) and each of its services have
the same health; ``live`` is healthy as soon as anything answers, for a liveness probe.

Source: grpc/grpc, doc/health-checking.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc_health.v1 import health_pb2

from inferd.api.call import Call
from inferd.api.grpc.methods import SERVICES
from inferd.api.health import Readiness
from inferd.codecs.protobuf.messages import parse
from inferd.core.errors import NotFound, nearest

LIVE = "live"
EVERY = 0.1
"""Seconds between two looks of a watch."""


class HealthService:
    """``grpc.health.v1.Health``."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def status(self, service: str) -> Any | None:
        """Return the health of a service, ``None`` for an unknown one."""
        response = health_pb2.HealthCheckResponse
        if service == LIVE:
            return response.SERVING
        if service and service not in SERVICES:
            return None
        return response.NOT_SERVING if self._readiness.reasons() else response.SERVING

    async def check(self, body: bytes, call: Call) -> bytes:
        """Say how a service is."""
        service = parse(health_pb2.HealthCheckRequest, body).service
        status = self.status(service)
        if status is None:
            hint = nearest(service, (LIVE, *SERVICES))
            raise NotFound(f"no service named {service[:80]!r}", help=hint)
        return _told(status)

    async def watch(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Say how a service is, and again at every change."""
        service = parse(health_pb2.HealthCheckRequest, await anext(messages, b"")).service
        told = None
        while True:
            status = self.status(service)
            if status is None:
                status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            if status != told:
                told = status
                yield _told(status)
            await asyncio.sleep(EVERY)


def _told(status: Any) -> bytes:
    made: bytes = health_pb2.HealthCheckResponse(status=status).SerializeToString()
    return made

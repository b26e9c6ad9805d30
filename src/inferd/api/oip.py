"""Doors of the Open Inference Protocol v2 (REST, JSON): health, metadata, infer.

``ready`` answers with both ``live`` and ``ready``, as the specification documents the one and its
clients read the other, and with 503 where not ready. Versions are texts.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

from typing import Any

from inferd.api.call import Call
from inferd.api.health import Readiness
from inferd.api.inference import Inference, Target, resolve
from inferd.codecs import json
from inferd.codecs.oip import model_metadata, server_metadata
from inferd.codecs.registry import OIP
from inferd.core.errors import Unavailable
from inferd.routing.table import RouteTable, Version
from inferd.transport.message import HTTPRequest, HTTPResponse


class OIPDoors:
    """Everything under ``/v2``. ``product`` is the server's name and version."""

    def __init__(
        self,
        table: RouteTable,
        inference: Inference,
        readiness: Readiness,
        product: tuple[str, str],
    ) -> None:
        self._table = table
        self._inference = inference
        self._readiness = readiness
        self._product = product

    async def server(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe the server."""
        return _json(server_metadata(*self._product), call)

    async def live(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say that the server lives."""
        return _json({"live": True}, call)

    async def ready(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether the server is ready."""
        reasons = self._readiness.reasons()
        if not reasons:
            return _json({"live": True, "ready": True}, call)
        return _json({"live": True, "ready": False, "reasons": reasons}, call, 503)

    async def models(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List the models."""
        return _json({"models": self._table.names()}, call)

    async def model(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe a model: its versions, or the one asked for, and its tensors."""
        version = self._find(call)
        if version.signature is None:
            raise Unavailable(
                f"model {version.model!r} version {version.version} is {version.state}: "
                f"{version.reason}",
                retry_after=1.0,
            )
        if len(call.values) > 1:
            versions = [version.version]
        else:
            versions = [v.version for v in self._table.versions(version.model)]
        platform = version.platform or version.runtime
        return _json(model_metadata(version.model, versions, platform, version.signature), call)

    async def model_ready(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether a model answers now."""
        version = self._find(call)
        if version.ready:
            return _json({"name": version.model, "ready": True}, call)
        reason = f"{version.state}: {version.reason}"
        return _json({"name": version.model, "ready": False, "reason": reason}, call, 503)

    def infer(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that an infer request asks."""
        version = resolve(self._table, call)
        codec = self._inference.codecs(version).oip
        return Target(version, OIP, codec, codec)

    def _find(self, call: Call) -> Version:
        values = call.values
        version = self._table.find(values[0], values[1] if len(values) > 1 else None)
        call.model, call.version = version.model, version.version
        return version


def _json(value: dict[str, Any], call: Call, status: int = 200) -> HTTPResponse:
    headers = call.headers if status < 500 else [*call.headers, (b"Retry-After", b"1")]
    return HTTPResponse(status, json.dumps(value), headers=headers)

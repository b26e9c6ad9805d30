"""Doors of the Open Inference Protocol v2 (REST): health, metadata, infer.

``ready`` answers with both ``live`` and ``ready``, as the specification documents the one and its
clients read the other, and with 503 where not ready. Versions are texts. The extensions of Triton are
in ``triton``.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

from typing import Any

from inferd.api.call import Call
from inferd.api.health import Readiness
from inferd.api.inference import Inference, Target, resolve
from inferd.api.plane import Door
from inferd.codecs import json
from inferd.codecs.oip import SplitCodec
from inferd.codecs.oip_metadata import model_metadata, server_metadata
from inferd.codecs.registry import OIP, split_door
from inferd.core.errors import Unavailable
from inferd.core.signature import Signature
from inferd.routing.table import RouteTable, Version
from inferd.transport.message import HTTPRequest, HTTPResponse


class OIPDoors:
    """The protocol's own part of ``/v2``. ``product`` is the server's name and version."""

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

    def doors(self) -> dict[str, Door]:
        """Return the doors that do not predict, by name."""
        return {
            "oip_server": self.server,
            "oip_live": self.live,
            "oip_ready": self.ready,
            "oip_models": self.models,
            "oip_model": self.model,
            "oip_model_ready": self.model_ready,
        }

    async def server(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe the server."""
        return answer(server_metadata(*self._product), call)

    async def live(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say that the server lives."""
        return answer({"live": True}, call)

    async def ready(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether the server is ready."""
        reasons = self._readiness.reasons()
        if not reasons:
            return answer({"live": True, "ready": True}, call)
        return answer({"live": True, "ready": False, "reasons": reasons}, call, 503)

    async def models(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List the models, and the states of their versions."""
        table = self._table
        states = {
            name: [_state(version) for version in table.versions(name)] for name in table.names()
        }
        listed = {"models": table.names(), "states": states}
        if table.only is not None:
            listed["default"] = table.only
        return answer(listed, call)

    async def model(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe a model: its versions, or the one asked for, and its tensors."""
        version = find(self._table, call)
        if len(call.values) > 1:
            versions = [version.version]
        else:
            versions = [v.version for v in self._table.versions(version.model)]
        platform = version.platform or version.runtime
        return answer(
            model_metadata(version.model, versions, platform, signature_of(version)), call
        )

    async def model_ready(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether a model answers now."""
        version = find(self._table, call)
        if version.ready:
            return answer({"name": version.model, "ready": True}, call)
        reason = f"{version.state}: {version.reason}"
        return answer({"name": version.model, "ready": False, "reason": reason}, call, 503)

    def infer(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that an infer request asks."""
        version = resolve(self._table, call)
        codec = self._inference.codecs(version).oip
        size = call.terms.json_bytes
        if size is None:
            return Target(version, OIP, codec, codec)
        return Target(version, split_door(size), SplitCodec(codec, size), codec)


def find(table: RouteTable, call: Call) -> Version:
    """Return the version that a path names, whatever its state; raises ``NotFound``."""
    values = call.values
    version = table.find(values[0], values[1] if len(values) > 1 else None)
    call.model, call.version = version.model, version.version
    return version


def signature_of(version: Version) -> Signature:
    """Return the signature of a version; raises ``Unavailable`` while it has none."""
    if version.signature is None:
        raise Unavailable(
            f"model {version.model!r} version {version.version} is {version.state}: "
            f"{version.reason}",
            retry_after=1.0,
        )
    return version.signature


def answer(value: Any, call: Call, status: int = 200) -> HTTPResponse:
    """Return a JSON answer; 503 says when to come back."""
    headers = call.headers if status < 500 else [*call.headers, (b"Retry-After", b"1")]
    return HTTPResponse(status, json.dumps(value), headers=headers)


def _state(version: Version) -> dict[str, str]:
    state = {"version": version.version, "state": version.state}
    return state if version.ready else {**state, "reason": version.reason}

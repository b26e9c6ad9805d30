"""Doors of ``inference.GRPCInferenceService`` that answer one message with one.

What they tell is made by the codecs of the REST half as JSON values, and written as messages.

Sources: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto;
triton-inference-server/common, protobuf/grpc_service.proto.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict

from inferd.api.call import Call
from inferd.api.grpc.calls import Door
from inferd.api.health import Readiness
from inferd.api.oip import signature_of
from inferd.api.triton import Account, Repository, no_account
from inferd.codecs.oip_metadata import (
    model_config,
    model_metadata,
    model_statistics,
    repository_entry,
    server_metadata,
)
from inferd.codecs.protobuf.infer import parameters
from inferd.codecs.protobuf.messages import inference, parse
from inferd.codecs.values import shown
from inferd.core.errors import NotAllowed
from inferd.core.message import Parameters
from inferd.routing.table import RouteTable, Version


class InferenceDoors:
    """The service's doors but for those that infer.

    ``product``: the server's name and version. ``account``: what versions did until now.
    ``repository``: loads models at a client's request; ``None``: that is not allowed.
    """

    def __init__(
        self, table: RouteTable, readiness: Readiness, product: tuple[str, str],
        account: Account = no_account, repository: Repository | None = None,
    ) -> None:  # fmt: skip
        self._account = account
        self._repository = repository
        self._table = table
        self._readiness = readiness
        self._product = product

    def doors(self) -> dict[str, Door]:
        """Return the doors by name."""
        return {
            "live": self.live,
            "ready": self.ready,
            "model_ready": self.model_ready,
            "server": self.server,
            "model": self.model,
            "config": self.config,
            "statistics": self.statistics,
            "index": self.index,
            "load": self.load,
            "unload": self.unload,
            "regions": self.regions,
        }

    async def live(self, body: bytes, call: Call) -> bytes:
        """Say that the server lives."""
        return _message("ServerLiveResponse", live=True)

    async def ready(self, body: bytes, call: Call) -> bytes:
        """Say whether the server is ready."""
        return _message("ServerReadyResponse", ready=not self._readiness.reasons())

    async def model_ready(self, body: bytes, call: Call) -> bytes:
        """Say whether a model answers now."""
        version = self._find("ModelReadyRequest", body, call)
        return _message("ModelReadyResponse", ready=version.ready)

    async def server(self, body: bytes, call: Call) -> bytes:
        """Describe the server."""
        return _written("ServerMetadataResponse", server_metadata(*self._product))

    async def model(self, body: bytes, call: Call) -> bytes:
        """Describe a model: its versions, or the one asked for, and its tensors."""
        request = parse(inference("ModelMetadataRequest"), body)
        version = self._version(request.name, request.version, call)
        versions = [version] if request.version else self._table.versions(version.model)
        value = model_metadata(
            version.model,
            [v.version for v in versions],
            version.platform or version.runtime,
            signature_of(version),
        )
        return _written("ModelMetadataResponse", value)

    async def config(self, body: bytes, call: Call) -> bytes:
        """Give a model's configuration."""
        version = self._find("ModelConfigRequest", body, call)
        value = model_config(
            version.model, version.platform or version.runtime, signature_of(version), version.plan,
            streams=version.streams, task=version.task, classes=version.classes,
        )  # fmt: skip
        return _written("ModelConfigResponse", {"config": value})

    async def statistics(self, body: bytes, call: Call) -> bytes:
        """Say what a version, all versions of a model, or all models did."""
        request = parse(inference("ModelStatisticsRequest"), body)
        if not request.name:
            versions = self._table.all()
        else:
            version = self._version(request.name, request.version, call)
            versions = [version] if request.version else self._table.versions(version.model)
        found = [
            model_statistics(v.model, v.version, self._account(v.model, v.version))
            for v in versions
        ]
        return _written("ModelStatisticsResponse", {"model_stats": found})

    async def index(self, body: bytes, call: Call) -> bytes:
        """List the versions served and their states."""
        ready = parse(inference("RepositoryIndexRequest"), body).ready
        found = [
            repository_entry(v.model, v.version, v.state, "" if v.ready else v.reason)
            for v in self._table.all()
            if v.ready or not ready
        ]
        return _written("RepositoryIndexResponse", {"models": found})

    async def load(self, body: bytes, call: Call) -> bytes:
        """Load a model, where that is allowed."""
        repository, model, given = self._managed("RepositoryModelLoadRequest", body)
        await repository.load(model, given)
        return b""

    async def unload(self, body: bytes, call: Call) -> bytes:
        """Unload a model, where that is allowed."""
        repository, model, given = self._managed("RepositoryModelUnloadRequest", body)
        await repository.unload(model, given)
        return b""

    def _managed(self, message: str, body: bytes) -> tuple[Repository, str, Parameters]:
        request = parse(inference(message), body)
        model = self._named(request)
        if self._repository is None:
            raise NotAllowed(
                f"model {shown(model)} is not loaded or unloaded at a client's request",
                help="the operator decides what is served",
            )
        return self._repository, model, parameters(request.parameters, "parameters")

    def _named(self, request: Any) -> str:
        """Return the model meant. KServe's message has it where Triton's has the repository."""
        first: str = request.repository_name
        if not request.model_name and first in self._table.names():
            return first
        named: str = request.model_name
        return named

    async def regions(self, body: bytes, call: Call) -> bytes:
        """List the regions of shared memory: there are none."""
        return b""

    def _find(self, message: str, body: bytes, call: Call) -> Version:
        request = parse(inference(message), body)
        return self._version(request.name, request.version, call)

    def _version(self, name: str, number: str, call: Call) -> Version:
        version = self._table.find(name or None, number or None)
        call.model, call.version = version.model, version.version
        return version


def _message(name: str, **fields: Any) -> bytes:
    made: bytes = inference(name)(**fields).SerializeToString()
    return made


def _written(name: str, value: dict[str, Any]) -> bytes:
    """Return the message that holds a JSON value."""
    made: bytes = ParseDict(value, inference(name)()).SerializeToString()
    return made

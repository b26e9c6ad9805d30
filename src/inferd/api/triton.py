"""Doors of Triton's extensions: configuration, statistics, the repository's index, generate.

No door loads a model by itself: who may is given as a ``Repository``, and where none is given the
answer to load and unload is "not allowed". ``GET /v2/models/stats`` is the statistics of all models,
as in Triton; the metadata of a model of that name is found under its version.

Source: triton-inference-server/server, docs/protocol/extension_*.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, cast

from inferd.api.call import Call
from inferd.api.health import Readiness
from inferd.api.inference import Inference, Target, resolve
from inferd.api.oip import OIPDoors, answer, find, signature_of
from inferd.api.plane import Door
from inferd.api.reply import PredictingDoor
from inferd.api.stream import event, opened, streamed
from inferd.codecs import json
from inferd.codecs.base import Decoded
from inferd.codecs.generate import GenerateCodec, Pieces
from inferd.codecs.oip_metadata import model_config, model_statistics, repository_entry
from inferd.codecs.registry import GENERATE
from inferd.codecs.simple import parameters
from inferd.core.clock import Clock
from inferd.core.errors import InferdError, InvalidInput, NotAllowed
from inferd.core.message import Parameters
from inferd.core.tensor import Tensors
from inferd.routing.table import RouteTable, Version
from inferd.telemetry.tally import Tally
from inferd.transport.message import HTTPRequest, HTTPResponse

Account = Callable[[str, str], Tally]
"""Returns what a version of a model did since it began to serve."""


def no_account(model: str, version: str) -> Tally:
    """Return an empty account, where nobody keeps one."""
    return Tally()


class Repository(Protocol):
    """Loads and unloads models by name at a client's request."""

    async def load(self, model: str, parameters: Parameters) -> None:
        """Load a model, or load it anew; raises ``InferdError``."""
        ...

    async def unload(self, model: str, parameters: Parameters) -> None:
        """Take a model out of service; raises ``InferdError``."""
        ...


class TritonDoors:
    """What Triton's clients ask for beside the protocol itself."""

    def __init__(
        self,
        table: RouteTable,
        inference: Inference,
        account: Account = no_account,
        repository: Repository | None = None,
    ) -> None:
        self._table = table
        self._inference = inference
        self._account = account
        self._repository = repository

    def doors(self) -> dict[str, Door]:
        """Return the doors that are not ``generate``, by name."""
        return {
            "generate_stream": self.generate_stream,
            "triton_config": self.config,
            "triton_statistics": self.statistics,
            "triton_index": self.index,
            "triton_load": self.load,
            "triton_unload": self.unload,
        }

    async def config(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe a model as Triton's configuration does."""
        version = find(self._table, call)
        signature = signature_of(version)
        platform = version.platform or version.runtime
        found = model_config(
            version.model, platform, signature, version.plan, streams=version.streams,
            task=version.task, classes=version.classes,
        )  # fmt: skip
        return answer(found, call)

    async def statistics(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say what a version, all versions of a model, or all models did."""
        values = call.values
        if len(values) > 1:
            versions = [find(self._table, call)]
        elif values:
            versions = self._table.versions(find(self._table, call).model)
        else:
            versions = self._table.all()
        found = [
            model_statistics(v.model, v.version, self._account(v.model, v.version))
            for v in versions
        ]
        return answer({"model_stats": found}, call)

    async def index(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List the versions served and their states."""
        ready = (await self._object(request, call)).get("ready", False)
        if type(ready) is not bool:
            raise InvalidInput('"ready" must be true or false')
        found = [
            repository_entry(v.model, v.version, v.state, "" if v.ready else v.reason)
            for v in self._table.all()
            if v.ready or not ready
        ]
        return answer(found, call)

    async def load(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Load a model, where that is allowed."""
        repository, given = await self._managed(request, call)
        await repository.load(call.values[0], given)
        return HTTPResponse(200, b"", headers=call.headers)

    async def unload(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Unload a model, where that is allowed."""
        repository, given = await self._managed(request, call)
        await repository.unload(call.values[0], given)
        return HTTPResponse(200, b"", headers=call.headers)

    async def _managed(self, request: HTTPRequest, call: Call) -> tuple[Repository, Parameters]:
        if self._repository is None:
            raise NotAllowed(
                "models are not loaded or unloaded at a client's request",
                help="the operator decides what is served",
            )
        return self._repository, parameters(
            (await self._object(request, call)).get("parameters"), "parameters"
        )

    async def _object(self, request: HTTPRequest, call: Call) -> dict[str, Any]:
        """Return the JSON object in a body; an empty body is an empty one."""
        body = await self._inference.body(request, call)
        value = json.loads(body, self._inference.max_depth) if body.strip() else {}
        if type(value) is not dict:
            raise InvalidInput("the body must be an object")
        return value

    def generate(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that a generate request asks."""
        version = resolve(self._table, call)
        codec = self._inference.codecs(version).dialect(GENERATE)
        return Target(version, GENERATE, codec, codec)

    async def generate_stream(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer a generate request with an event for each piece."""
        target = self.generate(request, call)
        version = target.version
        decoded = await self._inference.read(request, call, target)
        response = await self._inference.ask(version, call, decoded)
        call.timings = response.timings
        call.timings.decode = call.decode
        chunks = await opened(response)
        return streamed(_events(chunks, self._pieces(version, decoded)), call, _explained)

    def _pieces(self, version: Version, decoded: Decoded) -> Pieces:
        codec = cast("GenerateCodec", self._inference.codecs(version).dialect(GENERATE))
        return codec.pieces(decoded.id, version.model, version.version)


def oip_doors(
    inference: Inference,
    readiness: Readiness,
    product: tuple[str, str],
    account: Account,
    repository: Repository | None,
    clock: Clock,
) -> tuple[dict[str, Door], dict[str, PredictingDoor]]:
    """Return all doors under ``/v2`` by name: those that do not predict, and those that do."""
    oip = OIPDoors(inference.table, inference, readiness, product)
    triton = TritonDoors(inference.table, inference, account, repository)
    predicting = {
        "oip_infer": PredictingDoor(oip.infer, inference, clock),
        "generate": PredictingDoor(triton.generate, inference, clock),
    }
    return {**oip.doors(), **triton.doors()}, predicting


async def _events(chunks: AsyncIterator[Tensors], pieces: Pieces) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield event(pieces.piece(chunk))
    rest = pieces.rest()
    if rest is not None:
        yield event(rest)


def _explained(error: InferdError) -> bytes:
    text = f"{error.message} ({error.help})" if error.help else error.message
    return event({"error": text, "kind": error.kind})

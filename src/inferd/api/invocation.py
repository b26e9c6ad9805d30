"""Answering an invocation: at once, or in pieces where the model streams and the client takes that.

Asked for server-sent events, for JSON Lines or bare text, or with ``"stream": true`` in its body, a model
that streams is answered piece by piece; every other request gets the whole answer, so that who asks
for JSON gets one JSON value. The runtime API's streaming operation wraps the same bytes into events,
whatever the model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from inferd.api.call import Call
from inferd.api.health import Readiness
from inferd.api.inference import Inference, Target, resolve
from inferd.api.loading import Loading
from inferd.api.multimodel import MultiModelDoors
from inferd.api.plane import Door
from inferd.api.reply import PredictingDoor, Reply
from inferd.api.runtime_errors import LONGEST
from inferd.api.sagemaker import EVENTS, SageMakerDoors, prepare_container, prepare_endpoint
from inferd.api.settings import ApiSettings
from inferd.api.stream import aclose, event, opened, streamed
from inferd.codecs import eventstream, json
from inferd.codecs.base import Encoded
from inferd.codecs.media import JSON_LINES, OCTETS, TEXT
from inferd.codecs.results import Results
from inferd.codecs.sagemaker import streams
from inferd.core import script
from inferd.core.clock import Clock
from inferd.core.errors import InferdError
from inferd.core.tensor import Tensors, as_bytes
from inferd.routing.table import Version
from inferd.transport.message import Deliver, HTTPRequest, HTTPResponse

Prepare = Callable[[HTTPRequest, Call], None]
PIECES = (EVENTS, JSON_LINES, TEXT, OCTETS)
"""Types of answers that can be given in pieces."""


class InvocationDoor:
    """One door that invokes a model; ``prepare`` heeds what its own headers and settings say."""

    def __init__(
        self, doors: SageMakerDoors, inference: Inference, clock: Clock, prepare: Prepare
    ) -> None:
        self._doors = doors
        self._inference = inference
        self._prepare = prepare
        self._whole = PredictingDoor(doors.aim, inference, clock)

    def start(
        self, request: HTTPRequest, call: Call, deliver: Deliver
    ) -> Reply | HTTPResponse | None:
        """Begin to answer without a coroutine; ``None`` where one is needed."""
        self._prepare(request, call)
        if resolve(self._inference.table, call).streams:
            return None
        return self._whole.start(request, call, deliver)

    async def answer(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer in a coroutine; takes every request."""
        self._prepare(request, call)
        target = self._doors.aim(request, call)
        if not target.version.streams:
            return await self._inference.answer(request, call, target)
        pieces = await self._pieces(request, call, target)
        if pieces is None:
            return await self._inference.answer(request, call, target)
        media, body = pieces
        return streamed(body, call, lambda error: _last(media, error), media.encode())

    async def in_events(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer as the runtime API's streaming operation does."""
        self._prepare(request, call)
        target = self._doors.aim(request, call)
        pieces = None
        if target.version.streams:
            pieces = await self._pieces(request, call, target, always=True)
        if pieces is None:
            pieces = await self._one_piece(request, call, target)
        media, body = pieces
        told = (b"X-Amzn-SageMaker-Content-Type", media.encode())
        return streamed(_events(body), call, _failed, eventstream.MEDIA, [told])

    async def _pieces(
        self, request: HTTPRequest, call: Call, target: Target, *, always: bool = False
    ) -> tuple[str, AsyncIterator[bytes]] | None:
        """Return type and pieces of a streamed answer, ``None`` where it is to be given whole.

        The body has then been read into ``call.decoded``.
        """
        inference, version = self._inference, target.version
        decoded = call.decoded = await inference.read(request, call, target)
        assert version.signature is not None
        if script.reads_bodies(version.signature):
            return None
        media = self._doors.prefer(call, version)
        asked = call.terms.accept not in ("", "*/*")
        if (always or streams(decoded.form)) and not asked:
            media = JSON_LINES
        if media not in PIECES or (decoded.inputs is None and not always):
            return None
        response = await inference.ask(version, call, decoded)
        chunks = await opened(response)
        call.timings = response.timings
        return media, _written(chunks, media, version)

    async def _one_piece(
        self, request: HTTPRequest, call: Call, target: Target
    ) -> tuple[str, AsyncIterator[bytes]]:
        inference = self._inference
        decoded = call.decoded
        if decoded is None:
            decoded = await inference.read(request, call, target)
        outputs, timings = await inference.run(target.version, call, decoded)
        call.timings = timings
        answer = target.encoder.encode(
            outputs, decoded.single, decoded.id, target.version.model, target.version.version,
            decoded.form,
        )  # fmt: skip
        if isinstance(answer, Encoded):
            return answer.media.decode(), _once(answer.body)
        return "application/json", _once(answer)


def sagemaker_doors(
    inference: Inference,
    readiness: Readiness,
    settings: ApiSettings,
    clock: Clock,
    loading: Loading | None,
) -> tuple[dict[str, Door], dict[str, InvocationDoor]]:
    """Return the doors of SageMaker by name, and those of them that can answer at once."""
    doors = SageMakerDoors(inference.table, inference, readiness, settings)
    several = MultiModelDoors(loading)
    prepares: dict[str, Prepare] = {
        "sm_invoke": lambda _, call: prepare_container(settings, inference.table, call),
        "sm_invoke_model": lambda _, call: several.check(call),
        "sm_endpoint": prepare_endpoint,
    }
    invoking = {
        name: InvocationDoor(doors, inference, clock, prepare) for name, prepare in prepares.items()
    }
    named: dict[str, Door] = {
        "sm_ping": doors.ping,
        "sm_models": several.models,
        "sm_model": several.model,
        "sm_load": several.load,
        "sm_unload": several.unload,
        "sm_endpoint_stream": invoking["sm_endpoint"].in_events,
        "sm_endpoint_async": doors.later,
        **{name: door.answer for name, door in invoking.items()},
    }
    return named, invoking


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _written(
    chunks: AsyncIterator[Tensors], media: str, version: Version
) -> AsyncIterator[bytes]:
    """Yield the bytes of each piece."""
    assert version.signature is not None
    results = Results(version.signature)
    try:
        async for chunk in chunks:
            if media in (TEXT, OCTETS):
                yield b"".join(as_bytes(e) for array in chunk.values() for e in array.flat)
                continue
            value = results.piece(chunk)
            yield event(value) if media == EVENTS else json.dumps(value) + b"\n"
    finally:
        await aclose(chunks)


def _last(media: str, error: InferdError) -> bytes:
    """Return what ends a stream that failed; bare text has no form for it."""
    told = {"error": error.message}
    if media == EVENTS:
        return event(told)
    return json.dumps(told) + b"\n" if media == JSON_LINES else b""


async def _events(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the events that carry a body's pieces."""
    try:
        async for piece in body:
            for part in eventstream.parts(piece):
                yield part
    finally:
        await aclose(body)


def _failed(error: InferdError) -> bytes:
    kind = "InternalStreamFailure" if error.kind == "internal" else "ModelStreamError"
    return eventstream.failure(kind, error.message[:LONGEST], error.kind)

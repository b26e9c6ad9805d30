"""Doors of the OpenAI-compatible dialect: embeddings, completions, chat completions, models.

The body names the model: ``name``, or ``name@version``. It is therefore parsed here before anything
else is known of it; of a large body of embeddings only the name is looked for, and the rest is read
beside the loop like every large body. ``resolve_named`` is the one place where a name becomes a version.

Source: openai/openai-openapi, openapi.yaml 2.3.0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from inferd.api.call import Call
from inferd.api.coding import compressed, worth
from inferd.api.errors import respond
from inferd.api.inference import Inference, Target, resolve
from inferd.api.modelslist import model_card, models_list
from inferd.api.openai_stream import Generation
from inferd.api.plane import Door
from inferd.api.routes import OPENAI
from inferd.api.stream import streamed
from inferd.codecs import json
from inferd.codecs.embeddings import EmbeddingsCodec
from inferd.codecs.generation import Roles, roles
from inferd.codecs.openai import model_of, not_for, peeked_model, split_model
from inferd.codecs.openai_answer import CHAT, TEXT, Kind, Stamp
from inferd.codecs.openai_chat import Ask, read_chat, read_completion
from inferd.codecs.registry import EMBEDDINGS
from inferd.core.clock import Clock
from inferd.core.errors import InferdError, NotFound
from inferd.core.message import Timings
from inferd.routing.table import RouteTable, Version
from inferd.transport.message import HTTPRequest, HTTPResponse

EMBED = "embed"
GENERATE = "generate"

_CARD = ("id", "object", "created", "owned_by")


class OpenAIDoors:
    """Everything of the dialect. ``wall``: seconds since the epoch, for ``created``."""

    def __init__(
        self,
        table: RouteTable,
        inference: Inference,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._inference = inference
        self._clock = clock
        self._wall = wall

    async def models(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List the models."""
        found = models_list(self._table)
        return _json({"object": found["object"], "data": found["data"]}, call)

    async def model(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe a model."""
        card, version = model_card(self._table, call.values[0])
        call.model, call.version = version.model, version.version
        return _json({name: card[name] for name in _CARD}, call)

    async def embeddings(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer texts or token ids with vectors."""
        inference, begin = self._inference, self._clock()
        raw = request.body
        name = None
        if inference.is_long_body(raw) and call.terms.coding is None:
            name = peeked_model(raw)
        body = None if name is not None else await self._parsed(request, call)
        version = resolve_named(self._table, name or model_of(body), call)
        if version.task != EMBED:
            raise not_for("make embeddings", version.task, EMBED)
        codec = inference.codecs(version).dialect(EMBEDDINGS)
        if body is not None:
            assert isinstance(codec, EmbeddingsCodec)
            call.decoded = codec.read(body)
            call.decode = self._clock() - begin
        return await inference.answer(request, call, Target(version, EMBEDDINGS, codec, codec))

    async def completions(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Go on from a text."""
        return await self._generate(request, call, read_completion, TEXT)

    async def chat(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer a conversation."""
        return await self._generate(request, call, read_chat, CHAT)

    async def _generate(
        self, request: HTTPRequest, call: Call, read: Callable[[Any, Roles], Ask], kind: Kind
    ) -> HTTPResponse:
        begin = self._clock()
        body = await self._parsed(request, call)
        version = resolve_named(self._table, model_of(body), call)
        if version.task != GENERATE and not version.streams:
            raise not_for("generate", version.task, GENERATE)
        assert version.signature is not None
        found = roles(version.signature)
        ask = read(body, found)
        call.decode = self._clock() - begin
        generation = Generation(self._inference, version, call, ask, found.text)
        stamp = Stamp(
            kind.prefix + call.id,
            int(self._wall()),
            ask.model,
            f"{version.model}@{version.version}",
        )
        if ask.stream:
            return await _streamed(generation, call, kind, stamp)
        return await self._whole(generation, call, kind, stamp)

    async def _whole(
        self, generation: Generation, call: Call, kind: Kind, stamp: Stamp
    ) -> HTTPResponse:
        answers = await generation.whole()
        begin = self._clock()
        answer = json.dumps(kind.whole(stamp, answers, generation.usage()))
        response = self._inference.response(call, answer, call.timings or Timings(), begin)
        wish = call.terms.wish
        if wish is not None and worth(response, wish):
            return await compressed(response, wish.coding)
        return response

    async def _parsed(self, request: HTTPRequest, call: Call) -> Any:
        return json.loads(await self._inference.body(request, call), self._inference.max_depth)


def resolve_named(table: RouteTable, name: str, call: Call) -> Version:
    """Return the version that a body names; raises ``NotFound`` or ``Unavailable``."""
    call.values = split_model(name)
    try:
        return resolve(table, call)
    except NotFound as error:
        raise NotFound(f'"model" is not served here: {error.message}', help=error.help) from None


def openai_doors(inference: Inference, clock: Clock) -> dict[str, Door]:
    """Return the doors of the dialect by name."""
    doors = OpenAIDoors(inference.table, inference, clock)
    return {
        "openai_models": doors.models,
        "openai_model": doors.model,
        "openai_embeddings": doors.embeddings,
        "openai_completions": doors.completions,
        "openai_chat": doors.chat,
    }


async def _streamed(generation: Generation, call: Call, kind: Kind, stamp: Stamp) -> HTTPResponse:
    """Return a stream, once the first piece is there: what fails before has its own status."""
    events = generation.events()
    try:
        first = await anext(events, None)
    except BaseException:
        await events.aclose()
        raise
    return streamed(
        generation.sent(first, events, kind, stamp), call, lambda e: failure_event(e, call)
    )


def failure_event(error: InferdError, call: Call) -> bytes:
    """Return the event that ends a stream in which something went wrong."""
    body = respond(error, OPENAI, call).body
    assert isinstance(body, bytes)
    return b"data: " + body + b"\n\n"


def _json(value: dict[str, Any], call: Call) -> HTTPResponse:
    return HTTPResponse(200, json.dumps(value), headers=call.headers)

"""Doors of the OpenAI-compatible dialect for speech: transcriptions and translations.

They take a form with a file and its fields, which is read in a thread where it is large; the model is
named in it. An answer is whole in one of five formats, or the text as it grows, in server-sent events.

Source: openai/openai-openapi, openapi.yaml 2.3.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from inferd.api.call import Call
from inferd.api.coding import compressed, worth
from inferd.api.inference import Inference
from inferd.api.openai import failure_event, resolve_named
from inferd.api.plane import Door
from inferd.api.stream import aclose, event, opened, streamed
from inferd.codecs import multipart
from inferd.codecs.base import Decoded
from inferd.codecs.openai import model_of, not_for
from inferd.codecs.openai_audio import (
    TRANSCRIBE,
    TRANSLATE,
    Ask,
    delta,
    done,
    fields_of,
    read,
    write,
)
from inferd.codecs.transcription import Hearing, Transcript, hearing
from inferd.core.clock import Clock
from inferd.core.message import Response
from inferd.core.tensor import Tensors
from inferd.transport.message import HTTPRequest, HTTPResponse


class AudioDoors:
    """What takes speech."""

    def __init__(self, inference: Inference, clock: Clock) -> None:
        self._inference = inference
        self._clock = clock

    async def transcriptions(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Write down what is said."""
        return await self._answer(request, call, TRANSCRIBE)

    async def translations(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Write down in English what is said."""
        return await self._answer(request, call, TRANSLATE)

    async def _answer(self, request: HTTPRequest, call: Call, task: str) -> HTTPResponse:
        inference, begin = self._inference, self._clock()
        form = await self._form(request, call)
        given = fields_of(form)
        version = resolve_named(inference.table, model_of(given), call)
        if version.task != TRANSCRIBE:
            raise not_for("transcribe", version.task, TRANSCRIBE)
        assert version.signature is not None
        roles = hearing(version.signature)
        ask = read(form, given, roles, task)
        call.decode = self._clock() - begin
        response = await inference.ask(
            version, call, Decoded(ask.inputs, parameters=ask.parameters)
        )
        call.timings = response.timings
        response.timings.decode = call.decode
        pieces = await opened(response)
        if ask.stream:
            return streamed(_events(pieces, roles), call, lambda error: failure_event(error, call))
        return await self._whole(response, pieces, call, ask, roles)

    async def _form(self, request: HTTPRequest, call: Call) -> multipart.Form:
        boundary = multipart.boundary_of(request.header(b"content-type") or b"")
        body = await self._inference.body(request, call)
        if self._inference.is_long_body(body):
            return multipart.Form(await asyncio.to_thread(multipart.read, body, boundary))
        return multipart.Form(multipart.read(body, boundary))

    async def _whole(
        self,
        response: Response,
        pieces: AsyncIterator[Tensors],
        call: Call,
        ask: Ask,
        roles: Hearing,
    ) -> HTTPResponse:
        transcript = Transcript(roles)
        try:
            async for piece in pieces:
                transcript.feed(piece)
        finally:
            await aclose(pieces)
        transcript.end()
        begin = self._clock()
        answer = self._inference.response(call, write(transcript, ask), response.timings, begin)
        wish = call.terms.wish
        if wish is not None and worth(answer, wish):
            return await compressed(answer, wish.coding)
        return answer


def audio_doors(inference: Inference, clock: Clock) -> dict[str, Door]:
    """Return the doors for speech by name."""
    doors = AudioDoors(inference, clock)
    return {
        "openai_transcriptions": doors.transcriptions,
        "openai_translations": doors.translations,
    }


async def _events(pieces: AsyncIterator[Tensors], roles: Hearing) -> AsyncIterator[bytes]:
    """Yield the events of an answer: new text as it comes, and the whole at the end."""
    transcript = Transcript(roles)
    try:
        async for piece in pieces:
            text = transcript.feed(piece)
            if text:
                yield event(delta(text))
    finally:
        await aclose(pieces)
    text = transcript.end()
    if text:
        yield event(delta(text))
    yield event(done(transcript))

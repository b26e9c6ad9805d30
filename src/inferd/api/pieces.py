"""Answers of the simple dialect in pieces, for who asks for them by ``Accept``.

``text/event-stream`` gives server-sent events, ``application/x-ndjson`` (or ``application/jsonlines``) a line for each
piece; both carry ``{"result": ...}`` with what is new, and ``{"error": ...}`` where the answer breaks off. A model
that does not stream answers with its one piece.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from inferd.api.call import Call
from inferd.api.inference import Aim, Inference
from inferd.api.reply import PredictingDoor
from inferd.api.stream import EVENTS, aclose, opened, streamed
from inferd.codecs import json
from inferd.codecs.accept import choose
from inferd.codecs.media import JSON, JSON_LINES
from inferd.codecs.results import Results
from inferd.core.errors import InferdError
from inferd.core.tensor import Tensors
from inferd.transport.message import HTTPRequest, HTTPResponse

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"
_OFFERS = (JSON, EVENT_STREAM, NDJSON, JSON_LINES)


def wanted(accept: str) -> str | None:
    """Return the type of pieces that an ``Accept`` asks for, ``None`` for a whole answer."""
    if not accept or ("event-stream" not in accept and "json" not in accept):
        return None
    found = choose(accept, _OFFERS)
    return found if found in _OFFERS[1:] else None


class PiecesDoor:
    """A predicting door that also answers in pieces."""

    def __init__(self, aim: Aim, inference: Inference, whole: PredictingDoor) -> None:
        self._aim = aim
        self._inference = inference
        self._whole = whole
        self.start = whole.start  # which leaves alone what asks for pieces

    async def answer(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Answer whole, or with the head of what comes in pieces."""
        media = wanted(call.terms.accept)
        if media is None:
            return await self._whole.answer(request, call)
        target = self._aim(request, call)
        version = target.version
        assert version.signature is not None
        decoded = await self._inference.read(request, call, target)
        response = await self._inference.ask(version, call, decoded)
        pieces = await opened(response)
        call.timings = response.timings
        events = media == EVENT_STREAM
        results = Results(version.signature)
        if not version.streams:
            return streamed(
                _whole(pieces, results, decoded.single, events=events), call,
                lambda e: _framed(_error(e), events=events), _type(media),
            )  # fmt: skip
        return streamed(
            _pieces(pieces, results, events=events), call,
            lambda e: _framed(_error(e), events=events), _type(media),
        )  # fmt: skip


def _type(media: str) -> bytes:
    return EVENTS if media == EVENT_STREAM else media.encode()


async def _pieces(
    pieces: AsyncIterator[Tensors], results: Results, *, events: bool
) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield _framed(json.dumps({"result": results.piece(piece)}), events=events)
    finally:
        await aclose(pieces)


async def _whole(
    pieces: AsyncIterator[Tensors], results: Results, single: bool, *, events: bool
) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield _framed(results.encode(piece, single), events=events)


def _framed(text: bytes, *, events: bool) -> bytes:
    return b"data: " + text + b"\n\n" if events else text + b"\n"


def _error(error: InferdError) -> bytes:
    told = {"kind": error.kind, "message": error.message}
    if error.help:
        told["help"] = error.help
    return json.dumps({"error": told})

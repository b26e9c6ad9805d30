"""Doors of the simple dialect: ``{"data": ...}`` and other media in, ``{"result": ...}`` out."""

from __future__ import annotations

from collections.abc import Awaitable

from inferd.api.call import Call
from inferd.api.inference import Inference, resolve
from inferd.codecs.media import JSON
from inferd.codecs.registry import SIMPLE
from inferd.routing.table import RouteTable
from inferd.transport.message import HTTPRequest, HTTPResponse


class SimpleDoors:
    """``/predict`` of the only model, of a model, of one version."""

    def __init__(self, table: RouteTable, inference: Inference) -> None:
        self._table = table
        self._inference = inference

    def predict(self, request: HTTPRequest, call: Call) -> Awaitable[HTTPResponse]:
        """Answer one example or a batch."""
        # Not a coroutine itself: each layer of them is resumed for every request.
        version = resolve(self._table, call)
        codecs = self._inference.codecs(version)
        media = call.media
        if media == JSON:
            return self._inference.answer(
                request, call, version, SIMPLE, codecs.simple, codecs.simple
            )
        return self._inference.answer(
            request, call, version, media, codecs.media(media), codecs.simple
        )

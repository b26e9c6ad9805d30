"""Doors of the simple dialect: ``{"data": ...}`` and other media in, ``{"result": ...}`` out."""

from __future__ import annotations

from inferd.api.call import Call
from inferd.api.inference import Inference, Target, resolve
from inferd.codecs.media import JSON
from inferd.codecs.registry import SIMPLE
from inferd.routing.table import RouteTable
from inferd.transport.message import HTTPRequest


class SimpleDoors:
    """``/predict`` of the only model, of a model, of one version."""

    def __init__(self, table: RouteTable, inference: Inference) -> None:
        self._table = table
        self._inference = inference

    def predict(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that answers one example or a batch."""
        version = resolve(self._table, call)
        codecs = self._inference.codecs(version)
        media, simple = call.media, codecs.simple
        if media == JSON:
            return Target(version, SIMPLE, simple, simple)
        return Target(version, media, codecs.media(media), simple)

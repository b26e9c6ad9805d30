"""Doors of ``tensorflow.serving.PredictionService`` and ``ModelService``.

A model is named with a version, a label that ``model.yaml`` gives one, or neither. What is told of
signatures and states is made by the codecs of the REST half as JSON values, and written as messages.

Sources: tensorflow/serving, tensorflow_serving/apis (predict, get_model_metadata, get_model_status).
"""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.json_format import ParseDict

from inferd.api.call import Call
from inferd.api.grpc.aims import Aims
from inferd.api.grpc.calls import Door
from inferd.api.grpc.infer import Inferring, parsed
from inferd.api.modelslist import status
from inferd.api.oip import signature_of
from inferd.codecs.protobuf.messages import parse, serving
from inferd.codecs.protobuf.predict import REQUEST, PredictCodec, specify
from inferd.codecs.tfmetadata import metadata
from inferd.codecs.values import shown
from inferd.core.errors import InvalidInput
from inferd.routing.table import RouteTable, Version

SIGNATURES = "signature_def"


class ServingDoors:
    """TensorFlow Serving's doors."""

    def __init__(self, table: RouteTable, inferring: Inferring) -> None:
        self._table = table
        self._inferring = inferring
        self._aims = Aims(table, _codec)

    def doors(self) -> dict[str, Door]:
        """Return the doors by name."""
        return {"predict": self.predict, "metadata": self.metadata, "status": self.status}

    async def predict(self, body: bytes, call: Call) -> bytes:
        """Answer one ``PredictRequest``."""
        inferring = self._inferring
        begin = inferring.clock()
        message = await parsed(REQUEST, body)
        spec = message.model_spec
        version, codec = self._aims.find(call, spec.name, self._number(spec))
        if len(body) > inferring.large:  # its elements may be typed, and are then many
            decoded = await asyncio.to_thread(codec.decode, message)
        else:
            decoded = codec.decode(message)
        inferring.heed(decoded, call, begin)
        outputs, timings = await inferring.run(version, call, decoded)
        begin = inferring.clock()
        if inferring.inference.is_long(decoded, outputs):
            answer = await asyncio.to_thread(codec.encode, outputs)
        else:
            answer = codec.encode(outputs)
        timings.decode = call.decode
        timings.encode = inferring.clock() - begin
        call.timings = timings
        return answer

    async def metadata(self, body: bytes, call: Call) -> bytes:
        """Give the signatures of a model."""
        request = parse(serving("GetModelMetadataRequest"), body)
        wanted = set(request.metadata_field)
        if wanted != {SIGNATURES}:
            others = ", ".join(shown(name) for name in sorted(wanted - {SIGNATURES})[:5])
            raise InvalidInput(
                f"metadata_field names {others or 'nothing'}", help=f"it may name {SIGNATURES!r}"
            )
        version = self._find(request.model_spec, call)
        value = metadata(version.model, version.version, signature_of(version))
        response = serving("GetModelMetadataResponse")()
        specify(response.model_spec, version.model, version.version)
        signatures = ParseDict(value["metadata"][SIGNATURES], serving("SignatureDefMap")())
        response.metadata[SIGNATURES].Pack(signatures)
        made: bytes = response.SerializeToString()
        return made

    async def status(self, body: bytes, call: Call) -> bytes:
        """Say the states of a model's versions, or of the one asked for."""
        spec = parse(serving("GetModelStatusRequest"), body).model_spec
        version = self._find(spec, call)
        versions = [version]
        if spec.WhichOneof("version_choice") is None:
            versions = list(reversed(self._table.versions(version.model)))
        value = status([v for v in versions if v.version.isdecimal()])
        made: bytes = ParseDict(value, serving("GetModelStatusResponse")()).SerializeToString()
        return made

    def _find(self, spec: Any, call: Call) -> Version:
        return self._aims.known(call, spec.name, self._number(spec))

    def _number(self, spec: Any) -> str:
        """Return the version that a ``ModelSpec`` names, empty where it names none."""
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            return ""
        if choice == "version":
            return str(spec.version.value)
        name = spec.name or self._table.find(None).model
        return self._table.labelled(name, spec.version_label)


def _codec(version: Version) -> PredictCodec:
    assert version.signature is not None
    return PredictCodec(version.signature, version.plan, version.model, version.version)

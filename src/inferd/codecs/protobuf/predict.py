"""TensorFlow Serving's ``PredictRequest`` to tensors, and outputs to its answer.

Every input is named; ``output_filter`` chooses outputs. The one signature of a model is its default
one: ``serving_default`` or an empty name.

Source: tensorflow/serving, tensorflow_serving/apis/predict.proto.
"""

from __future__ import annotations

from typing import Any

from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.oip import _together
from inferd.codecs.protobuf import tensorproto
from inferd.codecs.protobuf.messages import serving
from inferd.codecs.protobuf.wire import put, tag
from inferd.codecs.rawtensor import Buffer
from inferd.codecs.tfserving import SERVING_DEFAULT
from inferd.codecs.values import shown
from inferd.core.errors import InvalidInput, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors

REQUEST = serving("PredictRequest")
RESPONSE = serving("PredictResponse")
_OUTPUTS, _KEY, _VALUE = tag(1), tag(1), tag(2)


class PredictCodec:
    """Decodes predict requests for one version of a model and encodes its answers."""

    def __init__(self, signature: Signature, plan: BatchPlan, model: str, version: str) -> None:
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._needed = [s.name for s in signature.inputs if s.default is None]
        self._outputs = tuple(spec.name for spec in signature.outputs)
        self._batched = signature.batched
        self._split = plan.split
        response = RESPONSE()
        specify(response.model_spec, model, version)
        response.model_spec.signature_name = SERVING_DEFAULT
        self._head: bytes = response.SerializeToString()

    def decode(self, message: Any) -> Decoded:
        """Return what a ``PredictRequest`` asks; raises ``InvalidInput``."""
        check_signature(message.model_spec.signature_name)
        given = message.inputs
        for name in given:
            if name not in self._inputs:
                raise InvalidInput(
                    f"no input named {shown(name)}", help=nearest(name, self._inputs)
                )
        for name in self._needed:
            if name not in given:
                raise InvalidInput(f"input {name!r} is missing")
        inputs = {
            name: tensorproto.read(given[name], spec)
            for name, spec in self._inputs.items()
            if name in given
        }
        decoded = Decoded(inputs, outputs=self._chosen(message.output_filter))
        size = self._size(inputs)
        if self._split and size > 1:
            decoded.rows, decoded.inputs = split_rows(inputs, size), None
        return decoded

    def _chosen(self, names: Any) -> tuple[str, ...] | None:
        chosen = tuple(dict.fromkeys(names))
        for name in chosen:
            if name not in self._outputs:
                raise InvalidInput(
                    f"no output named {shown(name)}", help=nearest(name, self._outputs)
                )
        return chosen or None

    def _size(self, inputs: Tensors) -> int:
        if not self._batched or not inputs:
            return 1
        sizes = {name: int(array.shape[0]) for name, array in inputs.items()}
        first, size = next(iter(sizes.items()))
        for name, other in sizes.items():
            if other != size:
                raise InvalidInput(
                    f"input {first!r} has a batch of {size} and input {name!r} one of {other}"
                )
        return size

    def encode(self, outputs: Tensors | list[Tensors]) -> bytes:
        """Return a serialized ``PredictResponse``."""
        tensors = outputs if isinstance(outputs, dict) else _together(outputs)
        parts: list[Buffer] = [self._head]
        for name, array in tensors.items():
            entry: list[Buffer] = []
            put(entry, _KEY, name.encode())
            put(entry, _VALUE, tensorproto.write(array))
            put(parts, _OUTPUTS, b"".join(entry))
        return b"".join(parts)


def check_signature(name: str) -> None:
    """Refuse any but the default signature."""
    if name not in ("", SERVING_DEFAULT):
        raise InvalidInput(
            f"no signature named {shown(name)}", help=f"the one signature is {SERVING_DEFAULT!r}"
        )


def specify(spec: Any, model: str, version: str) -> None:
    """Fill a ``ModelSpec``: versions that are no number have none in this protocol."""
    spec.name = model
    if version.isdecimal():
        spec.version.value = int(version)

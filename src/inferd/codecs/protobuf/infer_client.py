"""The Open Inference Protocol over gRPC as a client speaks it: write a request, read its answer.

The mirror of ``infer``: tensors go raw, behind a beginning that equal shapes share; an answer's may be
raw or typed, as servers like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inferd.codecs.oip_tensor import datatype, sizes
from inferd.codecs.protobuf.infer import _TYPED, EMPTY_FINAL
from inferd.codecs.protobuf.messages import inference, parse
from inferd.codecs.protobuf.typed import elements
from inferd.codecs.protobuf.weigh import MANY
from inferd.codecs.protobuf.wire import put, tag
from inferd.codecs.rawtensor import Buffer, from_raw, to_raw
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters
from inferd.core.tensor import DType, Tensors, dtype_of

REQUEST = inference("ModelInferRequest")
RESPONSE = inference("ModelInferResponse")
STREAMED = inference("ModelStreamInferResponse")
FINAL = "triton_final_response"
_ID, _RAW = tag(3), tag(7)
_REMEMBERED = 256


class RequestWriter:
    """Writes requests to one model. ``dtypes``: datatypes on the wire that are not the arrays' own."""

    def __init__(
        self, model: str, version: str | None = None, dtypes: Mapping[str, DType] | None = None
    ) -> None:
        self._model = model
        self._version = version or ""
        self._dtypes = dtypes or {}
        self._heads: dict[object, bytes] = {}

    def write(
        self,
        inputs: Tensors,
        outputs: Sequence[str] | None = None,
        parameters: Parameters | None = None,
        id: str = "",
    ) -> bytes:
        """Return a serialized ``ModelInferRequest``; ``outputs``: those wanted, ``None``: all."""
        parts: list[Buffer] = [self._head(inputs, tuple(outputs or ()))]
        if parameters:
            parts.append(_parameters(parameters))
        if id:
            put(parts, _ID, id.encode())
        for name, array in inputs.items():
            put(parts, _RAW, to_raw(array, self._dtypes.get(name)))
        return b"".join(parts)

    def _head(self, inputs: Tensors, outputs: tuple[str, ...]) -> bytes:
        """Return what requests of equal shapes have in common."""
        key = (outputs, *((name, a.shape, a.dtype) for name, a in inputs.items()))
        head = self._heads.get(key)
        if head is None:
            message = REQUEST(model_name=self._model, model_version=self._version)
            for name, array in inputs.items():
                dtype = self._dtypes.get(name) or dtype_of(array)
                message.inputs.add(name=name, datatype=dtype.name, shape=array.shape)
            for name in outputs:
                message.outputs.add(name=name)
            head = message.SerializeToString()
            if len(self._heads) >= _REMEMBERED:
                self._heads.clear()
            self._heads[key] = head
        return head


def streaming(parameters: Parameters) -> Parameters:
    """Return the parameters of a request in a stream: the end of its answer is to be told."""
    return {**parameters, EMPTY_FINAL: True}


def _parameters(given: Parameters) -> bytes:
    message = REQUEST()
    for key, value in given.items():
        entry = message.parameters[key]
        if isinstance(value, bool):
            entry.bool_param = value
        elif isinstance(value, int):
            setattr(
                entry, "int64_param" if -(1 << 63) <= value < 1 << 63 else "uint64_param", value
            )
        elif isinstance(value, float):
            entry.double_param = value
        else:
            entry.string_param = value
    made: bytes = message.SerializeToString()
    return made


def read_response(body: bytes) -> tuple[Tensors, str]:
    """Return the outputs of a ``ModelInferResponse`` and the version that answered.

    Raises ``InvalidInput`` for what is no answer of this protocol.
    """
    message = parse(RESPONSE, body, MANY)
    return _outputs(message), message.model_version


def read_piece(body: bytes) -> tuple[Tensors, bool]:
    """Return the outputs of one message of a stream, and whether it is the last of its answer.

    Raises ``InvalidInput`` for what is no such message; an error that it says is not looked at.
    """
    message = parse(STREAMED, body, MANY).infer_response
    return _outputs(message), FINAL in message.parameters and message.parameters[FINAL].bool_param


def read_error(body: bytes) -> str:
    """Return the error that one message of a stream says, nothing where it says none."""
    said: str = parse(STREAMED, body, MANY).error_message
    return said


def _outputs(message: Any) -> Tensors:
    raw, entries = message.raw_output_contents, message.outputs
    if raw and len(raw) != len(entries):
        raise InvalidInput(f"the answer has {len(entries)} outputs and the bytes of {len(raw)}")
    found: Tensors = {}
    for index, entry in enumerate(entries):
        where = f"output {entry.name!r}"
        dtype = datatype(entry.datatype, where)
        shape = sizes(list(entry.shape), where)
        if raw:
            found[entry.name] = from_raw(raw[index], dtype, shape, where)
            continue
        field = _TYPED.get(dtype.name)
        if field is None:
            raise InvalidInput(f"{where}: {dtype.name} has no typed contents in this protocol")
        try:
            values = elements(getattr(entry.contents, field), dtype, where)
            found[entry.name] = values.reshape(shape)
        except ValueError:
            raise InvalidInput(f"{where} does not have the values of its shape") from None
    return found

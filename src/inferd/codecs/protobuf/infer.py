"""The Open Inference Protocol over gRPC: ``ModelInferRequest`` to tensors, outputs to its answer.

A request's tensors are either all raw (``raw_input_contents``, one entry for each input, in their
order; the form that clients send) or each in the typed field of its datatype. FP16 and BF16 exist
raw only. Everything is checked against the external signature here, with the words of the REST half.

Answers are always raw, which is what clients read. What is the same for all answers of one shape is
serialized once; an answer is that, the id and the bytes of its tensors, one behind the other.

Sources: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto;
triton-inference-server/server, docs/protocol/extension_*.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.classification import classified
from inferd.codecs.oip import _together, schedule, wanted
from inferd.codecs.oip_tensor import MAX_AXES, datatype
from inferd.codecs.protobuf.messages import inference
from inferd.codecs.protobuf.typed import elements
from inferd.codecs.protobuf.wire import put, tag
from inferd.codecs.rawtensor import BF16, Buffer, from_raw, to_raw
from inferd.codecs.simple import parameters as plain
from inferd.codecs.values import check_shape, show_shape, shown
from inferd.core.errors import InvalidInput, nearest
from inferd.core.message import Parameters
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP16, FP32, DType, Tensors, dtype_of

REQUEST = inference("ModelInferRequest")
RESPONSE = inference("ModelInferResponse")
EMPTY_FINAL = "triton_enable_empty_final_response"
_FINAL = "triton_final_response"
_REMEMBERED = 256
_ID, _RAW, _STREAMED, _ERROR = tag(3), tag(6), tag(2), tag(1)

_TYPED: dict[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the elements of each datatype lie when they are not raw."""


class InferCodec:
    """Decodes requests for one version of a model and encodes its answers.

    ``labels``: names of classes, for the classification extension.
    """

    def __init__(
        self, signature: Signature, plan: BatchPlan, model: str, version: str,
        labels: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._needed = [s.name for s in signature.inputs if s.default is None]
        self._outputs = tuple(spec.name for spec in signature.outputs)
        self._split = plan.split
        self._model = model
        self._version = version
        self._labels = labels
        self._heads: dict[object, bytes] = {}
        self.slow = any(spec.dtype is BYTES for spec in signature.inputs)

    def decode(self, message: Any) -> Decoded:
        """Return what a ``ModelInferRequest`` asks; raises ``InvalidInput`` or ``Unsupported``."""
        inputs = self._read(message)
        decoded = Decoded(inputs, id=message.id or None, raw=True)
        if message.parameters:
            given = parameters(message.parameters, "parameters")
            empty = given.pop(EMPTY_FINAL, False)
            if type(empty) is not bool:
                raise InvalidInput(f"parameters.{EMPTY_FINAL} must be true or false")
            schedule(decoded, given)
            if empty:
                decoded.form = {"final": True}
        if message.outputs:
            self._want(message.outputs, decoded)
        if self._signature.batched and inputs:
            self._sized(decoded, inputs)
        return decoded

    def _read(self, message: Any) -> Tensors:
        raw = message.raw_input_contents
        entries = message.inputs
        if raw and len(raw) != len(entries):
            raise InvalidInput(
                f"raw_input_contents has {len(raw)} entries for {len(entries)} inputs",
                help="give every input raw, in the order of the inputs, or none",
            )
        found: Tensors = {}
        for index, entry in enumerate(entries):
            name = entry.name
            spec = self._inputs.get(name)
            if spec is None:
                raise InvalidInput(
                    f"no input named {shown(name)}", help=nearest(name, self._inputs)
                )
            if name in found:
                raise InvalidInput(f"input {name!r} is given twice")
            found[name] = _tensor(entry, spec, raw[index] if raw else None)
        if len(found) != len(self._inputs):
            missing = next((name for name in self._needed if name not in found), None)
            if missing is not None:
                raise InvalidInput(f"input {missing!r} is missing")
        if len(found) > 1:
            return {name: found[name] for name in self._inputs if name in found}
        return found

    def _want(self, entries: Any, decoded: Decoded) -> None:
        classes: dict[str, int] = {}
        names: list[str] = []
        for entry in entries:
            name = entry.name
            if name not in self._outputs:
                raise InvalidInput(
                    f"no output named {shown(name)}", help=nearest(name, self._outputs)
                )
            if name in names:
                raise InvalidInput(f"output {name!r} is asked for twice")
            names.append(name)
            if entry.parameters:
                where = f"output {name!r}"
                count = wanted(parameters(entry.parameters, where), where).classes
                if count:
                    classes[name] = count
        if tuple(names) != self._outputs:
            decoded.outputs = tuple(names)
        if classes:
            decoded.form = {**(decoded.form or {}), "classes": classes}

    def _sized(self, decoded: Decoded, inputs: Tensors) -> None:
        """Check that all inputs agree on the batch; take it apart where the plan says so."""
        first, size = "", -1
        for name, array in inputs.items():
            rows = array.shape[0]
            if size < 0:
                first, size = name, rows
            elif rows != size:
                raise InvalidInput(
                    f"input {first!r} has a batch of {size} and input {name!r} one of {rows}"
                )
        if self._split and size > 1:
            decoded.rows, decoded.inputs = split_rows(inputs, size), None

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        id: str | None = None,
        form: Any = None,
        *,
        final: bool | None = None,
        streamed: bool = False,
    ) -> bytes:
        """Return a serialized ``ModelInferResponse``; ``streamed``: inside a stream's message.

        ``final``: whether nothing follows, for streams that tell it (``None``: does not tell).
        """
        tensors = outputs if isinstance(outputs, dict) else _together(outputs)
        if form is not None and form.get("classes"):
            tensors = self._classified(tensors, form["classes"])
        parts: list[Buffer] = [self._head(tensors)]
        if id:
            put(parts, _ID, id.encode())
        for array in tensors.values():
            put(parts, _RAW, to_raw(array))
        if final is not None:
            parts.append(_FINALS[final])
        if streamed:
            return _in_stream(parts)
        return b"".join(parts)

    def empty(self, id: str | None) -> bytes:
        """Return the message that ends a streamed answer and holds no tensors."""
        return self.encode({}, id, final=True, streamed=True)

    def _classified(self, tensors: Tensors, classes: dict[str, int]) -> Tensors:
        batched = self._signature.batched
        return {
            name: classified(name, array, classes[name], self._labels, batched=batched)
            if name in classes
            else array
            for name, array in tensors.items()
        }

    def _head(self, tensors: Tensors) -> bytes:
        """Return the answer without id and bytes: what equal shapes have in common."""
        if len(tensors) == 1:
            ((name, array),) = tensors.items()
            key: object = (name, array.shape, array.dtype)
        else:
            key = tuple((n, a.shape, a.dtype) for n, a in tensors.items())
        head = self._heads.get(key)
        if head is None:
            response = RESPONSE(model_name=self._model, model_version=self._version)
            for name, array in tensors.items():
                response.outputs.add(name=name, datatype=dtype_of(array).name, shape=array.shape)
            head = response.SerializeToString()
            if len(self._heads) >= _REMEMBERED:
                self._heads.clear()
            self._heads[key] = head
        return head


def _tensor(entry: Any, spec: TensorSpec, raw: bytes | None) -> np.ndarray:
    """Return one input, checked against ``spec``."""
    where = f"input {spec.name!r}"
    if entry.parameters:
        wanted(parameters(entry.parameters, where), where)  # refuses shared memory
    name = entry.datatype
    if name != spec.dtype.name:
        dtype = datatype(name, where)
        if not (dtype is BF16 and spec.dtype is FP32):
            raise InvalidInput(f"{where} takes {spec.dtype.name}, got {dtype.name}")
    else:
        dtype = spec.dtype
    shape = tuple(entry.shape)
    if len(shape) > MAX_AXES or (shape and min(shape) < 0):
        raise InvalidInput(f"{where}: the shape must hold at most {MAX_AXES} sizes, none free")
    check_shape(shape, spec.shape, spec, "the tensor")
    if raw is None:
        return _typed(entry.contents, dtype, shape, where)
    if entry.HasField("contents") and entry.contents.ByteSize():
        raise InvalidInput(
            f"{where} has contents beside raw_input_contents",
            help="give every input raw, in the order of the inputs, or none",
        )
    return from_raw(raw, dtype, shape, where)


def _typed(contents: Any, dtype: DType, shape: tuple[int, ...], where: str) -> np.ndarray:
    if dtype in (FP16, BF16):
        raise InvalidInput(
            f"{where}: {dtype.name} has no typed contents in this protocol",
            help="send it in raw_input_contents",
        )
    field = _TYPED[dtype.name]
    values = getattr(contents, field)
    count = math.prod(shape)
    if len(values) != count:
        raise InvalidInput(
            f"{where} has {len(values)} values in {field} for the shape {show_shape(shape)}, "
            f"which holds {count}"
        )
    return elements(values, dtype, where).reshape(shape)


def parameters(given: Any, where: str) -> Parameters:
    """Return a map of ``InferParameter`` as plain values; raises ``InvalidInput``."""
    found: Parameters = {}
    for key, value in given.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is None:
            raise InvalidInput(f"{where}.{shown(key)} has no value")
        found[key] = getattr(value, choice)
    return plain(found, where)


def failed(message: str, id: str | None) -> bytes:
    """Return the message of a stream that says why a request failed; ``id``: the request's."""
    parts: list[Buffer] = []
    put(parts, _ERROR, message.encode())
    if id:
        inner: list[Buffer] = []
        put(inner, _ID, id.encode())
        put(parts, _STREAMED, b"".join(inner))
    return b"".join(parts)


def _in_stream(parts: list[Buffer]) -> bytes:
    body: list[Buffer] = []
    put(body, _STREAMED, b"".join(parts))
    return b"".join(body)


def _final(value: bool) -> bytes:
    response = RESPONSE()
    response.parameters[_FINAL].bool_param = value
    made: bytes = response.SerializeToString()
    return made


_FINALS = {True: _final(True), False: _final(False)}

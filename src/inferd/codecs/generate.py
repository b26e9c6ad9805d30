"""The generate extension: one example as a flat JSON object, its outputs as another.

Keys that are names of inputs hold their values, bare or as lists; ``parameters`` and every other key
are parameters. The answer has the outputs by name beside ``model_name`` and ``model_version``: a bare
value where an output is one value, else its values as (nested) lists. A streamed answer is a
sequence of such objects; a text that comes in pieces may be cut within a character, which is then
held back until it is whole.

Source: triton-inference-server/server, docs/protocol/extension_generate.md.
"""

from __future__ import annotations

import codecs
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.base import Decoded
from inferd.codecs.oip import schedule
from inferd.codecs.simple import parameters
from inferd.codecs.values import check_shape, depth_of, shown, to_array
from inferd.core.errors import InvalidInput, Unsupported, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, as_bytes


class GenerateCodec:
    """Encoder and decoder of generate requests for one version of a model."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None, max_depth: int = json.MAX_DEPTH
    ) -> None:
        self._batched = signature.batched
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._needed = [spec.name for spec in signature.inputs if spec.default is None]
        self._max_depth = max_depth

    def decode(self, body: bytes) -> Decoded:
        """Decode a request: one example, with a batch axis of one where the model is batched."""
        request = json.loads(body, self._max_depth)
        if type(request) is not dict:
            raise InvalidInput("the body must be an object of inputs and parameters")
        inputs: Tensors = {}
        rest: dict[str, Any] = {}
        id: str | None = None
        for key, value in request.items():
            spec = self._inputs.get(key)
            if spec is not None:
                inputs[key] = self._value(value, spec)
            elif key == "id":
                id = _id(value)
            elif key == "parameters":
                rest.update(parameters(value, "parameters"))
            else:
                rest[key] = value
        missing = [name for name in self._needed if name not in inputs]
        if missing:
            # What was meant for the input may stand among the parameters, under another name.
            raise InvalidInput(
                f"input {missing[0]!r} is missing", help=nearest(missing[0], rest) if rest else None
            )
        ordered = {name: inputs[name] for name in self._inputs if name in inputs}
        decoded = Decoded(ordered, single=True, id=id)
        schedule(decoded, parameters(rest, "the body"))
        return decoded

    def _value(self, value: Any, spec: TensorSpec) -> np.ndarray:
        """Return the tensor of one example's value; a bare one fills axes of one."""
        row = spec.shape[1:] if self._batched else spec.shape
        where = shown(spec.name)
        if type(value) is list and not row and len(value) == 1:
            value = value[0]
        if depth_of(value) == 0:
            for _ in row:
                value = [value]
        array = to_array(value, spec.dtype, len(row), where)
        check_shape(array.shape, row, spec, "the value")
        return array[np.newaxis] if self._batched else array

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = True,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode the outputs of one example."""
        row = outputs if isinstance(outputs, dict) else outputs[0]
        parts = {name: _part(name, _row(a, batched=self._batched)) for name, a in row.items()}
        return json.dumps({**_head(id, model, version), **parts})

    def pieces(self, id: str | None, model: str, version: str) -> Pieces:
        """Return what makes the objects of one streamed answer."""
        return Pieces(_head(id, model, version), batched=self._batched)


class Pieces:
    """The objects of one streamed answer, made from its pieces in order."""

    def __init__(self, head: dict[str, Any], *, batched: bool) -> None:
        self._head = head
        self._batched = batched
        self._texts: dict[str, codecs.IncrementalDecoder] = {}

    def piece(self, outputs: Tensors) -> dict[str, Any]:
        """Return the object of one piece."""
        found = dict(self._head)
        for name, array in outputs.items():
            row = _row(array, batched=self._batched)
            if row.dtype.hasobject and row.size == 1:
                found[name] = self._text(name).decode(as_bytes(row.reshape(-1)[0]))
            else:
                found[name] = _part(name, row)
        return found

    def rest(self) -> dict[str, Any] | None:
        """Return an object of what was held back and never became a character, if anything was."""
        left = {name: text.decode(b"", True) for name, text in self._texts.items()}
        left = {name: text for name, text in left.items() if text}
        return {**self._head, **left} if left else None

    def _text(self, name: str) -> codecs.IncrementalDecoder:
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = codecs.getincrementaldecoder("utf-8")("replace")
        return found


def _id(value: Any) -> str:
    if type(value) is not str:
        raise InvalidInput('"id" must be a string')
    return value


def _head(id: str | None, model: str, version: str) -> dict[str, Any]:
    head: dict[str, Any] = {} if id is None else {"id": id}
    head["model_name"] = model
    head["model_version"] = version
    return head


def _row(array: np.ndarray, *, batched: bool) -> np.ndarray:
    # The ellipsis keeps an array of what would else be one bare element.
    return array[0, ...] if batched and array.ndim else array


def _part(name: str, row: np.ndarray) -> Any:
    if row.dtype.hasobject:
        for element in row.reshape(-1).tolist():
            if not isinstance(json.text(element), str):
                raise Unsupported(
                    f"output {name!r} holds bytes that are not UTF-8, which JSON cannot carry",
                    help="ask for it in binary with infer",
                )
    return row.reshape(-1)[0] if row.size == 1 else row

"""Results of the simple dialect: output tensors to ``{"result": ...}`` and back.

One rule forms the result of one example, alone or in a batch: its part of each output as nested
lists; several outputs make an object. An output that the signature fixes at one value for each
example is that value. Whether a part is a value or a list is read off the signature alone, never
off the data: an axis that may have another size keeps its list where it happens to be one long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.values import holds_one, to_array
from inferd.core.errors import InvalidInput
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors

_ORIGIN = tuple((0,) * rank for rank in range(65))


class Results:
    """Forms the results of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._batched = signature.batched
        self._values = frozenset(s.name for s in signature.outputs if holds_one(s, signature))

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode outputs: a batch as ``Tensors``, or one ``Tensors`` with one row per example."""
        if type(outputs) is dict and single and len(outputs) == 1:
            ((name, array),) = outputs.items()
            return json.dumps({"result": self._part(name, array)})
        return json.dumps({"result": self.result(outputs, single)})

    def result(self, outputs: Tensors | list[Tensors], single: bool) -> Any:
        """Return the value of ``result``, arrays left in place."""
        if isinstance(outputs, list):
            return [self._example(row) for row in outputs]
        if single:
            return self._example(outputs)
        if len(outputs) == 1:
            ((name, array),) = outputs.items()
            return self._column(name, array)
        columns = {name: _items(self._column(name, array)) for name, array in outputs.items()}
        names = list(columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def piece(self, outputs: Tensors) -> Any:
        """Return the value of a piece of one example's answer, which need not hold every output."""
        parts = {name: self._part(name, array) for name, array in outputs.items()}
        return next(iter(parts.values())) if len(self._signature.outputs) == 1 and parts else parts

    def _example(self, outputs: Tensors) -> Any:
        parts = {name: self._part(name, array) for name, array in outputs.items()}
        return next(iter(parts.values())) if len(parts) == 1 else parts

    def _part(self, name: str, array: np.ndarray) -> Any:
        """Return one example's part; the batch axis, one long, is taken off."""
        if array.size == 1 and name in self._values:
            return array[_ORIGIN[array.ndim]]
        return array[0] if self._batched else array

    def _column(self, name: str, array: np.ndarray) -> Any:
        rows = array.shape[0]
        if array.ndim > 1 and array.size == rows and name in self._values:
            return array.reshape(rows)
        return array


def _items(column: np.ndarray) -> list[Any]:
    return list(column)


def decode_response(body: bytes, signature: Signature, single: bool) -> Tensors | list[Tensors]:
    """Read a response as a client: the inverse of ``encode`` for a known signature.

    Gives ``Tensors`` with the batch on axis 0, or one ``Tensors`` for each row where the rows have
    unequal shapes. Raises ``InvalidInput`` for what is no answer of this dialect.
    """
    answer = json.loads(body)
    if type(answer) is not dict or "result" not in answer:
        raise InvalidInput('the response has no "result"')
    result = answer["result"]
    if single or not signature.batched:
        return _read_example(result, signature)
    if type(result) is not list:
        raise InvalidInput("the response to a batch must be a list of results")
    rows = [_read_example(row, signature) for row in result]
    if not rows:
        return {}
    shapes = {tuple((name, array.shape) for name, array in row.items()) for row in rows}
    if len(shapes) > 1:
        return rows
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _read_example(result: Any, signature: Signature) -> Tensors:
    named = result if len(signature.outputs) > 1 else {signature.outputs[0].name: result}
    if type(named) is not dict:
        raise InvalidInput("the result of several outputs must be an object")
    tensors: Tensors = {}
    for spec in signature.outputs:
        if spec.name not in named:
            continue
        shape = spec.shape[1:] if signature.batched else spec.shape
        value = named[spec.name]
        if type(value) is not list:
            for _ in shape:
                value = [value]
        array = to_array(value, spec.dtype, len(shape), f"result.{spec.name}")
        tensors[spec.name] = array[np.newaxis] if signature.batched else array
    return tensors


def encode_request(inputs: Tensors, signature: Signature, single: bool) -> bytes:
    """Write a request as a client: ``inputs`` with the batch on axis 0 where batched."""
    values: dict[str, Any] = {}
    for spec in signature.inputs:
        if spec.name in inputs:
            array = inputs[spec.name]
            values[spec.name] = array[0] if single and signature.batched else array
    data = values if len(signature.inputs) > 1 else next(iter(values.values()))
    return json.dumps({"data": data})

"""The simple dialect: ``{"data": ...}`` in, ``{"result": ...}`` out.

``data`` is one example, a batch of examples, or ``{input name: value}``; how deep its lists nest,
against the rank of an example in the external signature, decides which. For an input of shape
``[any, 4]`` an example is a list of four numbers and a batch is a list of such lists; for ``[any]``
an example is one number and a batch is a list of numbers. An object gives every input by name,
each read by its own rank, and all must be one example or all a batch of one size; a list of
objects is a batch. A model of several inputs also takes an example as a list of values in the
signature's order. An input that has a default may be left out of an object; where one input alone has
none, a value without a name is its.

The answer mirrors the question: one example gives one result, a batch gives a list with one result
for each example, never squeezed. A result is the example's part of the output: an array as nested
lists, and where the signature fixes it at one number the number itself. An axis that is free is not
dropped, so one token's scores stay a list. Several outputs give an object.

Rows of unequal length, and models that answer rows in unequal shapes (``plan.split``), are decoded
into one ``Tensors`` for each row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.codecs import json, numbers
from inferd.codecs.base import Decoded, check_rows, split_rows
from inferd.codecs.numbers import Numbers
from inferd.codecs.results import Results
from inferd.codecs.values import (
    FLOATS,
    Ragged,
    check_shape,
    depth_of,
    holds_one,
    is_b64,
    shown,
    to_array,
)
from inferd.core.errors import InvalidInput, nearest
from inferd.core.message import Parameters, carried
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import FP32, FP64, Tensors

KEYS = ("data", "outputs", "parameters")
_SMALL = 64
LARGEST = 3.4028235e38  # float32's largest in its shortest form; float64 holds more


class SimpleCodec:
    """Encoder and decoder of the simple dialect for one version of a model."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None, max_depth: int = json.MAX_DEPTH
    ) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._split = plan is not None and plan.split
        self._max_depth = max_depth
        self.encode = Results(signature).encode
        first = signature.lone
        self._name = first.name if first else ""
        self._lone = first
        self._needed = [s.name for s in signature.inputs if s.default is None]
        self._width = fast_width(signature)
        self._dtype = first.dtype.numpy if first else np.dtype(np.float32)

    def decode(self, body: bytes) -> Decoded:
        """Decode ``{"data": ..., "outputs"?: [names], "parameters"?: {...}}``."""
        if self._name and len(body) >= numbers.LARGE and (decoded := self._numbers(body)):
            return decoded
        request = json.loads(body, self._max_depth)
        # One example of a few floats is most of the traffic of small models: no analysis for it.
        if self._width and type(request) is dict and len(request) == 1:
            data = request.get("data")
            if (
                type(data) is list
                and len(data) == self._width
                and FLOATS.issuperset(map(type, data))
                and max(data) <= LARGEST
                and min(data) >= -LARGEST
            ):
                return Decoded({self._name: np.array([data], self._dtype)}, None, True)
        return self._decode(request)

    def _numbers(self, body: bytes) -> Decoded | None:
        """Decode the large array of a model of one input; ``None``: as any other body."""
        assert self._lone is not None
        request = numbers.read(body)
        if type(request) is not dict or not set(KEYS).issuperset(request):
            return None
        data, spec = request.get("data"), self._lone
        if type(data) is dict and len(data) == 1 and self._name in data:
            data = data[self._name]
        if type(data) is not Numbers:
            return None
        rank, batched = self._rank(spec), self._signature.batched
        single = len(data.shape) == rank
        array = data.array(spec.dtype)
        wanted = spec.shape[1:] if batched else spec.shape
        if array is None or not (single or (batched and len(data.shape) == rank + 1 and len(data))):
            return None
        check_shape(array.shape if single else array.shape[1:], wanted, spec, "an example")
        if single and batched:
            array = array[np.newaxis]
        decoded = Decoded({self._name: array}, None, single)
        if self._split and len(array) > 1 and not single:
            decoded = Decoded(None, split_rows({self._name: array}, len(array)))
        decoded.outputs = self._wanted(request.get("outputs"))
        decoded.parameters = parameters(request.get("parameters"), "parameters")
        return decoded

    def _decode(self, request: Any) -> Decoded:
        if type(request) is not dict:
            raise InvalidInput(
                'the body must be an object with the key "data"', help='send {"data": ...}'
            )
        for key in request:
            if key not in KEYS:
                inside = f'inputs belong into "data": {{"data": {{"{key}": ...}}}}'
                raise InvalidInput(
                    f"unknown key {shown(key)} in the body",
                    help=inside if key in self._inputs else nearest(key, KEYS),
                )
        if request.get("data") is None:
            raise InvalidInput('the body has no "data"', help='send {"data": ...}')
        decoded = self._data(request["data"])
        decoded.outputs = self._wanted(request.get("outputs"))
        decoded.parameters = parameters(request.get("parameters"), "parameters")
        return decoded

    def _wanted(self, names: Any) -> tuple[str, ...] | None:
        if names is None:
            return None
        if type(names) is not list or not names or any(type(n) is not str for n in names):
            raise InvalidInput('"outputs" must be a list of output names')
        known = [spec.name for spec in self._signature.outputs]
        for name in names:
            if name not in known:
                raise InvalidInput(f"no output named {shown(name)}", help=nearest(name, known))
        return tuple(dict.fromkeys(names))

    def _data(self, data: Any) -> Decoded:
        if type(data) is dict and not (is_b64(data) and "b64" not in self._inputs):
            return self._named(data, "data")
        if self._signature.batched and self._are_objects(data):
            return self._objects(data)
        if self._lone is None:
            return self._in_order(data)
        return self._columns({self._name: data}, {self._name: "data"})

    def _are_objects(self, data: Any) -> bool:
        if type(data) is not list or set(map(type, data)) != {dict}:
            return False
        return "b64" in self._inputs or not all(map(is_b64, data))

    def _named(self, data: Mapping[str, Any], where: str) -> Decoded:
        self._check_names(data, where)
        return self._columns(dict(data), {name: f"{where}.{name}" for name in data})

    def _check_names(self, data: Mapping[str, Any], where: str) -> None:
        for name in data:
            if name not in self._inputs:
                raise InvalidInput(
                    f"{where}: no input named {shown(name)}", help=nearest(name, self._inputs)
                )
        for name in self._needed:
            if name not in data:
                raise InvalidInput(f"{where}: input {name!r} is missing")

    def _objects(self, data: list[dict[str, Any]]) -> Decoded:
        """Read a list of ``{input name: value}``: a batch, each object one example."""
        for index, row in enumerate(data):
            self._check_names(row, f"data[{index}]")
            for name, spec in self._inputs.items():
                if name in row:
                    row[name] = self._example(row[name], spec, f"data[{index}].{name}")
                else:
                    row[name] = _wrap(spec.default, self._rank(spec))
        columns = {name: [row[name] for row in data] for name in self._inputs}
        return self._batch(columns, {name: f"data.{name}" for name in self._inputs})

    def _in_order(self, data: Any) -> Decoded:
        """Read values by position, one for each input: one example, or a list of them."""
        specs = self._signature.inputs
        names = ", ".join(repr(spec.name) for spec in specs)
        help = f"send {{input name: value}} with {names}, or the values in this order"
        if type(data) is not list or not data:
            raise InvalidInput(f"the model takes {len(specs)} inputs", help=help)
        if any(self._is_no_value(value, spec) for value, spec in zip(data, specs, strict=False)):
            if not self._signature.batched or any(
                type(row) is not list or len(row) != len(specs) for row in data
            ):
                raise InvalidInput(f"every example must hold {len(specs)} values", help=help)
            return self._objects([dict(zip(self._inputs, row, strict=True)) for row in data])
        if len(data) != len(specs):
            raise InvalidInput(f"data holds {len(data)} values for {len(specs)} inputs", help=help)
        where = {spec.name: f"data[{i}]" for i, spec in enumerate(specs)}
        return self._columns(dict(zip(self._inputs, data, strict=True)), where)

    def _is_no_value(self, value: Any, spec: TensorSpec) -> bool:
        """Whether ``value`` is no example of an input, so that it can only be a row of a batch.

        A row of bare values, ``[31, "Bonn"]``, nests as deep as one value ``[31]`` of shape ``[1]``.
        """
        if self._depth(value, spec) != self._rank(spec):
            return True
        return type(value) is list and len(value) > 1 and holds_one(spec, self._signature)

    def _rank(self, spec: TensorSpec) -> int:
        return len(spec.shape) - self._signature.batched

    def _depth(self, value: Any, spec: TensorSpec) -> int:
        """Return the rank of ``value``; a bare value stands for an example of one element."""
        depth = depth_of(value)
        rank = self._rank(spec)
        return rank if depth == 0 and holds_one(spec, self._signature) else depth

    def _example(self, value: Any, spec: TensorSpec, where: str) -> Any:
        rank, depth = self._rank(spec), self._depth(value, spec)
        if depth != rank:
            raise _wrong_rank(spec, rank, depth, where, batched=False)
        return _wrap(value, rank)

    def _columns(self, columns: dict[str, Any], where: dict[str, str]) -> Decoded:
        """Read one value for each input: all of them one example, or all a batch."""
        batches: list[str] = []
        singles: list[str] = []
        for name, spec in self._given(columns):
            rank, depth = self._rank(spec), self._depth(columns[name], spec)
            if depth == rank:
                singles.append(name)
                columns[name] = _wrap(columns[name], rank)
            elif depth == rank + 1 and self._signature.batched:
                batches.append(name)
            else:
                raise _wrong_rank(spec, rank, depth, where[name], self._signature.batched)
        if batches and singles:
            raise InvalidInput(
                f"{where[singles[0]]} is one example and {where[batches[0]]} is a batch",
                help="give every input one example, or every input a batch of one size",
            )
        return self._batch(columns, where) if batches else self._single(columns, where)

    def _given(self, columns: Mapping[str, Any]) -> list[tuple[str, TensorSpec]]:
        return [(name, spec) for name, spec in self._inputs.items() if name in columns]

    def _single(self, columns: dict[str, Any], where: dict[str, str]) -> Decoded:
        inputs: Tensors = {}
        for name, spec in self._given(columns):
            rank = self._rank(spec)
            array = to_array(columns[name], spec.dtype, rank, where[name])
            wanted = spec.shape[1:] if self._signature.batched else spec.shape
            check_shape(array.shape, wanted, spec, "an example")
            inputs[name] = array[np.newaxis] if self._signature.batched else array
        return Decoded(inputs, None, True)

    def _batch(self, columns: dict[str, list[Any]], where: dict[str, str]) -> Decoded:
        sizes = {name: len(rows) for name, rows in columns.items()}
        size = next(iter(sizes.values()))
        for name, other in sizes.items():
            if other != size:
                first = next(iter(sizes))
                raise InvalidInput(
                    f"{where[first]} holds {size} examples and {where[name]} holds {other}"
                )
        if size == 0:
            raise InvalidInput("the batch holds no examples")
        try:
            inputs = {
                name: self._rows(columns[name], spec, where[name])
                for name, spec in self._given(columns)
            }
        except Ragged:
            if all(-1 not in spec.shape[1:] for spec in self._inputs.values()):
                raise
            return Decoded(None, self._one_by_one(columns, size, where))
        if self._split and size > 1:
            return Decoded(None, split_rows(inputs, size))
        return Decoded(inputs)

    def _rows(self, rows: list[Any], spec: TensorSpec, where: str) -> np.ndarray:
        array = to_array(rows, spec.dtype, len(spec.shape), where)
        check_shape(array.shape[1:], spec.shape[1:], spec, "an example")
        return array

    def _one_by_one(
        self, columns: dict[str, list[Any]], size: int, where: dict[str, str]
    ) -> list[Tensors]:
        check_rows(size)
        return [
            {
                name: self._row(columns[name][index], spec, f"{where[name]}[{index}]")
                for name, spec in self._given(columns)
            }
            for index in range(size)
        ]

    def _row(self, value: Any, spec: TensorSpec, where: str) -> np.ndarray:
        array = to_array(value, spec.dtype, self._rank(spec), where)
        check_shape(array.shape, spec.shape[1:], spec, f"{where}: an example")
        return array[np.newaxis]


def fast_width(signature: Signature) -> int:
    """Return the row length of a model of one small float vector, else 0."""
    if len(signature.inputs) != 1 or not signature.batched:
        return 0
    spec = signature.inputs[0]
    if spec.dtype not in (FP32, FP64) or len(spec.shape) != 2:
        return 0
    return spec.shape[1] if 0 < spec.shape[1] <= _SMALL else 0


def _wrap(value: Any, rank: int) -> Any:
    """Give a bare value, accepted for an example of one element, the lists it left out."""
    if type(value) is not list:
        for _ in range(rank):
            value = [value]
    return value


def _wrong_rank(spec: TensorSpec, rank: int, depth: int, where: str, batched: bool) -> InvalidInput:
    took = "a single value" if depth == 0 else f"{depth} nested list{'s' if depth > 1 else ''}"
    want = "a single value" if rank == 0 else f"{rank} nested list{'s' if rank > 1 else ''}"
    also = f", a batch is {rank + 1}" if batched else ""
    return InvalidInput(f"{where} has {took}; an example of input {spec.name!r} is {want}{also}")


def parameters(value: Any, where: str) -> Parameters:
    """Return request parameters: an object of strings, finite numbers and booleans.

    A list of such is carried as JSON.
    """
    if value is None:
        return {}
    if type(value) is not dict:
        raise InvalidInput(f"{where} must be an object")
    found = {key: carried(item) for key, item in value.items()}
    for key, item in found.items():
        if type(item) not in (str, int, float, bool):
            raise InvalidInput(
                f"{where}: {shown(key)} must be a string, a number, a boolean or a list of these"
            )
        if type(item) is float and not math.isfinite(item):
            raise InvalidInput(f"{where}: {shown(key)} must be finite, got {item}")
        if type(item) is int and not -(1 << 63) <= item < 1 << 64:
            raise InvalidInput(f"{where}: {shown(key)} does not fit into 64 bits")
    return found

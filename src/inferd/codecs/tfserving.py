"""TensorFlow Serving over REST, and KServe's first protocol: ``:predict`` in rows or in columns.

A request gives its tensors either row by row (``instances``: a list of values where the model has one
input, else of objects that name every input, no more, and no less but for defaults) or as a whole (``inputs``: one
tensor, or an object of tensors by name), and is answered in kind: rows as ``predictions``, columns as
``outputs``. One output stands alone, several make an object for each row or one object. Objects with
the single key ``b64`` are values, never rows. KServe's servers also read a list of objects under
``inputs`` as rows; nothing else can be meant by it, so it is.

Rows of unequal length are refused unless the model has free axes; such rows are run one by one. BYTES
are written as text; as ``{"b64": ...}`` where the output's name ends in ``_bytes``, and for elements
that are not UTF-8 text, which the protocol leaves open. ``null`` is read as NaN in float tensors.
FP16, which TensorFlow Serving does not read from JSON, is read like any other float. Members that are
not known are ignored, as by the protocol's own servers; ``parameters`` are passed to models that
generate. A structured CloudEvent is its ``data``.

Sources: tensorflow/serving, ``g3doc/api_rest.md`` and ``util/json_tensor.cc``; KServe,
``predict-api/v1``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.base import Decoded, check_rows, split_rows
from inferd.codecs.simple import LARGEST, fast_width, parameters
from inferd.codecs.tfnumbers import dumps
from inferd.codecs.values import FLOATS, Ragged, check_shape, holds_one, is_b64, shown, to_array
from inferd.core.errors import InvalidInput, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, as_bytes

SERVING_DEFAULT = "serving_default"
ROW = "row"
COLUMN = "column"
BYTES_SUFFIX = "_bytes"
"""An output whose name ends so holds bytes: it is written in base64."""


class TFServingCodec:
    """Encoder and decoder of predict requests for one version of a model."""

    keys: Mapping[str, str] = {ROW: "predictions", COLUMN: "outputs"}
    """The member of an answer that holds the values, for each form of requests."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None, max_depth: int = json.MAX_DEPTH
    ) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._lone = signature.lone is not None
        self._name = signature.lone.name if signature.lone is not None else ""
        self._needed = frozenset(s.name for s in signature.inputs if s.default is None)
        self._width = fast_width(signature)
        self._dtype = signature.inputs[0].dtype.numpy if self._width else np.dtype(np.float32)
        self._split = plan is not None and plan.split
        self._max_depth = max_depth
        self._free = signature.batched and any(-1 in s.shape[1:] for s in signature.inputs)
        # An input of one value for each example may be given bare, as tables of features are.
        self._bare = {
            s.name for s in signature.inputs if len(s.shape) > 1 and holds_one(s, signature)
        }

    def decode(self, body: bytes) -> Decoded:
        """Decode a predict request."""
        request = read(body, self._max_depth)
        rows = request.get("instances")
        # One row of a few floats is most of the traffic of small models: no analysis for it.
        if self._width and len(request) == 1 and type(rows) is list and len(rows) == 1:
            row = rows[0]
            if (
                type(row) is list
                and len(row) == self._width
                and FLOATS.issuperset(map(type, row))
                and max(row) <= LARGEST
                and min(row) >= -LARGEST
            ):
                return Decoded({self._name: np.array(rows, self._dtype)}, form=ROW)
        return self._decode(request)

    def _decode(self, request: dict[str, Any]) -> Decoded:
        check_signature(request)
        rows, inputs = request.get("instances"), request.get("inputs")
        if ("instances" in request) == ("inputs" in request):
            raise InvalidInput(
                'the body must have either "instances" or "inputs"'
                + (", not both" if "inputs" in request else ""),
                help='send rows as {"instances": [...]}, or whole tensors as {"inputs": ...}',
            )
        if "instances" in request:
            decoded = self.rows(rows, "instances")
        elif type(inputs) is list and inputs and _is_row(inputs[0]):
            decoded = self.rows(inputs, "inputs")
        else:
            decoded = self._columns(inputs)
        if "parameters" in request:
            decoded.parameters = parameters(request["parameters"], "parameters")
        return decoded

    def rows(self, rows: Any, where: str) -> Decoded:
        """Read a list of examples; ``where`` names it in messages."""
        if type(rows) is not list or not rows:
            raise InvalidInput(f'"{where}" must be a list of at least one example')
        for spec in (*self._signature.inputs, *self._signature.outputs):
            if not spec.shape:
                raise InvalidInput(
                    f"tensor {spec.name!r} is a single value, which has no rows",
                    help='send whole tensors as {"inputs": ...}',
                )
        if _is_row(rows[0]):
            self._check_keys(rows, where)
            columns = {
                name: [row.get(name, spec.default) for row in rows]
                for name, spec in self._inputs.items()
            }
            places = {name: f"{where}.{name}" for name in columns}
        elif self._lone:
            columns, places = {self._name: rows}, {self._name: where}
        else:
            raise InvalidInput(
                f'every example of "{where}" must be an object: the model takes '
                f"{len(self._inputs)} inputs",
                help="name each of " + _listed(self._inputs),
            )
        for name in self._bare & columns.keys():
            columns[name] = [self._wrapped(value, name) for value in columns[name]]
        return self._batch(columns, places, ROW)

    def _check_keys(self, rows: list[Any], where: str) -> None:
        names, needed = self._inputs.keys(), self._needed
        for index, row in enumerate(rows):
            if not _is_row(row):
                raise InvalidInput(f"{where}[{index}] must be an object, as {where}[0] is")
            if not needed <= row.keys() <= names:
                raise InvalidInput(
                    f"{where}[{index}] must have {_wanted(names, needed)}, got {_listed(row)}"
                )

    def _wrapped(self, value: Any, name: str) -> Any:
        if type(value) is not list:
            for _ in self._inputs[name].shape[1:]:
                value = [value]
        return value

    def _columns(self, inputs: Any) -> Decoded:
        """Read whole tensors: one, or each by its name."""
        if type(inputs) is dict and not is_b64(inputs):
            for name in self._inputs:
                if name not in inputs and name in self._needed:
                    raise InvalidInput(
                        f'input {name!r} is missing in "inputs"', help=nearest(name, inputs)
                    )
            columns = {name: inputs[name] for name in self._inputs if name in inputs}
            return self._batch(columns, {name: f"inputs.{name}" for name in columns}, COLUMN)
        if not self._lone:
            raise InvalidInput(
                f'"inputs" must be an object: the model takes {len(self._inputs)} inputs',
                help="name each of " + _listed(self._inputs),
            )
        return self._batch({self._name: inputs}, {self._name: "inputs"}, COLUMN)

    def _batch(self, columns: dict[str, Any], places: dict[str, str], form: str) -> Decoded:
        try:
            inputs = {
                name: tensor(columns[name], spec, places[name])
                for name, spec in self._inputs.items()
                if name in columns
            }
        except Ragged:
            if not self._free:
                raise
            return Decoded(None, self._one_by_one(columns, places), form=form)
        size = self._size(inputs)
        if self._split and size > 1:
            return Decoded(None, split_rows(inputs, size), form=form)
        return Decoded(inputs, form=form)

    def _size(self, inputs: Tensors) -> int:
        if not self._signature.batched or not inputs:
            return 1
        return _common({name: len(array) for name, array in inputs.items()})

    def _one_by_one(self, columns: dict[str, Any], places: dict[str, str]) -> list[Tensors]:
        """Read rows of unequal length, each a batch of one."""
        for name, rows in columns.items():
            if type(rows) is not list:
                raise InvalidInput(f"{places[name]} must be a list of examples")
        size = _common({name: len(rows) for name, rows in columns.items()})
        check_rows(size)
        return [
            {
                name: tensor([columns[name][index]], spec, places[name], index)
                for name, spec in self._inputs.items()
                if name in columns
            }
            for index in range(size)
        ]

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = False,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode a predict response in the form of the request."""
        form = form or ROW
        if isinstance(outputs, list):
            return dumps({self.keys[form]: _unequal(outputs, form)})
        if form == ROW:
            _check_rows(outputs)
        values = {name: _value(name, array) for name, array in outputs.items()}
        if len(values) == 1:
            return dumps({self.keys[form]: next(iter(values.values()))})
        return dumps({self.keys[form]: values if form == COLUMN else _by_row(values)})


class ExplainCodec(TFServingCodec):
    """The same for explain requests, which KServe answers under one key whatever their form."""

    keys = dict.fromkeys((ROW, COLUMN), "explanations")


def read(body: bytes, max_depth: int) -> dict[str, Any]:
    """Return the request that a body holds, taken out of its CloudEvent where it is in one."""
    request = json.loads(body, max_depth)
    if type(request) is dict and "specversion" in request:
        if "data" in request:
            request = request["data"]
        elif type(request.get("data_base64")) is str:
            try:
                inner = base64.b64decode(request["data_base64"], validate=True)
            except (binascii.Error, ValueError) as error:
                raise InvalidInput(f"data_base64 of the CloudEvent is not valid: {error}") from None
            request = json.loads(inner, max_depth)
    if type(request) is not dict:
        raise InvalidInput("the body must be an object")
    return request


def check_signature(request: dict[str, Any], also: Collection[str] = ()) -> None:
    """Refuse a ``signature_name`` that the model does not have; it has one, and ``also`` its aliases."""
    name = request.get("signature_name")
    if name is None or name == "":
        return
    if type(name) is not str:
        raise InvalidInput('"signature_name" must be a string')
    if name != SERVING_DEFAULT and name not in also:
        raise InvalidInput(
            f"the model has no signature {shown(name)}", help=f"it has {SERVING_DEFAULT!r}"
        )


def tensor(value: Any, spec: TensorSpec, where: str, row: int | None = None) -> np.ndarray:
    """Return the whole tensor that ``value`` holds; its axis 0 is the batch where there is one.

    ``row``: it is this one of several, for messages. Raises ``Ragged`` or ``InvalidInput``.
    """
    if row is None:
        array = to_array(value, spec.dtype, len(spec.shape), where)
    else:
        array = to_array(value[0], spec.dtype, len(spec.shape) - 1, f"{where}[{row}]")[np.newaxis]
    array = with_axes(array, spec)
    check_shape(array.shape, spec.shape, spec, "the value")
    return array


def with_axes(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return an empty array with the axes that lists cannot show: those inside an axis of size 0."""
    if array.size or array.shape == spec.shape:
        return array
    first = array.shape.index(0)
    inner = (max(n, 0) for n in spec.shape[first + 1 :])
    return array.reshape((*array.shape[: first + 1], *inner))


def _wanted(names: Collection[str], needed: Collection[str]) -> str:
    if len(names) == len(needed):
        return f"exactly the keys {_listed(names)}"
    return f"the keys {_listed(needed)}, and may have others of {_listed(names)}"


def _is_row(value: Any) -> bool:
    return type(value) is dict and not is_b64(value)


def _common(sizes: dict[str, int]) -> int:
    first, size = next(iter(sizes.items()))
    for name, other in sizes.items():
        if other != size:
            raise InvalidInput(
                f"input {first!r} has a batch of {size} and input {name!r} one of {other}"
            )
    return size


def _listed(names: Collection[str]) -> str:
    listed = [shown(name) for name in list(names)[:10]]
    return ", ".join(listed) + (", ..." if len(names) > 10 else "") or "none"


def _value(name: str, array: Any) -> Any:
    """Return what the JSON of an output is made of; an element of a BYTES tensor is a value too."""
    if name.endswith(BYTES_SUFFIX):
        if isinstance(array, np.ndarray) and array.dtype.kind in "OSU":
            return _base64(array.tolist())
        if isinstance(array, (bytes, str)):
            return _base64(array)
    return array


def _base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_base64(item) for item in value]
    return {"b64": base64.b64encode(as_bytes(value)).decode()}


def _check_rows(outputs: Tensors) -> None:
    """Refuse outputs that have no rows, or not equally many."""
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) > 1 or () in sizes:
        told = ", ".join(f"{name!r} {list(array.shape)}" for name, array in outputs.items())
        raise InvalidInput(
            f"the outputs have no rows in common: {told}",
            help='send the request as {"inputs": ...}: the answer is then whole tensors',
        )


def _by_row(values: dict[str, Any]) -> list[dict[str, Any]]:
    names = list(values)
    rows = zip(*(list(column) for column in values.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _unequal(rows: list[Tensors], form: str) -> Any:
    """Return the answers of rows that were run one by one, whose shapes may differ."""
    parts = [{name: _value(name, array[0]) for name, array in row.items()} for row in rows]
    names = list(parts[0])
    if len(names) == 1:
        return [part[names[0]] for part in parts]
    return parts if form == ROW else {name: [part[name] for part in parts] for name in names}

"""The Open Inference Protocol v2 over REST: JSON requests and responses.

A request names its tensors, each with a concrete shape, a datatype and its values in row-major
order, nested or flat; the response has the same form. Everything is checked against the external
signature here, so a refusal names the tensor: an unknown or missing input, another datatype, a
shape that does not fit, a count of values that is not the shape's.

FP16 (and BF16) have no JSON form in this protocol. BYTES are strings. ``null``, and the bare
tokens NaN and Infinity, are read in float tensors; NaN and infinities are written as ``null``.
Unknown members are ignored, as the protocol's servers do; the values of parameters are strings,
numbers or booleans. ``priority`` and ``timeout`` (microseconds) follow its schedule extension.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.simple import parameters
from inferd.codecs.values import check_shape, depth_of, show_shape, shown, to_array
from inferd.core.errors import InvalidInput, Unsupported, nearest
from inferd.core.message import HIGH, NORMAL
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BY_NAME, FP16, DType, Tensors, dtype_of

MAX_AXES = 32
_NOT_JSON = ("FP16", "BF16")
_REFUSED = {
    "classification": "the classification extension is not offered",
    "shared_memory_region": "shared memory is not offered",
    "binary_data_size": "the binary tensor extension is not offered",
}


class OIPCodec:
    """Encoder and decoder of infer requests for one version of a model."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None, max_depth: int = json.MAX_DEPTH
    ) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._outputs = tuple(spec.name for spec in signature.outputs)
        self._split = plan is not None and plan.split
        self._max_depth = max_depth

    def decode(self, body: bytes) -> Decoded:
        """Decode an infer request."""
        request = json.loads(body, self._max_depth)
        if type(request) is not dict:
            raise InvalidInput('the body must be an object with "inputs"')
        id = request.get("id")
        if id is not None and type(id) is not str:
            raise InvalidInput('"id" must be a string')
        inputs = self._read_inputs(request.get("inputs"))
        decoded = Decoded(inputs, id=id, outputs=self._wanted(request.get("outputs")))
        if "parameters" in request:
            _schedule(decoded, parameters(request["parameters"], "parameters"))
        size = self._size(inputs)
        if self._split and size > 1:
            decoded.rows = split_rows(inputs, size)
            decoded.inputs = None
        return decoded

    def _read_inputs(self, entries: Any) -> Tensors:
        if type(entries) is not list:
            raise InvalidInput('"inputs" must be a list of tensors')
        found: Tensors = {}
        for index, entry in enumerate(entries):
            name, spec = self._spec(entry, f"inputs[{index}]")
            if name in found:
                raise InvalidInput(f"input {name!r} is given twice")
            found[name] = read_tensor(entry, spec)
        missing = [name for name in self._inputs if name not in found]
        if missing:
            raise InvalidInput(f"input {missing[0]!r} is missing")
        return {name: found[name] for name in self._inputs}

    def _spec(self, entry: Any, where: str) -> tuple[str, TensorSpec]:
        if type(entry) is not dict:
            raise InvalidInput(f"{where} must be an object")
        name = entry.get("name")
        if type(name) is not str:
            raise InvalidInput(f'{where}: "name" must be a string')
        spec = self._inputs.get(name)
        if spec is None:
            raise InvalidInput(f"no input named {shown(name)}", help=nearest(name, self._inputs))
        return name, spec

    def _wanted(self, entries: Any) -> tuple[str, ...] | None:
        if entries is None or entries == []:
            return None
        if type(entries) is not list:
            raise InvalidInput('"outputs" must be a list')
        names: list[str] = []
        for index, entry in enumerate(entries):
            name = entry.get("name") if type(entry) is dict else None
            if type(name) is not str:
                raise InvalidInput(f'outputs[{index}]: "name" must be a string')
            if name not in self._outputs:
                raise InvalidInput(
                    f"no output named {shown(name)}", help=nearest(name, self._outputs)
                )
            if name in names:
                raise InvalidInput(f"output {name!r} is asked for twice")
            _refuse(parameters(entry.get("parameters"), f"outputs[{index}].parameters"))
            names.append(name)
        return tuple(names)

    def _size(self, inputs: Tensors) -> int:
        if not self._signature.batched or not inputs:
            return 1
        sizes = {name: int(array.shape[0]) for name, array in inputs.items()}
        first, size = next(iter(sizes.items()))
        for name, other in sizes.items():
            if other != size:
                raise InvalidInput(
                    f"input {first!r} has a batch of {size} and input {name!r} one of {other}"
                )
        return size

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = False,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode an infer response; rows are put together where their shapes agree."""
        tensors = outputs if isinstance(outputs, dict) else _joined(outputs)
        response: dict[str, Any] = {"model_name": model}
        if version:
            response["model_version"] = version
        if id is not None:
            response["id"] = id
        response["outputs"] = [write_tensor(name, array) for name, array in tensors.items()]
        return json.dumps(response)


def read_tensor(entry: dict[str, Any], spec: TensorSpec) -> np.ndarray:
    """Return the array of one request or response tensor, checked against ``spec``."""
    name = spec.name
    if "parameters" in entry:
        _refuse(parameters(entry["parameters"], f"input {name!r}: parameters"))
    dtype = _datatype(entry.get("datatype"), name)
    if dtype is not spec.dtype:
        raise InvalidInput(f"input {name!r} takes {spec.dtype.name}, got {dtype.name}")
    shape = _shape(entry.get("shape"), name)
    check_shape(shape, spec.shape, spec, "the tensor")
    return read_values(entry.get("data"), dtype, shape, name)


def _datatype(value: Any, name: str) -> DType:
    if type(value) is not str:
        raise InvalidInput(f'tensor {name!r}: "datatype" must be a string')
    if value in _NOT_JSON:
        raise InvalidInput(f"tensor {name!r}: {value} has no JSON form in this protocol")
    dtype = BY_NAME.get(value)
    if dtype is None:
        raise InvalidInput(
            f"tensor {name!r}: unknown datatype {shown(value)}", help=nearest(value, BY_NAME)
        )
    return dtype


def _shape(value: Any, name: str) -> tuple[int, ...]:
    if type(value) is not list or any(type(n) is not int or n < 0 for n in value):
        raise InvalidInput(f'tensor {name!r}: "shape" must be a list of sizes, none free')
    if len(value) > MAX_AXES:
        raise InvalidInput(f"tensor {name!r} has {len(value)} axes; at most {MAX_AXES} are read")
    return tuple(value)


def read_values(data: Any, dtype: DType, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return row-major ``data``, nested or flat, as an array of ``shape``."""
    where = f"tensor {name!r}"
    if data is None:
        raise InvalidInput(f'{where} has no "data"')
    array = to_array(data, dtype, depth_of(data), where)
    if array.size != math.prod(shape):
        raise InvalidInput(
            f"{where} has {array.size} values for the shape {show_shape(shape)}, "
            f"which holds {math.prod(shape)}"
        )
    if array.ndim > 1 and array.size and _long_axes(array.shape) != _long_axes(shape):
        raise InvalidInput(
            f"{where} has the shape {show_shape(shape)} and values nested as "
            f"{show_shape(array.shape)}",
            help="nest the values as the shape says, or give them flat",
        )
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{where}: no array has the shape {show_shape(shape)}") from None


def _long_axes(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def _refuse(given: dict[str, Any]) -> None:
    for key in given:
        if key in _REFUSED:
            raise Unsupported(_REFUSED[key], help='send the values as JSON in "data"')


def _schedule(decoded: Decoded, given: dict[str, Any]) -> None:
    """Take ``priority`` (1 is the highest, 0 the default) and ``timeout`` out of parameters."""
    _refuse(given)
    rest = dict(given)
    for key in ("priority", "timeout"):
        value = rest.pop(key, None)
        if value is None:
            continue
        if type(value) is not int or value < 0:
            raise InvalidInput(f"parameters.{key} must be an integer of 0 or more")
        if key == "priority":
            decoded.priority = HIGH if value == 1 else NORMAL
        elif value:
            decoded.timeout = value / 1e6
    decoded.parameters = rest


def _joined(rows: list[Tensors]) -> Tensors:
    """Put the answers of single rows together as one batch."""
    names = rows[0] if rows else {}
    for name in names:
        shapes = {row[name].shape for row in rows}
        if len(shapes) > 1:
            raise Unsupported(
                f"output {name!r} has rows of unequal shape, which no tensor holds",
                help="send one example in each request, or use the simple dialect",
            )
    return {name: np.concatenate([row[name] for row in rows]) for name in names}


def write_tensor(name: str, array: np.ndarray) -> dict[str, Any]:
    """Return the JSON form of one tensor, the values left in an array where JSON can write it."""
    dtype = dtype_of(array)
    if dtype is FP16:
        raise Unsupported(f"output {name!r} is FP16, which has no JSON form in this protocol")
    data: Any = array.reshape(-1)
    if dtype.numpy.hasobject:
        data = [_string(name, element) for element in data.tolist()]
    return {"name": name, "datatype": dtype.name, "shape": list(array.shape), "data": data}


def _string(name: str, element: object) -> str:
    text = json.text(element)
    if not isinstance(text, str):
        raise Unsupported(
            f"output {name!r} holds bytes that are not UTF-8, which JSON cannot carry"
        )
    return text


def encode_request(
    inputs: Tensors,
    outputs: tuple[str, ...] | None = None,
    id: str | None = None,
    given: dict[str, Any] | None = None,
) -> bytes:
    """Write an infer request as a client."""
    request: dict[str, Any] = {}
    if id is not None:
        request["id"] = id
    if given:
        request["parameters"] = given
    request["inputs"] = [write_tensor(name, array) for name, array in inputs.items()]
    if outputs:
        request["outputs"] = [{"name": name} for name in outputs]
    return json.dumps(request)


def decode_response(body: bytes) -> tuple[Tensors, dict[str, Any]]:
    """Read an infer response as a client: the outputs, and its other members."""
    response = json.loads(body)
    if type(response) is not dict or type(response.get("outputs")) is not list:
        raise InvalidInput('the response has no "outputs"')
    tensors: Tensors = {}
    for entry in response.pop("outputs"):
        if type(entry) is not dict or type(entry.get("name")) is not str:
            raise InvalidInput("an output of the response has no name")
        name = entry["name"]
        dtype = _datatype(entry.get("datatype"), name)
        tensors[name] = read_values(
            entry.get("data"), dtype, _shape(entry.get("shape"), name), name
        )
    return tensors, response


def server_metadata(name: str, version: str) -> dict[str, Any]:
    """Return the body of ``GET /v2``."""
    return {"name": name, "version": version, "extensions": ["schedule_policy"]}


def model_metadata(
    name: str, versions: list[str], platform: str, signature: Signature
) -> dict[str, Any]:
    """Return the body of ``GET /v2/models/{name}``; free axes, the batch among them, are -1."""

    def tensor(spec: TensorSpec) -> dict[str, Any]:
        return {"name": spec.name, "datatype": spec.dtype.name, "shape": list(spec.shape)}

    return {
        "name": name,
        "versions": versions,
        "platform": platform,
        "inputs": [tensor(spec) for spec in signature.inputs],
        "outputs": [tensor(spec) for spec in signature.outputs],
    }

"""The Open Inference Protocol v2 over REST: requests read, responses written, as the server does.

A request names its tensors, each with a concrete shape, a datatype and its values: as JSON, or in
the binary form behind the JSON part (``oip_tensor``). Everything is checked against the external
signature here, so a refusal names the tensor: an unknown or missing input, another datatype, a
shape that does not fit, a count of values that is not the shape's.

A body whose JSON part is empty is the one input of a model as raw bytes: one example, its answer
binary. The answer to the rest is JSON but for the outputs that are asked for in binary.

BYTES are strings in JSON. ``null``, and the bare tokens NaN and Infinity, are read in float tensors;
NaN and infinities are written as ``null``. BF16 is taken, in binary, where the model takes FP32:
widening is exact. Unknown members are ignored, as the protocol's servers do; the values of parameters
are strings, numbers or booleans. ``priority`` and ``timeout`` (microseconds) follow the schedule
extension; keys that begin with ``triton_`` are reserved.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md;
triton-inference-server/server, docs/protocol/extension_*.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.codecs import json, numbers
from inferd.codecs.base import Decoded, Encoded, split_rows
from inferd.codecs.classification import classified
from inferd.codecs.oip_tensor import (
    Tail,
    datatype,
    joined,
    read,
    sizes,
    split,
    write_json,
    write_raw,
)
from inferd.codecs.rawtensor import BF16, Buffer, from_raw
from inferd.codecs.simple import parameters
from inferd.codecs.values import check_shape, show_shape, shown
from inferd.core.errors import InvalidInput, Unsupported, nearest
from inferd.core.message import HIGH, NORMAL, Parameters
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32, Tensors

OCTETS = b"application/octet-stream"
LENGTH = b"Inference-Header-Content-Length"
RESERVED = "triton_"


class OIPCodec:
    """Encoder and decoder of infer requests for one version of a model.

    ``labels``: names of classes, for the classification extension.
    """

    def __init__(
        self,
        signature: Signature,
        plan: BatchPlan | None = None,
        max_depth: int = json.MAX_DEPTH,
        labels: Sequence[str] = (),
    ) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._needed = [s.name for s in signature.inputs if s.default is None]
        self._lone = signature.lone
        self._outputs = tuple(spec.name for spec in signature.outputs)
        self._split = plan is not None and plan.split
        self._max_depth = max_depth
        self._labels = labels

    def decode(self, body: Buffer, json_bytes: int | None = None) -> Decoded:
        """Decode an infer request, of which ``json_bytes`` are JSON (``None``: all of them)."""
        if json_bytes == 0:
            return self._raw(body)
        text, tail = split(body, json_bytes)
        request = numbers.read(text)
        if request is not None:
            try:
                return self._decode(request, tail)
            except numbers.Unfit:
                text, tail = split(body, json_bytes)
        return self._decode(json.loads(text, self._max_depth), tail)

    def _decode(self, request: Any, tail: Tail) -> Decoded:
        if type(request) is not dict:
            raise InvalidInput('the body must be an object with "inputs"')
        id = request.get("id")
        if id is not None and type(id) is not str:
            raise InvalidInput('"id" must be a string')
        decoded = Decoded(self._read_inputs(request.get("inputs"), tail), id=id)
        tail.end()
        given = request.get("parameters")
        binary = schedule(decoded, parameters(given, "parameters")) if given is not None else False
        entries = request.get("outputs")
        if binary or entries:
            self._want(decoded, entries, binary=binary)
        return self._sized(decoded)

    def _raw(self, body: Buffer) -> Decoded:
        """Decode a body that is nothing but the bytes of the one input."""
        if self._lone is None:
            raise InvalidInput(
                f"a body without a JSON part is the one input of a model; this one takes "
                f"{len(self._inputs)}",
                help="name the inputs in a JSON part, and say its size in "
                "Inference-Header-Content-Length",
            )
        spec, name = self._lone, self._lone.name
        shape = _raw_shape(spec, len(body), batched=self._signature.batched)
        if spec.dtype is BYTES:
            array = np.empty(shape, object)
            array[...] = bytes(body)
        else:
            array = from_raw(body, spec.dtype, shape, f"input {name!r}")
        form = {"binary": list(self._outputs)}
        return Decoded({name: array}, form=form, raw=True)

    def _read_inputs(self, entries: Any, tail: Tail) -> Tensors:
        if type(entries) is not list and (entries is not None or self._needed):
            raise InvalidInput('"inputs" must be a list of tensors')
        found: Tensors = {}
        for index, entry in enumerate(entries or ()):
            name, spec = self._spec(entry, f"inputs[{index}]")
            if name in found:
                raise InvalidInput(f"input {name!r} is given twice")
            found[name] = read_input(entry, spec, tail)
        missing = [name for name in self._needed if name not in found]
        if missing:
            raise InvalidInput(f"input {missing[0]!r} is missing")
        return {name: found[name] for name in self._inputs if name in found}

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

    def _want(self, decoded: Decoded, entries: Any, *, binary: bool) -> None:
        """Note which outputs are wanted and how; ``binary``: in binary where they do not say."""
        asked = self._asked(entries) if entries else dict.fromkeys(self._outputs, Wanted())
        raw = [n for n, w in asked.items() if (binary if w.binary is None else w.binary)]
        classes = {name: wanted.classes for name, wanted in asked.items() if wanted.classes}
        names = tuple(asked)
        if names != self._outputs:
            decoded.outputs = names
        if raw or classes:
            decoded.form = {"binary": raw, "classes": classes}
            decoded.raw = len(raw) == len(names) and not classes
            if classes and self._labels:  # the answer may be written where they are not known
                decoded.form["labels"] = list(self._labels)

    def _asked(self, entries: Any) -> dict[str, Wanted]:
        if type(entries) is not list:
            raise InvalidInput('"outputs" must be a list')
        found: dict[str, Wanted] = {}
        for index, entry in enumerate(entries):
            name = entry.get("name") if type(entry) is dict else None
            if type(name) is not str:
                raise InvalidInput(f'outputs[{index}]: "name" must be a string')
            if name not in self._outputs:
                raise InvalidInput(
                    f"no output named {shown(name)}", help=nearest(name, self._outputs)
                )
            if name in found:
                raise InvalidInput(f"output {name!r} is asked for twice")
            given = parameters(entry.get("parameters"), f"outputs[{index}].parameters")
            found[name] = wanted(given, f"output {name!r}")
        return found

    def _sized(self, decoded: Decoded) -> Decoded:
        """Check that all inputs agree on the batch, and take it apart where the plan says so."""
        inputs = decoded.inputs
        if not self._signature.batched or not inputs:
            return decoded
        found = {name: int(array.shape[0]) for name, array in inputs.items()}
        first, size = next(iter(found.items()))
        for name, other in found.items():
            if other != size:
                raise InvalidInput(
                    f"input {first!r} has a batch of {size} and input {name!r} one of {other}"
                )
        if self._split and size > 1:
            decoded.rows = split_rows(inputs, size)
            decoded.inputs = None
        return decoded

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = False,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes | Encoded:
        """Encode an infer response; rows are put together where their shapes agree."""
        tensors = outputs if isinstance(outputs, dict) else _together(outputs)
        response: dict[str, Any] = {"model_name": model}
        if version:
            response["model_version"] = version
        if id is not None:
            response["id"] = id
        if form is None:
            response["outputs"] = [write_json(name, array) for name, array in tensors.items()]
            return json.dumps(response)
        response["outputs"] = entries = []
        classes: dict[str, int] = form.get("classes") or {}
        labels: Sequence[str] = form.get("labels") or self._labels
        parts: list[Buffer] = []
        for name, array in tensors.items():
            shown_as = array
            if name in classes:
                shown_as = classified(
                    name, array, classes[name], labels, batched=self._signature.batched
                )
            if name in form["binary"]:
                entry, raw = write_raw(name, shown_as)
                parts.append(raw)
            else:
                entry = write_json(name, shown_as)
            entries.append(entry)
        if not form["binary"]:
            return json.dumps(response)
        body, size = joined(response, parts)
        return Encoded(body, OCTETS, ((LENGTH, str(size).encode()),))


class SplitCodec:
    """Decodes bodies that begin with a JSON part of one size; 0: the bytes of the one input."""

    def __init__(self, codec: OIPCodec, json_bytes: int) -> None:
        self._codec = codec
        self._json_bytes = json_bytes

    def decode(self, body: Buffer) -> Decoded:
        """Decode an infer request."""
        return self._codec.decode(body, self._json_bytes)


class Wanted:
    """How one output is wanted: binary or not (``None``: as the request says), top ``classes``."""

    __slots__ = ("binary", "classes")

    def __init__(self, binary: bool | None = None, classes: int = 0) -> None:
        self.binary = binary
        self.classes = classes


def wanted(given: Parameters, where: str) -> Wanted:
    """Return what the parameters of a requested output say; raises ``InvalidInput``."""
    _refuse_memory(given)
    binary, classes = given.get("binary_data"), given.get("classification", 0)
    if binary is not None and type(binary) is not bool:
        raise InvalidInput(f"{where}: binary_data must be true or false")
    if type(classes) is not int or classes < 0:
        raise InvalidInput(f"{where}: classification must be a number of classes")
    return Wanted(binary, classes)


def read_input(entry: dict[str, Any], spec: TensorSpec, tail: Tail) -> np.ndarray:
    """Return the array of one input of a request, checked against ``spec``."""
    where = f"input {spec.name!r}"
    given: Parameters = {}
    if "parameters" in entry:
        given = parameters(entry["parameters"], f"{where}: parameters")
        _refuse_memory(given)
    dtype = datatype(entry.get("datatype"), where)
    if dtype is not spec.dtype and not (dtype is BF16 and spec.dtype is FP32):
        raise InvalidInput(f"{where} takes {spec.dtype.name}, got {dtype.name}")
    shape = sizes(entry.get("shape"), where)
    check_shape(shape, spec.shape, spec, "the tensor")
    return read(entry, given, dtype, shape, tail, where)


def schedule(decoded: Decoded, given: Parameters) -> bool:
    """Take out of a request's parameters what is not the model's; whether outputs are binary.

    ``priority``: 1 is the highest, 0 the default. ``timeout`` is in microseconds. Raises
    ``InvalidInput``.
    """
    _refuse_memory(given)
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
    binary = rest.pop("binary_data_output", False)
    if type(binary) is not bool:
        raise InvalidInput("parameters.binary_data_output must be true or false")
    for key in rest:
        if key.startswith(RESERVED):
            raise InvalidInput(
                f"parameters.{shown(key)} is not known", help=f"keys in {RESERVED}* are reserved"
            )
    decoded.parameters = rest
    return binary


def _refuse_memory(given: Parameters) -> None:
    if "shared_memory_region" in given:
        raise Unsupported(
            "shared memory is not offered", help="send the values in the body, as JSON or binary"
        )


def _raw_shape(spec: TensorSpec, size: int, *, batched: bool) -> tuple[int, ...]:
    """Return the shape of a tensor of which only the bytes are known: one example's."""
    row = spec.shape[1:] if batched else spec.shape
    free = [axis for axis, n in enumerate(row) if n < 0]
    shape = [n if n >= 0 else 1 for n in row]
    if spec.dtype is BYTES:
        if any(n != 1 for n in shape):
            raise InvalidInput(
                f"input {spec.name!r} takes texts of shape {show_shape(row)}; a body without a JSON "
                "part is one text"
            )
    elif len(free) > 1:
        raise InvalidInput(
            f"input {spec.name!r} of shape {show_shape(row)} has more than one free axis, so its "
            "shape does not follow from the size of the body",
            help="say the shape in a JSON part",
        )
    elif free:
        rest = math.prod(shape) * spec.dtype.itemsize
        shape[free[0]] = size // rest if rest else 0
    return (1, *shape) if batched else tuple(shape)


def _together(rows: list[Tensors]) -> Tensors:
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

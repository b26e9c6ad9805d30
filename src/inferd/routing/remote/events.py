"""Server-sent events to pieces of an answer, as their bytes arrive. Pure.

An event's data is a JSON object of outputs by name, bare values or lists, or ``{"error": text}``.

Source: HTML standard, section 9.2; Triton's generate extension.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.refusals import explained
from inferd.codecs.values import declared
from inferd.core.errors import KINDS, InferdError, InvalidInput, ModelFailed, Unsupported, from_kind
from inferd.core.message import Parameters
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, as_bytes

MOST_BYTES = 64 << 20
"""The longest event that is read."""

_JOIN = 64  # parts of a line that may lie apart: so its length is looked at now and then


class Events:
    """Cuts bytes, as they come, into the data of events. ``most``: bytes that one may have."""

    def __init__(self, most: int | None = None) -> None:
        self._most = MOST_BYTES if most is None else most
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._held = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take bytes; yield the data of every event that they complete; raises ``InvalidInput``."""
        self._rest.append(chunk)
        self._held += len(chunk)
        if b"\n" not in chunk and b"\r" not in chunk and len(self._rest) < _JOIN:
            self._bounded()
            return  # a long line is put together once, not with each of its parts
        whole = b"".join(self._rest)
        held = whole.endswith(b"\r")  # perhaps half of a line's end
        lines = (whole[:-1] if held else whole).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *done, rest = lines.split(b"\n")
        self._rest = [rest + b"\r" if held else rest]
        self._held = len(self._rest[0])
        for line in done:
            if line.startswith(b"data:"):
                part = line[5:].removeprefix(b" ")
                self._data.append(part)
                self._size += len(part) + 1
            elif not line and self._data:
                data, self._data, self._size = b"\n".join(self._data), [], 0
                yield data
        self._bounded()

    def _bounded(self) -> None:
        if self._size + self._held > self._most:
            raise InvalidInput(f"an event is longer than {self._most} bytes")


def piece(data: bytes, signature: Signature, wanted: tuple[str, ...] | None) -> Tensors:
    """Return the outputs in an event; raises the error it says, ``InvalidInput`` for no event."""
    value = json.loads(data)
    if not isinstance(value, dict):
        raise InvalidInput("an event is no object")
    if "error" in value and signature.output("error") is None:
        raise said(value)
    found: Tensors = {}
    for spec in signature.outputs:
        if spec.name in value and (wanted is None or spec.name in wanted):
            found[spec.name] = _array(value[spec.name], spec, batched=signature.batched)
    return found


class Said(Exception):
    """An event that says an error."""

    def __init__(self, error: InferdError) -> None:
        super().__init__(error.message)
        self.error = error


def said(value: dict[str, Any]) -> Said:
    """Return the error that an event says."""
    message, help, kind = explained(value) or (str(value.get("error")), None, None)
    if kind in KINDS:
        return Said(from_kind(kind, message, help))
    return Said(ModelFailed(message or "the answer broke off", help=help))


def _array(value: Any, spec: TensorSpec, *, batched: bool) -> np.ndarray:
    row = spec.shape[1:] if batched else spec.shape
    array = declared(value, spec, batched=batched)
    if array.ndim != len(row):
        if array.size:
            raise InvalidInput(f"output {spec.name!r} has {array.ndim} axes, not {len(row)}")
        array = array.reshape((0, *(max(n, 0) for n in row[1:]))) if row else array
    return array[np.newaxis] if batched else array


def question(
    inputs: Tensors, signature: Signature, parameters: Parameters, *, b64: bool = False
) -> bytes:
    """Return the body of a generate request: one example as an object.

    ``b64``: the server reads ``{"b64": ...}``, as an inferd does. Raises ``Unsupported`` for what JSON
    cannot carry, ``InvalidInput`` for several examples.
    """
    found: dict[str, Any] = {}
    for name, array in inputs.items():
        if signature.batched and array.shape[:1] != (1,):
            raise InvalidInput(
                "a model that streams answers one example at a time",
                help="send each in a request of its own",
            )
        found[name] = _values(name, array[0, ...] if signature.batched else array, b64=b64)
    if parameters:
        found["parameters"] = parameters
    return json.dumps(found)


def _values(name: str, row: np.ndarray, *, b64: bool) -> Any:
    if not row.dtype.hasobject and row.dtype.kind not in "SU":
        return row.tolist()
    texts = np.empty(row.shape, object)
    for at, element in enumerate(row.reshape(-1).tolist()):
        text = json.text(as_bytes(element))
        if not isinstance(text, str) and not b64:
            raise Unsupported(
                f"input {name!r} holds bytes that are not UTF-8, which a streamed answer over HTTP "
                "cannot be asked with",
                help="give the service a grpc:// address",
            )
        texts.reshape(-1)[at] = text
    return texts.tolist()

"""One tensor of an Open Inference Protocol message, read and written: as JSON, or as raw bytes.

An entry (``name``, ``shape``, ``datatype``) holds its values either in ``data``, row-major, nested or
flat, or, in the protocol's binary form, behind the JSON part of the body: ``binary_data_size`` among
its parameters says how many bytes are its own, and they follow each other in the order of the
entries. ``Tail`` is what stands behind the JSON part, cut off piece by piece.

FP16 and BF16 have no JSON form in this protocol, and bytes that are not UTF-8 have none either.

Source: triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.rawtensor import BF16, Buffer, from_raw, to_raw
from inferd.codecs.values import depth_of, show_shape, shown, to_array
from inferd.core.errors import InvalidInput, Unsupported, nearest
from inferd.core.tensor import BY_NAME, FP16, DType, dtype_of

MAX_AXES = 32
_SIZE = 1 << 63
WIRE: dict[str, DType] = {**BY_NAME, BF16.name: BF16}
"""Every datatype that may stand on the wire."""

_NOT_JSON = (FP16, BF16)
_BINARY = "send or ask for it in binary: Inference-Header-Content-Length and binary_data_size"


class Tail:
    """The bytes behind the JSON part of a body; ``None`` where the body is JSON alone."""

    __slots__ = ("_at", "_buffer")

    def __init__(self, buffer: Buffer | None) -> None:
        self._buffer = buffer
        self._at = 0

    def take(self, size: int, where: str) -> Buffer:
        """Return the next ``size`` bytes; raises ``InvalidInput`` where there are fewer."""
        buffer = self._buffer
        if buffer is None:
            raise InvalidInput(
                f"{where} is said to be binary, and the body has no binary part",
                help="the header Inference-Header-Content-Length says where it begins",
            )
        left = len(buffer) - self._at
        if size > left:
            raise InvalidInput(f"{where} takes {size} bytes of the binary part, {left} are left")
        start = self._at
        self._at = end = start + size
        return buffer[start:end]

    def end(self) -> None:
        """Raise ``InvalidInput`` where bytes are left that no tensor took."""
        left = len(self._buffer or b"") - self._at
        if left:
            raise InvalidInput(f"{left} bytes of the binary part belong to no tensor")


def split(body: Buffer, json_bytes: int | None) -> tuple[bytes, Tail]:
    """Return the JSON part of a body, and what follows it.

    ``json_bytes``: its size (``None``: all of the body). Raises ``InvalidInput``.
    """
    if json_bytes is None:
        return bytes(body), Tail(None)
    if json_bytes > len(body):
        raise InvalidInput(
            f"Inference-Header-Content-Length is {json_bytes}, and the body has {len(body)} bytes"
        )
    # A view, so that no tensor is copied on the way.
    whole = body if isinstance(body, memoryview) else memoryview(body)
    return bytes(whole[:json_bytes]), Tail(whole[json_bytes:])


def datatype(value: Any, where: str) -> DType:
    """Return the datatype of that name."""
    if type(value) is not str:
        raise InvalidInput(f'{where}: "datatype" must be a string')
    dtype = WIRE.get(value)
    if dtype is None:
        raise InvalidInput(f"{where}: unknown datatype {shown(value)}", help=nearest(value, WIRE))
    return dtype


def sizes(value: Any, where: str) -> tuple[int, ...]:
    """Return a concrete shape."""
    if type(value) is not list or any(type(n) is not int or not 0 <= n < _SIZE for n in value):
        raise InvalidInput(f'{where}: "shape" must be a list of sizes, none free')
    if len(value) > MAX_AXES:
        raise InvalidInput(f"{where} has {len(value)} axes; at most {MAX_AXES} are read")
    return tuple(value)


def read(
    entry: dict[str, Any],
    given: dict[str, Any],
    dtype: DType,
    shape: tuple[int, ...],
    tail: Tail,
    where: str,
) -> np.ndarray:
    """Return the array of an entry whose datatype and shape are known; ``given``: its parameters.

    BF16 becomes float32. Raises ``InvalidInput``.
    """
    size = given.get("binary_data_size")
    if size is None:
        return read_values(entry.get("data"), dtype, shape, where)
    if type(size) is not int or size < 0:
        raise InvalidInput(f"{where}: binary_data_size must be a number of bytes")
    if "data" in entry:
        raise InvalidInput(f'{where} has both "data" and binary_data_size')
    return from_raw(tail.take(size, where), dtype, shape, where)


def read_values(data: Any, dtype: DType, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return row-major JSON ``data``, nested or flat, as an array of ``shape``."""
    if dtype in _NOT_JSON:
        raise InvalidInput(f"{where}: {dtype.name} has no JSON form in this protocol", help=_BINARY)
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


def write_json(name: str, array: np.ndarray) -> dict[str, Any]:
    """Return the JSON entry of a tensor, the values left in an array where JSON can write it.

    Raises ``Unsupported`` where they have no JSON form.
    """
    dtype = dtype_of(array)
    if dtype is FP16:
        raise Unsupported(
            f"tensor {name!r} is FP16, which has no JSON form in this protocol", help=_BINARY
        )
    data: Any = array.reshape(-1)
    if dtype.numpy.hasobject:
        data = [_string(name, element) for element in data.tolist()]
    return {"name": name, "datatype": dtype.name, "shape": list(array.shape), "data": data}


def _string(name: str, element: object) -> str:
    text = json.text(element)
    if not isinstance(text, str):
        raise Unsupported(
            f"tensor {name!r} holds bytes that are not UTF-8, which JSON cannot carry", help=_BINARY
        )
    return text


def write_raw(
    name: str, array: np.ndarray, dtype: DType | None = None
) -> tuple[dict[str, Any], Buffer]:
    """Return the entry of a tensor whose bytes follow the JSON part, and these bytes.

    ``dtype``: ``BF16`` to write floats as such.
    """
    raw = to_raw(array, dtype)
    entry = {
        "name": name,
        "datatype": (dtype or dtype_of(array)).name,
        "shape": list(array.shape),
        "parameters": {"binary_data_size": len(raw)},
    }
    return entry, raw


def joined(head: dict[str, Any], parts: list[Buffer]) -> tuple[bytes, int]:
    """Return a body, the JSON of ``head`` and then ``parts``, and the size of the JSON."""
    text = padded(head)
    return b"".join((text, *parts)), len(text)


def padded(head: dict[str, Any]) -> bytes:
    """Return the JSON part of a body.

    Blanks fill it up to a multiple of eight bytes, so that a reader's view of the first tensor lies as
    its numbers want to.
    """
    text = json.dumps(head)
    return text + b" " * (-len(text) % 8)

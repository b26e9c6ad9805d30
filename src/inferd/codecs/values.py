"""JSON values to arrays, strictly.

A value fits a datatype or the request is refused with the place of the first value that does not:
a bool is no number, a float is no integer, a text is no number, an integer must lie in range and a
finite float must stay finite in the tensor's precision. ``null`` is NaN in a float tensor and an
error elsewhere.

numpy alone is too kind for this (it reads ``["1.5", true]`` as numbers and stretches over
overflow), so lists are flattened axis by axis with C-speed iteration, which finds ragged rows on
the way; the types of all leaves are then checked as one set before one call builds the array.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from inferd.codecs.numbers import Numbers, Unfit
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, DType

FLOATS = frozenset((float, int))
_FLOATS_OR_NULL = frozenset((float, int, type(None)))
_LEAVES: dict[str, frozenset[object]] = {
    "f": _FLOATS_OR_NULL,
    "i": frozenset((int,)),
    "u": frozenset((int,)),
    "b": frozenset((bool,)),
    "O": frozenset((str, dict)),
}
_WANTED = {"f": "a number", "i": "an integer", "u": "an integer", "b": "true or false"}
_SPOKEN = {
    bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list",
    dict: "an object", type(None): "null",
}  # fmt: skip
MAX_TEXTS = 1 << 20
"""Elements that a BYTES tensor may hold: each becomes a Python object of its own."""

_SHOWN = 40
_LONGEST_NAME = 80


class Ragged(InvalidInput):
    """Rows of one array are of unequal length; the message names the first that differs."""


def depth_of(value: Any) -> int:
    """Return how many lists are nested along the first elements: the rank a value claims."""
    if type(value) is Numbers:
        return len(value.shape)
    depth = 0
    while type(value) is list:
        depth += 1
        if not value:
            break
        value = value[0]
    return depth


def declared(value: Any, spec: TensorSpec, *, batched: bool) -> np.ndarray:
    """Return the value of one example, as answers write it, with the axes that an output declares.

    A bare value fills axes of one, and JSON does not say how long no rows are; any other value keeps its own
    axes. Raises ``InvalidInput``.
    """
    row = spec.shape[1:] if batched else spec.shape
    depth = depth_of(value)
    array = to_array(value, spec.dtype, depth, f"output {spec.name!r}")
    if depth == 0:
        return array.reshape((1,) * len(row))
    if array.shape == (0,) and len(row) > 1:
        return array.reshape((0, *(max(n, 0) for n in row[1:])))
    return array


def to_array(value: Any, dtype: DType, rank: int, where: str) -> np.ndarray:
    """Return the array of ``rank`` axes that nested lists ``value`` hold.

    ``where`` names the value in messages (``data``). Raises ``Ragged`` or ``InvalidInput``.
    """
    if type(value) is Numbers:
        array = value.array(dtype) if len(value.shape) == rank else None
        if array is None:
            raise Unfit
        return array
    flat, shape = _flatten(value, rank, where)
    return from_flat(flat, dtype, tuple(shape), where)


def _flatten(value: Any, rank: int, where: str) -> tuple[list[Any], list[int]]:
    level: list[Any] = [value]
    shape: list[int] = []
    for _ in range(rank):
        if not level:
            shape.append(0)
            continue
        if set(map(type, level)) != {list}:
            raise _not_a_list(level, shape, rank, where)
        sizes = set(map(len, level))
        if len(sizes) != 1:
            raise _ragged(level, shape, where)
        shape.append(sizes.pop())
        level = level[0] if len(level) == 1 else list(chain.from_iterable(level))
    return level, shape


def from_flat(flat: list[Any], dtype: DType, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return ``flat`` (row-major leaves, as many as ``shape`` holds) as an array.

    Raises ``InvalidInput`` naming the first leaf that does not fit.
    """
    if dtype is BYTES:
        return _texts(flat, shape, where)
    kind = dtype.numpy.kind
    if not _LEAVES[kind].issuperset(map(type, flat)):
        raise _wrong_leaf(flat, dtype, shape, where)
    try:
        if kind == "f":
            return _floats(flat, dtype, shape, where).reshape(shape)
        return np.array(flat, dtype.numpy).reshape(shape)
    except OverflowError:
        raise _out_of_range(flat, _first_beyond(flat, dtype), dtype, shape, where) from None


def _floats(flat: list[Any], dtype: DType, shape: tuple[int, ...], where: str) -> np.ndarray:
    wide = np.array(flat, np.float64)
    if dtype.itemsize == 8:
        return wide
    with np.errstate(over="ignore"):
        narrow = wide.astype(dtype.numpy)
    lost = np.isinf(narrow) & np.isfinite(wide)
    if lost.any():
        raise _out_of_range(flat, int(lost.argmax()), dtype, shape, where)
    return narrow


def _texts(flat: list[Any], shape: tuple[int, ...], where: str) -> np.ndarray:
    if not _LEAVES["O"].issuperset(map(type, flat)):
        raise _wrong_leaf(flat, BYTES, shape, where)
    if len(flat) > MAX_TEXTS:
        raise TooLarge(f"{where} holds {len(flat)} texts; at most {MAX_TEXTS} are accepted")
    array = np.empty(len(flat), object)
    for index, leaf in enumerate(flat):
        array[index] = _text(leaf, shape, index, where)
    return array.reshape(shape)


def _text(leaf: Any, shape: Sequence[int], index: int, where: str) -> bytes:
    try:
        if type(leaf) is str:
            return leaf.encode()
        if is_b64(leaf):
            return base64.b64decode(leaf["b64"], validate=True)
    except (binascii.Error, ValueError) as error:  # UnicodeEncodeError: a lone surrogate
        raise InvalidInput(f"{_place(where, shape, index)} is not valid: {error}") from None
    raise InvalidInput(
        f"{_place(where, shape, index)} must be a text, got an object",
        help='send a string (JSON too is sent as text, in a string), or {"b64": "..."} for bytes '
        "that are not text",
    )


def is_b64(value: Any) -> bool:
    """Return whether ``value`` is the form of bytes that are not text: ``{"b64": "..."}``."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def check_shape(shape: Sequence[int], wanted: Sequence[int], spec: TensorSpec, what: str) -> None:
    """Raise ``InvalidInput`` unless ``shape`` fits ``wanted`` (``-1`` fits any size)."""
    if len(shape) != len(wanted) or any(
        w not in (-1, n) for n, w in zip(shape, wanted, strict=True)
    ):
        raise InvalidInput(
            f"{what} of input {spec.name!r} must have shape {show_shape(wanted)}, "
            f"got {show_shape(shape)}"
        )


def holds_one(spec: TensorSpec, signature: Signature) -> bool:
    """Return whether an example's part of a tensor always is one value: no axis but of size 1."""
    return all(n == 1 for n in (spec.shape[1:] if signature.batched else spec.shape))


def shown(name: str) -> str:
    """Return a name given by a client as messages show it: quoted, and not at any length."""
    return repr(name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "...")


def show_shape(shape: Sequence[int]) -> str:
    """Return a shape as people read it: ``[any, 4]``."""
    return "[" + ", ".join("any" if n < 0 else str(n) for n in shape) + "]"


def _place(where: str, shape: Sequence[int], index: int) -> str:
    """Return the path of the leaf at flat ``index``: ``data[2][1]``."""
    path: list[int] = []
    for size in reversed(shape):
        index, position = divmod(index, size)
        path.append(position)
    return where + "".join(f"[{position}]" for position in reversed(path))


def _shown(value: Any) -> str:
    if type(value) is str:
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
    if type(value) in (int, float):
        return str(value)[:_SHOWN]
    return _SPOKEN.get(type(value), type(value).__name__)


def _wrong_leaf(flat: list[Any], dtype: DType, shape: tuple[int, ...], where: str) -> InvalidInput:
    allowed = _LEAVES[dtype.numpy.kind]
    index = next(i for i, leaf in enumerate(flat) if type(leaf) not in allowed)
    leaf, place = flat[index], _place(where, shape, index)
    if type(leaf) is list:
        return InvalidInput(f"{place} is a list where one value is expected: nested too deep")
    if type(leaf) is float and dtype.numpy.kind in "iu" and abs(leaf) >= 2.0**64:
        return InvalidInput(f"{place}: {_shown(leaf)} is out of range for {dtype.name}")
    wanted = _WANTED.get(dtype.numpy.kind, "a text")
    return InvalidInput(f"{place} must be {wanted} ({dtype.name}), got {_shown(leaf)}")


def _first_beyond(flat: list[Any], dtype: DType) -> int:
    """Return the index of the first leaf that overflows ``dtype``."""
    if dtype.numpy.kind == "f":
        low, high = int(-np.finfo(np.float64).max), int(np.finfo(np.float64).max)
    else:
        low, high = int(np.iinfo(dtype.numpy).min), int(np.iinfo(dtype.numpy).max)
    beyond = (i for i, leaf in enumerate(flat) if type(leaf) is int and not low <= leaf <= high)
    return next(beyond, 0)


def _out_of_range(
    flat: list[Any], index: int, dtype: DType, shape: tuple[int, ...], where: str
) -> InvalidInput:
    info: Any = np.finfo(dtype.numpy) if dtype.numpy.kind == "f" else np.iinfo(dtype.numpy)
    return InvalidInput(
        f"{_place(where, shape, index)}: {_shown(flat[index])} is out of range for {dtype.name}",
        help=f"{dtype.name} holds {info.min} to {info.max}",
    )


def _not_a_list(level: list[Any], shape: list[int], rank: int, where: str) -> InvalidInput:
    index = next(i for i, item in enumerate(level) if type(item) is not list)
    return InvalidInput(
        f"{_place(where, shape, index)} must be a list ({rank} nested in all), "
        f"got {_shown(level[index])}"
    )


def _ragged(level: list[list[Any]], shape: list[int], where: str) -> Ragged:
    first = len(level[0])
    index = next(i for i, item in enumerate(level) if len(item) != first)
    return Ragged(
        f"{_place(where, shape, index)} has {len(level[index])} values where "
        f"{_place(where, shape, 0)} has {first}"
    )

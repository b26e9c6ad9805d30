"""Large lists of numbers in JSON, read without making a Python object of each.

A body of a megabyte holds a hundred thousand numbers; as objects they cost three times what parsing them
does. ``read`` parses a body and leaves ``Numbers`` where it holds a large, regular, purely numeric list. It
only answers where it is sure to mean the same as the ordinary parser: for anything else (ragged rows, a
``null`` or a bool among the numbers, bare ``NaN``, errors of syntax) it says ``None``, and the ordinary way
finds the same value or the right words for what is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from inferd.core.tensor import DType

LARGE = 64 * 1024  # bytes of a body from which this pays
_FEW = 256  # numbers that are no matter as objects
_NARROW = 16  # a last axis so short makes looking at every row dear
_ROWS = 4096
_DEEPEST = 5
_MOST_ENTRIES = 64
_AXES = 32
_OPEN = ord("[")
_KEPT = 4 << 20
_LOCAL = threading.local()
"""The parser of a thread: its buffers, a dozen bytes for each of a body, cost more to get anew than to
fill. Those of larger bodies are given back."""
_BUFFERS = (("i", np.dtype(np.int64)), ("u", np.dtype(np.uint64)), ("d", np.dtype(np.float64)))
_RAISED = (TypeError, ValueError, RuntimeError, OverflowError, IndexError, KeyError)


class _Unsure(Exception):
    """The ordinary parser must decide."""


class Unfit(Exception):
    """``Numbers`` do not fit where they stand: the ordinary parser has the words for it."""


class Numbers:
    """A regular nested list of numbers: ``flat`` (int64, uint64 or float64) and its ``shape``."""

    __slots__ = ("flat", "shape")

    def __init__(self, flat: np.ndarray, shape: tuple[int, ...]) -> None:
        self.flat = flat
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def array(self, dtype: DType) -> np.ndarray | None:
        """Return the array in ``dtype``, or ``None`` where a value does not fit it."""
        wanted, flat = dtype.numpy, self.flat
        if wanted.kind == "f":
            found = _floats(flat, wanted)
        elif wanted.kind in "iu" and flat.dtype.kind in "iu":
            found = _integers(flat, wanted)
        else:
            found = None
        return None if found is None else found.reshape(self.shape)

    def tolist(self) -> Any:
        """Return the nested lists that it stands for."""
        return self.flat.reshape(self.shape).tolist()


def _floats(flat: np.ndarray, wanted: np.dtype) -> np.ndarray | None:
    wide = flat.astype(np.float64, copy=False)
    if wanted.itemsize == 8:
        return wide
    with np.errstate(over="ignore"):
        narrow = wide.astype(wanted)
    return narrow if np.isfinite(narrow).all() else None


def _integers(flat: np.ndarray, wanted: np.dtype) -> np.ndarray | None:
    info: Any = np.iinfo(wanted)
    if flat.size and (int(flat.min()) < info.min or int(flat.max()) > info.max):
        return None
    return flat.astype(wanted, copy=False)


def read(body: bytes | bytearray | memoryview) -> Any | None:
    """Return the value of a JSON body with ``Numbers`` in it, or ``None``: read it the ordinary way."""
    if len(body) < LARGE:
        return None
    try:
        import simdjson
    except ImportError:
        return None
    reader = _Reader(simdjson)
    parser = getattr(_LOCAL, "parser", None) if len(body) <= _KEPT else None
    try:
        if parser is None:
            parser = simdjson.Parser()
        value = reader.value(parser.parse(bytes(body)), _DEEPEST)
    except (_Unsure, *_RAISED):
        return None
    finally:
        _LOCAL.parser = parser if len(body) <= _KEPT else None
    # A list where a number should be shows only here: numbers are not looked at one by one.
    return value if reader.lists == _count(body) else None


def _count(body: bytes | bytearray | memoryview) -> int:
    """Return how many lists a body opens, those in its texts among them."""
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == _OPEN))


class _Reader:
    """One reading. ``lists``: how many lists the value holds as far as it was understood."""

    def __init__(self, simdjson: Any) -> None:
        self._array = simdjson.Array
        self._object = simdjson.Object
        self.lists = 0

    def value(self, value: Any, depth: int) -> Any:
        """Return a parsed value as Python has it, its large lists as ``Numbers``."""
        if isinstance(value, self._array):
            return self._list(value, depth)
        if not isinstance(value, self._object):
            return value
        keys = list(value.keys())
        if not depth or len(keys) > _MOST_ENTRIES or len(set(keys)) != len(keys):
            raise _Unsure  # which of two equal keys counts is the ordinary parser's to say
        if any("\0" in key for key in keys):
            raise _Unsure  # asking by key takes it for the key's end
        return {key: self.value(value[key], depth - 1) for key in keys}

    def _list(self, value: Any, depth: int) -> Any:
        if len(value):
            first = value[0]
            if isinstance(first, self._array) or (
                len(value) > _FEW and not isinstance(first, self._object)
            ):
                return self._numbers(value)
        self.lists += 1
        if not depth or len(value) > _FEW:
            raise _Unsure
        return [self.value(item, depth - 1) for item in value]

    def _numbers(self, value: Any) -> Any:
        shape = tuple(_shape(value, self._array))
        flat = _flat(value)
        if flat.size != prod(shape):
            raise _Unsure
        if len(shape) > 1:
            if shape[-1] < _NARROW and prod(shape[:-1]) > _ROWS:
                raise _Unsure
            _check(value, shape)
        self.lists += sum(prod(shape[:axis]) for axis in range(len(shape)))
        found = Numbers(flat, shape)
        return found.tolist() if flat.size <= _FEW else found


def _shape(value: Any, array: type) -> Iterator[int]:
    for _ in range(_AXES):
        yield len(value)
        if not len(value) or not isinstance(value[0], array):
            return
        value = value[0]
    raise _Unsure


def _flat(value: Any) -> np.ndarray:
    for code, dtype in _BUFFERS:
        try:
            return np.frombuffer(value.as_buffer(of_type=code), dtype)
        except (TypeError, ValueError):  # another kind of number among them, or out of its range
            continue
    raise _Unsure


def _check(value: Any, shape: tuple[int, ...]) -> None:
    """Make sure that no row is longer or shorter than the first, nor a number in its place."""
    if len(value) != shape[0]:
        raise _Unsure
    if len(shape) == 1:
        return
    for row in value:
        if isinstance(row, (int, float)):
            raise _Unsure
        _check(row, shape[1:])

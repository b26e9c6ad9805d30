"""Constants, as files write them, as arrays: numbers, texts, truth values, and lists of these."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from inferd.core.tensor import BOOL, BYTES, DType

ONE = ((), (1,))
"""Shapes of a value of one element, which stand for each other."""

MAX_DEPTH = 8


class Unfit(Exception):
    """Why a constant is not of a type; the text goes on "the constant ..."."""


def constant_array(value: Any, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    """Return a constant as an array of ``dtype`` and ``shape``, in which -1 fits any size.

    An empty list stands for an empty array where the first axis is free. Raises ``Unfit`` for a value that
    is of another type or shape, or would become another value.
    """
    if isinstance(value, (list, tuple)) and not value:
        if not shape or shape[0] > 0:
            raise Unfit("is an empty list")
        return np.empty([0, *(max(n, 0) for n in shape[1:])], dtype.numpy)
    given = _shape(value, 0)
    fits = len(given) == len(shape) and all(b in (-1, a) for a, b in zip(given, shape, strict=True))
    if not fits and not (given in ONE and shape in ONE):
        raise Unfit(f"has the shape {list(given)}")
    array = np.empty(math.prod(given), dtype.numpy)
    for index, item in enumerate(_flat(value)):
        array[index] = _item(item, dtype)
    return array.reshape(given if fits else shape)


def _shape(value: Any, depth: int) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    if depth >= MAX_DEPTH:
        raise Unfit(f"holds lists more than {MAX_DEPTH} deep")
    inner = {_shape(item, depth + 1) for item in value}
    if len(inner) > 1:
        raise Unfit("holds lists of unequal lengths")
    return (len(value), *(inner.pop() if inner else ()))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _item(item: Any, dtype: DType) -> Any:
    """Return one element as ``dtype`` holds it, or refuse what would become another value."""
    if dtype is BYTES:
        if not isinstance(item, str):
            raise Unfit(f"holds {short(item)}, which is no text")
        try:
            return item.encode()
        except UnicodeEncodeError:
            raise Unfit(f"holds {short(item)}, which is no valid text") from None
    if isinstance(item, str):
        raise Unfit(f"holds the text {short(item)}")
    if not isinstance(item, (bool, int, float)) or (dtype is BOOL) != isinstance(item, bool):
        kind = "neither true nor false" if dtype is BOOL else "no number"
        raise Unfit(f"holds {short(item)}, which is {kind}")
    if dtype is BOOL:
        return item
    return _number(item, dtype)


def _number(item: float, dtype: DType) -> Any:
    if dtype.numpy.kind in "iu":
        if not math.isfinite(item) or item != int(item):
            raise Unfit(f"holds {item}, which is no whole number")
        limits = np.iinfo(dtype.numpy)
        if not limits.min <= item <= limits.max:
            raise Unfit(f"holds {item}, out of the range {limits.min} to {limits.max}")
        return int(item)
    with np.errstate(over="ignore"):
        number = dtype.numpy.type(item)
    if np.isinf(number) and not math.isinf(item):
        raise Unfit(f"holds {item}, out of the range of {dtype.numpy.name}")
    return number


def short(value: object) -> str:
    """Return a value as messages show it."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

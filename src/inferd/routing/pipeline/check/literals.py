"""Constants of the file as arrays of the type they are meant for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from inferd.core.errors import ConfigError
from inferd.core.tensor import BOOL, BYTES, DType, uneven
from inferd.routing.pipeline.check.edges import ONE, mismatch, shown
from inferd.routing.pipeline.spec import Constant, Value


class _Unfit(Exception):
    """Why a constant is not of a type; the text goes on "the constant ..."."""


def constant_array(constant: Constant, wanted: Value, what: str) -> np.ndarray:
    """Return a constant as an array of the datatype and shape of ``wanted``, without batch axis.

    An empty list stands for an empty array where the first axis is free. A list whose elements may differ in
    shape becomes a column of ``core.tensor.uneven``. ``what``: names it in the ``ConfigError`` for one that
    does not fit.
    """
    try:
        if wanted.uneven:
            return _column(constant.value, wanted)
        return _fitted(constant.value, wanted)
    except _Unfit as error:
        raise ConfigError(
            f"{constant.where}: {what} is {shown(wanted)}, and the constant {error}"
        ) from None


def _column(value: Any, wanted: Value) -> np.ndarray:
    if not isinstance(value, list):
        raise _Unfit(f"{_short(value)} is no list")
    inner = Value(wanted.dtype, wanted.shape[1:])
    if wanted.shape[0] not in (-1, len(value)):
        raise _Unfit(f"has {len(value)} elements")
    return uneven([_fitted(item, inner) for item in value])


def _fitted(value: Any, wanted: Value) -> np.ndarray:
    if isinstance(value, list) and not value:
        if not wanted.shape or wanted.shape[0] > 0:
            raise _Unfit("is an empty list")
        return np.empty([0, *(max(n, 0) for n in wanted.shape[1:])], wanted.dtype.numpy)
    shape = _shape(value)
    given = Value(wanted.dtype, shape)
    if mismatch(given, wanted) is not None:
        raise _Unfit(f"has the shape {list(shape)}")
    array = np.empty(math.prod(shape), wanted.dtype.numpy)
    for index, item in enumerate(_flat(value)):
        array[index] = _item(item, wanted.dtype)
    return array.reshape(wanted.shape if shape in ONE and wanted.shape in ONE else shape)


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    inner = {_shape(item) for item in value}
    if len(inner) > 1:
        raise _Unfit("holds lists of unequal lengths")
    return (len(value), *(inner.pop() if inner else ()))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _item(item: Any, dtype: DType) -> Any:
    """Return one element as ``dtype`` holds it, or refuse what would become another value."""
    if dtype is BYTES:
        if not isinstance(item, str):
            raise _Unfit(f"holds {_short(item)}, which is no text")
        try:
            return item.encode()
        except UnicodeEncodeError:
            raise _Unfit(f"holds {_short(item)}, which is no valid text") from None
    if isinstance(item, str):
        raise _Unfit(f"holds the text {_short(item)}")
    if (dtype is BOOL) != isinstance(item, bool):
        kind = "neither true nor false" if dtype is BOOL else "no number"
        raise _Unfit(f"holds {_short(item)}, which is {kind}")
    if dtype is BOOL:
        return item
    return _number(item, dtype)


def _number(item: float, dtype: DType) -> Any:
    if dtype.numpy.kind in "iu":
        if not math.isfinite(item) or item != int(item):
            raise _Unfit(f"holds {item}, which is no whole number")
        limits = np.iinfo(dtype.numpy)
        if not limits.min <= item <= limits.max:
            raise _Unfit(f"holds {item}, out of the range {limits.min} to {limits.max}")
        return int(item)
    with np.errstate(over="ignore"):
        number = dtype.numpy.type(item)
    if np.isinf(number) and not math.isinf(item):
        raise _Unfit(f"holds {item}, out of the range of {dtype.numpy.name}")
    return number


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

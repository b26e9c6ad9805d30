"""Elements that lie in a repeated field of a message, as arrays of one axis.

Both protocols widen what is narrow (a byte travels as a 32-bit integer), so what does not fit the
tensor's datatype is refused here and never wrapped around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.codecs.values import MAX_TEXTS
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.tensor import BYTES, DType

_SLICE = 64 * 1024
"""Elements that are read at a time: nothing else of the interpreter goes on meanwhile."""


def filled(values: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    """Return numbers that fit ``dtype`` as an array."""
    array = np.empty(len(values), dtype)
    for at in range(0, len(values), _SLICE):
        array[at : at + _SLICE] = values[at : at + _SLICE]
    return array


def elements(values: Sequence[Any], dtype: DType, where: str) -> np.ndarray:
    """Return ``values`` as an array of ``dtype``; ``where`` begins the messages.

    Raises ``InvalidInput`` for an integer out of range, ``TooLarge`` for too many texts.
    """
    count = len(values)
    if dtype is BYTES:
        if count > MAX_TEXTS:
            raise TooLarge(f"{where} holds {count} texts; at most {MAX_TEXTS} are accepted")
        array = np.empty(count, object)
        array[:] = list(values)
        return array
    if dtype.itemsize >= 4 or dtype.numpy.kind == "b":
        return filled(values, dtype.numpy)
    wide = filled(values, np.dtype(np.int64))
    info = np.iinfo(dtype.numpy)
    if count and (wide.min() < info.min or wide.max() > info.max):
        beyond = int(wide[(wide < info.min) | (wide > info.max)][0])
        raise InvalidInput(
            f"{where}: {beyond} is out of range for {dtype.name}",
            help=f"{dtype.name} holds {info.min} to {info.max}",
        )
    return wide.astype(dtype.numpy)

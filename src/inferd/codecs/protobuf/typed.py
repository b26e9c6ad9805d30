"""Elements that lie in a repeated field of a message, as arrays of one axis.

Both protocols widen what is narrow (a byte travels as a 32-bit integer), so what does not fit the
tensor's datatype is refused here and never wrapped around.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from inferd.codecs.rawtensor import MAX_TEXTS
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.tensor import BYTES, DType


def elements(values: Collection[Any], dtype: DType, where: str) -> np.ndarray:
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
        return np.fromiter(values, dtype.numpy, count)
    wide = np.fromiter(values, np.int64, count)
    info = np.iinfo(dtype.numpy)
    if count and (wide.min() < info.min or wide.max() > info.max):
        beyond = int(wide[(wide < info.min) | (wide > info.max)][0])
        raise InvalidInput(
            f"{where}: {beyond} is out of range for {dtype.name}",
            help=f"{dtype.name} holds {info.min} to {info.max}",
        )
    return wide.astype(dtype.numpy)

"""The classification extension: an output as its highest values, each with class and label.

Every row of the batch becomes ``count`` texts ``value:index`` or ``value:index:label``, the highest
value first; of equal values the lower index comes first. NaN ranks last.

Source: triton-inference-server/server, docs/protocol/extension_classification.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inferd.core.errors import InvalidInput, TooLarge

MAX_CLASSES = 1 << 15
"""Classes of all rows of an answer: each becomes a text, one after the other."""


def classified(
    name: str, array: np.ndarray, count: int, labels: Sequence[str], *, batched: bool
) -> np.ndarray:
    """Return the BYTES array ``[batch, count]`` (``[count]`` where not batched) of an output.

    At most as many as there are classes. Labels are added where there is one for each class.
    Raises ``InvalidInput`` for an output without values to compare, and ``TooLarge``.
    """
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"output {name!r} holds texts, which cannot be classified")
    rows = array.shape[0] if batched and array.ndim else 1
    # Sized by hand: -1 says nothing where there are no rows.
    width = math.prod(array.shape[1:]) if batched and array.ndim else array.size
    table = array.reshape(rows, width)
    count = min(count, width)
    if rows * max(count, 1) > MAX_CLASSES:
        raise TooLarge(
            f"output {name!r} has {rows} rows of {count} classes; at most {MAX_CLASSES} classes are told",
            help="send fewer rows, ask for fewer classes, or for the values",
        )
    named = labels if len(labels) == width else ()
    out = np.empty((rows, count), object)
    for i in range(rows):
        for j, index in enumerate(_highest(table[i], count)):
            text = f"{_shown(table[i, index])}:{index}"
            out[i, j] = (f"{text}:{named[index]}" if named else text).encode()
    return out if batched else out.reshape(count)


def _highest(row: np.ndarray, count: int) -> list[int]:
    keys = _falling(row)
    if count < len(keys):
        last = np.partition(keys, count - 1)[count - 1]
        near = np.flatnonzero(keys <= last)
        if len(near) >= count:  # it is not, where the last is NaN
            order = near[np.argsort(keys[near], kind="stable")]
            return [int(index) for index in order[:count]]
    return [int(index) for index in np.argsort(keys, kind="stable")[:count]]


def _falling(row: np.ndarray) -> np.ndarray:
    """Return keys that grow as the values of ``row`` fall, exactly."""
    if row.dtype.kind == "f":
        return -row
    wide = row.astype(np.uint64) if row.dtype.kind in "bu" else row.astype(np.int64)
    return ~wide  # as -1 - value, which overflows nowhere


def _shown(value: np.generic) -> str:
    """Return a value in its shortest form that reads back as the same."""
    return str(int(value)) if value.dtype.kind in "biu" else str(value)

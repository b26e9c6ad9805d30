"""What user code returned, made into named arrays: checked, never guessed at.

A mapping is outputs by name, a list of mappings is rows, a tuple is outputs in order, anything else
is the one output. Raises ``ValueError`` whose text continues "what predict returned ...".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, DType, Tensors, as_bytes


def to_tensors(
    returned: Any, specs: Sequence[TensorSpec] | None, default: str = "output"
) -> Tensors:
    """Return ``returned`` by output name, in the datatypes of ``specs``.

    ``specs`` is ``None`` where nothing is declared: names are then those of a mapping, or
    ``default``. Raises ``ValueError``.
    """
    if returned is None:
        raise ValueError("is None: a return statement may be missing")
    if isinstance(returned, list) and returned and isinstance(returned[0], Mapping):
        returned = _columns(returned)
    if isinstance(returned, Mapping):
        return _by_name(returned, specs)
    if specs is None:
        return {default: to_array(returned, None)}
    if isinstance(returned, tuple) and len(specs) > 1:
        if len(returned) != len(specs):
            raise ValueError(f"has {len(returned)} parts for {len(specs)} outputs")
        pairs = zip(specs, returned, strict=True)
        return {s.name: _named(s.name, part, s.dtype) for s, part in pairs}
    if len(specs) != 1:
        names = ", ".join(s.name for s in specs)
        raise ValueError(f"is one value, and the outputs are {names}: return a dict")
    return {specs[0].name: to_array(returned, specs[0].dtype)}


def _by_name(returned: Mapping[Any, Any], specs: Sequence[TensorSpec] | None) -> Tensors:
    if specs is None:
        if not returned:
            raise ValueError("is an empty dict")
        return {str(k): _named(str(k), v, None) for k, v in returned.items()}
    missing = [s.name for s in specs if s.name not in returned]
    if missing:
        names = ", ".join(map(str, returned)) or "nothing"
        raise ValueError(f"lacks the output {missing[0]!r} (it has {names})")
    return {s.name: _named(s.name, returned[s.name], s.dtype) for s in specs}


def _named(name: str, value: Any, dtype: DType | None) -> np.ndarray:
    try:
        return to_array(value, dtype)
    except ValueError as error:
        raise ValueError(f"is wrong in the output {name!r}: it {error}") from None


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    keys = list(rows[0])
    for row in rows:
        if not isinstance(row, Mapping) or list(row) != keys:
            raise ValueError("is a list of rows that do not have the same keys")
    return {k: [row[k] for row in rows] for k in keys}


def to_array(value: Any, dtype: DType | None) -> np.ndarray:
    """Return what user code gave back as an array of ``dtype`` (``None``: as it comes).

    Texts become BYTES. Raises ``ValueError`` where it is ragged, holds objects, or would lose what
    it means (numbers with a fraction for whole ones).
    """
    if dtype is BYTES or (dtype is None and _is_text(value)):
        return _bytes_array(value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError("is ragged: its rows have unequal lengths") from None
    if dtype is None:
        return array.astype(np.float32) if _plain_floats(value, array) else array
    if array.dtype == dtype.numpy:
        return array
    if array.dtype.kind not in "biuf":
        raise ValueError(f"holds {array.dtype} values, and {dtype} is declared")
    if not np.can_cast(array.dtype, dtype.numpy, "same_kind") and array.size:
        cast = array.astype(dtype.numpy)
        if not np.array_equal(cast, array):
            raise ValueError(f"holds {array.dtype} values that do not fit the declared {dtype}")
        return cast
    return array.astype(dtype.numpy)


def _plain_floats(value: Any, array: np.ndarray) -> bool:
    return not isinstance(value, (np.ndarray, np.generic)) and array.dtype == np.float64


def _is_text(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "SUO"
    )


def _bytes_array(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        out = np.empty(value.shape, dtype=object)
        flat = [_as_text(v) for v in value.reshape(-1).tolist()]
        out.reshape(-1)[:] = flat
        return out
    if isinstance(value, (str, bytes, bytearray)):
        out = np.empty((), dtype=object)
        out[()] = _as_text(value)
        return out
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"holds a {type(value).__name__} where text is declared")  # noqa: TRY004
    rows = [_bytes_array(v) for v in value]
    if len({r.shape for r in rows}) > 1:
        raise ValueError("is ragged: its rows have unequal lengths")
    out = np.empty((len(rows), *(rows[0].shape if rows else ())), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row if row.ndim else row.item()
    return out


def _as_text(value: Any) -> bytes:
    if not isinstance(value, (str, bytes, bytearray)):
        raise ValueError(f"holds a {type(value).__name__} where text is declared")  # noqa: TRY004
    return as_bytes(value)

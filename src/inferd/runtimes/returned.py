"""What user code returned, made into named arrays: checked, never guessed at.

A mapping is outputs by name, a list of mappings is rows, a tuple is outputs in order, anything else
is the one output. Raises ``ValueError`` whose text continues "what predict returned ...". Lists whose
rows are of unequal shapes become a column of rows (``core.tensor.uneven``) where that is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, DType, Tensors, as_bytes, uneven


class Uneven(ValueError):
    """Rows are of unequal shapes."""

    def __init__(self) -> None:
        super().__init__("is ragged: its rows have unequal lengths")


def to_tensors(
    returned: Any,
    specs: Sequence[TensorSpec] | None,
    default: str = "output",
    *,
    ragged: bool = False,
) -> Tensors:
    """Return ``returned`` by output name, in the datatypes of ``specs``.

    ``specs`` is ``None`` where nothing is declared: names are then those of a mapping, or
    ``default``. ``ragged``: rows may be of unequal shapes. Raises ``ValueError``, ``Uneven`` for rows
    that may not.
    """
    if returned is None:
        raise ValueError("is None: a return statement may be missing")
    if isinstance(returned, list) and returned and isinstance(returned[0], Mapping):
        returned = _columns(returned)
    if isinstance(returned, Mapping):
        return _by_name(returned, specs, ragged)
    if specs is None:
        return {default: to_array(returned, None, ragged=ragged)}
    if isinstance(returned, tuple) and len(specs) > 1:
        if len(returned) != len(specs):
            raise ValueError(f"has {len(returned)} parts for {len(specs)} outputs")
        pairs = zip(specs, returned, strict=True)
        return {s.name: _named(s.name, part, s.dtype, ragged) for s, part in pairs}
    if len(specs) != 1:
        names = ", ".join(s.name for s in specs)
        raise ValueError(f"is one value, and the outputs are {names}: return a dict")
    return {specs[0].name: to_array(returned, specs[0].dtype, ragged=ragged)}


def _by_name(
    returned: Mapping[Any, Any], specs: Sequence[TensorSpec] | None, ragged: bool
) -> Tensors:
    if specs is None:
        if not returned:
            raise ValueError("is an empty dict")
        return {str(k): _named(str(k), v, None, ragged) for k, v in returned.items()}
    missing = [s.name for s in specs if s.name not in returned]
    if missing:
        names = ", ".join(map(str, returned)) or "nothing"
        raise ValueError(f"lacks the output {missing[0]!r} (it has {names})")
    return {s.name: _named(s.name, returned[s.name], s.dtype, ragged) for s in specs}


def _named(name: str, value: Any, dtype: DType | None, ragged: bool) -> np.ndarray:
    try:
        return to_array(value, dtype, ragged=ragged)
    except Uneven:
        raise
    except ValueError as error:
        raise ValueError(f"is wrong in the output {name!r}: it {error}") from None


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    keys = list(rows[0])
    for row in rows:
        if not isinstance(row, Mapping) or list(row) != keys:
            raise ValueError("is a list of rows that do not have the same keys")
    return {k: [row[k] for row in rows] for k in keys}


def to_array(value: Any, dtype: DType | None, *, ragged: bool = False) -> np.ndarray:
    """Return what user code gave back as an array of ``dtype`` (``None``: as it comes).

    Texts become BYTES. ``ragged``: a list of rows of unequal shapes becomes a column of them. Raises
    ``Uneven`` where it may not, ``ValueError`` where it holds objects or would lose what it means
    (numbers with a fraction for whole ones).
    """
    try:
        return _even(value, dtype)
    except Uneven:
        if not ragged or not isinstance(value, (list, tuple)):
            raise
    rows = [_even(row, dtype) for row in value]
    if len({row.ndim for row in rows}) > 1:
        raise Uneven
    return uneven(rows if dtype is not None else _alike(rows))


def _alike(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Return rows in one datatype; those without elements have none of their own."""
    found = {row.dtype for row in rows if row.size}
    if len(found) > 1 and any(dtype.hasobject for dtype in found):
        raise ValueError("holds texts in some rows and numbers in others")
    dtype = np.result_type(*found) if found else None
    return [row.astype(dtype or row.dtype, copy=False) for row in rows]


def _even(value: Any, dtype: DType | None) -> np.ndarray:
    if dtype is BYTES or (dtype is None and _is_text(value)):
        return _bytes_array(value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise Uneven from None
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
        raise Uneven
    out = np.empty((len(rows), *(rows[0].shape if rows else ())), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row if row.ndim else row.item()
    return out


def _as_text(value: Any) -> bytes:
    if not isinstance(value, (str, bytes, bytearray)):
        raise ValueError(f"holds a {type(value).__name__} where text is declared")  # noqa: TRY004
    try:
        return as_bytes(value)
    except UnicodeEncodeError as error:
        raise ValueError(f"holds a text that cannot be written as UTF-8: {error.reason}") from None

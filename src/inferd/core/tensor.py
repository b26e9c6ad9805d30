"""Tensors and the one table of datatypes.

A tensor is a numpy array; a model's inputs or outputs are a dict of name to array, batch on axis 0
where the model is batched. Texts and byte strings travel as object arrays whose elements are
``bytes`` (``str`` is accepted wherever one is consumed and stands for its UTF-8 form).

Sources: the datatype names are those of the Open Inference Protocol v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inferd.core.errors import InvalidInput, nearest

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """One datatype: protocol name, numpy name, one-byte wire code and element size in bytes.

    ``itemsize`` is 0 for BYTES, whose elements vary. Instances are the rows of ``DTYPES`` and are
    compared by identity.
    """

    name: str
    numpy: np.dtype
    code: int
    itemsize: int

    def __repr__(self) -> str:
        return self.name


def _row(name: str, numpy: str, code: int) -> DType:
    dtype = np.dtype(numpy)
    return DType(name, dtype, code, 0 if dtype.hasobject else dtype.itemsize)


BOOL = _row("BOOL", "bool", 1)
UINT8 = _row("UINT8", "uint8", 2)
UINT16 = _row("UINT16", "uint16", 3)
UINT32 = _row("UINT32", "uint32", 4)
UINT64 = _row("UINT64", "uint64", 5)
INT8 = _row("INT8", "int8", 6)
INT16 = _row("INT16", "int16", 7)
INT32 = _row("INT32", "int32", 8)
INT64 = _row("INT64", "int64", 9)
FP16 = _row("FP16", "float16", 10)
FP32 = _row("FP32", "float32", 11)
FP64 = _row("FP64", "float64", 12)
BYTES = _row("BYTES", "object", 13)

DTYPES: tuple[DType, ...] = (
    BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES,
)  # fmt: skip
BY_NAME: dict[str, DType] = {d.name: d for d in DTYPES}
BY_CODE: dict[int, DType] = {d.code: d for d in DTYPES}
_BY_NUMPY: dict[np.dtype, DType] = {d.numpy: d for d in DTYPES}
_SPOKEN: dict[str, DType] = {
    **BY_NAME,
    **{d.numpy.name: d for d in DTYPES if d is not BYTES},
    "string": BYTES,
    "str": BYTES,
    "bytes": BYTES,
    "float": FP32,
    "double": FP64,
    "half": FP16,
    "int": INT64,
    "long": INT64,
}


def dtype_named(name: str) -> DType:
    """Return the datatype a person wrote (``float32``, ``FP32``, ``string``, ``int`` ...).

    Raises ``InvalidInput`` with the nearest known name.
    """
    found = _SPOKEN.get(name) or _SPOKEN.get(name.lower()) or BY_NAME.get(name.upper())
    if found is None:
        raise InvalidInput(f"unknown datatype {name!r}", help=nearest(name, _SPOKEN))
    return found


def dtype_of(array: np.ndarray) -> DType:
    """Return the datatype of an array; texts of any numpy kind are BYTES.

    Raises ``InvalidInput`` for a dtype that has no protocol name (complex, datetime ...).
    """
    found = _BY_NUMPY.get(array.dtype)
    if found is not None:
        return found
    if array.dtype.kind in "SUO":
        return BYTES
    swapped = _BY_NUMPY.get(array.dtype.newbyteorder("="))
    if swapped is None:
        raise InvalidInput(f"arrays of dtype {array.dtype} cannot be sent to or from a model")
    return swapped


def as_bytes(element: object) -> bytes:
    """Return one BYTES element as bytes (``str`` as UTF-8)."""
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    if isinstance(element, (bytearray, memoryview)):
        return bytes(element)
    raise InvalidInput(f"a BYTES element must be text or bytes, not {type(element).__name__}")


def lone(element: bytes) -> np.ndarray:
    """Return a BYTES tensor of one element."""
    array = np.empty(1, object)
    array[0] = element
    return array


def uneven(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return rows of unequal shapes as one column: an object array that holds an array for each.

    Only a runtime whose signature says ``ragged`` may answer such a column; the chain around it
    takes the rows apart again, so no one else sees one.
    """
    column = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):
        column[index] = row
    return column


def is_uneven(array: np.ndarray) -> bool:
    """Return whether ``array`` is a column made by ``uneven``."""
    return array.dtype.hasobject and array.ndim == 1 and any(type(e) is np.ndarray for e in array)


def nbytes(array: np.ndarray) -> int:
    """Return the payload size in bytes, counting the elements of BYTES tensors."""
    if array.dtype.hasobject:
        return sum(len(as_bytes(e)) + 4 for e in array.flat)
    return int(array.nbytes)

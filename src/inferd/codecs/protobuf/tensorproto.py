"""TensorFlow's ``TensorProto`` and arrays, both ways.

Elements lie in ``tensor_content``, raw and little-endian, or in the typed field of their datatype; a
typed field that is shorter than the tensor repeats its last element, and without any all are zero, as
TensorFlow reads it. Halves
(and bfloats) are their bits in ``half_val``. Strings are always typed.

Answers are typed, as TensorFlow Serving's are unless told otherwise: many clients read ``float_val``
and nothing else. Packed floats are the array's memory, so no number is written one by one.

Sources: tensorflow/tensorflow, core/framework/tensor.proto and core/framework/tensor.cc.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inferd.codecs.oip_tensor import MAX_AXES
from inferd.codecs.protobuf.messages import CLASSES
from inferd.codecs.protobuf.tfserving import DATA_TYPES
from inferd.codecs.protobuf.typed import elements, filled
from inferd.codecs.protobuf.wire import put, tag
from inferd.codecs.rawtensor import BF16, Buffer, from_raw, to_raw
from inferd.codecs.tfmetadata import DATATYPES
from inferd.codecs.values import check_shape, show_shape
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, FP16, FP32, FP64, DType, as_bytes, dtype_of

TENSOR = CLASSES["tensorflow.TensorProto"]
NUMBERS: dict[DType, int] = {dtype: DATA_TYPES[name] for dtype, name in DATATYPES.items()}
"""Our datatypes as TensorFlow numbers them."""

_NAMES = {number: name for name, number in DATA_TYPES.items()}
_KNOWN: dict[int, DType] = {**{n: d for d, n in NUMBERS.items()}, DATA_TYPES["DT_BFLOAT16"]: BF16}
_FIELDS: dict[str, str] = {
    "FP32": "float_val", "FP64": "double_val", "FP16": "half_val", "BF16": "half_val",
    "INT8": "int_val", "INT16": "int_val", "INT32": "int_val", "UINT8": "int_val",
    "UINT16": "int_val", "INT64": "int64_val", "UINT32": "uint32_val", "UINT64": "uint64_val",
    "BOOL": "bool_val", "BYTES": "string_val",
}  # fmt: skip
"""Where the elements of each datatype lie when they are not raw."""

_BLOWN_UP = 64 << 20
_TEXT = 8  # bytes of a reference
_PACKED = {FP32: tag(5), FP64: tag(6)}


def read(tensor: Any, spec: TensorSpec) -> np.ndarray:
    """Return one input, checked against ``spec``; raises ``InvalidInput``."""
    where = f"input {spec.name!r}"
    dtype = _KNOWN.get(tensor.dtype)
    if dtype is not spec.dtype and not (dtype is BF16 and spec.dtype is FP32):
        got = _NAMES.get(tensor.dtype, tensor.dtype)
        raise InvalidInput(f"{where} takes {DATATYPES[spec.dtype]}, got {got}")
    if tensor.tensor_shape.unknown_rank:
        raise InvalidInput(f"{where}: the shape must be known")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if len(shape) > MAX_AXES or (shape and min(shape) < 0):
        raise InvalidInput(f"{where}: the shape must hold at most {MAX_AXES} sizes, none free")
    check_shape(shape, spec.shape, spec, "the tensor")
    assert dtype is not None
    content = tensor.tensor_content
    if not content:
        return _typed(tensor, dtype, shape, where)
    if dtype is BYTES:
        raise InvalidInput(f"{where}: strings are given in string_val, not in tensor_content")
    return from_raw(content, dtype, shape, where)


def _typed(tensor: Any, dtype: DType, shape: tuple[int, ...], where: str) -> np.ndarray:
    field = _FIELDS[dtype.name]
    values = getattr(tensor, field)
    count, given = math.prod(shape), len(values)
    if given > count:
        raise InvalidInput(
            f"{where} has {given} values in {field} for the shape {show_shape(shape)}, "
            f"which holds {count}"
        )
    if given < count:
        _check_repeats(count - given, dtype, where)
    if not given:
        _check_empty(tensor, field, where)
        empty = np.zeros(count, dtype.numpy)
        if dtype is BYTES:
            empty[:] = b""
        return empty.reshape(shape)
    if dtype in (FP16, BF16):
        array = _halves(values, dtype, given, where)
    else:
        array = elements(values, dtype, where)
    if given < count:
        array = np.concatenate([array, np.repeat(array[-1:], count - given)])
    return array.reshape(shape)


def _check_empty(tensor: Any, field: str, where: str) -> None:
    """Refuse a tensor whose values lie in the field of another datatype."""
    others = [f.name for f, _ in tensor.ListFields() if f.name.endswith("_val")]
    if others:
        raise InvalidInput(f"{where} has values in {others[0]}, its datatype takes {field}")


def _check_repeats(count: int, dtype: DType, where: str) -> None:
    """Refuse what a few bytes would blow up to more than a message holds."""
    if count * (dtype.itemsize or _TEXT) > _BLOWN_UP:
        raise TooLarge(f"{where} repeats its last value {count} times", help="send all values")


def _halves(values: Any, dtype: DType, given: int, where: str) -> np.ndarray:
    bits = filled(values, np.dtype(np.int64))
    if given and (bits.min() < 0 or bits.max() > 0xFFFF):
        raise InvalidInput(f"{where}: half_val holds 16 bits of each value, 0 to 65535")
    return from_raw(bits.astype("<u2").tobytes(), dtype, (given,), where)


def write(array: np.ndarray) -> bytes:
    """Return an array as a serialized ``TensorProto``."""
    dtype = dtype_of(array)
    tensor = TENSOR(dtype=NUMBERS[dtype])
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_shape.SetInParent()
    packed = _PACKED.get(dtype)
    if packed is not None:
        parts: list[Buffer] = [tensor.SerializeToString()]
        put(parts, packed, to_raw(array))
        return b"".join(parts)
    values = getattr(tensor, _FIELDS[dtype.name])
    flat = array.reshape(-1)
    if dtype is BYTES:
        values.extend([as_bytes(element) for element in flat.tolist()])
    elif dtype is FP16:
        values.extend(flat.view(np.uint16).tolist())
    else:
        values.extend(flat.tolist())
    made: bytes = tensor.SerializeToString()
    return made

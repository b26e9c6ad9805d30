"""One tensor as raw bytes, the form that the Open Inference Protocol has over REST and gRPC alike.

Numbers stand in little-endian order, row-major, without padding; a boolean is one byte. The elements
of BYTES each follow their length, four bytes, little-endian. BF16 is the upper half of FP32: no
model's signature has it, so it lives here and not in the table of datatypes. It is widened to
float32, which is exact, and written by rounding to the nearest, ties to even.

Reading makes views: no number is copied but BF16 (which grows) and what is of foreign byte order.

Source: triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable

import numpy as np

from inferd.codecs.values import MAX_TEXTS, show_shape
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.tensor import BYTES, DType, as_bytes, dtype_of

BF16 = DType("BF16", np.dtype("float32"), 0, 2)
"""BF16 on the wire, float32 in memory."""

MAX_TEXT = (1 << 32) - 1  # bytes of one element: its length has four
Buffer = bytes | bytearray | memoryview
_LENGTH = struct.Struct("<I").unpack_from
_SWAPPED = sys.byteorder == "big"


def to_raw(array: np.ndarray, dtype: DType | None = None) -> bytes | memoryview:
    """Return the elements of ``array`` as bytes: a flat view of its memory where that will do.

    ``dtype``: the datatype on the wire where it is not the array's own (only BF16, for floats).
    """
    if dtype is BF16:
        return _view(_to_bf16(array))
    if dtype_of(array) is BYTES:
        return _to_texts(array.ravel().tolist())
    return _view(array)


def _view(array: np.ndarray) -> memoryview:
    if _SWAPPED or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("<"))
    # numpy's own view, since memoryview.cast takes neither 0-d nor empty arrays.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _to_texts(elements: Iterable[object]) -> bytes:
    parts: list[bytes] = []
    for element in elements:
        text = as_bytes(element)
        if len(text) > MAX_TEXT:
            raise TooLarge(f"a BYTES element of {len(text)} bytes is longer than the form allows")
        parts += (len(text).to_bytes(4, "little"), text)
    return b"".join(parts)


def _to_bf16(array: np.ndarray) -> np.ndarray:
    floats = np.ascontiguousarray(array, np.float32)
    bits = floats.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    quiet = bits | np.uint32(0x00400000)  # rounding would turn some NaNs into infinities
    return (np.where(np.isnan(floats), quiet, rounded) >> np.uint32(16)).astype(np.uint16)


def from_raw(buffer: Buffer, dtype: DType, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return the array of ``shape`` that fills ``buffer`` exactly: a view of it, where it may be.

    The view is read-only where the buffer is. ``where`` begins the messages (``tensor 'x'``).
    Raises ``InvalidInput`` where bytes are missing or left over, and ``TooLarge``.
    """
    count = math.prod(shape)
    if dtype is BYTES:
        array = _from_texts(buffer, count, shape, where)
    else:
        need = count * dtype.itemsize
        if need != len(buffer):
            raise InvalidInput(
                f"{where} takes {need} bytes as {dtype.name} {show_shape(shape)}, got {len(buffer)}"
            )
        array = _from_numbers(buffer, dtype)
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{where}: no array has the shape {show_shape(shape)}") from None


def _from_numbers(buffer: Buffer, dtype: DType) -> np.ndarray:
    if not len(buffer):
        return np.empty(0, dtype.numpy)
    if dtype is BF16:
        halves = np.frombuffer(buffer, "<u2")
        return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype.numpy.kind == "b":  # any other byte is no boolean, and would behave as none
        return np.frombuffer(buffer, np.uint8).view(np.bool_) if _are_flags(buffer) else (
            np.frombuffer(buffer, np.uint8) != 0
        )  # fmt: skip
    array = np.frombuffer(buffer, dtype.numpy.newbyteorder("<"))
    return array.astype(dtype.numpy) if _SWAPPED else array


def _are_flags(buffer: Buffer) -> bool:
    return int(np.frombuffer(buffer, np.uint8).max()) <= 1


def _from_texts(buffer: Buffer, count: int, shape: tuple[int, ...], where: str) -> np.ndarray:
    size = len(buffer)
    if count * 4 > size:
        raise InvalidInput(
            f"{where} takes at least {count * 4} bytes as BYTES {show_shape(shape)}, got {size}"
        )
    if count > MAX_TEXTS:
        raise TooLarge(f"{where} holds {count} texts; at most {MAX_TEXTS} are accepted")
    whole = bytes(buffer)  # the elements are copies anyhow, and slices of bytes are quick
    elements: list[bytes] = []
    at = 0
    for index in range(count):
        start = at + 4
        at = start + (_LENGTH(whole, at)[0] if start <= size else 0)
        if at > size:
            raise InvalidInput(
                f"{where}: element {index} does not end within the {size} bytes",
                help="each element is its length in four bytes, little-endian, and its bytes",
            )
        elements.append(whole[start:at])
    array = np.empty(count, object)
    array[:] = elements
    if at != size:
        raise InvalidInput(
            f"{where} has {size - at} bytes after its {count} elements of BYTES {show_shape(shape)}"
        )
    return array

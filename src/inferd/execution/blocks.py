"""Blocks: how the tensors of many requests lie in one frame.

A job is a list of entries, one per request. Consecutive entries of one layout (same names,
datatypes and shapes) are written as one *block*: one header, then their bytes one after the
other. For a batched model that is exactly the collated batch, so neither side touches the entries
one by one, and each entry still has its own bounds (``rows`` of axis 0 each). Layout on the wire,
little-endian, no pickle::

    block   u32 size of this header, u32 count, u16 tensors, then per tensor
    tensor  u16 name length, name, u8 dtype code, u8 rank, u8 place, u64 dims[rank],
            u64 offset, u64 size

``place`` 0: the bytes follow in the frame; 1: they lie at ``offset`` of the worker's shared
memory. BYTES elements are u32 length and bytes each. Everything read is checked against the bytes
really there before anything is allocated; headers are parsed from a private copy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np

from inferd.core.tensor import BY_CODE, BYTES, DType, Tensors, as_bytes, dtype_of

INLINE = 0
SHARED = 1
SHARED_MIN = 32 * 1024

_BLOCK = struct.Struct("<IIH")
_NAME = struct.Struct("<H")
_LENGTH = struct.Struct("<I")
_SPAN = struct.Struct("<QQ")


class FrameError(Exception):
    """A frame that does not follow the schema: the peer is broken or hostile."""


@dataclass(slots=True)
class Block:
    """``count`` entries of one layout; ``tensors`` are concatenated along axis 0."""

    count: int
    tensors: Tensors

    def rows(self) -> int:
        """Return the rows of axis 0 over all entries (``count`` where tensors are scalar)."""
        for array in self.tensors.values():
            return int(array.shape[0]) if array.ndim else self.count
        return self.count


def each(blocks: list[Block]) -> list[Tensors]:
    """Take blocks apart: one dict of views per entry, in order."""
    out: list[Tensors] = []
    for block in blocks:
        tensors, count = block.tensors, block.count
        if count == 1:
            out.append(tensors)
            continue
        size = block.rows() // count
        if len(tensors) == 1:
            ((name, array),) = tensors.items()
            out.extend([{name: array[i : i + size]} for i in range(0, size * count, size)] if size
                       else [{name: array}] * count)  # fmt: skip
            continue
        out.extend(
            {k: a[i * size : (i + 1) * size] for k, a in tensors.items()} for i in range(count)
        )
    return out


Place = Callable[[int], "tuple[int, memoryview] | None"]
"""Allocates bytes of shared memory: (offset, view), or ``None`` to send inline."""

Buffer = bytes | bytearray | memoryview


def pack_bytes(array: np.ndarray) -> bytes:
    """Encode a BYTES tensor: u32 length and bytes for each element, row-major."""
    parts = []
    for element in array.flat:
        data = as_bytes(element)
        parts.append(_LENGTH.pack(len(data)))
        parts.append(data)
    return b"".join(parts)


def unpack_bytes(data: Buffer, count: int) -> np.ndarray:
    """Decode ``count`` BYTES elements into a flat object array."""
    raw = bytes(data)  # the elements are copies anyhow, and slices of bytes are quick
    elements: list[bytes] = []
    position, end = 0, len(raw)
    for _ in range(count):
        start = position + 4
        if start > end:
            raise FrameError("a BYTES tensor ends early")
        position = start + _LENGTH.unpack_from(raw, position)[0]
        if position > end:
            raise FrameError("a BYTES element is longer than its tensor")
        elements.append(raw[start:position])
    if position != end:
        raise FrameError("a BYTES tensor has bytes left over")
    out = np.empty(count, dtype=object)
    out[:] = elements
    return out


class BlockWriter:
    """Collects blocks into header and data parts of one frame."""

    def __init__(self, place: Place | None = None) -> None:
        self.heads: list[bytes] = []
        self.data: list[Buffer | np.ndarray] = []
        self.count = 0
        self.spans: list[tuple[int, int]] = []
        self.constant = False  # whether the last header fits every block of this layout
        self._place = place

    def add(self, layouts: Sequence[Tensors], count: int) -> None:
        """Append one block made of the tensors of entries of equal layout.

        ``layouts`` holds one dict per part; parts are concatenated along axis 0. ``count`` is the
        number of entries in the block (it differs from ``len(layouts)`` for ready-made blocks).
        """
        first = layouts[0]
        key = (tuple([(n, a.shape, a.dtype) for n, a in first.items()]), len(layouts), count)
        known = _WRITTEN.get(key)
        if known is not None:
            self.heads.append(known)
            self.count += 1
            self.constant = True
            for name in first:
                self.data.extend([whole(part[name]) for part in layouts])
            return
        head = []
        many = len(layouts) > 1
        for name, array in first.items():
            dtype = dtype_of(array)
            dims = array.shape
            if many:
                dims = (sum(part[name].shape[0] for part in layouts), *dims[1:])
            chunks: list[Buffer | np.ndarray]
            if dtype is BYTES:
                chunks = [pack_bytes(part[name]) for part in layouts]
                size = sum(len(c) for c in chunks)
            else:
                chunks = [_contiguous(part[name], dtype.numpy) for part in layouts]
                size = prod(dims) * dtype.itemsize
            place, offset = self._store(chunks, size)
            raw = name.encode()
            head.append(_NAME.pack(len(raw)) + raw + bytes((dtype.code, len(dims), place)))
            head.append(struct.pack(f"<{len(dims)}Q", *dims) + _SPAN.pack(offset, size))
        raw = b"".join(head)
        raw = _BLOCK.pack(_BLOCK.size + len(raw), count, len(first)) + raw
        self.heads.append(raw)
        self.count += 1
        small = len(raw) <= REMEMBERED_MAX  # a list of thousands of arrays would fill the table
        self.constant = small and all(_is_small(a, len(layouts)) for a in first.values())
        if self.constant:
            remember(_WRITTEN, key, raw)

    def _store(self, chunks: list[Buffer | np.ndarray], size: int) -> tuple[int, int]:
        if self._place is not None and size >= SHARED_MIN:
            got = self._place(size)
            if got is not None:
                offset, view = got
                position = 0
                for chunk in chunks:
                    flat = chunk.data if isinstance(chunk, np.ndarray) else memoryview(chunk)
                    if flat.nbytes:
                        view[position : position + flat.nbytes] = flat.cast("B")
                        position += flat.nbytes
                view.release()
                self.spans.append((offset, size))
                return SHARED, offset
        self.data.extend(chunks)
        return INLINE, 0


def whole(array: np.ndarray) -> np.ndarray:
    """Return the array with its bytes in row-major order."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array).reshape(array.shape)


def _is_small(array: np.ndarray, parts: int) -> bool:
    """Whether a tensor always travels inline and byte for byte, so that its header is constant."""
    plain = not array.dtype.hasobject and array.dtype.isnative and array.dtype.kind not in "SU"
    return plain and array.nbytes * parts < SHARED_MIN


def _contiguous(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.flags.c_contiguous and array.dtype == dtype:
        return array
    return np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)


class BlockReader:
    """Reads the blocks of one frame; ``shared`` is the whole shared memory or ``None``."""

    def __init__(self, frame: memoryview, position: int, shared: memoryview | None = None) -> None:
        self._frame = frame
        self.position = position
        self._shared = shared
        self.spans: list[tuple[int, int]] = []

    def read(self, blocks: int) -> list[Block]:
        """Return ``blocks`` blocks as views; raises ``FrameError`` on anything inconsistent."""
        try:
            heads = [self._head() for _ in range(blocks)]
            return [
                Block(h.count, {name: self._tensor(*row) for name, row in h.rows}) for h in heads
            ]
        except (struct.error, LookupError, ValueError, OverflowError) as error:
            raise FrameError(f"malformed block: {error}") from None

    def _head(self) -> _Head:
        frame, start = self._frame, self.position
        size, count, tensors = _BLOCK.unpack_from(frame, start)
        if size > len(frame) - start:
            raise FrameError("a block's header is longer than its frame")
        raw = bytes(frame[start : start + size])
        self.position = start + size
        known = _READ.get(raw)
        if known is None:
            known = _parse(raw, count, tensors)
            if len(raw) <= REMEMBERED_MAX and all(row[2] == INLINE for _, row in known.rows):
                remember(_READ, raw, known)
        return known

    def _tensor(
        self, dtype: DType, dims: tuple[int, ...], place: int, offset: int, size: int, elements: int
    ) -> np.ndarray:
        source: memoryview
        if place == SHARED:
            if self._shared is None or offset + size > len(self._shared):
                raise FrameError("a tensor lies outside the shared memory")
            source, start = self._shared, offset
            self.spans.append((offset, size))
        else:
            source, start = self._frame, self.position
            if size > len(source) - start:
                raise FrameError("a tensor is longer than its frame")
            self.position = start + size
        if dtype is BYTES:
            return unpack_bytes(source[start : start + size], elements).reshape(dims)
        array: np.ndarray = np.frombuffer(source, dtype.numpy, elements, start)
        return array.reshape(dims)


_Row = tuple[DType, tuple[int, ...], int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Head:
    """A checked block header: (datatype, dims, place, offset, size, elements) by tensor."""

    count: int
    rows: tuple[tuple[str, _Row], ...]


def _parse(raw: bytes, count: int, tensors: int) -> _Head:
    """Check a block's header: sizes fit shapes, and its entries share every tensor evenly."""
    if not count:
        raise FrameError("a block of no entries")
    position = _BLOCK.size
    rows: list[tuple[str, _Row]] = []
    for _ in range(tensors):
        (length,) = _NAME.unpack_from(raw, position)
        name = str(raw[position + 2 : position + 2 + length], "utf-8")
        position += 2 + length
        code, rank, place = raw[position], raw[position + 1], raw[position + 2]
        position += 3
        dims = struct.unpack_from(f"<{rank}Q", raw, position)
        offset, size = _SPAN.unpack_from(raw, position + 8 * rank)
        position += 8 * rank + 16
        dtype, elements = BY_CODE[code], prod(dims)
        if dtype is not BYTES and elements * dtype.itemsize != size:
            raise FrameError("a tensor's size does not fit its shape")
        if dtype is BYTES and elements * 4 > size:
            raise FrameError("a BYTES tensor is too short for its shape")
        rows.append((name, (dtype, dims, place, offset, size, elements)))
    if position != len(raw):
        raise FrameError("a block's header has another size than it says")
    if count > 1:
        shares = {row[1][0] if row[1] else -1 for _, row in rows}
        if len(shares) > 1 or any(n % count for n in shares):
            raise FrameError(f"a block of {count} entries whose rows do not divide evenly")
    return _Head(count, tuple(rows))


REMEMBERED = 1024
REMEMBERED_MAX = 4096  # bytes of one header: a hostile worker must not fill this table
_WRITTEN: dict[object, bytes] = {}
_READ: dict[bytes, _Head] = {}
K = TypeVar("K")
V = TypeVar("V")


def remember(table: dict[K, V], key: K, value: V) -> None:
    """Keep what was worked out for a header; the table starts anew when it is full.

    Most frames of a model have one of a few headers, so both sides work each out once.
    """
    if len(table) >= REMEMBERED:
        table.clear()
    table[key] = value

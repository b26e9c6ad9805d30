"""A bounded walk over protobuf bytes, for looking at an ONNX file before any library reads it.

It never copies payloads and never recurses: nested messages are visited from a stack, by a table of
which field of which message is a message. Malformed bytes raise ``Corrupt`` with an offset.

Sources: the protobuf wire format; field numbers as in onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

Buffer = bytes | mmap.mmap

MAX_FIELDS = 20_000_000
MAX_DEPTH = 64
_MAX_VARINT = 10


class Corrupt(ValueError):
    """The bytes are not what they should be; the text says where."""


class Field(NamedTuple):
    """One field: ``value`` is the number of a varint; ``start`` and ``end`` frame a payload."""

    number: int
    wire: int
    value: int
    start: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in ``data[start:end]``. Raises ``Corrupt``."""
    at = start
    while at < end:
        begin = at
        tag, at = varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise Corrupt(f"no field has number {number} (at byte {begin})")
        if wire == 0:
            value, at = varint(data, at, end)
            yield Field(number, wire, value, at, at)
            continue
        if wire == 2:
            size, at = varint(data, at, end)
        elif wire == 1:
            size = 8
        elif wire == 5:
            size = 4
        else:
            raise Corrupt(f"unknown wire type {wire} (at byte {begin})")
        if size > end - at:
            raise Corrupt(
                f"field {number} at byte {begin} claims {size} bytes where {end - at} are left"
            )
        yield Field(number, wire, 0, at, at + size)
        at += size


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """Read one varint; return (value, next position). Raises ``Corrupt``."""
    value = shift = 0
    for _ in range(_MAX_VARINT):
        if at >= end:
            raise Corrupt(f"the file ends within a number (at byte {at})")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
    raise Corrupt(f"a number of more than {_MAX_VARINT} bytes (at byte {at})")


ONNX: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {13: "entry"},
    "sparse": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
}
"""Which field of which ONNX message is which message (those that can hold a tensor)."""


def messages(data: Buffer, root: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of every ``wanted`` message below a ``root`` message, at any depth.

    Raises ``Corrupt`` for malformed bytes and for more nesting or fields than any model has.
    """
    stack = [(root, 0, len(data), 0)]
    seen = 0
    while stack:
        kind, start, end, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise Corrupt(f"messages nested more than {MAX_DEPTH} deep")
        below = ONNX.get(kind, {})
        for field in fields(data, start, end):
            seen += 1
            if seen > MAX_FIELDS:
                raise Corrupt(f"more than {MAX_FIELDS} fields")
            inner = below.get(field.number)
            if inner is None or field.wire != 2:
                continue
            if inner == wanted:
                yield field.start, field.end
            if inner in ONNX:
                stack.append((inner, field.start, field.end, depth + 1))

"""The few rules of protobuf's wire form that the load generator needs, without the library.

A message is a row of fields, each a number and a type, then a varint or a length and its bytes.
Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5


def varint(number: int) -> bytes:
    """Return a number of zero or more, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: bytes | str) -> bytes:
    """Return one field of text, bytes or a message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def packed(number: int, values: list[int]) -> bytes:
    """Return one repeated field of numbers."""
    return field(number, b"".join(map(varint, values)))


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and where it ends; raises ``IndexError``."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field; raises ``ValueError`` or ``IndexError``."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, at = read_varint(data, at)
        elif kind in (EIGHT, FOUR):
            size = 8 if kind == EIGHT else 4
        else:
            raise ValueError(f"field {key >> 3} has the unknown type {kind}")
        if at + size > len(data):
            raise ValueError(f"field {key >> 3} ends behind the message")
        yield key >> 3, data[at : at + size]
        at += size

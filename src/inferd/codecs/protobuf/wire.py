"""The few pieces of the wire format that are written by hand, to spare copying what is large.

A serialized message may be written in pieces: parsers merge what is concatenated, fields that repeat
are appended in order, of others the last counts. So what never changes of an answer is serialized
once, and tensors are put behind it as they lie in memory.

Source: protocol buffers, encoding guide.
"""

from __future__ import annotations

from inferd.codecs.rawtensor import Buffer

_SHORT = [bytes([n]) for n in range(0x80)]


def varint(value: int) -> bytes:
    """Return a number of 0 or more in base 128, the lowest part first."""
    if value < 0x80:
        return _SHORT[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int) -> bytes:
    """Return the tag of a field whose value follows its length (text, bytes, message, packed)."""
    return varint(number << 3 | 2)


def put(parts: list[Buffer], field: bytes, value: Buffer) -> None:
    """Append a field and its value; ``field`` is its ``tag``."""
    parts.append(field)
    parts.append(varint(len(value)))
    parts.append(value)

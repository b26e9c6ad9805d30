"""How much there is to a message before it is parsed: a field of two bytes becomes an object of a hundred.

The library parses in one go, in which nothing else happens, so what is sent to it is bounded: the fields of
a message and of those in it, and the packed integers, which grow eightfold. Most messages have a handful of
both, whatever their size. What is malformed is left to the library to refuse.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

from inferd.core.errors import TooLarge

LARGE = 256 * 1024
"""Bytes of a message from which on it is weighed."""

FEW = 1 << 14
"""Fields that are counted and parsed in some milliseconds."""

MANY = (1 << 20) + (1 << 16)
"""Fields of the largest message: as many texts as a tensor may hold, and what is around them."""

MAX_PACKED = 16 << 20
"""Bytes of packed integers."""

_RAW = "send the tensors raw: raw_input_contents, or tensor_content"
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_FIXED = frozenset((1, 2, 6, 7, 9, 12, 15, 16))
"""Types of fields, as descriptors number them, that are no packed integers: floats, fixed sizes and texts."""


class _Kind:
    """What the fields of a message hold: messages, or packed integers (``None``)."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: dict[int, _Kind | None] = {}


def check(cls: Any, data: bytes, most: int = FEW) -> None:
    """Raise ``TooLarge`` for a large message of over ``most`` fields, or too many packed integers."""
    if len(data) > LARGE and fields(cls, data, most) > most:
        raise TooLarge(f"the message has over {most} fields", help=_RAW)


def is_intricate(cls: Any, data: bytes) -> bool:
    """Whether a message has so many fields that counting and parsing them would hold the loop."""
    return len(data) > LARGE and fields(cls, data, FEW) > FEW


def fields(cls: Any, data: bytes, most: int) -> int:
    """Count the fields of a message and of those in it, hardly beyond ``most``. Raises ``TooLarge``."""
    counter = _Counter(data, most)
    with suppress(IndexError):  # it is cut off
        counter.walk(0, len(data), _kind(cls))
    return counter.count


class _Counter:
    """Counts the fields of one message."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = data
        self._most = most
        self._packed = 0
        self.count = 0

    def walk(self, at: int, end: int, kind: _Kind) -> None:
        """Count those from ``at`` to ``end``, a message of that kind."""
        data, inside = self._data, kind.fields
        while at < end and self.count <= self._most:
            self.count += 1
            tag = data[at]
            at += 1
            if tag >= 128:
                tag, at = self._varint(at - 1)
            how = tag & 7
            if how == _BYTES:
                size = data[at]
                at += 1
                if size >= 128:
                    size, at = self._varint(at - 1)
                if size and tag >> 3 in inside:
                    self._enter(at, min(at + size, end), inside[tag >> 3])
                at += size
            elif how == _VARINT:
                at += 1
                if data[at - 1] >= 128:
                    _, at = self._varint(at - 1)
            elif how in (_EIGHT, _FOUR):
                at += 8 if how == _EIGHT else 4

    def _enter(self, at: int, end: int, kind: _Kind | None) -> None:
        if kind is not None:
            self.walk(at, end, kind)
            return
        self._packed += end - at
        if self._packed > MAX_PACKED:
            raise TooLarge(f"the message has over {MAX_PACKED} bytes of integers", help=_RAW)

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
        return value, at


@lru_cache(64)
def _kind(cls: Any) -> _Kind:
    return _described(cls.DESCRIPTOR, {})


def _described(descriptor: Any, known: dict[str, _Kind]) -> _Kind:
    found = known.get(descriptor.full_name)
    if found is None:
        found = known[descriptor.full_name] = _Kind()
        for each in descriptor.fields:
            if each.message_type is not None:
                found.fields[each.number] = _described(each.message_type, known)
            elif each.type not in _FIXED:
                found.fields[each.number] = None
    return found

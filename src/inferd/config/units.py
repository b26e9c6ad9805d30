"""Durations and byte sizes as people write them.

Pure functions from a raw value (YAML, flag, header) to seconds or bytes. They raise ``ValueError``
with a message that shows the value; the caller knows the place (file and line, flag, header) and
wraps it in the error of that place.
"""

from __future__ import annotations

import math
import re

SECONDS: dict[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""Units of a duration; a bare number is seconds."""

BYTES: dict[str, int] = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
"""Units of a byte size, any case; a bare number is bytes."""

MAX_SECONDS = 366 * 86400.0
MAX_BYTES = 2**60

_WRITTEN = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?|\.\d{1,18})\s*([A-Za-z]*)\s*", re.ASCII)


def duration(value: object) -> float:
    """Return seconds: ``2ms``, ``1.5s``, ``3`` (seconds), ``1m``, ``2h``.

    Zero is allowed. Raises ``ValueError`` for anything else: negative, infinite, above a year.
    """
    return _read(value, SECONDS, "s", MAX_SECONDS, "a duration such as 250ms, 1.5s or 2m")


def byte_size(value: object) -> int:
    """Return bytes: ``64MB`` (10^6), ``64MiB`` (2^20), ``4096``.

    Raises ``ValueError`` for anything else: negative, no whole number of bytes, above an exbibyte.
    """
    number = _read(value, BYTES, "b", MAX_BYTES, "a size such as 4096, 64MB or 1GiB")
    if number != int(number):
        raise ValueError(f"{value!r} is not a whole number of bytes")
    return int(number)


def format_duration(seconds: float) -> str:
    """Return seconds as a person would write them: ``250ms``, ``1.5s``, ``2m``."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        scale = SECONDS[unit]
        if seconds >= scale and (scale <= 1 or seconds % scale == 0):
            return f"{seconds / scale:g}{unit}"
    return f"{seconds:g}s"


def format_bytes(size: int) -> str:
    """Return a byte size as a person would write it: ``8MiB``, ``64MB``, ``4096B``."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        scale = BYTES[unit.lower()]
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}"
    return f"{size}B"


def _read(
    value: object, units: dict[str, float] | dict[str, int], bare: str, most: float, wanted: str
) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not {wanted}")  # noqa: TRY004  # one type for the caller
    if isinstance(value, str):
        found = _WRITTEN.fullmatch(value)
        if found is None:
            raise ValueError(f"{value!r} is not {wanted}")
        number, unit = float(found[1]), found[2].lower() or bare
        if unit not in units:
            known = ", ".join(units)
            raise ValueError(f"{value!r} has the unknown unit {found[2]!r} (known: {known})")
        number *= units[unit]
    else:
        number = float(value) if abs(value) <= most else math.inf
    if not 0 <= number <= most:
        raise ValueError(f"{value!r} is out of range: {wanted}, at most {most:g} {bare}")
    return number

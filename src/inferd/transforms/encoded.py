"""One element of BYTES that is a file: as it came, or as base64, which is all that JSON can carry."""

from __future__ import annotations

import base64
import binascii

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import as_bytes


def element(x: np.ndarray, what: str) -> bytes:
    """Return the one element of an example; raises ``InvalidInput`` naming ``what`` there are several of."""
    if x.size != 1:
        raise InvalidInput(f"one {what} per example, not {x.size}")
    return as_bytes(x.reshape(-1)[0])


def plain(data: bytes, magic: tuple[bytes, ...]) -> bytes:
    """Return a file's bytes, which begin with one of ``magic``, taken out of base64 or a data URL."""
    if data.startswith(magic):
        return data
    if data.startswith(b"data:"):
        data = data.partition(b",")[2]
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return data

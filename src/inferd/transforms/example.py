"""An example request made from the steps: one that they can work on.

A signature alone does not tell enough: any text is no category, and an image must be large enough
for its crop. So steps leave hints on the drafts while the chain is walked backwards: a value for
the elements (``Draft.sample``) and sizes for free axes (``Axis.hint``).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

from inferd.core.tensor import BOOL, BYTES, Tensors
from inferd.transforms.draft import Axis, Draft, Flow

SEQUENCE = 8
IMAGE = 32


def example(external: Flow, *, lifted: bool) -> Tensors:
    """Return one request of one row (``lifted``: whole tensors without batch axis)."""
    return {name: _tensor(draft, 1 if lifted else 0) for name, draft in external.items()}


def _tensor(draft: Draft, skip: int) -> np.ndarray:
    free = IMAGE if len(draft.known) == 4 else SEQUENCE
    sizes = [1, *(size_of(axis, free) for axis in draft.known[1:])]
    out = np.empty(sizes[skip:], draft.dtype.numpy)
    out[...] = _value(draft)
    return out


def size_of(axis: Axis, free: int) -> int:
    """Return a size for an axis: its own, the hinted one, or ``free``."""
    return axis.size if axis.size >= 0 else axis.hint or free


def _value(draft: Draft) -> object:
    if draft.sample is not None:
        return draft.sample
    if draft.dtype is BYTES:
        return _FILES.get(draft.content or "", lambda: b"hello world")()
    if draft.dtype is BOOL or draft.integer:
        return 1
    return 0.5


def png(height: int, width: int) -> bytes:
    """Return a gradient as a PNG file of three colours, without a library."""
    row = b"\0" + bytes(v for x in range(width) for v in (x % 256, (2 * x) % 256, 128))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            chunk(b"IDAT", zlib.compress(row * height)),
            chunk(b"IEND", b""),
        )
    )


def wav(seconds: float = 1.0) -> bytes:
    """Return a quiet tone of 200 Hz as a WAV file of one channel, without a library."""
    rate = 16_000
    tone = np.sin(np.arange(int(seconds * rate)) * (2 * np.pi * 200 / rate))
    samples = (1000 * tone).astype("<i2")
    data: bytes = samples.tobytes()
    head = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + head
        + (b"data" + struct.pack("<I", len(data)) + data)
    )


_FILES: dict[str, Callable[[], bytes]] = {"audio": wav, "image": lambda: png(IMAGE, IMAGE)}
"""What makes a file of a declared content."""

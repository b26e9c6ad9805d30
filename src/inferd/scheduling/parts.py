"""Cutting a request of many rows into parts and joining the answers; and one of no rows. Pure."""

from __future__ import annotations

import numpy as np

from inferd.core.errors import ModelFailed
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors


def split(inputs: Tensors, rows: int) -> list[Tensors]:
    """Cut tensors along axis 0 into parts of at most ``rows`` rows (views)."""
    total = max((a.shape[0] for a in inputs.values()), default=0)
    return [
        {k: a[start : start + rows] for k, a in inputs.items()} for start in range(0, total, rows)
    ]


def join(parts: list[Tensors]) -> Tensors:
    """Concatenate the outputs of parts along axis 0."""
    try:
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    except ValueError:
        raise ModelFailed(
            "parts of this request were answered in unequal shapes",
            help="send fewer rows per request",
        ) from None


def no_rows(signature: Signature) -> Tensors:
    """Return the outputs of a request of no rows: right names and datatypes, nothing in them."""
    return {
        s.name: np.empty([0, *(max(n, 0) for n in s.shape[1:])], dtype=s.dtype.numpy)
        for s in signature.outputs
    }

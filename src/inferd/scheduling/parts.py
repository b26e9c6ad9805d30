"""Cutting a request of many rows into parts and joining the answers; and one of no rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inferd.core.errors import ModelFailed, TooLarge
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors

MAX_PARTS = 16384
"""Parts of one request: each is a request of its own inside."""


def split(inputs: Tensors, rows: int) -> list[Tensors]:
    """Cut tensors along axis 0 into parts of at most ``rows`` rows (views); raises ``TooLarge``."""
    total = max((a.shape[0] for a in inputs.values()), default=0)
    if total > MAX_PARTS * rows:
        at_once = "one by one" if rows == 1 else f"{rows} at a time"
        raise TooLarge(
            f"the batch holds {total} examples that are run {at_once}; at most {MAX_PARTS * rows} "
            "are accepted",
            help="send them in several requests",
        )
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


def no_rows(signature: Signature, inputs: Tensors) -> Tensors:
    """Return the outputs of a request of no rows: right names, datatypes and sizes as far as known.

    A free axis has the size of the input axis of its name; where nothing is named, that of an input
    of just the same shape. What follows from the values alone is 0.
    """
    sizes = {
        symbol: inputs[spec.name].shape[i]
        for spec in signature.inputs
        for i, symbol in enumerate(spec.symbols)
        if symbol and spec.name in inputs
    }
    return {s.name: np.empty(_shape(s, signature, inputs, sizes), s.dtype.numpy)
            for s in signature.outputs}  # fmt: skip


def _shape(
    output: TensorSpec, signature: Signature, inputs: Tensors, sizes: Mapping[str, int]
) -> tuple[int, ...]:
    named = output.symbols or (None,) * len(output.shape)
    alike = next(
        (inputs[s.name].shape for s in signature.inputs
         if s.name in inputs and s.shape == output.shape and not (any(s.symbols) or any(named))),
        (0,) * len(output.shape),
    )  # fmt: skip
    return (0, *(
        size if size >= 0 else sizes.get(symbol, 0) if symbol else seen
        for size, symbol, seen in zip(output.shape[1:], named[1:], alike[1:], strict=True)
    ))  # fmt: skip

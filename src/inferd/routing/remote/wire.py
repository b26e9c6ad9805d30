"""What the servable needs of a protocol: the seam between replicas and how they are spoken to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inferd.codecs.oip_described import Described
from inferd.codecs.values import show_shape
from inferd.core.message import HIGH, Parameters, Request, Timings
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors, dtype_of
from inferd.core.trace import Trace

SLOW_BYTES = 1 << 20
"""Bytes of a message with texts from which on it is written and read off the loop."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. ``headers``: names in lower case; what goes with it beside the tensors."""

    inputs: Tensors
    outputs: tuple[str, ...] | None
    parameters: Parameters
    headers: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Answered:
    """One answer: ``version`` is that of the model which gave it."""

    outputs: Tensors
    timings: Timings
    version: str = ""


class Wire(Protocol):
    """One replica, spoken to in one protocol. Everything raises ``Failure``.

    ``seconds`` bound the whole of an answer.
    """

    async def describe(self, seconds: float) -> Described:
        """Ask what the model is."""
        ...

    async def ready(self, seconds: float) -> bool:
        """Ask whether the server is ready; ``False`` where it cannot be asked."""
        ...

    async def model_ready(self, seconds: float) -> bool:
        """Ask whether the model is ready."""
        ...

    async def infer(self, asked: Asked, model: Described, seconds: float) -> Answered:
        """Ask the model."""
        ...

    def stream(self, asked: Asked, model: Described, seconds: float) -> AsyncIterator[Tensors]:
        """Ask the model for an answer in pieces. Closing the iterator stops it."""
        ...

    def drain(self) -> None:
        """Take no more questions; those under way are answered."""
        ...

    async def aclose(self) -> None:
        """End everything."""
        ...


def headers_of(
    request: Request, seconds: float, trace: Trace | None = None
) -> tuple[tuple[str, str], ...]:
    """Return what a request passes on: its id, the time that is left, priority and trace.

    ``trace``: the span of this very question.
    """
    found = [("x-server-timing", "1")]
    if request.id and _sane(request.id):
        found.append(("x-request-id", request.id))
    if seconds != float("inf"):
        found.append(("x-request-timeout", f"{max(seconds, 0.001):.3f}s"))
    if request.priority >= HIGH:
        found.append(("x-priority", "high"))
    if trace is not None:
        found.append(("traceparent", trace.parent))
        if trace.state:
            found.append(("tracestate", trace.state))
    return tuple(found)


def _sane(id: str) -> bool:
    """Whether an id can stand in a header: one from a door is, one from a program may be anything."""
    return len(id) <= 128 and id.isascii() and id.isprintable() and " " not in id


def slow(inputs: Tensors) -> bool:
    """Whether a question has so many texts, or so long ones, that it is written off the loop."""
    texts = [array for array in inputs.values() if array.dtype == np.object_]
    if sum(array.size for array in texts) * 64 > SLOW_BYTES:
        return True
    return sum(len(e) for a in texts for e in a.flat if isinstance(e, (bytes, str))) > SLOW_BYTES


def tells_texts(signature: Signature) -> bool:
    """Whether answers hold texts."""
    return any(not spec.dtype.itemsize for spec in signature.outputs)


def unfit(
    outputs: Tensors, signature: Signature, wanted: tuple[str, ...] | None, rows: int | None
) -> str | None:
    """Return why outputs do not fit a signature, ``None`` where they do.

    ``wanted``: those asked for; ``rows``: the batch asked with, ``None`` where there is none.
    """
    for spec in signature.outputs:
        if wanted is not None and spec.name not in wanted:
            continue
        array = outputs.get(spec.name)
        if array is None:
            return f"it gave no output {spec.name!r}"
        if array.dtype != spec.dtype.numpy and dtype_of(array) is not spec.dtype:
            return f"output {spec.name!r} is {dtype_of(array)}, not {spec.dtype}"
        shape = spec.shape if rows is None else (rows, *spec.shape[1:])
        if not _fits(array.shape, shape):
            return (
                f"output {spec.name!r} has the shape {show_shape(array.shape)}, "
                f"not {show_shape(shape)}"
            )
    return None


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if shape == wanted:
        return True
    return len(shape) == len(wanted) and all(
        w in (-1, n) for n, w in zip(shape, wanted, strict=True)
    )


def chosen(outputs: Tensors, signature: Signature, wanted: tuple[str, ...] | None) -> Tensors:
    """Return the outputs in the order of the signature, those wanted alone."""
    names = [s.name for s in signature.outputs if wanted is None or s.name in wanted]
    return {name: outputs[name] for name in names}


def rows_of(inputs: Mapping[str, np.ndarray], signature: Signature) -> int | None:
    """Return the rows of a batch, ``None`` where there is no batch (or there are no inputs)."""
    if not signature.batched:
        return None
    return next((array.shape[0] for array in inputs.values() if array.ndim), None)


def timings_of(value: str | None, elapsed: float, rows: int) -> Timings:
    """Return the timings of an answer that took ``elapsed`` seconds.

    ``value``: its ``Server-Timing``. What the other side does not account for, the way there and back
    above all, counts as transfer (``batch``).
    """
    found: dict[str, float] = {}
    for entry in (value or "").split(","):
        name, _, rest = entry.strip().partition(";dur=")
        try:
            found[name] = max(0.0, float(rest)) * 1e-3
        except ValueError:
            continue
    if "run" not in found:
        return Timings(run=elapsed, batch_size=rows)
    queue, run = found.get("queue", 0.0), found["run"]
    return Timings(
        queue=queue, batch=max(0.0, elapsed - queue - run), run=run, batch_size=rows
    )  # fmt: skip

"""A request and its response, as every dialect and every servable sees them.

``inputs`` follow the model's external signature: a dict of arrays with the batch on axis 0 where
the model is batched (one example is a batch of one). Streaming is part of the response: it holds
outputs or an async iterator of chunks.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inferd.core.errors import ModelFailed
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES, Tensors, as_bytes
from inferd.core.trace import Trace

Parameters = dict[str, str | int | float | bool]

NORMAL = 0
HIGH = 1
ADMITTED = 2
"""A later step of a request that was admitted already: it goes before new ones, and is not refused for
the length of a queue. No client can ask for it."""

_SCALARS = (str, int, float, bool)


def carried(value: Any) -> Any:
    """Return a parameter's value as all protocols carry it: a list of texts, numbers and booleans as JSON."""
    if isinstance(value, (list, tuple)) and all(type(item) in _SCALARS for item in value):
        return json.dumps(value, ensure_ascii=False)
    return value


@dataclass(frozen=True, slots=True)
class StepTiming:
    """One step of a pipeline.

    ``start`` and ``end`` are monotonic seconds; ``error``: the kind of its error, ``None`` where it
    answered; ``skipped``: its condition was false. ``timings``: of its answer, summed where it was mapped.
    ``trace``: the span that it is, where the request is part of a trace.
    """

    name: str
    start: float
    end: float
    timings: Timings | None = None
    error: str | None = None
    skipped: bool = False
    trace: Trace | None = None


@dataclass(slots=True)
class Timings:
    """Seconds a request spent in each stage; ``None`` where the stage was not entered.

    ``queue``: admission to dispatch. ``batch``: transfer, decode, transforms and collation.
    ``run``: the runtime alone. ``decode`` and ``encode``: the dialect's codec in the front.
    ``steps``: those of a pipeline, in the order in which they ended. ``began``: the monotonic time
    at which it was queued, 0 where that is not known.
    """

    queue: float = 0.0
    batch: float = 0.0
    run: float = 0.0
    decode: float = 0.0
    encode: float = 0.0
    batch_size: int = 0
    steps: tuple[StepTiming, ...] = ()
    began: float = 0.0


@dataclass(slots=True)
class Request:
    """One request to a model.

    ``deadline`` is a monotonic time in seconds; ``priority`` is ``NORMAL``, ``HIGH`` or ``ADMITTED``;
    ``outputs`` names the outputs wanted (``None``: all). ``id`` is the request id of logs and traces.
    ``trace``: the span this request is part of, where there is one; what is asked on its behalf is
    a child of that.
    """

    model: str
    inputs: Tensors
    version: str | None = None
    outputs: tuple[str, ...] | None = None
    parameters: Parameters = field(default_factory=dict)
    id: str = ""
    deadline: float = float("inf")
    priority: int = NORMAL
    trace: Trace | None = None


@dataclass(slots=True)
class Response:
    """The answer: ``outputs``, or ``chunks`` for a streamed one, and who gave it.

    A chunk holds what became known of the outputs, for one row (the batch axis is one long). To stop
    the generation, close the iterator (``aclose``).
    """

    model: str
    version: str
    outputs: Tensors
    timings: Timings
    chunks: AsyncIterator[Tensors] | None = None


def joined(chunks: Sequence[Tensors]) -> Tensors:
    """Return a streamed answer as one: texts are joined, a second axis grows, the rest is the latest.

    ``chunks`` are those of one row, in order.
    """
    whole: Tensors = {}
    for name in dict.fromkeys(name for chunk in chunks for name in chunk):
        parts = [chunk[name] for chunk in chunks if name in chunk]
        if len(parts) == 1:
            whole[name] = parts[0]
        elif parts[0].dtype.hasobject and parts[0].ndim < 2:
            text = np.empty(parts[0].shape, object)
            text[...] = b"".join(as_bytes(e) for part in parts for e in part.flat)
            whole[name] = text
        elif parts[0].ndim > 1:
            whole[name] = np.concatenate(parts, axis=1)
        else:
            whole[name] = parts[-1]
    return whole


def completed(
    outputs: Tensors, signature: Signature, wanted: Sequence[str] | None = None
) -> Tensors:
    """Return a streamed answer with what none of its pieces held: an empty text, a list of nothing.

    ``wanted``: the outputs that count, ``None`` for all. Raises ``ModelFailed`` for an output of numbers that has to hold one.
    """
    whole: Tensors = {}
    for spec in signature.outputs:
        if wanted is not None and spec.name not in wanted:
            continue
        found = outputs.get(spec.name)
        if found is None:
            one = (1, *spec.shape[1:]) if signature.batched else spec.shape
            shape = tuple(0 if size == -1 else size for size in one)
            if 0 not in shape and spec.dtype is not BYTES:
                raise ModelFailed(f"the model ended its answer without its output {spec.name!r}")
            found = np.full(shape, b"" if spec.dtype is BYTES else 0, spec.dtype.numpy)
        whole[spec.name] = found
    return whole


async def collected(response: Response) -> Tensors:
    """Return all outputs of a response, waiting for the end of a streamed one."""
    if response.chunks is None:
        return response.outputs
    return joined([chunk async for chunk in response.chunks])

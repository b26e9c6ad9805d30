"""A request and its response, as every dialect and every servable sees them.

``inputs`` follow the model's external signature: a dict of arrays with the batch on axis 0 where
the model is batched (one example is a batch of one). Streaming is part of the response: it holds
outputs or an async iterator of chunks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from inferd.core.tensor import Tensors

Parameters = dict[str, str | int | float | bool]

NORMAL = 0
HIGH = 1


@dataclass(slots=True)
class Timings:
    """Seconds a request spent in each stage; ``None`` where the stage was not entered.

    ``queue``: admission to dispatch. ``batch``: transfer, decode, transforms and collation.
    ``run``: the runtime alone. ``decode`` and ``encode``: the dialect's codec in the front.
    """

    queue: float = 0.0
    batch: float = 0.0
    run: float = 0.0
    decode: float = 0.0
    encode: float = 0.0
    batch_size: int = 0


@dataclass(slots=True)
class Request:
    """One request to a model.

    ``deadline`` is a monotonic time in seconds; ``priority`` is ``NORMAL`` or ``HIGH``; ``outputs``
    names the outputs wanted (``None``: all). ``id`` is the request id of logs and traces.
    """

    model: str
    inputs: Tensors
    version: str | None = None
    outputs: tuple[str, ...] | None = None
    parameters: Parameters = field(default_factory=dict)
    id: str = ""
    deadline: float = float("inf")
    priority: int = NORMAL


@dataclass(slots=True)
class Response:
    """The answer: ``outputs``, or ``chunks`` for a streamed one, and who gave it."""

    model: str
    version: str
    outputs: Tensors
    timings: Timings
    chunks: AsyncIterator[Tensors] | None = None

"""A pool: ready-made requests, the outputs each must get, and how answers are read.

The parts of every scenario's pool that do not depend on its model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from benchmarks import models

JSON = "application/json"
TOLERANCE = 2e-4
"""Largest difference allowed per number: batches of other sizes sum in another order."""


def simple_result(body: bytes) -> Any:
    """Return the result in ``{"result": ...}``."""
    return orjson.loads(body)["result"]


@dataclass(frozen=True, slots=True)
class Pool:
    """Requests, expected outputs ``[n, k]`` and the work each stands for (tokens, or 1).

    ``tail`` is what every request ends with and ``requests`` leaves out: bodies of a megabyte that
    differ at their beginning do not fit in memory whole. ``read`` takes the numbers out of an
    answer's body; it may raise ``KeyError``, ``IndexError``, ``TypeError`` or ``ValueError``.
    """

    requests: Sequence[bytes]
    expected: np.ndarray
    units: np.ndarray
    tail: bytes = b""
    read: Callable[[bytes], Any] = simple_result

    def wrong(self, indices: Sequence[int], bodies: Sequence[bytes]) -> int:
        """Count the answers that are not the expected ones of their own request."""
        return sum(
            not self._right(index, body) for index, body in zip(indices, bodies, strict=True)
        )

    def _right(self, index: int, body: bytes) -> bool:
        try:
            answer = np.array(self.read(body), np.float32)
        except (KeyError, IndexError, TypeError, ValueError):
            return False
        expected = self.expected[index]
        if answer.shape != expected.shape:
            return False
        return bool(np.abs(answer - expected).max() <= TOLERANCE)


def request(
    body: bytes, content_type: str = JSON, path: str = "/predict", *, more: int = 0,
    headers: str = "",
) -> bytes:  # fmt: skip
    """Return a complete HTTP/1.1 request; ``more``: how many bytes of its body follow elsewhere.

    ``headers``: further lines, each with its line end.
    """
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n{headers}"
        f"Content-Length: {len(body) + more}\r\n\r\n"
    )
    return head.encode() + body


def cached(key: str, model: str, count: int, feeds: Iterable[dict[str, np.ndarray]]) -> np.ndarray:
    """Return what ``run`` gives for ``count`` feeds, kept in a file named by ``key``."""
    target = models.ROOT / models.REVISION / f"expected-{key.lower()}-{count}.npy"
    if target.exists():
        return np.asarray(np.load(target))
    expected = run(model, feeds)
    np.save(target, expected)
    return expected


def run(model: str, feeds: Iterable[dict[str, np.ndarray]]) -> np.ndarray:
    """Return the first output of a model for each feed, put together on axis 0."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(models.path(model)))
    return np.concatenate([session.run(None, feed)[0] for feed in feeds])

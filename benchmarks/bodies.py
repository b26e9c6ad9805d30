"""What the load generator sends and the answers it must get back.

A ``Pool`` holds ready-made HTTP requests, each with its own body, and the outputs ONNX Runtime gives
for them one by one. Pools are larger than what one round sends, so no body repeats within a round
and no cache anywhere can help. The same bytes go to every side: all of them serve ``POST /predict``
with ``{"data": ...}`` -> ``{"result": ...}``.

T: 4 numbers. M: 32 token ids and their mask. C: a 3x224x224 float32 array as ``application/x-npy``.
R: token ids alone, of unequal length.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from benchmarks import models

VOCABULARY = 30522
SIZES = {"T": 400_000, "M": 4000, "C": 640, "R": 4000}
JSON = "application/json"
NPY = "application/x-npy"
TOLERANCE = 2e-4
"""Largest difference allowed per number: batches of other sizes sum in another order."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Requests, expected outputs ``[n, k]`` and the work each stands for (tokens, or 1)."""

    requests: Sequence[bytes]
    expected: np.ndarray
    units: np.ndarray

    def wrong(self, indices: Sequence[int], bodies: Sequence[bytes]) -> int:
        """Count the answers that are not the expected ones of their own request."""
        return sum(
            not self._right(index, body) for index, body in zip(indices, bodies, strict=True)
        )

    def _right(self, index: int, body: bytes) -> bool:
        try:
            result = orjson.loads(body)["result"]
            answer = np.array(result, np.float32)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return False
        expected = self.expected[index]
        if answer.shape != expected.shape:
            return False
        return bool(np.abs(answer - expected).max() <= TOLERANCE)


def request(body: bytes, content_type: str = JSON, path: str = "/predict") -> bytes:
    """Return a complete HTTP/1.1 request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def build(name: str) -> Pool:
    """Build the pool of ``T``, ``M``, ``C`` or ``R`` (seeded: the same on every machine)."""
    return {"T": _small, "M": _sentences, "C": _pictures, "R": _ragged}[name](SIZES[name])


def probe(name: str) -> bytes:
    """Return one small request that a server of the model answers with 200 once it is up."""
    if name == "C":
        return request(npy(np.zeros((3, 224, 224), np.float32)), NPY)
    ones = [1] * 32
    data = {"T": [1, 2, 3, 4], "M": {"input_ids": ones, "attention_mask": ones}, "R": ones}
    return request(orjson.dumps({"data": data[name]}))


def lengths(count: int, seed: int = 7) -> np.ndarray:
    """Return sentence lengths in tokens: log-normal (median 20, sigma 0.8), cut to 4..128."""
    drawn = np.random.default_rng(seed).lognormal(np.log(20), 0.8, count)
    return np.clip(np.rint(drawn), 4, 128).astype(np.int64)


def tokens(sizes: Sequence[int], seed: int = 8) -> list[np.ndarray]:
    """Return random token ids, int64, one array for each size."""
    rng = np.random.default_rng(seed)
    return [rng.integers(1, VOCABULARY, size) for size in sizes]


def _small(count: int) -> Pool:
    rows = np.random.default_rng(5).uniform(-3, 3, (count, 4)).round(4)
    expected = _run("T", [{"x": rows.astype(np.float32)}])
    dump = orjson.dumps
    requests = [request(dump({"data": row})) for row in rows.tolist()]
    return Pool(requests, expected, np.ones(count))


def _sentences(count: int) -> Pool:
    ids = np.stack(tokens([32] * count))
    mask = np.ones_like(ids)
    chunks = [
        {"input_ids": ids[i : i + 16], "attention_mask": mask[i : i + 16]}
        for i in range(0, count, 16)
    ]
    expected = _cached("M", count, chunks)
    ones = [1] * 32
    requests = [
        request(orjson.dumps({"data": {"input_ids": row, "attention_mask": ones}}))
        for row in ids.tolist()
    ]
    return Pool(requests, expected, np.full(count, 32))


def _pictures(count: int) -> Pool:
    expected = _cached("C", count, ({"image": image} for image in _images(count)))
    requests = [request(npy(image[0]), NPY) for image in _images(count)]
    return Pool(requests, expected, np.ones(count))


def _images(count: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(6)
    for _ in range(count):
        yield rng.standard_normal((1, 3, 224, 224), np.float32)


def _ragged(count: int) -> Pool:
    sizes = lengths(count)
    rows = tokens(sizes.tolist())
    chunks = [{"input_ids": r[None], "attention_mask": np.ones_like(r[None])} for r in rows]
    expected = _cached("R", count, chunks)
    requests = [request(orjson.dumps({"data": row.tolist()})) for row in rows]
    return Pool(requests, expected, sizes)


def npy(array: np.ndarray) -> bytes:
    """Return the array as the bytes of an ``.npy`` file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _cached(name: str, count: int, feeds: Iterable[dict[str, np.ndarray]]) -> np.ndarray:
    target = models.ROOT / models.REVISION / f"expected-{name.lower()}-{count}.npy"
    if target.exists():
        return np.asarray(np.load(target))
    expected = _run("M" if name == "R" else name, feeds)
    np.save(target, expected)
    return expected


def _run(name: str, feeds: Iterable[dict[str, np.ndarray]]) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(models.path(name)))
    return np.concatenate([session.run(None, feed)[0] for feed in feeds])

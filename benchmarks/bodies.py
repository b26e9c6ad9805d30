"""What the load generator sends and the answers it must get back.

A ``Pool`` holds ready-made requests, each with its own body, and the outputs ONNX Runtime gives for
them one by one. Pools are larger than what one round sends, so no body repeats within a round and
no cache anywhere can help. The same bytes go to every side of a scenario. Most of them serve
``POST /predict`` with ``{"data": ...}`` -> ``{"result": ...}``:

T: 4 numbers. M: 32 token ids and their mask. C: a 3x224x224 float32 array as ``application/x-npy``.
R: token ids alone, of unequal length. B, J and N are pictures for the Open Inference Protocol and
for JSON (``pictures``); G and S are T over gRPC (``calls``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from benchmarks import calls, pictures
from benchmarks.pool import Pool, cached, request, run

VOCABULARY = 30522
SIZES = {
    "T": 400_000, "M": 4000, "C": 640, "R": 4000, "B": 30_000, "J": 3000, "N": 3000,
    "G": 100_000, "S": 200_000,
}  # fmt: skip
NPY = "application/x-npy"


def build(name: str) -> Pool:
    """Build a pool by name (seeded: the same on every machine)."""
    count = SIZES[name]
    if name in "BJN":
        return pictures.build(name, count)
    if name in "GS":
        rows = _rows(count)
        return calls.build(name, rows, run("T", [{"x": rows}]))
    return {"T": _small, "M": _sentences, "C": _pictures, "R": _ragged}[name](count)


def probe(name: str) -> bytes:
    """Return one request of a pool that a server answers with 200 (or OK) once it is up."""
    if name in "BJN":
        return pictures.probe(name)
    if name in "GS":
        return calls.message(np.ones(4, np.float32))
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
    expected = run("T", [{"x": rows.astype(np.float32)}])
    dump = orjson.dumps
    requests = [request(dump({"data": row})) for row in rows.tolist()]
    return Pool(requests, expected, np.ones(count))


def _rows(count: int) -> np.ndarray:
    return np.random.default_rng(12).uniform(-3, 3, (count, 4)).astype(np.float32)


def _sentences(count: int) -> Pool:
    ids = np.stack(tokens([32] * count))
    mask = np.ones_like(ids)
    chunks = [
        {"input_ids": ids[i : i + 16], "attention_mask": mask[i : i + 16]}
        for i in range(0, count, 16)
    ]
    expected = cached("M", "M", count, chunks)
    ones = [1] * 32
    requests = [
        request(orjson.dumps({"data": {"input_ids": row, "attention_mask": ones}}))
        for row in ids.tolist()
    ]
    return Pool(requests, expected, np.full(count, 32))


def _pictures(count: int) -> Pool:
    expected = cached("C", "C", count, ({"image": image} for image in _images(count)))
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
    expected = cached("R", "M", count, chunks)
    requests = [request(orjson.dumps({"data": row.tolist()})) for row in rows]
    return Pool(requests, expected, sizes)


def npy(array: np.ndarray) -> bytes:
    """Return the array as the bytes of an ``.npy`` file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()

"""Requests that carry one 3x224x224 float32 tensor: in the binary form, and as JSON.

**B**: the Open Inference Protocol's binary form, 602,112 bytes behind a short JSON part, the answer
asked for in binary, as that protocol's own clients do. **J**: the same protocol in JSON, the values
flat. **N**: the values nested, in the simple dialect. The JSON forms write each number in its shortest
form, 1.6 MB in all.

Every tensor differs from all others in its first rows; the rest is shared, so that thousands of them
fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from benchmarks.pool import JSON, Pool, cached, request, simple_result

SHAPE = (3, 224, 224)
ROWS = 4
"""Rows of the first colour that are a tensor's own."""

OWN = ROWS * SHAPE[2]
OCTETS = "application/octet-stream"
ANSWER_BYTES = 3 * 4
INFER = "/v2/models/b/infer"


def base() -> np.ndarray:
    """Return the tensor whose rest all share, ``[3, 224, 224]``."""
    return np.random.default_rng(10).standard_normal(SHAPE, np.float32)


def own(count: int) -> np.ndarray:
    """Return the first rows of each tensor, ``[count, ROWS, 224]``; their means are far apart."""
    rng = np.random.default_rng(11)
    rows = rng.standard_normal((count, ROWS, SHAPE[2]), np.float32)
    return rows + rng.uniform(-300, 300, (count, 1, 1)).astype(np.float32)


def build(name: str, count: int) -> Pool:
    """Build the pool ``B``, ``J`` or ``N``."""
    shared, rows = base(), own(count)
    make, read = {
        "B": (_binary, binary_result),
        "J": (_flat, json_result),
        "N": (_nested, simple_result),
    }[name]
    requests, tail = make(shared, rows)
    expected = cached("B", "B", count, _feeds(shared, rows))
    return Pool(requests, expected, np.ones(count), tail, read)


def probe(name: str) -> bytes:
    """Return one whole request of pool ``B``, ``J`` or ``N``."""
    make = {"B": _binary, "J": _flat, "N": _nested}[name]
    (first,), tail = make(base(), own(1))
    return first + tail


def _feeds(shared: np.ndarray, rows: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    image = shared[np.newaxis].copy()
    for row in rows:
        image[0, 0, :ROWS] = row
        yield {"image": image}


def _entry(**rest: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "FP32", "shape": [1, *SHAPE], **rest}


def _binary(shared: np.ndarray, rows: np.ndarray) -> tuple[list[bytes], bytes]:
    entry = _entry(parameters={"binary_data_size": shared.nbytes})
    head = orjson.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}})
    tail = shared.tobytes()[OWN * 4 :]
    size = f"Inference-Header-Content-Length: {len(head)}\r\n"
    requests = [
        request(head + row.tobytes(), OCTETS, INFER, more=len(tail), headers=size) for row in rows
    ]
    return requests, tail


def _text(array: np.ndarray) -> bytes:
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def _flat(shared: np.ndarray, rows: np.ndarray) -> tuple[list[bytes], bytes]:
    head = orjson.dumps({"inputs": [_entry(data=[])]}).removesuffix(b"]}]}")
    tail = b"," + _text(shared.reshape(-1)[OWN:])[1:] + b"}]}"
    requests = [
        request(head + _text(row.reshape(-1))[1:-1], JSON, INFER, more=len(tail)) for row in rows
    ]
    return requests, tail


def _nested(shared: np.ndarray, rows: np.ndarray) -> tuple[list[bytes], bytes]:
    rest, others = _text(shared[0, ROWS:])[1:], _text(shared[1:])[1:]
    tail = b"," + rest + b"," + others + b"}"
    requests = [request(b'{"data":[' + _text(row)[:-1], JSON, more=len(tail)) for row in rows]
    return requests, tail


def json_result(body: bytes) -> Any:
    """Return the one example's numbers in an infer response in JSON."""
    (output,) = orjson.loads(body)["outputs"]
    return np.array(output["data"], np.float32).reshape(output["shape"])[0]


def binary_result(body: bytes) -> np.ndarray:
    """Return the one example's numbers in an infer response whose one output is binary."""
    head, raw = body[:-ANSWER_BYTES], body[-ANSWER_BYTES:]
    (output,) = orjson.loads(head)["outputs"]
    if output["parameters"]["binary_data_size"] != ANSWER_BYTES:
        raise ValueError("the answer is not three numbers")
    return np.frombuffer(raw, "<f4").reshape(output["shape"])[0]

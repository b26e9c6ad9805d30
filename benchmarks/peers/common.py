"""What every peer shares: one ONNX Runtime session, one decoder, one encoder.

The fast pieces are given to all (orjson, ONNX Runtime with the threads the side is configured
for), so that a comparison is of servers and not of JSON libraries. Settings come from the
environment: ``BENCH_MODEL`` (file), ``BENCH_PORT``, ``BENCH_WORKERS``, ``BENCH_THREADS`` (intra-op
threads of one session), ``BENCH_BATCH`` (largest batch; 1 is batching off), ``BENCH_WAIT_MS``,
``BENCH_STOCK_JSON`` (a peer's own JSON instead of orjson, as its users get it) and ``BENCH_STYLE``
(which way of writing a server, for peers that have several).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

MODEL = os.environ.get("BENCH_MODEL", "")
PORT = int(os.environ.get("BENCH_PORT", "8000"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "1"))
THREADS = int(os.environ.get("BENCH_THREADS", "1"))
BATCH = int(os.environ.get("BENCH_BATCH", "1"))
WAIT_MS = int(os.environ.get("BENCH_WAIT_MS", "1"))
STYLE = os.environ.get("BENCH_STYLE", "")
STOCK_JSON = bool(os.environ.get("BENCH_STOCK_JSON"))

Example = dict[str, np.ndarray]
_NUMPY = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Model:
    """The session and the two directions of the contract."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(MODEL, options)
        self.run: Callable[..., Any] = session.run
        self.dtypes = {i.name: _NUMPY[i.type] for i in session.get_inputs()}
        self.first = next(iter(self.dtypes))

    def decode(self, body: bytes) -> Example:
        """Return one example's inputs, without a batch axis."""
        if body.startswith(b"\x93NUMPY"):
            return {self.first: np.load(io.BytesIO(body), allow_pickle=False)}
        return self.example(orjson.loads(body)["data"])

    def example(self, data: Any) -> Example:
        """Return the inputs that decoded JSON holds."""
        if isinstance(data, dict):
            return {n: np.array(data[n], d) for n, d in self.dtypes.items()}
        return {self.first: np.array(data, self.dtypes[self.first])}

    def predict(self, examples: Sequence[Example]) -> Any:
        """Run one batch; return the first output, batch on axis 0."""
        feed = {n: np.stack([e[n] for e in examples]) for n in self.dtypes}
        return self.run(None, feed)[0]

    def one(self, body: bytes) -> bytes:
        """Answer one body by itself."""
        return self.encode(self.predict([self.decode(body)])[0])

    def infer(self, body: bytes) -> bytes:
        """Answer an infer request of one input."""
        (tensor,) = orjson.loads(body)["inputs"]
        array = np.array(tensor["data"], self.dtypes[self.first]).reshape(tensor["shape"])
        result = self.run(None, {self.first: array})[0]
        output = {
            "name": "output", "datatype": "FP32", "shape": result.shape, "data": result.reshape(-1),
        }  # fmt: skip
        return orjson.dumps({"outputs": [output]}, option=orjson.OPT_SERIALIZE_NUMPY)

    @staticmethod
    def encode(row: np.ndarray) -> bytes:
        """Return the answer's body."""
        return orjson.dumps({"result": row}, option=orjson.OPT_SERIALIZE_NUMPY)

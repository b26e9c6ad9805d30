"""The raw ceiling of one process: parse, decode, run the model inline, encode, answer.

No batching, no worker, no validation, no metrics, no deadlines. What a server with features reaches
of it says what the features cost. Usage: ``python -m benchmarks.ceiling MODEL PORT``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import onnxruntime
import orjson

from benchmarks import miniserver, models


def main() -> None:
    """Serve the model named by the first argument on the port given by the second."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(models.path(sys.argv[1])), options)
    names = [i.name for i in session.get_inputs()]
    name, run = names[0], session.run
    loads, dumps, numpy = orjson.loads, orjson.dumps, orjson.OPT_SERIALIZE_NUMPY
    array, float32 = np.array, np.float32

    def handle(body: bytes, answer: Callable[[bytes], None]) -> None:
        rows = array([loads(body)["data"]], float32)
        answer(dumps({"result": run(None, {name: rows})[0][0]}, option=numpy))

    miniserver.serve(int(sys.argv[2]), lambda: miniserver.Protocol(handle))


if __name__ == "__main__":
    main()

"""Requests of the Open Inference Protocol over gRPC: T's four numbers as raw bytes, and its answers.

**G** is for ``ModelInfer``, one call for each request; **S** for ``ModelStreamInfer``, one after the
other on streams that stay open. Messages are made beforehand and read when the clock has stopped.

Source: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto.
"""

from __future__ import annotations

import numpy as np

from benchmarks.pool import Pool
from benchmarks.protobuf import field, fields, packed

MODEL = "t"
SERVICE = "/inference.GRPCInferenceService/"
METHODS = {"G": SERVICE + "ModelInfer", "S": SERVICE + "ModelStreamInfer"}


def message(row: np.ndarray) -> bytes:
    """Return a ``ModelInferRequest`` for one example, its values in ``raw_input_contents``."""
    tensor = field(1, "x") + field(2, "FP32") + packed(3, [1, len(row)])
    return field(1, MODEL) + field(5, tensor) + field(7, row.astype("<f4").tobytes())


def infer_result(answer: bytes) -> np.ndarray:
    """Return the numbers in a ``ModelInferResponse``; raises ``ValueError`` or ``IndexError``."""
    raw = [value for number, value in fields(answer) if number == 6]
    if raw:
        return np.frombuffer(_bytes(raw[0]), "<f4")
    (output,) = [_bytes(value) for number, value in fields(answer) if number == 5]
    (contents,) = [_bytes(value) for number, value in fields(output) if number == 5]
    (floats,) = [_bytes(value) for number, value in fields(contents) if number == 6]
    return np.frombuffer(floats, "<f4")


def stream_result(answer: bytes) -> np.ndarray:
    """Return the numbers in a ``ModelStreamInferResponse``.

    MLServer sends what it would hold, a ``ModelInferResponse``: told by its outputs.
    """
    found = list(fields(answer))
    if any(number in (5, 6) for number, _ in found):
        return infer_result(answer)
    (inner,) = [_bytes(value) for number, value in found if number == 2]
    return infer_result(inner)


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where bytes are expected")
    return value


def build(name: str, rows: np.ndarray, expected: np.ndarray) -> Pool:
    """Build the pool ``G`` or ``S`` of ``rows`` of four numbers."""
    read = infer_result if name == "G" else stream_result
    return Pool([message(row) for row in rows], expected, np.ones(len(rows)), read=read)

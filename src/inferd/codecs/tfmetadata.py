"""Metadata of a model as TensorFlow Serving writes it: the JSON form of its signature message.

Sizes of axes are texts (64-bit numbers are, in the JSON of protocol buffers), free ones ``"-1"``.

Source: tensorflow/serving, ``apis/get_model_metadata.proto``; tensorflow, ``types.proto``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inferd.codecs.tfserving import SERVING_DEFAULT
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, DTYPES, FP16, FP32, FP64, DType

PREDICT_METHOD = "tensorflow/serving/predict"

_OTHERS = {BYTES: "STRING", FP16: "HALF", FP32: "FLOAT", FP64: "DOUBLE"}
DATATYPES: dict[DType, str] = {d: f"DT_{_OTHERS.get(d, d.name)}" for d in DTYPES}
"""Our datatypes as those of TensorFlow."""


def metadata(model: str, version: str, signature: Signature) -> dict[str, Any]:
    """Return the body of ``GET /v1/models/{name}/metadata``."""
    definition = {
        "inputs": _tensors(signature.inputs),
        "outputs": _tensors(signature.outputs),
        "method_name": PREDICT_METHOD,
    }
    return {
        "model_spec": {"name": model, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {SERVING_DEFAULT: definition}}},
    }


def _tensors(specs: Sequence[TensorSpec]) -> dict[str, Any]:
    return {
        spec.name: {
            "dtype": DATATYPES[spec.dtype],
            "tensor_shape": {
                "dim": [{"size": str(size), "name": ""} for size in spec.shape],
                "unknown_rank": False,
            },
            "name": spec.name,
        }
        for spec in specs
    }

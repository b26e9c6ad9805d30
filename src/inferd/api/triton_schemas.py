"""JSON Schemas of the requests and answers of Triton's extensions."""

from __future__ import annotations

from typing import Any

from inferd.api.schemas import GIVEN, PARAMETER, Schema, leaf, required
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES


def generate_request(signature: Signature) -> Schema:
    """Return the schema of a generate request: inputs by name, and parameters."""
    return {
        "type": "object",
        "properties": {
            **{spec.name: _value(spec, signature) for spec in signature.inputs},
            "id": {"type": "string"},
            "parameters": GIVEN,
        },
        "required": required(signature),
        "additionalProperties": PARAMETER,
    }


def generate_response(signature: Signature) -> Schema:
    """Return the schema of a generate answer: outputs by name."""
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            **{spec.name: _value(spec, signature) for spec in signature.outputs},
        },
        "required": ["model_name", "model_version"],
    }


def _value(spec: TensorSpec, signature: Signature) -> Schema:
    """Return the schema of one example's value: bare, or in lists."""
    row = spec.shape[1:] if signature.batched else spec.shape
    bare: Schema = {"type": "string"} if spec.dtype is BYTES else leaf(spec.dtype)
    lists: Schema = bare
    for size in reversed(row):
        lists = {"type": "array", "items": lists}
        if size >= 0:
            lists |= {"minItems": size, "maxItems": size}
    if not row:
        return {"anyOf": [bare, {"type": "array", "items": bare, "minItems": 1, "maxItems": 1}]}
    return {"anyOf": [bare, lists]} if all(n in (1, -1) for n in row) else lists


def _object(required: tuple[str, ...], **properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


_TENSORS: Schema = {
    "type": "array",
    "items": _object(
        ("name", "data_type", "dims"),
        name={"type": "string"},
        data_type={"type": "string", "pattern": "^TYPE_"},
        dims={"type": "array", "items": {"type": "integer", "minimum": -1}},
    ),
}
_SPENT: Schema = _object(
    ("count", "ns"), count={"type": "integer", "minimum": 0}, ns={"type": "integer", "minimum": 0}
)
_STATISTICS: Schema = _object(
    ("name", "version", "inference_count", "execution_count", "inference_stats", "batch_stats"),
    name={"type": "string"},
    version={"type": "string"},
    last_inference={"type": "integer"},
    inference_count={"type": "integer"},
    execution_count={"type": "integer"},
    inference_stats={"type": "object", "additionalProperties": _SPENT},
    batch_stats={"type": "array", "items": {"type": "object"}},
)

RESPONSES: dict[str, Schema] = {
    "triton_config": _object(
        ("name", "max_batch_size", "input", "output"),
        name={"type": "string"},
        max_batch_size={"type": "integer", "minimum": 0},
        input=_TENSORS,
        output=_TENSORS,
    ),
    "triton_statistics": _object(
        ("model_stats",), model_stats={"type": "array", "items": _STATISTICS}
    ),
    "triton_index": {
        "type": "array",
        "items": _object(
            ("name", "version", "state", "reason"),
            name={"type": "string"},
            version={"type": "string"},
            state={"enum": ["READY", "LOADING", "UNAVAILABLE"]},
            reason={"type": "string"},
        ),
    },
}
"""Answers by door."""

REQUESTS: dict[str, Schema] = {
    "triton_index": _object((), ready={"type": "boolean"}),
    "triton_load": _object((), parameters=GIVEN),
    "triton_unload": _object((), parameters=GIVEN),
}
"""Bodies of requests by door; they may be left empty."""

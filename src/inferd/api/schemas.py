"""JSON Schemas of requests and responses, made from signatures."""

from __future__ import annotations

from typing import Any

from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP16, DType

Schema = dict[str, Any]

TEXT: Schema = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "description": "Bytes that are not UTF-8 text, in base64.",
            "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
            "required": ["b64"],
            "additionalProperties": False,
        },
    ]
}


def leaf(dtype: DType) -> Schema:
    """Return the schema of one element."""
    kind = dtype.numpy.kind
    if dtype is BYTES:
        return TEXT
    if kind == "b":
        return {"type": "boolean"}
    if kind == "f":
        return {"type": ["number", "null"], "description": f"{dtype.name}; null is NaN"}
    bits = dtype.itemsize * 8
    low, high = (0, 2**bits - 1) if kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return {"type": "integer", "minimum": low, "maximum": high}


def nested(dtype: DType, shape: tuple[int, ...]) -> Schema:
    """Return the schema of an array as nested lists."""
    schema = leaf(dtype)
    for size in reversed(shape):
        schema = {"type": "array", "items": schema}
        if size >= 0:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _example(spec: TensorSpec, signature: Signature) -> Schema:
    return nested(spec.dtype, spec.shape[1:] if signature.batched else spec.shape)


def simple_request(signature: Signature) -> Schema:
    """Return the schema of ``{"data": ...}``."""
    inputs = signature.inputs
    by_name: Schema = {
        "type": "object",
        "properties": {s.name: _example(s, signature) for s in inputs},
        "required": [s.name for s in inputs],
        "additionalProperties": False,
    }
    forms = [by_name]
    if len(inputs) == 1:
        forms.insert(0, _example(inputs[0], signature))
    if signature.batched:
        columns = {s.name: nested(s.dtype, s.shape) for s in inputs}
        forms += [{"type": "array", "minItems": 1, "items": form} for form in list(forms)]
        forms.append({**by_name, "properties": columns})
    return {
        "type": "object",
        "properties": {
            "data": {"anyOf": forms},
            "outputs": {
                "type": "array",
                "items": {"enum": [s.name for s in signature.outputs]},
                "minItems": 1,
            },
            "parameters": PARAMETERS,
        },
        "required": ["data"],
        "additionalProperties": False,
    }


def simple_response(signature: Signature) -> Schema:
    """Return the schema of ``{"result": ...}``."""
    parts = {s.name: _part(s, signature) for s in signature.outputs}
    one: Schema
    one = next(iter(parts.values())) if len(parts) == 1 else {"type": "object", "properties": parts}
    forms = [one, {"type": "array", "items": one}] if signature.batched else [one]
    return {"type": "object", "properties": {"result": {"anyOf": forms}}, "required": ["result"]}


def _part(spec: TensorSpec, signature: Signature) -> Schema:
    shape = spec.shape[1:] if signature.batched else spec.shape
    if all(n in (1, -1) for n in shape):
        return (
            {"anyOf": [leaf(spec.dtype), nested(spec.dtype, shape)]} if shape else leaf(spec.dtype)
        )
    return nested(spec.dtype, shape)


PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}


def oip_request(signature: Signature) -> Schema:
    """Return the schema of an Open Inference Protocol infer request."""
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": PARAMETERS,
            "inputs": {
                "type": "array",
                "items": {"oneOf": [_tensor(spec) for spec in signature.inputs]}
                if signature.inputs
                else {},
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"enum": [s.name for s in signature.outputs]},
                        "parameters": PARAMETERS,
                    },
                    "required": ["name"],
                },
            },
        },
        "required": ["inputs"],
    }


def oip_response(signature: Signature) -> Schema:
    """Return the schema of an Open Inference Protocol infer response."""
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {
                "type": "array",
                "items": {"oneOf": [_tensor(spec) for spec in signature.outputs]}
                if signature.outputs
                else {},
            },
        },
        "required": ["model_name", "outputs"],
    }


def _tensor(spec: TensorSpec) -> Schema:
    element = {"type": "string"} if spec.dtype is BYTES else leaf(spec.dtype)
    return {
        "type": "object",
        "properties": {
            "name": {"const": spec.name},
            "datatype": {"const": spec.dtype.name},
            "shape": {
                "type": "array",
                "prefixItems": [
                    {"type": "integer", "minimum": 0} if n < 0 else {"const": n} for n in spec.shape
                ],
                "minItems": len(spec.shape),
                "maxItems": len(spec.shape),
            }
            if spec.shape
            else {"type": "array", "maxItems": 0},
            "parameters": PARAMETERS,
            "data": {
                "description": "Row-major, nested or flat."
                + (" FP16 has no JSON form." if spec.dtype is FP16 else ""),
                "type": "array",
                "items": {"anyOf": [element, {"type": "array"}]},
            },
        },
        "required": ["name", "shape", "datatype", "data"],
    }

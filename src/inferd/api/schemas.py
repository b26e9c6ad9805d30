"""JSON Schemas of requests and responses, made from signatures."""

from __future__ import annotations

from typing import Any

from inferd.codecs.values import holds_one
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP16, DType

Schema = dict[str, Any]

_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

TEXT: Schema = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "description": "Bytes that are not UTF-8 text, in base64.",
            "properties": {
                "b64": {"type": "string", "contentEncoding": "base64", "pattern": _BASE64}
            },
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


def _value(spec: TensorSpec, signature: Signature) -> Schema:
    """Return the schema of an example of one input; a bare value will do where it holds one."""
    example = _example(spec, signature)
    bare = leaf(spec.dtype)
    if holds_one(spec, signature) and example != bare:
        example = {"anyOf": [bare, example]}
    return example if spec.default is None else {**example, "default": spec.default}


def required(signature: Signature) -> list[str]:
    """Return the inputs that a request cannot leave out."""
    return [spec.name for spec in signature.inputs if spec.default is None]


def simple_request(signature: Signature) -> Schema:
    """Return the schema of ``{"data": ...}``."""
    names = [s.name for s in signature.outputs]
    return {
        "type": "object",
        "properties": {
            "data": {"anyOf": data_forms(signature), "not": {"type": "null"}},
            "outputs": {"type": ["array", "null"], "items": {"enum": names}, "minItems": 1},
            "parameters": GIVEN,
        },
        "required": ["data"],
        "additionalProperties": False,
    }


def data_forms(signature: Signature) -> list[Schema]:
    """Return the forms of ``data``: one example and a batch, by name, bare and by position."""
    inputs = signature.inputs
    values = [_value(s, signature) for s in inputs]
    by_name: Schema = {
        "type": "object",
        "properties": {s.name: v for s, v in zip(inputs, values, strict=True)},
        "required": required(signature),
        "additionalProperties": False,
    }
    by_order: Schema = {
        "type": "array",
        "prefixItems": values,
        "minItems": len(values),
        "maxItems": len(values),
    }
    lone = signature.lone
    forms = [_value(lone, signature) if lone else by_order, by_name]
    if not signature.batched:
        return forms
    # In a batch of one input a bare value would be an example itself: [5] is one, not a batch of 5.
    rows = _example(lone, signature) if lone else by_order
    columns = {s.name: _batch(_example(s, signature)) for s in inputs}
    return [*forms, _batch(rows), _batch(by_name), {**by_name, "properties": columns}]


def _batch(example: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": example}


def simple_response(signature: Signature) -> Schema:
    """Return the schema of ``{"result": ...}``."""
    forms = result_forms(signature)
    return {"type": "object", "properties": {"result": {"anyOf": forms}}, "required": ["result"]}


def result_forms(signature: Signature) -> list[Schema]:
    """Return the forms of ``result``: that of one example, and those of a batch."""
    parts = {s.name: _part(s, signature) for s in signature.outputs}
    named: Schema = {"type": "object", "properties": parts, "additionalProperties": False}
    # Where ``outputs`` asks for one of several, its value stands alone.
    forms = [*parts.values()] if len(parts) == 1 else [named, *parts.values()]
    if signature.batched:
        forms = [*forms, *({"type": "array", "items": form} for form in forms)]
    return forms


def _part(spec: TensorSpec, signature: Signature) -> Schema:
    return leaf(spec.dtype) if holds_one(spec, signature) else _example(spec, signature)


_SCALAR = ["string", "number", "boolean"]
PARAMETER: Schema = {"type": [*_SCALAR, "array"], "items": {"type": _SCALAR}}
PARAMETERS: Schema = {"type": "object", "additionalProperties": PARAMETER}
GIVEN: Schema = {**PARAMETERS, "type": ["object", "null"]}
"""Parameters of a request, which may be null as well as left out."""


def oip_request(signature: Signature) -> Schema:
    """Return the schema of an Open Inference Protocol infer request."""
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": GIVEN,
            "inputs": {
                "type": "array",
                "items": {"oneOf": [_tensor(spec) for spec in signature.inputs]}
                if signature.inputs
                else {},
                "minItems": len(required(signature)),
                "maxItems": len(signature.inputs),
            },
            "outputs": {
                "type": ["array", "null"],
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"enum": [s.name for s in signature.outputs]},
                        "parameters": GIVEN,
                    },
                    "required": ["name"],
                },
            },
        },
        "required": ["inputs"] if required(signature) or not signature.inputs else [],
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
            "parameters": GIVEN,
            "data": {
                "description": "Row-major, nested or flat."
                + (" FP16 has no JSON form." if spec.dtype is FP16 else ""),
                "type": "array",
                "items": {"anyOf": [element, {"type": "array"}]},
            },
        },
        "required": ["name", "shape", "datatype", "data"],
    }

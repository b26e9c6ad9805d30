"""JSON Schemas of TensorFlow Serving's requests and answers, made from signatures.

What is not finite goes as bare tokens, which no schema can speak of: they count as numbers here.
"""

from __future__ import annotations

from collections.abc import Callable

from inferd.api.schemas import GIVEN, Schema, leaf, nested, required
from inferd.codecs.tfserving import SERVING_DEFAULT
from inferd.codecs.values import holds_one
from inferd.core.signature import Signature, TensorSpec

_SIGNATURE: Schema = {"type": ["string", "null"], "examples": [SERVING_DEFAULT]}


def predict_request(signature: Signature) -> Schema:
    """Return the schema of a predict request: rows or columns."""
    inputs = signature.inputs
    needed = required(signature)
    row = _object({s.name: _example(s, signature) for s in inputs}, closed=True)
    row["required"] = needed
    columns = _object({s.name: nested(s.dtype, s.shape) for s in inputs}, closed=False)
    columns["required"] = needed
    rows: Schema = {"type": "array", "minItems": 1, "items": row}
    instances: list[Schema] = [rows]
    whole: list[Schema] = [columns, rows]
    lone = signature.lone
    if lone is not None:
        example = _example(lone, signature)
        instances = [{"type": "array", "minItems": 1, "items": example}, rows]
        whole = [nested(lone.dtype, lone.shape), columns, rows]
    return {
        "type": "object",
        "properties": {
            "signature_name": _SIGNATURE,
            "instances": {"anyOf": instances},
            "inputs": {"anyOf": whole},
            "parameters": GIVEN,
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    }


def predict_response(signature: Signature) -> Schema:
    """Return the schema of the answer to either form."""
    rows, columns = _answers(signature)
    return {
        "oneOf": [
            _object({"predictions": rows}, closed=True),
            _object({"outputs": columns}, closed=True),
        ]
    }


def explain_response(signature: Signature) -> Schema:
    """Return the schema of the answer of an explainer of that signature, to either form."""
    rows, columns = _answers(signature)
    values = rows if rows == columns else {"anyOf": [rows, columns]}
    return _object({"explanations": values}, closed=True)


def _answers(signature: Signature) -> tuple[Schema, Schema]:
    """Return the schemas of the outputs as rows and as columns."""
    outputs = signature.outputs
    if len(outputs) == 1:
        whole = nested(outputs[0].dtype, outputs[0].shape)
        return whole, whole
    row = _object({s.name: nested(s.dtype, s.shape[1:]) for s in outputs}, closed=True)
    columns = _object({s.name: nested(s.dtype, s.shape) for s in outputs}, closed=True)
    return {"type": "array", "items": row}, columns


def examples_request(signature: Signature) -> Schema:
    """Return the schema of a classify or regress request."""
    value: Schema = {"description": "A value, or a flat list of values."}
    feature: Schema = {"type": "object", "properties": {s.name: value for s in signature.inputs}}
    return {
        "type": "object",
        "properties": {
            "signature_name": _SIGNATURE,
            "context": feature,
            "examples": {"type": "array", "minItems": 1, "items": feature},
        },
        "required": ["examples"],
    }


def classify_response(signature: Signature) -> Schema:
    """Return the schema of labels and scores."""
    pair: Schema = {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "number"}],
        "minItems": 2,
        "maxItems": 2,
    }
    return _results({"type": "array", "items": pair})


def regress_response(signature: Signature) -> Schema:
    """Return the schema of one number for each example."""
    return _results({"type": "number"})


KINDS = {
    "tfs_predict": "Predict", "tfs_classify": "Classify", "tfs_regress": "Regress",
    "tfs_explain": "Explain",
}  # fmt: skip
"""Doors, and how the names of their schemas begin."""

MAKERS: dict[str, Callable[[Signature], Schema]] = {
    "PredictRequest": predict_request, "PredictResponse": predict_response,
    "ClassifyRequest": examples_request, "ClassifyResponse": classify_response,
    "RegressRequest": examples_request, "RegressResponse": regress_response,
    "ExplainRequest": predict_request, "ExplainResponse": explain_response,
}  # fmt: skip
"""What makes each schema."""

OF_EXPLAINER = ("ExplainRequest", "ExplainResponse")
"""The schemas that are made from the signature of a model's explainer."""


def _results(item: Schema) -> Schema:
    return _object({"results": {"type": "array", "items": item}}, closed=True)


def _object(properties: dict[str, Schema], *, closed: bool) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": not closed,
    }


def _example(spec: TensorSpec, signature: Signature) -> Schema:
    """Return the schema of a row of one input; a bare value will do where it holds one."""
    example = nested(spec.dtype, spec.shape[1:])
    if len(spec.shape) > 1 and holds_one(spec, signature):
        return {"anyOf": [leaf(spec.dtype), example]}
    return example

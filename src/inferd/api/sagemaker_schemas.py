"""JSON Schemas of SageMaker's requests and answers, made from signatures, and what its doors refuse."""

from __future__ import annotations

from collections.abc import Callable

from inferd.api.schemas import (
    GIVEN,
    Schema,
    data_forms,
    oip_request,
    oip_response,
    result_forms,
    simple_request,
)
from inferd.core import script
from inferd.core.signature import Signature

ERROR: Schema = {
    "type": "object",
    "properties": {
        "Message": {"type": "string"},
        "OriginalStatusCode": {"type": "integer"},
        "OriginalMessage": {"type": "string"},
    },
    "required": ["Message"],
}
"""The body of an error of the runtime API."""

KINDS = {"sm_endpoint": "Invocation", "sm_endpoint_stream": "Invocation"}
"""Doors that are described for each version, and how the names of their schemas begin."""

PRESENT: Schema = {
    "type": "object",
    "properties": {"modelName": {"type": "string"}, "modelUrl": {"type": "string"}},
    "required": ["modelName", "modelUrl"],
}
REQUESTS: dict[str, Schema] = {
    "sm_load": {
        "type": "object",
        "properties": {
            "model_name": {"type": "string", "minLength": 1},
            "url": {"type": "string", "minLength": 1},
        },
        "required": ["model_name", "url"],
    },
    **{door: {} for door in ("sm_invoke", "sm_invoke_model", *KINDS)},
}
RESPONSES: dict[str, Schema] = {
    "sm_models": {
        "type": "object",
        "properties": {
            "models": {"type": "array", "items": PRESENT},
            "nextPageToken": {"type": "string"},
        },
        "required": ["models"],
    },
    "sm_model": PRESENT,
    **{door: {} for door in ("sm_invoke", "sm_invoke_model", "sm_endpoint")},
}
NO_MODELS = "This server is no multi-model container."
REFUSALS: dict[str, dict[str, str]] = {
    "sm_models": {"403": NO_MODELS},
    "sm_model": {"403": NO_MODELS, "404": "No such model."},
    "sm_unload": {"403": NO_MODELS, "404": "No such model."},
    "sm_load": {
        "400": "The path or the model will not do.",
        "403": NO_MODELS,
        "404": "There is no such path.",
        "409": "The model is loaded already.",
        "413": "The body is too large.",
        "415": "The body is no JSON.",
        "429": "Too many models are being loaded; see Retry-After.",
        "507": "Memory does not suffice.",
    },
}
"""What doors of multi-model containers answer beside 200."""

RUNTIME_REFUSALS = {
    "400": "ValidationError: the request is wrong, or names no model.",
    "424": "ModelError: the model failed on this input.",
    "429": "ModelNotReadyException: not serving now; see Retry-After.",
    "500": "InternalFailure.",
    "503": "ServiceUnavailable: over a limit of load; see Retry-After.",
}


def invocation_request(signature: Signature) -> Schema:
    """Return the schema of a JSON body: any of its forms."""
    if script.reads_bodies(signature):
        return {}
    forms = data_forms(signature)
    bare = [form for form in forms if form.get("type") != "object"]
    # An example alone or by name, and the lone input's as {"features": ...}: the first of the forms.
    rows: Schema = {"type": "array", "minItems": 1, "items": {"anyOf": forms[:2]}}
    keyed = {"instances": rows, "inputs": {"anyOf": forms}, "data": {"anyOf": forms}}
    names = simple_request(signature)["properties"]["outputs"]
    objects = [_keyed(key, value, names) for key, value in keyed.items()]
    return {"anyOf": [*bare, *objects, oip_request(signature)]}


def _keyed(key: str, value: Schema, outputs: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {
            key: value,
            "parameters": GIVEN,
            "stream": {"type": "boolean"},
            "signature_name": {},
            "outputs": outputs,
        },
        "required": [key],
        "additionalProperties": False,
    }


def invocation_response(signature: Signature) -> Schema:
    """Return the schema of an answer in JSON: in the form of its question."""
    if script.reads_bodies(signature):
        return {}
    forms = result_forms(signature)
    keyed = [
        {"type": "object", "properties": {key: {"anyOf": forms}}, "required": [key]}
        for key in ("predictions", "result")
    ]
    return {"anyOf": [*forms, *keyed, oip_response(signature)]}


MAKERS: dict[str, Callable[[Signature], Schema]] = {
    "InvocationRequest": invocation_request,
    "InvocationResponse": invocation_response,
}

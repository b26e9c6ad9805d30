"""What the routes of each dialect take, answer and refuse where no signature decides it: by door.

A door that is not named here answers with any JSON object. Errors have the form of their dialect.
"""

from __future__ import annotations

from typing import Any

from inferd.api import openai_schemas, sagemaker_schemas, triton_schemas
from inferd.api.errors import STATUS
from inferd.api.routes import (
    ADMIN,
    INFER,
    OIP,
    OPENAI,
    PUBLIC,
    SAGEMAKER,
    SAGEMAKER_RUNTIME,
    TFSERVING,
    Route,
)
from inferd.api.schemas import Schema
from inferd.codecs.eventstream import MEDIA as AMAZON
from inferd.codecs.media import JSON_LINES

EVENTS = "text/event-stream"
NDJSON = "application/x-ndjson"


def _object(required: tuple[str, ...], **properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_OR_NULL: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": "boolean"}

ERRORS: dict[str, Schema] = {
    "Error": _object(
        ("error",),
        error=_object(
            ("kind", "message"),
            kind={"type": "string", "examples": sorted(STATUS)},
            message=_TEXT,
            help=_TEXT,
        ),
    ),
    "OIPError": _object(("error",), error=_TEXT),
    "OpenAIError": openai_schemas.ERROR,
    "SageMakerError": sagemaker_schemas.ERROR,
}
"""Bodies of errors, by the names of their schemas."""

ERROR_OF: dict[str, str] = {
    OIP: "OIPError",
    TFSERVING: "OIPError",
    SAGEMAKER: "OIPError",
    SAGEMAKER_RUNTIME: "SageMakerError",
    OPENAI: "OpenAIError",
}
"""Dialect to the name of its errors' schema; the others have ``Error``."""

# ------------------------------------------------------------------------------------- answers

_STATUS: Schema = _list(
    _object(
        ("version", "state", "status"),
        version=_TEXT,
        state={"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END", "UNKNOWN"]},
        status=_object(("error_code", "error_message"), error_code=_TEXT, error_message=_TEXT),
    )
)
_CARD: Schema = openai_schemas.RESPONSES["openai_model"]
_TENSOR: Schema = _object(
    ("name", "datatype", "shape"),
    name=_TEXT,
    datatype=_TEXT,
    shape=_list({"type": "integer", "minimum": -1}),
)
_VERSION: Schema = _object(
    ("version", "state", "ready", "reason"),
    version=_TEXT,
    state=_TEXT,
    ready=_FLAG,
    reason=_OR_NULL,
)
_DESCRIBED: Schema = _object(
    ("name", "version", "state", "ready", "reason", "runtime", "signature", "accepts", "plan"),
    **_VERSION["properties"],
    name=_TEXT,
    platform=_OR_NULL,
    task=_OR_NULL,
    signature={"type": ["object", "null"]},
    accepts=_list(_TEXT),
    plan={"type": "object"},
)


def _model(version: Schema) -> Schema:
    return _object(
        ("name", "default", "ready", "versions"),
        name=_TEXT, default=_TEXT, ready=_FLAG, versions=_list(version),
    )  # fmt: skip


ANSWERS: dict[str, Schema] = {
    **openai_schemas.RESPONSES,
    **triton_schemas.RESPONSES,
    **sagemaker_schemas.RESPONSES,
    "healthz": _object(("status",), status={"const": "ok"}),
    "readyz": _object(("status",), status=_TEXT, reasons=_list(_TEXT)),
    "kserve_alive": _object(("status",), status={"const": "alive"}),
    "oip_live": _object(("live",), live=_FLAG),
    "oip_ready": _object(("live", "ready"), live=_FLAG, ready=_FLAG, reasons=_list(_TEXT)),
    "oip_server": _object(
        ("name", "version", "extensions"), name=_TEXT, version=_TEXT, extensions=_list(_TEXT)
    ),
    "oip_models": _object(
        ("models", "states"),
        models=_list(_TEXT),
        states={
            "type": "object",
            "additionalProperties": _list(
                _object(("version", "state"), version=_TEXT, state=_TEXT, reason=_TEXT)
            ),
        },
    ),
    "oip_model": _object(
        ("name", "versions", "platform", "inputs", "outputs"),
        name=_TEXT,
        versions=_list(_TEXT),
        platform=_TEXT,
        inputs=_list(_TENSOR),
        outputs=_list(_TENSOR),
    ),
    "oip_model_ready": _object(("name", "ready"), name=_TEXT, ready=_FLAG, reason=_TEXT),
    "tfs_models": _object(
        ("object", "data", "models"),
        object={"const": "list"},
        data=_list(_CARD),
        models=_list(_TEXT),
    ),
    "tfs_model": _object(
        ("id", "object", "created", "owned_by", "name", "ready", "model_version_status"),
        **_CARD["properties"],
        name=_TEXT,
        ready=_FLAG,
        model_version_status=_STATUS,
    ),
    "tfs_status": _object(("model_version_status",), model_version_status=_STATUS),
    "tfs_metadata": _object(
        ("model_spec", "metadata"),
        model_spec=_object(
            ("name", "signature_name", "version"), name=_TEXT, signature_name=_TEXT, version=_TEXT
        ),
        metadata=_object(("signature_def",), signature_def={"type": "object"}),
    ),
    "models": _object(("models",), models=_list(_model(_VERSION))),
    "model": _model(_DESCRIBED),
    "version": _DESCRIBED,
    "openapi": _object(("openapi", "info", "paths"), openapi=_TEXT),
}
"""Door to the schema of its answers in JSON."""

REQUESTS: dict[str, Schema] = {
    **openai_schemas.REQUESTS,
    **triton_schemas.REQUESTS,
    **sagemaker_schemas.REQUESTS,
}
"""Door to the schema of its requests in JSON."""

MAY_BE_EMPTY: tuple[str, ...] = tuple(triton_schemas.REQUESTS)
"""Doors whose requests need no body."""

BODILESS: tuple[str, ...] = ("sm_ping", "triton_load", "triton_unload")
"""Doors that answer 200 with nothing."""

NEVER: dict[str, dict[str, str]] = {
    "sm_endpoint_async": {"400": "Asynchronous invocations are not offered."}
}
"""Doors that never answer 200, and what they refuse with."""

MEDIA: dict[str, str] = {
    "page": "text/html",
    "model_pages": "text/html",
    "model_page": "*/*",
    "metrics": "text/plain",
    "generate_stream": EVENTS,
    "sm_endpoint_stream": AMAZON.decode(),
}
"""Doors that answer in another type than JSON."""

ALSO: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(openai_schemas.STREAMS, (EVENTS,)),
    "openai_transcriptions": ("text/plain", "text/vtt", EVENTS),
    "openai_translations": ("text/plain", "text/vtt", EVENTS),
    "predict": (EVENTS, NDJSON, JSON_LINES),
}
"""Doors that answer in further types where they are asked for."""

ELSEWHERE: dict[str, dict[str, str]] = {
    "kserve_alive": {"302": "A browser is led to the pages of models."},
    "model_pages": {"302": "The only page there is."},
    "model_page": {"302": "The page, whose path ends in a slash.", "304": "Nothing has changed."},
}
"""Doors that answer with a status alone, and what each means."""

# ------------------------------------------------------------------------------------ refusals

_BUSY = "Not serving now; see Retry-After."
_INFER = {
    "400": "The request is wrong.",
    "404": "No such model or version.",
    "413": "The body is too large.",
    "415": "The content type or coding of the body is not taken.",
    "422": "This input ended a worker before and is refused for a while.",
    "429": "Over a limit of load; see Retry-After.",
    "500": "The model failed on this input.",
    "501": "Not offered.",
    "503": _BUSY,
    "504": "The deadline passed.",
}
_MANAGE = {
    "400": "The request is wrong.",
    "403": "Not at a client's request.",
    "404": "No such model.",
    "413": "The body is too large.",
    "415": "The content type or coding of the body is not taken.",
    "503": _BUSY,
}
_NAMED = {"400": "The name is none.", "404": "No such model or version.", "503": _BUSY}
_UNREADY = {"503": "Not now, and why."}
_PAGES = {
    "model_pages": {"404": "No model has a page."},
    "model_page": {"404": "No such page, or no such file of it."},
}

WITH_STATUS: tuple[str, ...] = ("readyz", "oip_ready", "oip_model_ready", "tfs_model")
"""Doors that answer 503 in the form of 200: the status says the same as the body."""


def refusals(route: Route) -> dict[str, str]:
    """Return the statuses that a route answers with errors, and what each means."""
    door = route.door
    if door in NEVER:
        return NEVER[door]
    if door in _PAGES:
        return _PAGES[door]
    if door in sagemaker_schemas.REFUSALS:
        return sagemaker_schemas.REFUSALS[door]
    if route.dialect == SAGEMAKER_RUNTIME:
        return sagemaker_schemas.RUNTIME_REFUSALS
    if route.permission == INFER:
        found = dict(_INFER)
        if route.body == "whole":
            found["406"] = "The model answers in none of the types asked for."
        if door == "sm_invoke_model":
            found["403"] = sagemaker_schemas.NO_MODELS
        return found
    if route.permission == PUBLIC:
        return _UNREADY if door == "sm_ping" else {}
    if route.permission == ADMIN or route.method == "POST":
        return _MANAGE
    found = dict(_NAMED) if "{" in route.template else {}
    if door in WITH_STATUS:
        found.pop("503", None)
    return found

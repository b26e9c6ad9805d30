"""The OpenAPI 3.1 document of both planes, made from the route table and the signatures.

Every row of the route table is an operation. Routes of a model appear once as templates and once
for each version that is loaded, with the schemas of its signature.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from inferd.api import schemas
from inferd.api.errors import STATUS
from inferd.api.routes import CONTROL, DATA, INFER, OIP, PUBLIC, ROUTES, Route
from inferd.codecs.media import JSON, NPY, accepts
from inferd.routing.table import RouteTable, Version

Document = dict[str, Any]

_TAGS = {
    "simple": "Simple dialect",
    "oip": "Open Inference Protocol v2",
    "tfserving": "TensorFlow Serving and KServe V1",
    "sagemaker": "SageMaker",
    "openai": "OpenAI",
    "control": "Control plane",
    "health": "Health",
}
_HEADERS = (
    ("X-Request-Id", "Id of the request in logs and in the response.", {"type": "string"}),
    ("X-Request-Timeout", "Deadline: 250ms, 2s, or seconds.", {"type": "string"}),
    ("X-Priority", "Place in the queue.", {"enum": ["normal", "high"]}),
    ("X-Server-Timing", "1 asks for a Server-Timing header.", {"const": "1"}),
)
_REFUSALS = {
    "400": "The request is wrong.",
    "404": "No such model or version.",
    "413": "The body is too large.",
    "415": "The model does not take this content type.",
    "422": "This input ended a worker before and is refused for a while.",
    "429": "Over a limit of load; see Retry-After.",
    "500": "The model failed on this input.",
    "501": "Not offered.",
    "503": "Not serving now; see Retry-After.",
    "504": "The deadline passed.",
}


def document(
    table: RouteTable, *, version: str, data_url: str = "", admin_url: str = ""
) -> Document:
    """Return the document. ``data_url`` and ``admin_url`` are the planes' base URLs, if known."""
    paths: Document = {}
    names: Document = {"Error": _ERROR, "OIPError": _OIP_ERROR}
    for route in ROUTES:
        item = paths.setdefault(route.template, {})
        if planes := _servers(route, data_url, admin_url):
            item["servers"] = planes
        item[route.method.lower()] = _operation(route)
    for loaded in table.all():
        if loaded.signature is not None:
            _add_version(paths, names, loaded, is_default=table.find(loaded.model) is loaded)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "inferd",
            "version": version,
            "description": "Models as services. HEAD is answered where GET is, OPTIONS everywhere.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name} for name in _TAGS.values()],
        "paths": paths,
        "components": {"schemas": names},
    }


_ERROR: Document = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "examples": sorted(STATUS)},
                "message": {"type": "string"},
                "help": {"type": "string"},
            },
            "required": ["kind", "message"],
        }
    },
    "required": ["error"],
}
_OIP_ERROR: Document = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}


def _servers(route: Route, data_url: str, admin_url: str) -> list[Document]:
    known = {DATA: data_url, CONTROL: admin_url}
    return [{"url": known[plane]} for plane in route.planes if known.get(plane)]


def _tag(route: Route) -> str:
    if route.permission == PUBLIC:
        return _TAGS["health"]
    return _TAGS[route.dialect] if DATA in route.planes else _TAGS["control"]


def _operation(route: Route) -> Document:
    operation: Document = {
        "operationId": _operation_id(route.method, route.template),
        "summary": route.summary,
        "tags": [_tag(route)],
        "responses": _responses(route, {"type": "object"}),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.template)
    ]
    if route.permission == INFER:
        parameters += _header_parameters()
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": {"type": "object"}}},
        }
    if parameters:
        operation["parameters"] = parameters
    return operation


def _header_parameters() -> list[Document]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
        for name, text, schema in _HEADERS
    ]


def _operation_id(method: str, path: str) -> str:
    words = re.findall(r"[A-Za-z0-9_.-]+", path)
    return "_".join([method.lower(), *words])


def _responses(route: Route, good: Document) -> Document:
    error = {"$ref": f"#/components/schemas/{'OIPError' if route.dialect == OIP else 'Error'}"}
    if route.permission == PUBLIC:
        body = {JSON: {"schema": {"type": "object"}}}
        found = {"200": {"description": "Yes.", "content": body}}
        if "ready" in route.template:
            found["503"] = {"description": "Not now, and why.", "content": body}
        return found
    content: Document = {_media(route): {"schema": good}} if _media(route) == JSON else {
        _media(route): {"schema": {"type": "string"}}
    }  # fmt: skip
    found = {"200": {"description": "The answer.", "content": content}}
    refusals = _REFUSALS if route.permission == INFER else {"404": "No such thing."}
    for status, text in refusals.items():
        found[status] = {"description": text, "content": {JSON: {"schema": error}}}
    return found


def _media(route: Route) -> str:
    return {"page": "text/html", "metrics": "text/plain"}.get(route.door, JSON)


def _add_version(paths: Document, names: Document, loaded: Version, *, is_default: bool) -> None:
    """Add the predicting routes of one version, with its schemas."""
    assert loaded.signature is not None
    key = _component(f"{loaded.model}.{loaded.version}", names)
    makers = {
        "Request": schemas.simple_request, "Response": schemas.simple_response,
        "InferRequest": schemas.oip_request, "InferResponse": schemas.oip_response,
    }  # fmt: skip
    for suffix, make in makers.items():
        names[f"{key}.{suffix}"] = make(loaded.signature)
    for route in ROUTES:
        if route.permission != INFER or "{name}" not in route.template:
            continue
        if "{version}" not in route.template and not is_default:
            continue
        path = route.template.replace("{name}", _segment(loaded.model))
        path = path.replace("{version}", _segment(loaded.version))
        operation = _operation(route)
        operation["operationId"] = f"{route.door}_{key}" + ("_version" * ("{v" in route.template))
        operation["summary"] = f"{route.summary}: {loaded.model}"
        operation["parameters"] = _header_parameters()
        kind = "Infer" if route.dialect == OIP else ""
        operation["responses"] = _responses(route, _ref(f"{key}.{kind}Response"))
        content: Document = {JSON: {"schema": _ref(f"{key}.{kind}Request")}}
        if route.body == "media":
            content |= {media: _binary(media) for media in accepts(loaded.signature)[1:]}
        operation["requestBody"] = {"required": True, "content": content}
        item: Document = {route.method.lower(): operation}
        if servers := paths[route.template].get("servers"):
            item["servers"] = servers
        paths[path] = item


def _component(name: str, names: Document) -> str:
    """Return a component key for any model name; keys that would collide are numbered."""
    key = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    number = 2
    while f"{key}.Request" in names:
        key = re.sub(r"(~\d+)?$", "", key) + f"-{number}"
        number += 1
    return key


def _segment(name: str) -> str:
    return quote(name, safe="")


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _binary(media: str) -> Document:
    if media.startswith(("image/", NPY)):
        return {}
    return {"schema": {"type": "string"}}

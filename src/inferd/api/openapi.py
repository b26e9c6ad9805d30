"""The OpenAPI 3.1 document of both planes, made from the route table and the signatures.

Every row of the route table is an operation. Routes of a model appear once as templates and once
for each version that is loaded, with the schemas of its signature.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from inferd.api import openapi_dialects as dialects
from inferd.api import sagemaker_schemas, schemas, tfserving_schemas, triton_schemas
from inferd.api.routes import CONTROL, DATA, INFER, PUBLIC, ROUTES, Route
from inferd.codecs.answers import ANSWERS, offers
from inferd.codecs.media import JSON, NPY, NPZ, OCTETS, accepts
from inferd.codecs.multipart import FORM_DATA
from inferd.codecs.sagemaker import bodies
from inferd.core.errors import NotFound
from inferd.core.signature import Signature
from inferd.routing.table import RouteTable, Version

Document = dict[str, Any]

_TAGS = {
    "simple": "Simple dialect",
    "oip": "Open Inference Protocol v2",
    "tfserving": "TensorFlow Serving and KServe V1",
    "sagemaker": "SageMaker container",
    "sagemaker_runtime": "SageMaker runtime API",
    "openai": "OpenAI",
    "control": "Control plane",
    "health": "Health",
}
_HEADERS = (
    ("X-Request-Id", "Id of the request in logs and in the response.", {"type": "string"}),
    (
        "X-Request-Timeout",
        "Deadline, more than 0: 250ms, 2s, or seconds.",
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s)?$"},
    ),
    ("X-Priority", "Place in the queue.", {"enum": ["normal", "high"]}),
    ("X-Server-Timing", "1 asks for a Server-Timing header.", {"const": "1"}),
    ("traceparent", "The caller's place in a trace (W3C Trace Context).", {"type": "string"}),
)
_JSON_BYTES = (
    "Inference-Header-Content-Length",
    "Bytes of the body that are JSON, where a binary part follows; 0: it is one tensor's bytes.",
    {"type": "integer", "minimum": 0},
)


def document(
    table: RouteTable, *, version: str, data_url: str = "", admin_url: str = ""
) -> Document:
    """Return the document. ``data_url`` and ``admin_url`` are the planes' base URLs, if known."""
    paths: Document = {}
    names: Document = dict(dialects.ERRORS)
    for route in ROUTES:
        item = paths.setdefault(route.template, {})
        servers = item.get("servers", [])
        if planes := [s for s in _servers(route, data_url, admin_url) if s not in servers]:
            item["servers"] = servers + planes
        # A document has one operation for a method of a path; some paths lead elsewhere on each plane.
        method, operation = route.method.lower(), _operation(route)
        if method in item:
            _on_both(item[method], operation)
        else:
            item[method] = operation
        served = _servers(route, data_url, admin_url)
        item[method]["servers"] = [*item[method].get("servers", []), *served]
    for item in paths.values():
        for method in item.keys() - {"servers"}:
            if item[method]["servers"] == item.get("servers", []):
                del item[method]["servers"]
    for loaded in table.all():
        if loaded.signature is not None:
            key = _component(f"{loaded.model}.{loaded.version}", names)
            _add_schemas(names, key, loaded.signature, _explained_by(table, loaded))
            _add_version(paths, names, key, loaded, is_default=table.find(loaded.model) is loaded)
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


_KINDS = {
    "predict": "", "oip_infer": "Infer", "generate": "Generate", "generate_stream": "Generate",
    **tfserving_schemas.KINDS, **sagemaker_schemas.KINDS,
}  # fmt: skip
"""Doors that are described for each version, and how the names of their schemas begin."""


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
        "responses": _responses(route, dialects.ANSWERS.get(route.door, {"type": "object"})),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.template)
    ]
    if route.permission == INFER:
        parameters += _header_parameters(route)
    if route.permission == INFER or route.door in dialects.REQUESTS:
        schema = dialects.REQUESTS.get(route.door, {"type": "object"})
        content: Document = {FORM_DATA if route.body == "form" else JSON: {"schema": schema}}
        if route.body == "tensors":
            content[OCTETS] = {}
        required = route.door not in dialects.MAY_BE_EMPTY and route.body != "none"
        operation["requestBody"] = {"required": required, "content": content}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _header_parameters(route: Route) -> list[Document]:
    headers = (*_HEADERS, _JSON_BYTES) if route.body == "tensors" else _HEADERS
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
        for name, text, schema in headers
    ]


def _operation_id(method: str, path: str) -> str:
    words = re.findall(r"[A-Za-z0-9_.-]+", path)
    return "_".join([method.lower(), *words])


def _on_both(there: Document, other: Document) -> None:
    """Add to an operation what the same method of its path is on the other plane."""
    if there["summary"] != other["summary"]:
        there["description"] = f"On the other plane: {other['summary']}"
    for status, response in other["responses"].items():
        mine = there["responses"].setdefault(status, response)
        for media, told in response.get("content", {}).items():
            known = mine.setdefault("content", {}).setdefault(media, told)
            if known != told:
                mine["content"][media] = {"schema": {"anyOf": [known["schema"], told["schema"]]}}


def _responses(route: Route, good: Document, signature: Signature | None = None) -> Document:
    """Return the responses of a route, ``good`` being the schema of the answer in JSON."""
    door = route.door
    error = {"schema": _ref(dialects.ERROR_OF.get(route.dialect, "Error"))}
    content: Document = {}
    if door not in dialects.BODILESS:
        media = dialects.MEDIA.get(door, JSON)
        content = {media: {"schema": good} if media == JSON else {}}
        content |= {other: {} for other in dialects.ALSO.get(door, ())}
        if route.body == "tensors":
            content[OCTETS] = {}
        if route.body == "whole" and media == JSON:
            others = offers(signature) if signature is not None else ANSWERS
            content |= {other: {} for other in others if other != JSON}
    found: Document = {}
    if door not in dialects.NEVER:
        found["200"] = {"description": "The answer."}
        if content:
            found["200"]["content"] = content
        if door in dialects.WITH_STATUS:
            found["503"] = {"description": "Not now, and why.", "content": content}
    for status, text in dialects.ELSEWHERE.get(door, {}).items():
        found[status] = {"description": text}
    for status, text in dialects.refusals(route).items():
        found[status] = {"description": text, "content": {JSON: error}}
    return found


def _explained_by(table: RouteTable, loaded: Version) -> Signature | None:
    """Return the signature of the explainer of a version, ``None`` where none is loaded."""
    try:
        return table.find(loaded.explainer).signature if loaded.explainer else None
    except NotFound:
        return None


def _add_schemas(
    names: Document, key: str, signature: Signature, explainer: Signature | None
) -> None:
    """Add the schemas of one version under names that begin with ``key``."""
    makers = {
        "Request": schemas.simple_request, "Response": schemas.simple_response,
        "InferRequest": schemas.oip_request, "InferResponse": schemas.oip_response,
        "GenerateRequest": triton_schemas.generate_request,
        "GenerateResponse": triton_schemas.generate_response,
        **tfserving_schemas.MAKERS, **sagemaker_schemas.MAKERS,
    }  # fmt: skip
    for suffix, make in makers.items():
        described = explainer if suffix in tfserving_schemas.OF_EXPLAINER else signature
        if described is not None:
            names[f"{key}.{suffix}"] = make(described)


def _add_version(
    paths: Document, names: Document, key: str, loaded: Version, *, is_default: bool
) -> None:
    """Add the predicting routes of one version, as far as there are schemas for them."""
    assert loaded.signature is not None
    for route in ROUTES:
        if route.door not in _KINDS or "{name}" not in route.template:
            continue
        if f"{key}.{_KINDS[route.door]}Request" not in names:
            continue
        if "{version}" not in route.template and not is_default:
            continue
        path = route.template.replace("{name}", _segment(loaded.model))
        path = path.replace("{version}", _segment(loaded.version))
        operation = _operation(route)
        operation["operationId"] = f"{route.door}_{key}" + ("_version" * ("{v" in route.template))
        operation["summary"] = f"{route.summary}: {loaded.model}"
        operation["parameters"] = _header_parameters(route)
        kind = _KINDS[route.door]
        operation["responses"] = _responses(route, _ref(f"{key}.{kind}Response"), loaded.signature)
        content: Document = {JSON: {"schema": _ref(f"{key}.{kind}Request")}}
        if route.body == "media":
            content |= {media: _binary(media) for media in accepts(loaded.signature)[1:]}
        elif route.body == "tensors":
            content[OCTETS] = {}
        elif route.body == "whole":
            content |= {media: _binary(media) for media in bodies(loaded.signature)[1:]}
        operation["requestBody"] = {"required": True, "content": content}
        item: Document = {route.method.lower(): operation}
        template = paths[route.template]
        servers = template[route.method.lower()].get("servers") or template.get("servers")
        if servers:
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
    if media.startswith(("image/", "audio/")) or media in (NPY, NPZ, OCTETS):
        return {}
    return {"schema": {"type": "string"}}

"""What several protocols tell of models under one path, as the union that the clients of each accept.

``GET /v1/models`` is OpenAI's list of models and KServe's list of names; ``GET /v1/models/{name}`` is
OpenAI's model, KServe's readiness and TensorFlow Serving's status of all versions. Each reads its own
members and ignores the rest.

Sources: tensorflow/serving, ``apis/get_model_status.proto`` (versions are texts, the newest first);
KServe, ``predict-api/v1``; openai/openai-openapi, ``Model``.
"""

from __future__ import annotations

from typing import Any

from inferd.routing.table import FAILED, LOADING, READY, RouteTable, Version

OWNER = "inferd"

STATES = {LOADING: "LOADING", READY: "AVAILABLE", FAILED: "END"}
"""Our states as those of TensorFlow Serving; a version that could not be loaded has ended."""


def models_list(table: RouteTable) -> dict[str, Any]:
    """Return the body of ``GET /v1/models``."""
    names = table.names()
    return {
        "object": "list",
        "data": [_openai(table.find(name)) for name in names],
        "models": names,
    }


def model_card(table: RouteTable, name: str) -> tuple[dict[str, Any], Version]:
    """Return the body of ``GET /v1/models/{name}``, and the version that answers for the model.

    Raises ``NotFound``.
    """
    default = table.find(name)
    card = {
        **_openai(default),
        "name": name,
        "ready": default.ready,
        **status(list(reversed(table.versions(name)))),
    }
    return card, default


def status(versions: list[Version]) -> dict[str, Any]:
    """Return TensorFlow Serving's status of versions."""
    return {"model_version_status": [_status(version) for version in versions]}


def _status(version: Version) -> dict[str, Any]:
    failed = version.state == FAILED
    return {
        "version": version.version,
        "state": STATES.get(version.state, "UNKNOWN"),
        "status": {
            "error_code": "INTERNAL" if failed else "OK",
            "error_message": version.reason if failed else "",
        },
    }


def _openai(version: Version) -> dict[str, Any]:
    return {
        "id": version.model,
        "object": "model",
        "created": int(version.created),
        "owned_by": OWNER,
    }

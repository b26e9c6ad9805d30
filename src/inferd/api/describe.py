"""Models and versions as the control plane shows them: plain JSON, nothing of the machine inside."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from inferd.codecs.media import accepts
from inferd.routing.table import RouteTable, Version

logger = logging.getLogger("inferd.api")


def summary(table: RouteTable) -> list[dict[str, Any]]:
    """Return every model with the states of its versions."""
    return [
        {
            "name": name,
            "default": table.find(name).version,
            "ready": table.find(name).ready,
            "versions": [_state(version) for version in table.versions(name)],
        }
        for name in table.names()
    ]


def model(table: RouteTable, name: str) -> dict[str, Any]:
    """Return the full description of a model; raises ``NotFound``."""
    default = table.find(name)
    return {
        "name": name,
        "default": default.version,
        "ready": default.ready,
        "versions": [describe(version) for version in table.versions(name)],
    }


def describe(version: Version) -> dict[str, Any]:
    """Return the full description of one version.

    State and reason, signature and what it accepts, the batch plan, and what the version says of
    itself now (costs, instances, memory).
    """
    signature = version.signature
    return {
        "name": version.model,
        **_state(version),
        "runtime": version.runtime,
        "platform": version.platform,
        "task": version.task,
        "streams": version.streams,
        "signature": signature.to_json() if signature else None,
        "accepts": list(accepts(signature)) if signature else [],
        "plan": version.plan.to_json(),
        **_live(version),
    }


def _state(version: Version) -> dict[str, Any]:
    reason = None if version.ready else version.reason or None
    return {
        "version": version.version,
        "state": version.state,
        "ready": version.ready,
        "reason": reason,
    }


def _live(version: Version) -> dict[str, Any]:
    # A page of the control plane must not fail because one model is being taken down.
    try:
        return {str(k): plain(v) for k, v in version.describe().items()}
    except Exception:
        logger.exception("describing %s version %s failed", version.model, version.version)
        return {}


def plain(value: Any) -> Any:
    """Return ``value`` with texts as keys, so that it can be written as JSON."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    return value

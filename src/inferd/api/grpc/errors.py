"""Errors over gRPC: the one table from an error's kind to its status.

The message and its help are the status' details; ``error-kind`` in the trailing metadata names the
kind. What may be tried again says when: ``retry-after`` in seconds, as over HTTP, and
``grpc-retry-pushback-ms``, which the retry policies of gRPC's own clients obey.

Source: gRPC proposal A6, client retries (pushback).
"""

from __future__ import annotations

import logging

import grpc

from inferd.api.call import Call
from inferd.api.errors import _HIDDEN, RETRIED, _seconds
from inferd.core.errors import InferdError

logger = logging.getLogger("inferd.api")

Metadata = tuple[tuple[str, str], ...]
Status = tuple[grpc.StatusCode, str, Metadata]
"""How a call ends: its status, the details, the trailing metadata."""
_CODE = grpc.StatusCode

STATUS: dict[str, grpc.StatusCode] = {
    "invalid_input": _CODE.INVALID_ARGUMENT,
    "invalid_parameter": _CODE.INVALID_ARGUMENT,
    "length_required": _CODE.INVALID_ARGUMENT,
    "too_large": _CODE.INVALID_ARGUMENT,
    "unsupported_media": _CODE.INVALID_ARGUMENT,
    "not_acceptable": _CODE.INVALID_ARGUMENT,
    "quarantined": _CODE.INVALID_ARGUMENT,
    "not_found": _CODE.NOT_FOUND,
    "not_allowed": _CODE.PERMISSION_DENIED,
    "unsupported": _CODE.UNIMPLEMENTED,
    "overloaded": _CODE.RESOURCE_EXHAUSTED,
    "unavailable": _CODE.UNAVAILABLE,
    "deadline_exceeded": _CODE.DEADLINE_EXCEEDED,
    "cancelled": _CODE.CANCELLED,
    "model_failed": _CODE.INTERNAL,
    "model_file": _CODE.INTERNAL,
    "config": _CODE.INTERNAL,
    "missing_extra": _CODE.INTERNAL,
    "internal": _CODE.INTERNAL,
}
"""Kind of error to status; every kind of ``core.errors`` is here."""

_LONGEST = 2000
"""Characters of details: clients refuse more than 8 KiB of metadata, and these travel escaped."""


def explain(error: Exception, call: Call) -> Status:
    """Return status, details and trailing metadata of a failed call; its kind is noted in ``call``."""
    kind, text = worded(error, call)
    call.kind = kind
    metadata: Metadata = (("x-request-id", call.id), ("error-kind", kind))
    if kind in RETRIED:
        seconds = _seconds(getattr(error, "retry_after", None)).decode()
        metadata += (("retry-after", seconds), ("grpc-retry-pushback-ms", f"{seconds}000"))
    return STATUS[kind], text, metadata


def worded(error: Exception, call: Call) -> tuple[str, str]:
    """Return kind and text of an error; what is not meant for clients is logged and hidden."""
    if not isinstance(error, InferdError) or error.kind in _HIDDEN:
        logger.error("request %s failed", call.id, exc_info=error)
        return "internal", f"internal error (request id {call.id})"
    call.steps = error.steps
    text = f"{error.message} ({error.help})" if error.help else error.message
    return error.kind, text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def markdown() -> str:
    """Return the table as Markdown; ``docs/grpc.md`` holds exactly this text."""
    lines = ["| kind | status |", "|---|---|"]
    rows = sorted(STATUS.items(), key=lambda row: (row[1].value[0], row[0]))
    lines += [f"| `{kind}` | {status.name} |" for kind, status in rows]
    return "\n".join(lines) + "\n"

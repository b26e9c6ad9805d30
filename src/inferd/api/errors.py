"""Errors as answers: the one table from an error's kind to its HTTP status, and its bodies.

Unknown exceptions never reach a client: they are logged with the request's id and answered as
``internal``. Bodies differ by dialect: the simple one has ``{"error": {"kind", "message",
"help"}}``, the Open Inference Protocol ``{"error": "text"}``; ``FORMS`` has those of the others.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from inferd.api.call import Call
from inferd.api.routes import OIP, OPENAI, SAGEMAKER, SAGEMAKER_RUNTIME, TFSERVING
from inferd.api.runtime_errors import runtime_shape
from inferd.codecs import json
from inferd.codecs.openai import error_form
from inferd.core.errors import KINDS, InferdError
from inferd.transport.message import Headers, HTTPResponse

logger = logging.getLogger("inferd.api")

STATUS: dict[str, int] = {
    "invalid_input": 400,
    "invalid_parameter": 400,
    "length_required": 411,
    "too_large": 413,
    "unsupported_media": 415,
    "not_acceptable": 406,
    "quarantined": 422,
    "not_found": 404,
    "not_allowed": 403,
    "unsupported": 501,
    "overloaded": 429,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "cancelled": 499,
    "model_failed": 500,
    "model_file": 500,
    "config": 500,
    "missing_extra": 500,
    "internal": 500,
}
"""Kind of error to HTTP status; every kind of ``core.errors`` is here."""

KIND_OF: dict[int, str] = {
    400: "invalid_input",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "receive_timeout",
    411: "length_required",
    413: "too_large",
    414: "too_large",
    415: "unsupported_media",
    417: "unsupported",
    431: "too_large",
    500: "internal",
    501: "unsupported",
    503: "unavailable",
    505: "unsupported",
}
"""Status to kind, for what the transport and the router find."""

Form = Callable[[int, str, str], Any]
"""The body of an error in a dialect of its own: made of status, kind and what a person reads."""


def plain_form(status: int, kind: str, text: str) -> Any:
    """Return ``{"error": text}``, the form of several protocols."""
    return {"error": text}


FORMS: dict[str, Form] = {
    OIP: plain_form, TFSERVING: plain_form, OPENAI: error_form, SAGEMAKER: plain_form,
}  # fmt: skip
"""The dialects whose errors do not have the simple form."""

Shape = Callable[[int, str, str], tuple[int, Any, Headers]]
"""The same for a dialect with statuses and headers of its own: made of status, kind and text."""

SHAPES: dict[str, Shape] = {SAGEMAKER_RUNTIME: runtime_shape}
"""The dialects whose errors differ in more than their bodies."""

RETRIED = ("overloaded", "unavailable")
_HIDDEN = ("internal", "config", "missing_extra")


def respond(error: Exception, dialect: str, call: Call | None) -> HTTPResponse:
    """Return the response to a failed request."""
    headers = call.headers if call is not None else []
    if not isinstance(error, InferdError) or error.kind in _HIDDEN:
        id = call.id if call is not None else "-"
        logger.error("request %s failed", id, exc_info=error)
        return failure(500, "internal", f"internal error (request id {id})", None, dialect, call)
    status = STATUS[error.kind]
    if call is not None:
        call.steps = error.steps
    if error.kind in RETRIED:
        headers = [*headers, (b"Retry-After", _seconds(getattr(error, "retry_after", None)))]
    return failure(status, error.kind, error.message, error.help, dialect, call, headers)


def failure(
    status: int,
    kind: str,
    message: str,
    help: str | None,
    dialect: str,
    call: Call | None,
    headers: Headers | None = None,
) -> HTTPResponse:
    """Return an error response in the form of ``dialect``, and note its kind in ``call``."""
    if call is not None:
        call.kind = kind
        if headers is None:
            headers = call.headers
    close = status == 411
    shape = SHAPES.get(dialect)
    if shape is not None:
        status, value, more = shape(status, kind, f"{message} ({help})" if help else message)
        return HTTPResponse(
            status, json.dumps(value), headers=[*(headers or []), *more], close=close
        )
    body = _body(status, kind, message, help, dialect)
    # A body of unsaid length may follow: what comes next cannot be told from it.
    return HTTPResponse(status, body, headers=headers or [], close=close)


def _body(status: int, kind: str, message: str, help: str | None, dialect: str) -> bytes:
    form = FORMS.get(dialect)
    if form is not None:
        return json.dumps(form(status, kind, f"{message} ({help})" if help else message))
    error = {"kind": kind, "message": message}
    if help:
        error["help"] = help
    return json.dumps({"error": error})


def _seconds(value: float | None) -> bytes:
    """Return ``Retry-After``: whole seconds, at least one, at most an hour."""
    if value is None or not value > 1:
        return b"1"
    return str(min(3600, math.ceil(value))).encode()


def markdown() -> str:
    """Return the table of kinds as Markdown; ``docs/api.md`` holds exactly this text."""
    lines = ["| kind | status | meaning |", "|---|---|---|"]
    for kind, status in sorted(STATUS.items(), key=lambda row: (row[1], row[0])):
        meaning = (KINDS[kind].__doc__ or "").partition("\n")[0]
        if kind == "internal":
            meaning = "Something else went wrong; the log has it under the request's id."
        lines.append(f"| `{kind}` | {status} | {meaning} |")
    return "\n".join(lines) + "\n"

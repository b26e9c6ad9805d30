"""Refusals and failures as the errors of ``core.errors``, whoever the server is.

A body ``{"error": {"kind", "message", "help"}}`` says by itself what it is; any other one, such as
``{"error": "text"}`` of the Open Inference Protocol, is told by its status. Every error carries
``status`` (``None`` where no response came) and ``request_id`` beside ``help``.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from typing import Any

from inferd.client.wire import REQUEST_ID, Answer, Failure
from inferd.core.errors import (
    KINDS,
    Cancelled,
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    LengthRequired,
    ModelFailed,
    NotAcceptable,
    NotAllowed,
    NotFound,
    Overloaded,
    Quarantined,
    TooLarge,
    Unavailable,
    Unsupported,
    UnsupportedMedia,
    from_kind,
)

CLASSES: dict[int, type[InferdError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    405: NotAllowed,
    406: NotAcceptable,
    408: DeadlineExceeded,
    411: LengthRequired,
    413: TooLarge,
    414: TooLarge,
    415: UnsupportedMedia,
    422: Quarantined,
    429: Overloaded,
    431: TooLarge,
    499: Cancelled,
    501: Unsupported,
    502: Unavailable,
    503: Unavailable,
    504: DeadlineExceeded,
    505: Unsupported,
}
"""Status to class where the body does not say; other 4xx are the caller's, other 5xx the model's."""

_SHOWN = 300


def error_of(answer: Answer, now: float) -> InferdError:
    """Return the error that a response which is no success stands for.

    ``now``: seconds since 1970, for a ``Retry-After`` that is a date.
    """
    said = _said(answer)
    message, help, kind = said or (_shown(answer), None, None)
    if kind in KINDS:
        error = from_kind(kind, message, help)
    elif answer.status < 400:
        where = answer.headers.get("location")
        help = f"use the address {where}" if where else None
        error = InvalidInput(f"the server answered {answer.status}, no result", help=help)
    else:
        other = InvalidInput if answer.status < 500 else ModelFailed
        # Web frameworks refuse malformed requests with 422 too, in other words than the protocol's.
        known = CLASSES.get(answer.status, other) if said or answer.status != 422 else other
        error = known(message, help=help)
    if isinstance(error, (Overloaded, Unavailable)):
        error.retry_after = retry_after(answer.headers, now)
    return marked(error, answer.status, answer.headers.get(REQUEST_ID))


def error_in(event: Mapping[str, Any], request_id: str | None = None) -> InferdError:
    """Return the error that an event says: the status was sent long before, so it is all there is."""
    message, help, kind = explained(event) or (str(event.get("error")), None, None)
    message = message or "the answer broke off"
    error = from_kind(kind, message, help) if kind in KINDS else ModelFailed(message, help=help)
    return marked(error, None, request_id)


def failed(failure: Failure, url: str, request_id: str | None, seconds: float) -> InferdError:
    """Return the error of a request that no response came to within ``seconds``."""
    if failure.late:
        return too_late(url, request_id, seconds)
    help = "is the server running?"
    return marked(Unavailable(f"{url}: {failure.reason}", help=help), None, request_id)


def too_late(url: str, request_id: str | None, seconds: float) -> InferdError:
    """Return the error of a call whose own time is up."""
    error = DeadlineExceeded(
        f"{url}: no answer within {seconds:g} s", help="give it longer with timeout"
    )
    return marked(error, None, request_id)


def marked(error: InferdError, status: int | None, request_id: str | None) -> InferdError:
    """Return ``error`` with the status and the id of the request it answers."""
    error.status = status
    error.request_id = request_id
    return error


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date; ``None`` where it says nothing."""
    value = headers.get("retry-after")
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def explained(value: Any) -> tuple[str, str | None, str | None] | None:
    """Return message, help and kind of an error's JSON body, ``None`` where it is none."""
    found = value.get("error") if isinstance(value, dict) else None
    if isinstance(found, str):
        kind = value.get("kind")
        return found, None, kind if isinstance(kind, str) else None
    if isinstance(found, dict) and isinstance(found.get("message"), str):
        help, kind = found.get("help"), found.get("kind")
        return (
            found["message"],
            help if isinstance(help, str) else None,
            kind if isinstance(kind, str) else None,
        )
    return None


def _said(answer: Answer) -> tuple[str, str | None, str | None] | None:
    try:
        return explained(answer.json())
    except InferdError:
        return None


def _shown(answer: Answer) -> str:
    text = answer.body[:_SHOWN].decode("utf-8", "replace").strip()
    return text or f"the server answered {answer.status} without an explanation"

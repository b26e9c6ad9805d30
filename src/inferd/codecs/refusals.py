"""Refusals of other servers as the errors of ``core.errors``, whoever the server is. Pure.

A body ``{"error": {"kind", "message", "help"}}`` says by itself what it is; any other one, such as
``{"error": "text"}`` of the Open Inference Protocol, is told by its status.
"""

from __future__ import annotations

import email.utils
import re
from typing import Any

from inferd.codecs.json import loads
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

_SHOWN, _READ = 300, 2000
_TITLE = re.compile(r"<title>([^<]+)", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>?")

Said = tuple[str, str | None, str | None]
"""Message, help and kind of an error."""


def refusal(
    status: int, body: bytes | bytearray | memoryview, location: str | None = None
) -> InferdError:
    """Return the error that an answer which is no success stands for.

    ``location``: where the answer sends to.
    """
    said = _said(body)
    message, help, kind = said or (_shown(status, body), None, None)
    if kind in KINDS:
        return from_kind(kind, message, help)
    if status < 400:
        help = f"use the address {location}" if location else None
        return InvalidInput(f"the server answered {status}, no result", help=help)
    other = InvalidInput if status < 500 else ModelFailed
    # Web frameworks refuse malformed requests with 422 too, in other words than the protocol's.
    known = CLASSES.get(status, other) if said or status != 422 else other
    return known(message, help=help)


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a ``Retry-After``, a number or a date; ``None`` where it says nothing.

    ``now``: seconds since 1970.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def explained(value: Any) -> Said | None:
    """Return what an error's JSON body says, ``None`` where it is none."""
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


def _said(body: bytes | bytearray | memoryview) -> Said | None:
    try:
        return explained(loads(bytes(body)))
    except InferdError:
        return None


def _shown(status: int, body: bytes | bytearray | memoryview) -> str:
    text = " ".join(bytes(body[:_READ]).decode("utf-8", "replace").split())
    if text.startswith("<"):  # a page for people, such as a proxy has
        title = _TITLE.search(text)
        said = title[1].strip() if title else " ".join(_TAG.sub(" ", text).split())
        return f"the server answered {status} with a page" + f": {said[:_SHOWN]}" * bool(said)
    return text[:_SHOWN] or f"the server answered {status} without an explanation"

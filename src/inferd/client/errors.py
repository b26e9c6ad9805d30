"""Refusals and failures as the errors of ``core.errors``, whoever the server is.

What a body and a status say is read by ``codecs.refusals``. Every error carries ``status`` (``None``
where no response came) and ``request_id`` beside ``help``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inferd.client.wire import REQUEST_ID, Answer, Failure
from inferd.codecs import refusals
from inferd.codecs.refusals import explained, refusal
from inferd.core.errors import (
    KINDS,
    DeadlineExceeded,
    InferdError,
    ModelFailed,
    Overloaded,
    Unavailable,
    from_kind,
)


def error_of(answer: Answer, now: float) -> InferdError:
    """Return the error that a response which is no success stands for.

    ``now``: seconds since 1970, for a ``Retry-After`` that is a date.
    """
    error = refusal(answer.status, answer.body, answer.headers.get("location"))
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
    return refusals.retry_after(headers.get("retry-after"), now)

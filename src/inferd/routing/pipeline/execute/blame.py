"""Whose fault it is when a step fails, and what its caller is told. Pure.

Every error of a step names the step. What a step calls invalid is the client's fault only where the
client's own inputs feed it; otherwise an earlier step gave it what it cannot use. A parameter is the
client's wherever it is used, unless the step asks with its own alone.
"""

from __future__ import annotations

from inferd.core.errors import (
    Cancelled,
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    InvalidParameter,
    ModelFailed,
    NotAllowed,
    NotFound,
    Overloaded,
    Quarantined,
    Unavailable,
)

_KEPT = (Overloaded, Unavailable, DeadlineExceeded, Cancelled, ModelFailed, Quarantined)


def blamed(
    step: str, error: Exception, *, from_request: bool, fallback: bool = False
) -> InferdError:
    """Return the error of a request whose ``step`` failed with ``error``; ``fallback``: and so did that.

    ``from_request``: the client is to blame where ``error`` is about what the step was given (``at_fault``).
    """
    if not isinstance(error, InferdError):
        return ModelFailed(
            f"step {step!r}: it failed in a way that was not foreseen",
            help="the server's log has the error, by the request's id",
        )
    kind = _kind(error, from_request=from_request)
    named = kind(
        f"step {step!r}: {'its fallback failed too: ' * fallback}{error.message}", help=error.help
    )
    if isinstance(error, (Overloaded, Unavailable)) and isinstance(
        named, (Overloaded, Unavailable)
    ):
        named.retry_after = error.retry_after
    return named


def _kind(error: InferdError, *, from_request: bool) -> type[InferdError]:
    """Return the class of the request's error."""
    for kept in _KEPT:
        if isinstance(error, kept):
            return kept
    if isinstance(error, InvalidInput):
        return type(error) if from_request else ModelFailed
    if isinstance(error, (NotFound, NotAllowed)):
        return Unavailable  # the pipeline is there and allowed; what it is made of is not
    return InferdError if type(error) is InferdError else ModelFailed


def at_fault(error: Exception, *, inputs: bool, parameters: bool) -> bool:
    """Return whether what a step calls invalid comes from the client.

    ``inputs``, ``parameters``: whether those that the step was given are, in part, the request's own.
    """
    return parameters if isinstance(error, InvalidParameter) else inputs


def falls_back(error: Exception, *, from_request: bool, late: bool) -> bool:
    """Return whether a step's fallback answers; ``late``: the request's own deadline has passed."""
    if late or isinstance(error, Cancelled):
        return False
    return not (from_request and isinstance(error, InvalidInput))

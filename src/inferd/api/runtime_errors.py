"""Errors of SageMaker's runtime API, as botocore turns them into its modelled exceptions.

The type of an error is in the header ``x-amzn-errortype``; its body holds ``Message`` and, for
``ModelError``, what the model itself answered. Statuses are those of the API's model: bad input of any
kind is a 400; what the model did wrong is a 424 whose ``OriginalStatusCode`` is the one that a container
would have answered; 429 and 503, which clients retry, are a model that is not up and too much load.

Source: botocore, sagemaker-runtime 2017-05-13, service-2.json; the AWS REST JSON protocol.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from inferd.transport.message import Headers

LONGEST = 2048
"""Characters of a message, as the API's model bounds them."""


class Failure(NamedTuple):
    """One type of error of the API: its name and status."""

    name: str
    status: int


VALIDATION = Failure("ValidationError", 400)
MODEL = Failure("ModelError", 424)
NOT_READY = Failure("ModelNotReadyException", 429)
UNAVAILABLE = Failure("ServiceUnavailable", 503)
DENIED = Failure("AccessDeniedException", 403)
UNKNOWN = Failure("UnknownOperationException", 405)
INTERNAL = Failure("InternalFailure", 500)

FAILURES: dict[str, Failure] = {
    "model_failed": MODEL,
    "deadline_exceeded": MODEL,
    "cancelled": MODEL,
    "unavailable": NOT_READY,
    "overloaded": UNAVAILABLE,
    "not_allowed": DENIED,
    "method_not_allowed": UNKNOWN,
}
"""Kind of error to type; of the others those below 500 and 501 are the caller's, the rest ours."""


def failure_of(status: int, kind: str) -> Failure:
    """Return the type of an error."""
    found = FAILURES.get(kind)
    if found is not None:
        return found
    return VALIDATION if status < 500 or status == 501 else INTERNAL


def runtime_shape(status: int, kind: str, text: str) -> tuple[int, Any, Headers]:
    """Return status, body and headers of an error of that status and kind elsewhere."""
    failure = failure_of(status, kind)
    body: dict[str, Any] = {"Message": text[:LONGEST]}
    if failure is MODEL:
        body |= {"OriginalStatusCode": status, "OriginalMessage": text[:LONGEST]}
    return failure.status, body, [(b"x-amzn-errortype", failure.name.encode())]


def markdown() -> str:
    """Return the table of kinds as Markdown; ``docs/sagemaker.md`` holds exactly this text."""
    lines = ["| kind | error | status |", "|---|---|---|"]
    lines += [f"| `{kind}` | `{f.name}` | {f.status} |" for kind, f in FAILURES.items()]
    lines.append(f"| other of 4xx, 501 | `{VALIDATION.name}` | {VALIDATION.status} |")
    lines.append(f"| other | `{INTERNAL.name}` | {INTERNAL.status} |")
    return "\n".join(lines) + "\n"

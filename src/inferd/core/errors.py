"""Every failure the project raises on purpose, named by whose fault it is.

::

    InferdError
    |- InvalidInput          the request is wrong (kind "invalid_input")
    |  |- InvalidParameter   ... in one of its parameters
    |  |- TooLarge           ... over a limit of size
    |  |- LengthRequired     ... with a body of unsaid length
    |  |- UnsupportedMedia   ... in a content type the model does not take
    |  |- NotAcceptable      ... for an answer in none of the types asked for
    |  `- Quarantined        ... an input that killed a worker before
    |- NotFound              no such model, version or route
    |- NotAllowed            understood, and not permitted here
    |- Unsupported           understood, and not offered (a feature this model or build lacks)
    |- Overloaded            over a limit of load; carries ``retry_after``
    |- Unavailable           not serving now; carries ``retry_after``
    |- DeadlineExceeded      the request's time is up
    |- Cancelled             the client went away
    |- ModelFailed           the model raised on this input, or its worker died on it
    |- ModelFileError        a model file, ``model.yaml`` or its code cannot be loaded
    |- ConfigError           a setting is wrong (file, key and fix in the message)
    `- MissingExtra          an optional library is not installed

A message says what happened with the values; ``help`` says what to do. No HTTP here: one table in
``api`` maps ``kind`` to each dialect's status. Unknown exceptions never reach a client.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Any


class InferdError(Exception):
    """Base of every deliberate failure.

    ``kind`` is the stable machine-readable name of the class (metrics, logs, status tables). An
    error that a client was told has the answer's ``status``, and the ``request_id`` of its server's log.
    ``steps``: how the steps of a pipeline that failed went (``core.message.StepTiming``).
    """

    kind = "internal"
    status: int | None = None
    request_id: str | None = None
    steps: tuple[Any, ...] = ()

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}\nhelp: {self.help}" if self.help else self.message


class InvalidInput(InferdError):
    """The request does not fit the model's signature or the protocol."""

    kind = "invalid_input"


class InvalidParameter(InvalidInput):
    """One of the request's parameters is unknown, or has a value that the model does not take."""

    kind = "invalid_parameter"


class TooLarge(InvalidInput):
    """The request is over a limit of size."""

    kind = "too_large"


class LengthRequired(InvalidInput):
    """The request needs a body and does not say how long it is."""

    kind = "length_required"


class UnsupportedMedia(InvalidInput):
    """The body's content type or encoding is not one this model takes."""

    kind = "unsupported_media"


class NotAcceptable(InvalidInput):
    """None of the content types asked for is one this model's answers have."""

    kind = "not_acceptable"


class Quarantined(InvalidInput):
    """This very input ended a worker before and is refused for a while."""

    kind = "quarantined"


class NotFound(InferdError):
    """No such model, version or resource."""

    kind = "not_found"


class NotAllowed(InferdError):
    """The request is understood and not permitted."""

    kind = "not_allowed"


class Unsupported(InferdError):
    """The request is understood and this model or build does not offer it."""

    kind = "unsupported"


class _Retryable(InferdError):
    def __init__(
        self, message: str, *, retry_after: float | None = None, help: str | None = None
    ) -> None:
        super().__init__(message, help=help)
        self.retry_after = retry_after


class Overloaded(_Retryable):
    """Over a limit of load; ``retry_after`` is seconds, computed from the queue."""

    kind = "overloaded"


class Unavailable(_Retryable):
    """Not serving now; ``retry_after`` is seconds where it can be foreseen."""

    kind = "unavailable"


class DeadlineExceeded(InferdError):
    """The request's own time ran out before an answer."""

    kind = "deadline_exceeded"


class Cancelled(InferdError):
    """The client went away before the answer."""

    kind = "cancelled"


class ModelFailed(InferdError):
    """The model raised on this input, or its worker died while running it."""

    kind = "model_failed"


class ModelFileError(InferdError):
    """A model file, its ``model.yaml`` or its code cannot be loaded; the message names the file."""

    kind = "model_file"


class ConfigError(InferdError):
    """A setting is wrong; the message names file, line and key."""

    kind = "config"


class MissingExtra(InferdError):
    """An optional library is needed; the message names the extra to install."""

    kind = "missing_extra"

    def __init__(self, library: str, extra: str, *, what: str) -> None:
        super().__init__(
            f"{what} needs the library {library!r}, which is not installed",
            help=f"pip install 'inferd[{extra}]'",
        )


def _tree(base: type[InferdError]) -> dict[str, type[InferdError]]:
    found = {base.kind: base} if "kind" in vars(base) else {}
    for child in base.__subclasses__():
        found.update(_tree(child))
    return found


KINDS: dict[str, type[InferdError]] = _tree(InferdError)
"""Every ``kind`` and its class; what crosses a process boundary is a kind and a message."""


def from_kind(kind: str, message: str, help: str | None = None) -> InferdError:
    """Rebuild an error that crossed a process boundary; an unknown kind is an internal error."""
    cls = KINDS.get(kind, InferdError)
    error = cls.__new__(cls)
    InferdError.__init__(error, message, help=help)
    if isinstance(error, _Retryable):
        error.retry_after = None
    return error


_COMPARED = 80  # characters of a name
_AMONG = 1000  # names
_TOLD = 4096  # characters of all names


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return a ``did you mean`` hint for ``help`` texts: the nearest of ``allowed``, or the list."""
    # Names come from clients too, however many, and comparing takes time with the square of their length.
    names = sorted(islice(allowed, _AMONG))
    close = difflib.get_close_matches(name[:_COMPARED], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "there is no name to choose from"
    told = "allowed: " + ", ".join(names)
    return told if len(told) <= _TOLD else told[:_TOLD] + " ..."

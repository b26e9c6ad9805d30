"""What the doors know of one request besides its bytes: it lives in ``HTTPRequest.context``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from inferd.api.coding import Wish
from inferd.api.routes import Route
from inferd.codecs.base import Decoded
from inferd.codecs.media import VIEWED
from inferd.core.message import NORMAL, StepTiming, Timings
from inferd.core.trace import Trace
from inferd.telemetry.sampling import PASSED_ON, Traces
from inferd.transport.message import Headers, HTTPRequest

_SANE_ID = re.compile(rb"[A-Za-z0-9._:@/+=~-]{1,128}")


_IN_PIECES = ("event-stream", "ndjson", "jsonl")


class Terms:
    """What a head asks for on one route: a function of both, so equal heads may share it.

    ``limit``: the most body bytes taken. ``seconds``: time until the deadline. ``coding``: the
    coding of the body, ``wish`` of the answer (``None``: none). ``accept``: the types of answer
    asked for, as sent (empty: any). ``short``: nothing of this rules out the short way of ``reply``,
    which keeps in ``target`` what it found for equal heads while the table was of ``generation``.
    ``json_bytes``: the size of the JSON part that leads a body in
    the binary form of the Open Inference Protocol.
    """

    __slots__ = (
        "accept", "coding", "generation", "json_bytes", "limit", "media", "priority", "seconds", "short",
        "target", "timed", "wish",
    )  # fmt: skip

    def __init__(
        self,
        limit: int,
        media: str,
        seconds: float,
        priority: int,
        timed: bool,
        *,
        coding: str | None = None,
        wish: Wish | None = None,
        accept: str = "",
        json_bytes: int | None = None,
    ) -> None:
        self.limit = limit
        self.media = media
        self.seconds = seconds
        self.priority = priority
        self.timed = timed
        self.coding = coding
        self.wish = wish
        self.accept = accept
        self.json_bytes = json_bytes
        self.short = coding is None and not any(word in accept for word in _IN_PIECES)
        self.target: Any = None
        self.generation = -1

    @property
    def view(self) -> bool:
        """Whether the body's decoder takes any buffer."""
        return self.media in VIEWED or self.json_bytes is not None


BARE = Terms(0, "", float("inf"), NORMAL, False)


class Call:
    """One request on its way through the doors.

    ``id``: the request id, echoed and logged. ``route`` is ``None`` where none matched; ``values``
    are the free segments of its path. ``headers``: what every response to this request carries.
    ``deadline``: monotonic seconds. ``media``: the body's content type. ``timed``: the client asks
    for ``Server-Timing``. ``decoded``: the body, where it was read already, ``decode`` the seconds that took. ``model``, ``version``, ``timings`` and ``kind`` (the kind of error, or
    ``None``) are filled on the way, for logs and metrics. ``terms``: all that its head asks for. ``trace``: its
    place in a distributed trace, where it has one. ``steps``: those of a pipeline that failed.
    """

    __slots__ = (
        "deadline", "decode", "decoded", "headers", "id", "kind", "media", "model", "principal", "priority", "route",
        "steps", "terms", "timed", "timings", "trace", "values", "version",
    )  # fmt: skip

    def __init__(self, id: str, headers: Headers) -> None:
        self.id = id
        self.headers = headers
        self.route: Route | None = None
        self.values: tuple[str, ...] = ()
        self.principal: object = None
        self.media = ""
        self.deadline = float("inf")
        self.decoded: Decoded | None = None
        self.decode = 0.0
        self.priority = NORMAL
        self.timed = False
        self.terms = BARE
        self.model = ""
        self.version = ""
        self.timings: Timings | None = None
        self.kind: str | None = None
        self.trace: Trace | None = None
        self.steps: tuple[StepTiming, ...] = ()


class RequestIds:
    """Ids of requests that bring none: a prefix of this server's start, and a count."""

    __slots__ = ("_next", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._next: Callable[[], int] = itertools.count(1).__next__

    def of(self, given: bytes | None) -> str:
        """Return the client's id where it is sane, else a new one."""
        if given is not None and _SANE_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._prefix}-{self._next():x}"


def trace_of(
    request: HTTPRequest, parent: bytes | None, traces: Traces = PASSED_ON
) -> Trace | None:
    """Return the place of a request in a trace; ``parent``: its ``traceparent``, if it has one."""
    if parent is None:
        return traces.of(None)
    state = b",".join([value for name, value in request.headers if name == b"tracestate"])
    return traces.of(parent.decode("latin-1"), state.decode("latin-1"))

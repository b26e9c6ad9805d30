"""What crosses the transport's upper edge: requests, responses and the application seam.

The transport calls ``Application.accept`` as soon as the head is complete and before any of the
body is buffered; the answer is either a response (refused: the body is never read) or the handler
and the most body bytes it takes. The handler runs when the whole body has arrived.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

Headers = list[tuple[bytes, bytes]]


class Memo:
    """A place where the application keeps what it found out of one head, shared by equal heads.

    ``value`` may hold only what follows from the head's bytes without their trace context (never a time,
    a peer or an identity).
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None


class HTTPRequest:
    """One parsed request.

    ``headers``: (lower-case name, value) pairs in order of arrival. ``path``: the percent-decoded
    path, ``raw_path`` as sent, ``query`` without the ``?``. ``body`` is complete when the handler
    runs (where ``Accepted.view`` allows it, perhaps a memoryview). ``received``: monotonic seconds at which the head was complete. ``peer``: client address.
    ``context`` is free for the application (request id, principal, route). ``index``: the first
    value of every header by name where the caller has it already (``header`` builds it otherwise).
    ``memo``: shared with every request whose head had the same bytes, trace context (``traceparent``,
    ``tracestate``) apart; ``None`` where none is kept.
    """

    __slots__ = (
        "method", "path", "raw_path", "query", "headers", "body", "received", "peer",
        "tls", "http10", "context", "memo", "_index",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        path: str,
        raw_path: bytes,
        query: bytes,
        headers: Headers,
        *,
        received: float = 0.0,
        peer: str = "",
        tls: bool = False,
        http10: bool = False,
        body: bytes = b"",
        index: dict[bytes, bytes] | None = None,
        memo: Memo | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.raw_path = raw_path
        self.query = query
        self.headers = headers
        self.body = body
        self.received = received
        self.peer = peer
        self.tls = tls
        self.http10 = http10
        self.context: Any = None
        self.memo = memo
        self._index = index

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header (name in lower case), or ``None``."""
        index = self._index
        if index is None:
            index = self._index = dict(reversed(self.headers))
        return index.get(name)


@dataclass(slots=True)
class HTTPResponse:
    """A response: ``body`` is bytes (Content-Length is added) or an async iterator (chunked).

    ``headers`` holds what the application adds; Content-Length, Transfer-Encoding, Connection and
    Date are the transport's own. ``close`` asks for the connection to be closed afterwards.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    content_type: bytes = b"application/json"
    headers: Headers = field(default_factory=list)
    close: bool = False


Handler = Callable[[HTTPRequest], Coroutine[Any, Any, HTTPResponse]]
Deliver = Callable[[HTTPResponse], None]


class Started(Protocol):
    """A request that is being answered without a task of its own."""

    def abandon(self) -> None:
        """Nobody waits any more: ``deliver`` need not be called, and is ignored if it is."""
        ...


Starter = Callable[[HTTPRequest, Deliver], "Started | HTTPResponse | None"]
"""Begins to answer a request without a task, which costs less than a coroutine.

Returns what runs (``deliver`` is then called once, later, on the loop, with a response whose body is
bytes), the response itself, or ``None``: this one needs its handler. Never raises.
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The application takes the request: who handles it, and the most body bytes it takes.

    ``start`` is tried first where there is one and nothing else is being answered. ``view``: the
    body may be a memoryview, which spares copying a large one.
    """

    handler: Handler
    max_body: int
    start: Starter | None = None
    view: bool = False


class Application(Protocol):
    """What a listener serves."""

    def accept(self, request: HTTPRequest) -> Accepted | HTTPResponse:
        """Decide on the head alone: refuse with a response, or name the handler. Never raises."""
        ...

    def error(self, request: HTTPRequest | None, status: int, message: str) -> HTTPResponse:
        """Build the body of an error the transport itself found (400, 408, 413 ...)."""
        ...

    def finished(self, request: HTTPRequest, status: int, sent: int, seconds: float) -> None:
        """Hear that a request is over (status 499: the client went away first). Must be cheap."""
        ...

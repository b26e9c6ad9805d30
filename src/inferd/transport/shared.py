"""What the connections of one listener share: the application, limits, clock and counters.

Plain state without behaviour of its own, beyond building error responses that cannot fail.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from inferd.core.clock import Clock
from inferd.transport.framing import Head, has_context, parse_head, without_context
from inferd.transport.limits import Limits
from inferd.transport.message import Accepted, Application, HTTPRequest, HTTPResponse
from inferd.transport.response import Renderer

if TYPE_CHECKING:
    from inferd.transport.connection import Connection

logger = logging.getLogger("inferd.transport")

_REMEMBERED_HEADS = 512
_REMEMBERED_BYTES = 1024
_RETRY_AFTER = (b"Retry-After", b"1")


class Shared:
    """State of one listener.

    ``receiving``: bytes of incomplete requests held now. ``draining``: responses carry
    ``Connection: close``. ``connections``: every open one, lingering ones included.
    """

    __slots__ = (
        "application", "clock", "connections", "draining", "heads", "limits", "receiving",
        "renderer", "tls",
    )  # fmt: skip

    def __init__(
        self, application: Application, limits: Limits, clock: Clock, *, tls: bool = False
    ) -> None:
        self.application = application
        self.limits = limits
        self.clock = clock
        self.tls = tls
        self.renderer = Renderer()
        self.heads: dict[bytes, Head] = {}
        self.connections: set[Connection] = set()
        self.receiving = 0
        self.draining = False

    def head(self, raw: bytes) -> Head:
        """Parse a head and remember it: clients send the same one again and again.

        A head is a pure function of its bytes, so equal bytes may share it. A trace context, new with
        every request, is left out of what is compared. Raises ``Refused``.
        """
        if len(raw) > _REMEMBERED_BYTES:
            return parse_head(raw, self.limits)
        if not has_context(raw):
            return self._remembered(raw)
        parts = without_context(raw)
        if parts is None:
            return parse_head(raw, self.limits)
        rest, context = parts
        head = self.heads.get(rest)
        if head is None:
            parse_head(raw, self.limits)  # what is refused is refused as a whole
            head = self._remembered(rest)
        return head.joined(context)

    def _remembered(self, raw: bytes) -> Head:
        head = parse_head(raw, self.limits)
        if len(self.heads) >= _REMEMBERED_HEADS:
            self.heads.clear()
        self.heads[raw] = head
        return head

    def accept(self, request: HTTPRequest) -> Accepted | HTTPResponse:
        """Ask the application, which promises never to raise."""
        try:
            return self.application.accept(request)
        except Exception:
            logger.exception("the application failed to accept or refuse a request")
            return self.error(request, 500, "internal error")[0]

    def error(
        self, request: HTTPRequest | None, status: int, message: str
    ) -> tuple[HTTPResponse, bytes]:
        """Return the application's response (and its body) for an error found here; never raises.

        The status is the one given; a 503 carries ``Retry-After``.
        """
        try:
            response = self.application.error(request, status, message)
            body = response.body
            if not isinstance(body, bytes):
                raise TypeError(f"the body of an error must be bytes, not {type(body).__name__}")
            self.renderer.fixed(response, body, is_head=False, http10=False, close=True)
        except Exception:
            logger.exception("the application failed to describe a %d", status)
            body = message.encode()
            response = HTTPResponse(status, body, b"text/plain; charset=utf-8")
        if status == 503 and not any(n.lower() == b"retry-after" for n, _ in response.headers):
            response.headers = [*response.headers, _RETRY_AFTER]
        return response, body

    def finished(self, request: HTTPRequest, status: int, sent: int) -> None:
        """Tell the application that a request is over; never raises."""
        try:
            self.application.finished(request, status, sent, self.clock() - request.received)
        except Exception:
            logger.exception("the application failed to take note of a finished request")

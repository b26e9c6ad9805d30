"""Cross-origin requests: which web pages may call the data plane. Off unless origins are named.

Source: the Fetch standard, section 3.2 (CORS protocol).
"""

from __future__ import annotations

from inferd.transport.message import Headers, HTTPRequest

_ALLOWED_HEADERS = (
    b"Content-Type, Authorization, X-Request-Id, X-Request-Timeout, X-Priority, X-Server-Timing, "
    b"traceparent, tracestate"
)
_EXPOSED_HEADERS = b"X-Request-Id, Server-Timing, Retry-After"
_MAX_AGE = b"600"


class Cors:
    """The headers that let pages of the named origins (``*``: any) read answers."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self.enabled = bool(origins)
        self._any = "*" in origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)

    def headers(self, request: HTTPRequest) -> Headers:
        """Return what a response to this request carries; nothing for origins not named."""
        origin = request.header(b"origin")
        if origin is None:
            return [] if self._any else [(b"Vary", b"Origin")]
        if self._any:
            found: Headers = [(b"Access-Control-Allow-Origin", b"*")]
        elif origin in self._origins:
            found = [(b"Access-Control-Allow-Origin", origin), (b"Vary", b"Origin")]
        else:
            return [(b"Vary", b"Origin")]
        return [*found, (b"Access-Control-Expose-Headers", _EXPOSED_HEADERS)]

    def preflight(self, request: HTTPRequest, allow: bytes) -> Headers:
        """Return what the answer to a preflight adds to ``headers``."""
        origin = request.header(b"origin")
        if request.header(b"access-control-request-method") is None or origin is None:
            return []
        if not self._any and origin not in self._origins:
            return []
        return [
            (b"Access-Control-Allow-Methods", allow),
            (b"Access-Control-Allow-Headers", _ALLOWED_HEADERS),
            (b"Access-Control-Max-Age", _MAX_AGE),
        ]

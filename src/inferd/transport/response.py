"""Responses as bytes: rendered starts are remembered, so that one answer costs one formatting.

Everything before the length (status line, Date, Content-Type) depends only on the status, the
content type and the second of the clock. ``tick`` is called by the listener's sweep and forgets
the rendered starts when the second has changed.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus

from inferd.transport.message import Headers, HTTPResponse

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
BODILESS = frozenset((204, 304))
_END = b"\r\n\r\n"
_CLOSE = b"\r\nConnection: close\r\n\r\n"
_KEEP = b"\r\nConnection: keep-alive\r\n\r\n"
_REMEMBERED = 256
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_OWN = frozenset((b"content-length", b"transfer-encoding", b"connection", b"date"))
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class Renderer:
    """Renders the responses of one listener. ``tick`` must be called before the first one."""

    def __init__(self) -> None:
        self._second = -1
        self._date = b""
        self._starts: dict[tuple[int, bytes], bytes] = {}
        self._names: dict[bytes, bytes] = {}

    def tick(self, wall: float) -> None:
        """Take over the wall-clock time (seconds since the epoch) for the Date header."""
        second = int(wall)
        if second != self._second:
            self._second = second
            self._date = http_date(second)
            self._starts.clear()

    def fixed(
        self, response: HTTPResponse, body: bytes, *, is_head: bool, http10: bool, close: bool
    ) -> bytes:
        """Return the whole message of a response whose body is bytes.

        A HEAD request gets the Content-Length and no body. Raises ``ValueError`` for a status,
        type or header that cannot be sent.
        """
        status = response.status
        start = self._starts.get((status, response.content_type)) or self._start(
            status, response.content_type
        )
        end = _CLOSE if close else _KEEP if http10 else _END
        extra = self._extra(response.headers)
        if status in BODILESS:
            return b"%b%b%b" % (start, extra, end)
        return b"%b\r\nContent-Length: %d%b%b%b" % (
            start, len(body), extra, end, b"" if is_head else body,
        )  # fmt: skip

    def streamed(self, response: HTTPResponse, *, http10: bool, close: bool) -> bytes:
        """Return the head of a response whose body follows: chunked, or (HTTP/1.0) until the end.

        Raises ``ValueError`` as ``fixed`` does.
        """
        start = self._start(response.status, response.content_type)
        bare = http10 or response.status in BODILESS
        coding = b"" if bare else b"\r\nTransfer-Encoding: chunked"
        end = _CLOSE if close else _KEEP if http10 else _END
        return b"%b%b%b%b" % (start, coding, self._extra(response.headers), end)

    def _start(self, status: int, content_type: bytes) -> bytes:
        """Render everything up to the length, without the last line's end."""
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is no status of a final response")
        start = b"HTTP/1.1 %d %b\r\nDate: %b" % (status, reason(status), self._date)
        if content_type and status not in BODILESS:
            if not content_type.isascii() or not content_type.decode("ascii").isprintable():
                raise ValueError(f"{content_type!r} is no content type")
            start += b"\r\nContent-Type: " + content_type
        if len(self._starts) >= _REMEMBERED:
            self._starts.clear()
        self._starts[status, content_type] = start
        return start

    def _extra(self, headers: Headers) -> bytes:
        """Render the application's headers, each line led by its line end."""
        # Most responses have one header, the request id: adding up beats joining a list.
        names, text = self._names, b""
        for name, value in headers:
            if b"\n" in value or b"\r" in value or b"\0" in value:
                raise ValueError("a response header holds a line break")
            text += (names.get(name) or self._lead(name)) + value
        return text

    def _lead(self, name: bytes) -> bytes:
        """Return what leads a value of a checked name, and remember it."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if name.lower() in _OWN:
            raise ValueError(f"the response header {name!r} is the transport's own")
        lead = b"\r\n%b: " % name
        if len(self._names) < _REMEMBERED:
            self._names[name] = lead
        return lead


def reason(status: int) -> bytes:
    """Return the reason phrase of a status (``Unknown`` where it has none)."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"


def http_date(second: int) -> bytes:
    """Return seconds since the epoch as an HTTP date (RFC 9110, 5.6.7), whatever the locale."""
    t = time.gmtime(second)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    ).encode()

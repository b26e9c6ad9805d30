"""What a request head says, decided from its bytes alone.

A head is cut out of the stream first (everything up to the empty line) and only then parsed: llhttp
does the parsing, and this module adds what llhttp lets through and a server must refuse. Two
readers of one byte stream (a proxy and we) must never disagree on where a request ends, so
anything ambiguous is refused and the connection closed. As a head is a pure function of its bytes,
the caller may remember the result for equal bytes.

Refused beyond llhttp: HTTP/0.9 and 2.0 request lines, Transfer-Encoding on HTTP/1.0 or other than
``chunked``, a missing, doubled or malformed Host, more than one space in the request line,
fragments and broken percent escapes in the target, and sizes over the limits.

Source: RFC 9112 (sections 2.2, 3, 5, 6 and 11.2) and RFC 9110 (7.2, 10.1.1).
"""

from __future__ import annotations

import re
from typing import NoReturn
from urllib.parse import unquote_to_bytes

import httptools

from inferd.transport.limits import Limits
from inferd.transport.message import Memo

METHODS = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE")
)  # fmt: skip
CHUNKED = -1
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
_LINE_SO_FAR = re.compile(_TOKEN + rb"(?: (?:[!-~]+(?: [HTP/0-9.]{0,8}\r?)?)?)?")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)
_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CONTEXT = (b"\r\ntraceparent", b"\r\ntracestate")
# A line of its own in plain characters, with nothing that could be read as its continuation.
_CONTEXT_LINE = re.compile(rb"\r\n(traceparent|tracestate):([ -~\t]*)(?=\r\n[^ \t])", re.IGNORECASE)


class Refused(Exception):
    """The peer's bytes are refused with ``status``; nothing after them can be trusted."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head:
    """One parsed head; immutable by convention, as equal bytes share it.

    ``length``: bytes of body to come, or ``CHUNKED``. ``expects``: the client waits for a 100.
    ``index``: first value of each header. ``plain``: nothing to do before the body may arrive. ``memo``: what the
    application keeps of it; heads that differ in their trace context only share it too.
    """

    __slots__ = (
        "expects", "headers", "http10", "index", "is_head", "keep_alive", "length", "memo", "method",
        "path", "plain", "query", "raw_path",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        target: tuple[str, bytes, bytes],
        headers: list[tuple[bytes, bytes]],
        index: dict[bytes, bytes],
        *,
        http10: bool,
        length: int,
    ) -> None:
        self.method = method
        self.path, self.raw_path, self.query = target
        self.headers = headers
        self.index = index
        self.http10 = http10
        self.length = length
        self.is_head = method == "HEAD"
        self.keep_alive = _keeps_alive(headers, index, http10=http10)
        self.expects = not http10 and b"expect" in index and length != 0
        self.plain = not self.expects and length >= 0
        self.memo = Memo()

    def joined(self, context: list[tuple[bytes, bytes]]) -> Head:
        """Return this head with the headers of a trace context, which was cut out of its bytes."""
        head = Head.__new__(Head)
        head.method, head.path, head.raw_path, head.query = (
            self.method, self.path, self.raw_path, self.query,
        )  # fmt: skip
        head.headers = [*self.headers, *context]
        head.index = {**self.index, **dict(reversed(context))}
        head.http10, head.length, head.is_head = self.http10, self.length, self.is_head
        head.keep_alive, head.expects, head.plain = self.keep_alive, self.expects, self.plain
        head.memo = self.memo
        return head


class _Collector:
    """What llhttp calls back: the headers of one head."""

    __slots__ = ("complete", "headers")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_head(raw: bytes, limits: Limits) -> Head:
    """Parse one head, ``raw`` being everything up to and including its empty line.

    Raises ``Refused`` with 400, 414, 417, 431, 501 or 505.
    """
    if len(raw) > limits.header_bytes:
        _refuse_size(raw, limits)
    line, _, _ = raw.partition(b"\r\n")
    method, target, http10 = _request_line(line, limits)
    lines = raw.count(b"\r\n")
    if raw.count(b"\n") != lines or raw.count(b"\r") != lines:
        raise Refused(400, "a header holds a bare CR or LF")
    if lines - 2 > limits.header_count:
        raise Refused(431, f"more than {limits.header_count} headers")
    headers = _headers(raw)
    index = dict(reversed(headers))
    length = _length(headers, index, http10=http10)
    split = _target(method, target)
    _host(headers, index, split[0], http10=http10)
    if not http10 and index.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Refused(417, "the only expectation met here is 100-continue")
    return Head(method.decode(), split[1:], headers, index, http10=http10, length=length)


def has_context(raw: bytes) -> bool:
    """Whether a head carries a trace context (W3C), which differs from request to request."""
    lower = raw.lower()
    return _CONTEXT[0] in lower or _CONTEXT[1] in lower


def without_context(raw: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
    """Return a head without its trace context, and the context's headers as ``parse_head`` has them.

    ``None`` where it cannot be cut out so that the rest reads as it did before.
    """
    parts = _CONTEXT_LINE.split(raw)  # between two lines: a name, a value
    names, values = parts[1::3], parts[2::3]
    rest = b"".join(parts[::3])
    if has_context(rest):
        return None
    return rest, [(n.lower(), v.strip(b" \t")) for n, v in zip(names, values, strict=True)]


def check_partial(data: bytes, limits: Limits) -> None:
    """Refuse a head that is still incomplete but can no longer become a good one."""
    if len(data) > limits.header_bytes:
        _refuse_size(data, limits)
    lines = data.count(b"\r\n")
    if data.count(b"\n") != lines or data.count(b"\r") - data.endswith(b"\r") != lines:
        raise Refused(400, "a header holds a bare CR or LF")
    line, end, _ = data.partition(b"\r\n")
    if end:
        _request_line(line, limits)
        if lines - 1 > limits.header_count:
            raise Refused(431, f"more than {limits.header_count} headers")
    elif len(line) > limits.target_bytes + 64:
        raise Refused(414, f"the target is longer than {limits.target_bytes} bytes")
    elif line not in (b"", b"\r") and not _LINE_SO_FAR.fullmatch(line):
        raise Refused(400, "not an HTTP request line")


def _refuse_size(data: bytes, limits: Limits) -> NoReturn:
    if 0 <= data.find(b"\r\n") <= limits.target_bytes:
        raise Refused(431, f"the headers are longer than {limits.header_bytes} bytes")
    raise Refused(414, f"the target is longer than {limits.target_bytes} bytes")


def _request_line(line: bytes, limits: Limits) -> tuple[bytes, bytes, bool]:
    """Return method, target and whether the version is HTTP/1.0."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(400, "not an HTTP/1.1 request line")
    method, target, major, minor = match.groups()
    if len(target) > limits.target_bytes:
        raise Refused(414, f"the target is longer than {limits.target_bytes} bytes")
    if major != b"1" or minor not in b"01":
        raise Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if method not in METHODS:
        raise Refused(501, "the method is not implemented")
    return method, target, minor == b"0"


def _headers(raw: bytes) -> list[tuple[bytes, bytes]]:
    collector = _Collector()
    try:
        httptools.HttpRequestParser(collector).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an offered upgrade (h2c, websocket) may be ignored: RFC 9110, 7.8
    except httptools.HttpParserError as error:
        # A verdict on the transfer coding comes after the headers; ours is more precise.
        if not collector.complete:
            raise Refused(400, f"malformed request: {error}") from None
    return collector.headers


def _length(headers: list[tuple[bytes, bytes]], index: dict[bytes, bytes], *, http10: bool) -> int:
    """Return the body's length or ``CHUNKED``; refuse every ambiguous framing."""
    coding = index.get(b"transfer-encoding")
    length = index.get(b"content-length")
    if coding is None:
        if length is None:
            return 0
        if _twice(b"content-length", headers, index):
            raise Refused(400, "more than one Content-Length")
        if not _LENGTH.fullmatch(length):
            raise Refused(400, "Content-Length is not a number")
        return int(length)
    if length is not None:
        raise Refused(400, "both Content-Length and Transfer-Encoding")
    if http10:
        raise Refused(400, "Transfer-Encoding on HTTP/1.0")
    if _twice(b"transfer-encoding", headers, index):
        raise Refused(400, "more than one Transfer-Encoding")
    coding = coding.lower()
    if coding.rpartition(b",")[2].strip() != b"chunked":
        raise Refused(400, "the last transfer coding is not chunked")  # RFC 9112, 6.3
    if coding != b"chunked":
        raise Refused(501, "the only transfer coding implemented is chunked")
    return CHUNKED


def _twice(name: bytes, headers: list[tuple[bytes, bytes]], index: dict[bytes, bytes]) -> bool:
    """Whether a header that must be single was sent twice."""
    return len(index) != len(headers) and sum(n == name for n, _ in headers) > 1


def _target(method: bytes, target: bytes) -> tuple[bytes | None, str, bytes, bytes]:
    """Return (authority of an absolute target, decoded path, raw path, query)."""
    authority: bytes | None = None
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            authority, target = absolute.groups()
            if not target.startswith(b"/"):
                target = b"/" + target
        elif target != b"*" or method != b"OPTIONS":
            raise Refused(400, "the target is neither a path nor an absolute URL")
    if b"#" in target:
        raise Refused(400, "the target holds a fragment")
    raw, _, query = target.partition(b"?")
    if b"%" not in raw:
        return authority, raw.decode("ascii"), raw, query
    if _ESCAPE.search(raw):
        raise Refused(400, "the path holds a broken percent escape")
    try:
        return authority, unquote_to_bytes(raw).decode(), raw, query
    except UnicodeDecodeError:
        raise Refused(400, "the path is not UTF-8") from None


def _host(
    headers: list[tuple[bytes, bytes]],
    index: dict[bytes, bytes],
    authority: bytes | None,
    *,
    http10: bool,
) -> None:
    """Check Host; an absolute target's authority takes its place (RFC 9112, 3.2.2)."""
    host = index.get(b"host")
    if host is None:
        if not http10:
            raise Refused(400, "HTTP/1.1 needs a Host header")
    elif _twice(b"host", headers, index):
        raise Refused(400, "more than one Host header")
    elif not _HOST.fullmatch(host):
        raise Refused(400, "the Host header is not a host name")
    if authority is None:
        return
    if not _HOST.fullmatch(authority):
        raise Refused(400, "the target's authority is not a host name")
    headers[:] = [(b"host", authority), *(h for h in headers if h[0] != b"host")]
    index[b"host"] = authority


def _keeps_alive(
    headers: list[tuple[bytes, bytes]], index: dict[bytes, bytes], *, http10: bool
) -> bool:
    if b"connection" not in index:
        return not http10
    values = b",".join(value for name, value in headers if name == b"connection").lower()
    options = {option.strip() for option in values.split(b",")}
    return b"close" not in options and (not http10 or b"keep-alive" in options)

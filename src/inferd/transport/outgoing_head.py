"""What the head of another server's answer says, and how the body that follows it is told apart.

The mirror of ``framing``: llhttp parses, and what it lets through although two readers could disagree
on where the answer ends is refused here. An interim answer (100 to 199) has no body and is no answer.

Source: RFC 9112 (sections 6.1 to 6.3 and 9.3), RFC 9110 (15.2).
"""

from __future__ import annotations

import re

import httptools

CHUNKED = -1
UNTIL_CLOSE = -2

_LENGTH = re.compile(rb"[0-9]{1,18}")
_BODILESS = (204, 304)


class Garbage(Exception):
    """The bytes are no answer of HTTP/1.1, or one over a limit."""


class AnswerHead:
    """One parsed head: ``headers`` by lower-case name (of several equal ones the first).

    ``length``: bytes of body to come, ``CHUNKED`` or ``UNTIL_CLOSE``. ``keep``: the connection may be
    used again.
    """

    __slots__ = ("headers", "keep", "length", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes], length: int, keep: bool) -> None:
        self.status = status
        self.headers = headers
        self.length = length
        self.keep = keep


class _Collector:
    """What llhttp calls back."""

    __slots__ = ("complete", "doubled", "headers")

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.doubled: list[bytes] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.rstrip(b" \t")
        if self.headers.setdefault(name, value) is not value:
            self.doubled.append(name)

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_answer(raw: bytes) -> AnswerHead:
    """Parse one head, ``raw`` being all of it with its empty line; raises ``Garbage``."""
    found = _Collector()
    parser = httptools.HttpResponseParser(found)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        raise Garbage("it changes the protocol, which nobody asked for") from None
    except httptools.HttpParserError as error:
        raise Garbage(f"it is no HTTP: {error}") from None
    if not found.complete:
        raise Garbage("its head is not complete")
    status = parser.get_status_code()
    headers = found.headers
    length = _length(status, headers, found.doubled)
    keep = parser.get_http_version() == "1.1"
    option = headers.get(b"connection")
    if option is not None:
        keep = b"close" not in option.lower() and (keep or b"keep-alive" in option.lower())
    return AnswerHead(status, headers, length, keep and length != UNTIL_CLOSE)


def _length(status: int, headers: dict[bytes, bytes], doubled: list[bytes]) -> int:
    for name in doubled:
        if name == b"transfer-encoding":  # llhttp refuses a doubled Content-Length itself
            raise Garbage("it has two headers Transfer-Encoding")
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if status < 200 or status in _BODILESS:
        return 0
    if coding is not None:
        if length is not None or coding.strip().lower() != b"chunked":
            raise Garbage("the length of its body is not certain")
        return CHUNKED
    if length is None:
        return UNTIL_CLOSE
    if not _LENGTH.fullmatch(length):
        raise Garbage("its Content-Length is no number")
    return int(length)


class Plain:
    """A body of known length, or (``UNTIL_CLOSE``) one that ends with the connection."""

    __slots__ = ("_left", "done", "more")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.more = False

    def feed(self, data: bytes) -> bytes:
        """Return what of ``data`` is body; ``more``: something followed it."""
        if self._left == UNTIL_CLOSE:
            return data
        part = data[: self._left] if len(data) > self._left else data
        self._left -= len(part)
        self.done = not self._left
        self.more = len(part) < len(data)
        return part


_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_OVERHEAD = 64 * 1024
_SHARE = 32


class Chunked:
    """A chunked body. llhttp reads it, in a parser that was fed a fixed head.

    What is not data is bounded in proportion to the data. Trailers are read and dropped.
    """

    __slots__ = ("_data", "_fed", "_parser", "_parts", "done", "more")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._fed = self._data = 0
        self.done = self.more = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_HEAD)

    def on_message_begin(self) -> None:
        self.more = self.done

    def on_body(self, part: bytes) -> None:
        if self.done:
            self.more = True
            return
        self._parts.append(part)
        self._data += len(part)

    def on_message_complete(self) -> None:
        self.done = True

    def feed(self, data: bytes) -> bytes:
        """Return what of ``data`` is body; raises ``Garbage``."""
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.done:  # what follows a whole body is not read, whatever it is
                raise Garbage(f"its body is not chunked as it says: {error}") from None
            self.more = True
        if self._fed > _OVERHEAD + _SHARE * self._data:
            raise Garbage("its body is hardly more than the marks of its chunks")
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)


Decoder = Plain | Chunked


def decoder(length: int) -> Decoder:
    """Return what reads a body of ``length``, ``CHUNKED`` or ``UNTIL_CLOSE``."""
    return Chunked() if length == CHUNKED else Plain(length)

"""Bodies while they arrive: of known length, to be dropped, or chunked.

All have one shape: ``feed`` takes bytes of the stream and returns those that follow the body,
``held`` is what they keep in memory meanwhile, ``done`` turns true at the end, ``take`` gives the
body.

llhttp decodes chunked bodies, in a parser of its own that was fed a fixed head, so nothing of the
client's head can influence it. httptools does not say where in the fed bytes a message ended, and
pipelined requests may follow; but every chunked body ends in an empty line, so the bytes are fed in
segments that each end at one, and a message can only end at the end of a segment. Anything after
the end in the same segment is refused.

What is not data (sizes, extensions, line ends, trailers) is bounded in proportion to the data:
millions of one-byte chunks cost their sender, not us. Trailers are read, checked and dropped.
"""

from __future__ import annotations

import httptools
import numpy as np

from inferd.transport.framing import Refused
from inferd.transport.limits import Limits

_HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"\r\n\r\n"
_SHARE = 4
_SMALL = 2048


class FixedBody:
    """A body of known length.

    Pieces are kept as they come and joined once; or ``room`` and ``filled`` put the bytes where
    they belong at once (the two may follow each other, not mix).
    """

    __slots__ = ("_left", "_length", "_pieces", "_whole", "done", "held")

    def __init__(self, length: int) -> None:
        self._left = self._length = length
        self._whole: memoryview | None = None
        self._pieces: list[bytes | bytearray] = []
        self.held = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the stream and return those that follow the body (or ``b""``)."""
        left, size = self._left, len(data)
        if size >= left:
            self._pieces.append(data if size == left else data[:left])
            self.done = True
            return data[left:]
        self._left = left - size
        self.held += size
        pieces = self._pieces
        if size >= _SMALL:
            pieces.append(data)
        elif pieces and isinstance(pieces[-1], bytearray):
            pieces[-1] += data  # an object for each small piece would cost more than its bytes
        else:
            pieces.append(bytearray(data))
        return b""

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self._left

    def room(self) -> memoryview:
        """Return the memory of what is still to come."""
        if self._whole is None:
            # Not a bytearray: that would be zeroed, so all of it would be in memory at once.
            self._whole = whole = np.empty(self._length, np.uint8).data
            held = self._length - self._left
            whole[:held] = b"".join(self._pieces)
            self._pieces.clear()
        return self._whole[self._length - self._left :]

    def filled(self, size: int) -> None:
        """Take note of ``size`` bytes that were put where ``room`` said."""
        self._left -= size
        self.held += size
        self.done = not self._left

    def take(self) -> bytes | memoryview:
        """Return the whole body."""
        return b"".join(self._pieces) if self._whole is None else self._whole.toreadonly()


class DroppedBody:
    """A body of known length that nobody wants."""

    __slots__ = ("_left", "done", "held")

    def __init__(self, length: int) -> None:
        self._left = length
        self.held = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Drop bytes of the stream and return those that follow the body (or ``b""``)."""
        left = self._left
        self._left = left - len(data)
        self.done = self._left <= 0
        return data[left:]

    def take(self) -> bytes:
        """Return nothing."""
        return b""


class ChunkedBody:
    """Collects one chunked body of at most ``max_body`` bytes of data.

    Sizes beyond ``max_body`` and bad framing are refused as they arrive.
    """

    __slots__ = (
        "_base", "_data", "_fed", "_limits", "_max_body", "_parser", "_pending", "_refused", "_tail",
        "_trailers", "done",
    )  # fmt: skip

    def __init__(self, max_body: int, limits: Limits) -> None:
        self._limits = limits
        self._max_body = max_body
        self._fed = 0
        self._tail = b""
        self._trailers = 0
        self._base: int | None = None
        self._pending = False
        self._refused: Refused | None = None
        self._parser: httptools.HttpRequestParser | None = None
        self._data = bytearray()
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the stream and return those that follow the body (or ``b""``).

        Raises ``Refused``: 400 for bad framing, 413 over ``max_body`` or too much framing, 431 for
        trailers.
        """
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(_HEAD)
            self._trailers = 0
        view = memoryview(data)
        start = 0
        while start < len(data):
            end = self._segment(data, start)
            self._feed_segment(self._parser, view[start:end])
            if self.done:
                return data[end:]
            start = end
        self._tail = (self._tail + data[-3:])[-3:]
        return b""

    @property
    def held(self) -> int:
        """Bytes of data kept so far."""
        return len(self._data)

    def take(self) -> bytes:
        """Return the whole body."""
        return bytes(self._data)

    def _segment(self, data: bytes, start: int) -> int:
        """Return where the segment from ``start`` ends: after the next empty line, or with data."""
        if start == 0 and self._tail:
            joint = (self._tail + data[:3]).find(_END)
            if joint >= 0:
                return joint + len(_END) - len(self._tail)
        found = data.find(_END, start)
        return found + len(_END) if found >= 0 else len(data)

    def _feed_segment(self, parser: httptools.HttpRequestParser, segment: memoryview) -> None:
        self._fed += len(segment)
        try:
            parser.feed_data(segment)
        except httptools.HttpParserError as error:
            if self._refused is not None:
                raise self._refused from None
            raise Refused(400, f"malformed chunked body: {error}") from None
        overhead = self._fed - len(self._data)
        if overhead > self._limits.chunk_overhead + len(self._data) // _SHARE:
            raise Refused(413, "the chunked body has more framing than data")
        if self._pending and not self.done:
            if self._base is None:
                self._base = overhead
            elif overhead - self._base > self._limits.trailer_bytes:
                self._refuse_trailers()

    def _refuse_trailers(self) -> None:
        self._refused = Refused(
            431, f"the trailers are longer than {self._limits.trailer_bytes} bytes"
        )
        raise self._refused

    # What llhttp calls back.

    def on_message_begin(self) -> None:
        """Refuse a second message inside one segment."""
        if self.done:
            self._refused = Refused(400, "bytes after the end of a chunked body")
            raise self._refused

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a trailer."""
        self._trailers += len(name) + len(value) + len(": \r\n")
        if self._trailers > self._limits.trailer_bytes:
            self._refuse_trailers()

    def on_chunk_header(self) -> None:
        """A chunk size was read: data follows, or (the last one) trailers."""
        self._pending = True

    def on_body(self, data: bytes) -> None:
        """Take data of a chunk."""
        self._pending = False
        self._base = None
        self._data += data
        if len(self._data) > self._max_body:
            self._refused = Refused(413, f"the body is longer than {self._max_body} bytes")
            raise self._refused

    def on_message_complete(self) -> None:
        """The last chunk and its trailers are read."""
        self.done = True

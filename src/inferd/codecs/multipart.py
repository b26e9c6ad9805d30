"""``multipart/form-data``: a body of named parts, fields and files, read within bounds.

What is between two boundaries is found by ``python_multipart``, a piece of the body after the other; what
costs more than looking for the boundary is bounded here: how often it may stand in a body, how many
headers a part has and how long they are. The body is read in pieces, so that whoever reads a large one in a
thread does not keep others from going on.

Sources: RFC 7578; RFC 2046, 5.1.1 (of which blanks behind a boundary are not taken: no client sends them).
"""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from inferd.codecs.values import shown
from inferd.core.errors import InvalidInput, TooLarge

FORM_DATA = "multipart/form-data"

MAX_PARTS = 64
MAX_HEADERS = 8
MAX_HEADER = 4096
MAX_FIELD = 64 * 1024
"""Bytes of a field that is read as text."""

PIECE = 256 * 1024
"""Bytes of a body that are read at a time; the interpreter may do something else after each."""

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}(\[\w{0,32}\])?", re.ASCII)
_PLAIN = (b"", b"binary", b"8bit", b"7bit")
_SILENT = logging.getLogger("inferd.multipart")
_SILENT.disabled = True  # what clients send wrong is answered, not logged


class Part(NamedTuple):
    """One part. ``file``: the file's name where it is one."""

    name: str
    data: bytes
    file: str | None = None


class Form:
    """The parts of a body by name, in order."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts: dict[str, list[Part]] = {}
        for part in parts:
            self._parts.setdefault(part.name, []).append(part)

    def file(self, name: str) -> bytes:
        """Return the data of the one part of that name; raises ``InvalidInput``."""
        (part,) = self._take(name)
        return part.data

    def fields(self, *, but: str) -> dict[str, str | list[str]]:
        """Return all parts, ``but`` one, as texts; ``name[]`` is a list of them, under ``name``."""
        found: dict[str, str | list[str]] = {}
        for name in self._parts:
            if name == but:
                continue
            if not name.endswith("[]"):
                (part,) = self._take(name)
                found.setdefault(name, _text(part))
                continue
            bare, given = name[:-2], [_text(part) for part in self._parts[name]]
            if bare in self._parts:
                raise InvalidInput(f'"{bare}" is given both alone and as a list')
            found[bare] = given
        return found

    def _take(self, name: str) -> list[Part]:
        found = self._parts.get(name, [])
        if not found:
            raise InvalidInput(f'"{name}" is missing')
        if len(found) > 1:
            raise InvalidInput(f'"{name}" is given {len(found)} times')
        return found


def _text(part: Part) -> str:
    if len(part.data) > MAX_FIELD:
        raise TooLarge(f'"{part.name}" is {len(part.data)} bytes; at most {MAX_FIELD} are accepted')
    try:
        return part.data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f'"{part.name}" is not UTF-8: bad byte at offset {error.start}'
        ) from None


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a ``Content-Type`` names; raises ``InvalidInput``."""
    _, options = parse_options_header(content_type)
    found = options.get(b"boundary", b"")
    if not 1 <= len(found) <= 70:
        raise InvalidInput(
            "the Content-Type names no boundary of 1 to 70 characters",
            help="let the HTTP library write it: multipart/form-data; boundary=...",
        )
    return found


def read(body: bytes, boundary: bytes, piece: int = PIECE) -> list[Part]:
    """Return the parts of a body, in order; raises ``InvalidInput`` or ``TooLarge``."""
    reader = _Reader(body, boundary)
    try:
        reader.read(piece)
    except FormParserError as error:
        raise InvalidInput(f"the body is no {FORM_DATA}: {error}") from None
    return reader.parts


class _Reader:
    """Reads one body: where parts begin and end, and what their headers say."""

    def __init__(self, body: bytes, boundary: bytes) -> None:
        self.parts: list[Part] = []
        self._body = body
        self._delimiter = b"\r\n--" + boundary
        self._boundary = boundary
        self._ended = False
        self._data: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""

    def read(self, size: int) -> None:
        """Read all of it."""
        parser = MultipartParser(
            self._boundary,
            {
                "on_part_begin": self._begin, "on_part_data": self._more, "on_part_end": self._end,
                "on_header_field": self._header_field, "on_header_value": self._header_value,
                "on_header_end": self._header_end, "on_end": self._over,
            },
            max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER,
        )  # fmt: skip
        parser.logger = _SILENT
        met = 0
        for base in range(0, len(self._body), size):
            piece = self._body[base : base + size]
            met += self._met(piece)
            if met > MAX_PARTS + 2:
                raise TooLarge(f"the body holds more than {MAX_PARTS} parts")
            parser.write(piece)
            if parser.state is MultipartState.BOUNDARY_PADDING:
                raise _padded()
            if self._ended:
                return
        raise InvalidInput(f"the body is no {FORM_DATA}: it ends before its last boundary")

    def _met(self, piece: bytes) -> int:
        """Return how often the boundary stands in a piece, and refuse what is long to read behind it."""
        count = piece.count(self._delimiter)
        if count > MAX_PARTS + 2:
            return count
        place = piece.find(self._delimiter)
        while place >= 0:
            after = place + len(self._delimiter)
            if piece[after : after + 1] in (b" ", b"\t"):
                raise _padded()
            place = piece.find(self._delimiter, after)
        return count

    def _begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise TooLarge(f"the body holds more than {MAX_PARTS} parts")
        self._data, self._headers = [], {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _more(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _end(self) -> None:
        name, file = _named(self._headers)
        # The interpreter lets others go on while it joins what is large.
        self.parts.append(Part(name, b"".join(self._data), file))
        self._data = []

    def _over(self) -> None:
        self._ended = True


def _named(headers: dict[bytes, bytes]) -> tuple[str, str | None]:
    """Return the name of a part, and that of its file, out of its headers."""
    kind, options = parse_options_header(headers.get(b"content-disposition", b""))
    name = options.get(b"name", b"").decode("latin-1")
    if kind != b"form-data" or not _NAME.fullmatch(name):
        told = f"the name {shown(name)}" if name else "no name"
        raise InvalidInput(
            f"a part of the body has {told}",
            help='Content-Disposition: form-data; name="..." of letters, digits, _, . and -',
        )
    coding = headers.get(b"content-transfer-encoding", b"").strip().lower()
    if coding not in _PLAIN:
        raise InvalidInput(
            f'"{name}" is encoded as {shown(coding.decode("latin-1"))}',
            help="send it as it is, without Content-Transfer-Encoding",
        )
    file = options.get(b"filename")
    return name, None if file is None else file.decode("latin-1")


def _padded() -> InvalidInput:
    return InvalidInput(f"the body is no {FORM_DATA}: blanks follow a boundary")

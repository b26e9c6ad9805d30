"""As much of HTTP/2 and gRPC as a client needs that sends the same head again and again.

Frames are built and taken apart; headers are written with the tables of HPACK and never read, since
an answer's message says what a benchmark asks of it. Nothing here does I/O.

Sources: RFC 9113 (frames), RFC 7541 (HPACK), grpc/grpc doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
INITIAL_WINDOW_SIZE = 4
WINDOW_BYTES = 65535
"""Bytes that may be sent, on a stream and on a connection, before the peer says more."""

FRAME_BYTES = 16384
LARGEST_WINDOW = (1 << 31) - 1
HEAD_BYTES = 9


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes; raises ``ValueError`` for more than a peer has to take."""
    if len(payload) > FRAME_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes is not split here")
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def opening() -> bytes:
    """Return what a client says first: it never asks the peer to wait for its windows."""
    settings = INITIAL_WINDOW_SIZE.to_bytes(2, "big") + LARGEST_WINDOW.to_bytes(4, "big")
    more = (LARGEST_WINDOW - WINDOW_BYTES).to_bytes(4, "big")
    return PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW, 0, 0, more)


def frames(data: bytes | bytearray) -> tuple[list[Frame], int]:
    """Return the frames that are whole in ``data``, and where the rest begins."""
    found: list[Frame] = []
    at, size = 0, len(data)
    while at + HEAD_BYTES <= size:
        end = at + HEAD_BYTES + int.from_bytes(data[at : at + 3], "big")
        if end > size:
            break
        stream = int.from_bytes(data[at + 5 : at + 9], "big") & LARGEST_WINDOW
        payload = bytes(data[at + HEAD_BYTES : end])
        found.append(Frame(data[at + 3], data[at + 4], stream, payload))
        at = end
    return found, at


def settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield what the payload of a SETTINGS frame says: number and value."""
    for at in range(0, len(payload) - 5, 6):
        number, value = payload[at : at + 2], payload[at + 2 : at + 6]
        yield int.from_bytes(number, "big"), int.from_bytes(value, "big")


class Head:
    """The header block of a gRPC call to one method: written whole once, by reference after that.

    ``first`` puts the lines into the connection's table, as the clients of gRPC do; ``again`` names
    them there. ``first`` may be sent once on a connection, and nothing else may use its table.
    """

    # Number in the static table of HPACK, or the name itself; the last is put in last.
    _LINES = (
        (4, ""),
        (1, ""),
        (31, "application/grpc"),
        (58, "inferd-benchmark"),
        ("te", "trailers"),
    )
    _POST, _HTTP, _FIRST_FREE = 3, 6, 62

    def __init__(self, path: str, authority: str = "127.0.0.1") -> None:
        plain = bytes((0x80 | self._POST, 0x80 | self._HTTP))
        values = (path, authority, *(value for _, value in self._LINES[2:]))
        lines, count = b"", len(values)
        for (name, _), value in zip(self._LINES, values, strict=True):
            lines += bytes((0x40 | name,)) if isinstance(name, int) else b"\x40" + _text(name)
            lines += _text(value)
        self.first = plain + lines
        self.again = plain + bytes(0x80 | self._FIRST_FREE + count - 1 - i for i in range(count))


def _text(value: str) -> bytes:
    if len(value) > 126:
        raise ValueError("a header of more than 126 bytes is not written here")
    return bytes((len(value),)) + value.encode()


def framed(message: bytes) -> bytes:
    """Return a gRPC message behind its five bytes: not compressed, its length."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def unframed(data: bytes) -> bytes | None:
    """Return the message that ``data`` holds, ``None`` while it is not whole."""
    if len(data) < 5 or len(data) < 5 + int.from_bytes(data[1:5], "big"):
        return None
    return data[5:]

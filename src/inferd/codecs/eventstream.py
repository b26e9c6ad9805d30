"""``application/vnd.amazon.eventstream``: messages with typed headers, each guarded by checksums.

A message is: total length, length of the headers, CRC32 of these eight bytes; headers; payload; CRC32 of
all that comes before. Numbers are big-endian, unsigned, of four bytes. A header is the length of its
name (one byte), the name, the type of its value (7: a string), the length of that (two bytes), and
the value. Only strings are used here.

Source: AWS general reference, "event stream encoding", as botocore and smithy read it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from inferd.codecs import json

MEDIA = b"application/vnd.amazon.eventstream"
PART_BYTES = 1 << 20
"""Most payload bytes of one message: readers take up to 16 MiB."""

_STRING = 7
_FRAME = 16  # prelude, its checksum, and the last one


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message."""
    told = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", _FRAME + len(told) + len(payload), len(told))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + told + payload
    return body + struct.pack("!I", zlib.crc32(body))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return b"".join(
        (bytes((len(key),)), key, bytes((_STRING,)), struct.pack("!H", len(text)), text)
    )


def parts(payload: bytes) -> Iterator[bytes]:
    """Yield ``PayloadPart`` events that carry ``payload``; none for nothing."""
    headers = {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    for start in range(0, len(payload), PART_BYTES):
        yield message(headers, payload[start : start + PART_BYTES])


def failure(kind: str, text: str, code: str) -> bytes:
    """Return the exception that ends a stream, ``ModelStreamError`` for example."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(headers, json.dumps({"Message": text[:2048], "ErrorCode": code}))

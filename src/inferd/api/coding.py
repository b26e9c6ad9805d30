"""Content codings of bodies: ``gzip`` and ``deflate``, in requests and in answers.

A request's body is expanded piece by piece and given up as soon as it passes the limit that holds for
bodies that come bare, so a small bomb never becomes a large allocation. An answer is compressed
where the client takes it: always for one that names a single coding (it asks for that), and for one
that lists what it can read (browsers, most libraries) where the answer is JSON of some size, since
tensors hardly shrink. Large bodies are coded in a thread: zlib lets the loop go on.

Source: RFC 9110, 8.4.1 (``deflate`` is the zlib format; the bare format is read too, since some
clients send it) and 12.5.3.
"""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache
from typing import NamedTuple

from inferd.core.errors import InvalidInput, TooLarge, UnsupportedMedia
from inferd.transport.message import HTTPResponse

CODINGS = ("gzip", "deflate")
WORTH = 1024  # bytes of JSON from which compressing pays
IN_THREAD = 32 * 1024
_LEVEL = 1
_PIECE = 256 * 1024
MAX_MEMBERS = 4096
"""Members of gzip that a body may have, as some writers make one of every 64 KiB: each costs a machine."""

_FIRST, _MOST = 512, 64 * 1024
"""Bytes of a member that are read at first, and at most, at a time: what a machine leaves, it copies."""

_WINDOW = {"gzip": 31, "deflate": 15}
_BARE = -15


class Wish(NamedTuple):
    """How a client wants its answer coded; ``sole``: it names this coding and no other."""

    coding: str
    sole: bool


@lru_cache(256)
def sent_coding(value: bytes) -> str | None:
    """Return the coding that a ``Content-Encoding`` names, ``None`` for identity.

    Raises ``UnsupportedMedia``.
    """
    name = value.strip().lower().decode("latin-1")
    name = {"x-gzip": "gzip", "identity": "", "": ""}.get(name, name)
    if name and name not in CODINGS:
        raise UnsupportedMedia(
            f"the content encoding {value[:60].decode('latin-1')!r} is not taken",
            help="send gzip, deflate, or the body without Content-Encoding",
        )
    return name or None


@lru_cache(256)
def wished(value: bytes) -> Wish | None:
    """Return what an ``Accept-Encoding`` asks for; ``None``: the answer as it is."""
    found: dict[str, float] = {}
    for item in value.decode("latin-1").lower().split(","):
        name, _, weight = item.partition(";")
        try:
            q = float(weight.strip().removeprefix("q=") or 1) if weight else 1.0
        except ValueError:
            q = 0.0
        found[name.strip().removeprefix("x-")] = q
    named = [n for n, q in found.items() if q > 0 and n not in ("identity", "*", "")]
    best = max((n for n in named if n in CODINGS), key=lambda n: found[n], default=None)
    if best is None or found[best] < found.get("identity", 0.0):
        return None
    return Wish(best, len(named) == 1)


async def expanded(body: bytes | memoryview, coding: str, limit: int) -> bytes:
    """Return a body without its coding; raises ``TooLarge`` or ``InvalidInput``."""
    if len(body) > IN_THREAD // 8:
        return await asyncio.to_thread(expand, body, coding, limit)
    return expand(body, coding, limit)


def expand(body: bytes | memoryview, coding: str, limit: int) -> bytes:
    """Do what ``expanded`` says, here."""
    windows = (_WINDOW[coding], _BARE) if coding == "deflate" else (_WINDOW[coding],)
    for window in windows:
        try:
            return _expand(body, window, limit, coding)
        except zlib.error as error:
            failure = error
    raise InvalidInput(f"the body is not valid {coding}: {failure}") from None


def _expand(body: bytes | memoryview, window: int, limit: int, coding: str) -> bytes:
    out = bytearray()
    view, at = memoryview(body), 0
    for _ in range(MAX_MEMBERS):
        if at >= len(view):
            return bytes(out)
        at = _member(zlib.decompressobj(window), view, at, out, limit, coding)
        if coding != "gzip":
            return bytes(out)
    if at < len(view):
        raise TooLarge(f"the body has over {MAX_MEMBERS} members of gzip")
    return bytes(out)


def _member(
    machine: zlib._Decompress, body: memoryview, at: int, out: bytearray, limit: int, coding: str
) -> int:
    """Expand what begins at ``at`` onto ``out``; return where it ends."""
    size = _FIRST
    while not machine.eof:
        rest: bytes | memoryview = body[at : at + size]
        if not rest:
            raise InvalidInput(f"the body ends in the middle of its {coding} data")
        at += len(rest)
        size = min(size * 2, _MOST)
        full = True
        while full and not machine.eof:
            most = min(_PIECE, limit - len(out) + 1)
            piece = machine.decompress(rest, most)
            out += piece
            if len(out) > limit:
                raise TooLarge(f"the body is over {limit} bytes once expanded")
            rest = machine.unconsumed_tail
            full = bool(rest) or len(piece) == most
    return at - len(machine.unused_data)


def worth(response: HTTPResponse, wish: Wish) -> bool:
    """Return whether an answer is to be compressed."""
    body = response.body
    if not isinstance(body, bytes) or not body:
        return False
    return wish.sole or (len(body) >= WORTH and response.content_type == b"application/json")


async def compressed(response: HTTPResponse, coding: str) -> HTTPResponse:
    """Return a response whose body is compressed."""
    body = response.body
    assert isinstance(body, bytes)
    if len(body) > IN_THREAD:
        packed = await asyncio.to_thread(compress, body, coding)
    else:
        packed = compress(body, coding)
    response.body = packed
    response.headers = [
        *response.headers, (b"Content-Encoding", coding.encode()), (b"Vary", b"Accept-Encoding"),
    ]  # fmt: skip
    return response


def compress(body: bytes, coding: str) -> bytes:
    """Return ``body`` in a coding."""
    machine = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[coding])
    return machine.compress(body) + machine.flush()

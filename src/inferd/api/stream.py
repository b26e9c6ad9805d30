"""Answers in pieces: what every door that streams shares.

A streamed answer is an iterator of pieces, each a dict of outputs for one row. ``opened`` waits for the
first of them, so that what goes wrong before anything was sent is an ordinary error with its own
status; what goes wrong later is the dialect's last event. Closing the iterator (the transport does,
when the client goes away) ends the generation.

Server-sent events are those of the HTML standard, section 9.2: ``data: ...`` and an empty line.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from inferd.api.call import Call
from inferd.codecs import json
from inferd.core.errors import InferdError
from inferd.core.message import Response
from inferd.core.tensor import Tensors
from inferd.transport.message import Headers, HTTPResponse

logger = logging.getLogger("inferd.api")

EVENTS = b"text/event-stream; charset=utf-8"
NO_BUFFERING: Headers = [(b"Cache-Control", b"no-cache"), (b"X-Accel-Buffering", b"no")]
"""What keeps proxies from collecting a stream's pieces."""

Explain = Callable[[InferdError], Any]
"""Makes the JSON value of the event that says what went wrong."""


async def opened(response: Response) -> AsyncIterator[Tensors]:
    """Return the pieces of an answer once the first is there; a whole answer is one piece.

    Raises what the model raised before its first piece.
    """
    chunks = response.chunks
    if chunks is None:
        return _one(response.outputs)
    try:
        first = await anext(chunks, None)
    except BaseException:
        await aclose(chunks)
        raise
    return _from(first, chunks)


async def _one(outputs: Tensors) -> AsyncIterator[Tensors]:
    yield outputs


async def _from(first: Tensors | None, rest: AsyncIterator[Tensors]) -> AsyncIterator[Tensors]:
    try:
        if first is not None:
            yield first
            async for piece in rest:
                yield piece
    finally:
        await aclose(rest)


async def aclose(chunks: AsyncIterator[Any]) -> None:
    """Close an iterator that can be closed."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


def event(value: Any) -> bytes:
    """Return one server-sent event that carries JSON."""
    return b"data: " + json.dumps(value) + b"\n\n"


def streamed(
    body: AsyncIterator[bytes], call: Call, explain: Callable[[InferdError], bytes],
    media: bytes = EVENTS, headers: Headers | None = None,
) -> HTTPResponse:  # fmt: skip
    """Return a streamed response; ``explain`` gives the last bytes where ``body`` fails."""
    return HTTPResponse(
        200, _guarded(body, call, explain), media, [*call.headers, *NO_BUFFERING, *(headers or [])]
    )


async def _guarded(
    body: AsyncIterator[bytes], call: Call, explain: Callable[[InferdError], bytes]
) -> AsyncIterator[bytes]:
    try:
        async for piece in body:
            yield piece
    except InferdError as error:
        call.kind = error.kind
        yield explain(error)
    except Exception as error:
        logger.error("request %s failed in its stream", call.id, exc_info=error)
        call.kind = "internal"
        yield explain(InferdError(f"internal error (request id {call.id})"))
    finally:
        await aclose(body)

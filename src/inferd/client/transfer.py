"""httpx in the client's words: how it is set up, what its failures mean. Shared by both clients."""

from __future__ import annotations

import math
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import httpx

from inferd.client.context import context_headers
from inferd.client.options import Options, proxy_of, tls_context
from inferd.client.pool import LANE
from inferd.client.wire import Failure, Send
from inferd.core.clock import Clock
from inferd.core.errors import InvalidInput

CONNECT_SECONDS = 10.0
"""A connection is given up after this time at most; another attempt may follow."""

PART = 1 << 20
"""Bytes of a large body that are handed over at once: between parts the time is looked at."""


def lane(options: Options) -> dict[str, Any]:
    """Return the arguments of ``httpx.HTTPTransport`` and its asynchronous sibling."""
    return {
        "verify": tls_context(options),
        "limits": LANE,
        "proxy": proxy_of(options.url),
        "trust_env": False,
    }


@lru_cache(1024)
def address(url: str) -> httpx.URL:
    """Return a URL, parsed once; raises ``InvalidInput``."""
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidInput(f"{url!r} is not a URL: {error}") from None


def built(base: str, lasting: Mapping[str, str], step: Send, content: Any) -> httpx.Request:
    """Return the request of a step; ``content`` is its body as the client takes it.

    It carries the caller's trace context, unless the lasting headers have one.
    """
    request = step.request
    headers = {**context_headers(), **lasting, **request.headers}
    if request.method != "GET":
        headers["Content-Length"] = str(len(request.body))
    try:
        return httpx.Request(
            request.method, address(base + request.path), content=content, headers=headers,
            extensions={"timeout": timeouts(step.seconds)},
        )  # fmt: skip
    except (TypeError, UnicodeError) as error:
        raise InvalidInput(f"the request cannot be written: {error}") from None


def bound(seconds: float) -> float | None:
    """Return seconds as libraries write them: ``None`` is no bound."""
    return None if math.isinf(seconds) else seconds


def timeouts(seconds: float) -> dict[str, float | None]:
    """Return the bounds of the parts of an exchange that may take ``seconds``."""
    most = bound(seconds)
    return {"connect": min(seconds, CONNECT_SECONDS), "read": most, "write": most, "pool": most}


class OutOfTime(Exception):
    """The deadline passed while a body was sent or read."""


def parts(body: bytes, deadline: float, clock: Clock) -> Iterator[memoryview]:
    """Yield a large body in parts, without a copy; raises ``OutOfTime`` at the deadline."""
    view = memoryview(body)
    for at in range(0, len(view), PART):
        if clock() >= deadline:
            raise OutOfTime
        yield view[at : at + PART]


def failure_of(error: Exception, seconds: float, *, began: bool = False) -> Failure:
    """Return what an exception of httpx means; raises ``InvalidInput`` where the request is wrong.

    ``seconds``: what the exchange was given; ``began``: a response had begun to arrive.
    """
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
        raise InvalidInput(f"the request cannot be sent: {error}") from None
    if isinstance(error, httpx.ConnectTimeout):
        reason = f"no connection within {min(seconds, CONNECT_SECONDS):g} s"
        return Failure(reason, late=seconds <= CONNECT_SECONDS)
    if isinstance(error, (httpx.TimeoutException, OutOfTime, TimeoutError)):
        return Failure("no answer in time", began=began, late=True)
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        began = True  # something came, and it was no HTTP
    return Failure(reason_of(error), began=began)


def reason_of(error: BaseException) -> str:
    """Return what the system says of a failed connection, else what the library says."""
    said, seen = "", set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
            # asyncio writes its own text; TLS and name resolution have numbers of their own.
            if cause.errno and not isinstance(cause, (ssl.SSLError, socket.gaierror)):
                said = os.strerror(cause.errno)
        cause = _inner(cause)
    return said or str(error) or type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return error.__cause__ or error.__context__


def joined(chunks: Iterable[bytes], deadline: float, clock: Clock) -> bytearray:
    """Return a body whole; raises ``OutOfTime`` where it goes on past the deadline."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if clock() >= deadline:
            raise OutOfTime
    return body

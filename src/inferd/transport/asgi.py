"""The data plane as an ASGI 3 application, for mounting into other apps and in-process tests.

The host server has parsed the request and owns the connection, so limits on heads, connections and
times are its business; what is enforced here is the size of the body while it arrives. The
adapter is slower than the listener (several awaits and dictionaries per request) and answers the
same.

``root_path``: mounted below a prefix, the application sees the path without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from inferd.core.clock import Clock, monotonic
from inferd.transport.limits import Limits
from inferd.transport.message import Accepted, Application, HTTPRequest, HTTPResponse
from inferd.transport.response import BODILESS
from inferd.transport.shared import Shared

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Hook = Callable[[], Awaitable[None]]

logger = logging.getLogger("inferd.transport")

_FRAMING = (b"content-length", b"transfer-encoding")


class _Gone(Exception):
    """The client went away."""


class _TooLarge(Exception):
    """The body is over the route's limit, or over the sum of what may be received."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ASGIAdapter:
    """Wraps an ``Application`` as an ASGI application.

    ``startup`` and ``shutdown`` run with the host's lifespan events; a host that sends none (many
    do not for mounted apps) leaves starting and stopping to its own code.
    """

    def __init__(
        self,
        application: Application,
        *,
        limits: Limits | None = None,
        startup: Hook | None = None,
        shutdown: Hook | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self._shared = Shared(application, limits or Limits(), clock)
        self._startup = startup
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope (``http`` or ``lifespan``; a websocket is refused)."""
        if scope["type"] == "http":
            await self._http(_request(scope, self._shared.clock()), receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise RuntimeError(f"ASGI scope type {scope['type']!r} is not served")

    async def _http(self, request: HTTPRequest, receive: Receive, send: Send) -> None:
        shared = self._shared
        status, sent = 499, [0]
        try:
            response = await self._respond(request, receive)
            status = response.status
            await self._send(request, response, receive, send, sent)
        except _Gone:
            status = 499
        except asyncio.CancelledError:
            status = 499
            raise
        except Exception:
            status = 500
            raise
        finally:
            shared.finished(request, status, sent[0])

    async def _respond(self, request: HTTPRequest, receive: Receive) -> HTTPResponse:
        """Return the response to a request, whatever happens on the way."""
        shared = self._shared
        verdict = shared.accept(request)
        if isinstance(verdict, HTTPResponse):
            return verdict
        try:
            request.body = await self._body(request, verdict, receive)
        except _TooLarge as error:
            return shared.error(request, error.status, error.message)[0]
        try:
            response: HTTPResponse = await _unless_gone(verdict.handler(request), receive)
            shared.renderer.streamed(response, http10=False, close=False)  # headers are sendable
        except _Gone:
            raise
        except Exception:
            logger.exception("a handler failed")
            return shared.error(request, 500, "internal error")[0]
        return response

    async def _body(self, request: HTTPRequest, accepted: Accepted, receive: Receive) -> bytes:
        """Collect the body; raises ``_TooLarge`` before more of it is kept than allowed."""
        shared, limit = self._shared, accepted.max_body
        said = request.header(b"content-length")
        if said is not None and said.isdigit() and int(said) > limit:
            raise _TooLarge(413, f"the body is longer than {limit} bytes")
        pieces: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                piece = message.get("body", b"")
                size += len(piece)
                shared.receiving += len(piece)
                if size > limit:
                    raise _TooLarge(413, f"the body is longer than {limit} bytes")
                if shared.receiving > shared.limits.receiving_bytes:
                    raise _TooLarge(503, "too many bytes are being received at once")
                pieces.append(piece)
                if not message.get("more_body", False):
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            shared.receiving -= size

    async def _send(
        self,
        request: HTTPRequest,
        response: HTTPResponse,
        receive: Receive,
        send: Send,
        sent: list[int],
    ) -> None:
        status, body = response.status, response.body
        plain = isinstance(body, (bytes, bytearray, memoryview))
        headers = [(name.lower(), value) for name, value in response.headers]
        if response.content_type and status not in BODILESS:
            headers.append((b"content-type", response.content_type))
        if plain and status not in BODILESS:
            headers.append((b"content-length", b"%d" % memoryview(body).nbytes))  # type: ignore[arg-type]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        silent = request.method == "HEAD" or status in BODILESS
        if isinstance(body, (bytes, bytearray, memoryview)):
            body = b"" if silent else bytes(body)
            sent[0] = len(body)
            await send({"type": "http.response.body", "body": body})
            return
        try:
            if not silent:
                await _unless_gone(_stream(body, send, sent), receive)
            await send({"type": "http.response.body", "body": b""})
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        for event, hook in (("startup", self._startup), ("shutdown", self._shutdown)):
            await receive()
            try:
                if hook is not None:
                    await hook()
            except Exception as error:
                logger.exception("the %s failed", event)
                await send({"type": f"lifespan.{event}.failed", "message": str(error)})
                return
            await send({"type": f"lifespan.{event}.complete"})


async def _stream(chunks: AsyncIterator[bytes], send: Send, sent: list[int]) -> None:
    async for chunk in chunks:
        if chunk:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent[0] += len(chunk)


async def _unless_gone(coroutine: Any, receive: Receive) -> Any:
    """Run a coroutine; when the client disconnects first, cancel it and raise ``_Gone``."""
    work = asyncio.ensure_future(coroutine)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.exception() is not None:
            logger.warning(
                "the host failed to say whether the client is there: %s", gone.exception()
            )
        raise _Gone
    finally:
        for task in (work, gone):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(scope: Scope, received: float) -> HTTPRequest:
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    if root and (path == root or path.startswith(root + "/")):
        path = path[len(root) :] or "/"
        encoded = root.encode()
        raw = (raw[len(encoded) :] or b"/") if raw.startswith(encoded) else path.encode()
    client = scope.get("client")
    headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
    if not any(name in _FRAMING for name, _ in headers):
        headers.append((b"transfer-encoding", b"chunked"))  # HTTP/2 says no length: the host knows
    return HTTPRequest(
        scope["method"],
        path,
        raw,
        scope.get("query_string", b""),
        headers,
        received=received,
        peer=str(client[0]) if client else "",
        tls=scope.get("scheme") == "https",
        http10=scope.get("http_version") == "1.0",
    )

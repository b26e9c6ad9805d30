"""What every call shares: its id, its permission, its deadline, its status, who hears of it.

The metadata read here are the headers of HTTP: ``x-request-id``, ``x-request-timeout``,
``x-priority``, ``x-server-timing``, ``traceparent`` and ``tracestate``. The deadline is the earlier of the call's own and of
``x-request-timeout``; without either it is the server's. The id and the timings go back in the
trailing metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from inferd.api.call import Call, RequestIds
from inferd.api.errors import STATUS as HTTP_STATUS
from inferd.api.grpc.errors import Status, explain
from inferd.api.grpc.methods import Rpc
from inferd.api.guard import Authorize, priority_of, timeout_of
from inferd.api.inference import server_timing
from inferd.api.plane import Observer
from inferd.api.settings import ApiSettings
from inferd.core.clock import Clock
from inferd.core.errors import InvalidInput
from inferd.telemetry.sampling import PASSED_ON, Traces
from inferd.transport.message import Headers, HTTPRequest

Context = Any
"""``grpc.aio.ServicerContext`` of raw messages."""
Door = Callable[[bytes, Call], Awaitable[bytes]]
"""Answers one message with one message."""

CLIENT_GONE = 499
_NO_HEADERS: Headers = []


@dataclass(slots=True)
class Asked:
    """What a call's metadata ask for."""

    id: bytes | None = None
    timeout: float | None = None
    priority: int = 0
    timed: bool = False
    strict: bool = False
    parent: str | None = None
    state: str = ""


class Calls:
    """Begins and ends calls. ``accepted`` counts those begun."""

    def __init__(
        self, settings: ApiSettings, observer: Observer, authorize: Authorize, clock: Clock,
        ids: RequestIds, traces: Traces = PASSED_ON,
    ) -> None:  # fmt: skip
        self.accepted = 0
        self.clock = clock
        self._settings = settings
        self._observer = observer
        self._authorize = authorize
        self._ids = ids
        self._traces = traces

    def begin(self, rpc: Rpc, id: bytes | str | None) -> HTTPRequest:
        """Return the record of a new request; its ``context`` is the ``Call``."""
        self.accepted += 1
        request = HTTPRequest(
            "POST", rpc.path, rpc.raw_path, b"", _NO_HEADERS, received=self.clock()
        )
        request.context = call = Call(id if isinstance(id, str) else self.id(id), _NO_HEADERS)
        call.route = rpc.route
        return request

    def id(self, given: bytes | None) -> str:
        """Return the client's id where it is sane, else a new one."""
        return self._ids.of(given)

    def check(self, rpc: Rpc) -> None:
        """Raise ``NotAllowed`` unless a method may be called."""
        self._authorize(None, rpc.route)

    def admit(self, rpc: Rpc, call: Call, asked: Asked, received: float, context: Context) -> None:
        """Fill ``call`` from what is asked; raises the refusal."""
        if asked.parent is not None or self._traces.on:
            call.trace = self._traces.of(asked.parent, asked.state)
        self._authorize(call.principal, rpc.route)
        call.deadline = received + self.seconds(asked, context)
        call.priority = asked.priority
        call.timed = asked.timed

    def seconds(self, asked: Asked, context: Context) -> float:
        """Return how long a call may take."""
        own: float | None = context.time_remaining()
        seconds = asked.timeout
        if own is not None and (seconds is None or own < seconds):
            seconds = own
        settings = self._settings
        return settings.timeout if seconds is None else min(seconds, settings.max_timeout)

    def over(self, request: HTTPRequest, status: int, sent: int) -> None:
        """Tell the observer of a request that is over."""
        call: Call = request.context
        seconds = self.clock() - request.received
        self._observer(request, status, sent, seconds, call.timings, call.model or None)

    def failed(self, request: HTTPRequest) -> None:
        """Tell the observer of a request that failed: its kind is noted in the call."""
        call: Call = request.context
        self.over(request, HTTP_STATUS.get(call.kind or "internal", 500), 0)

    def gone(self, request: HTTPRequest) -> None:
        """Tell the observer of a request whose client went away."""
        request.context.kind = "cancelled"
        self.over(request, CLIENT_GONE, 0)

    def unary(self, rpc: Rpc, door: Door) -> Callable[[bytes, Context], Awaitable[bytes]]:
        """Return the handler of a method that answers one message with one."""

        async def handle(body: bytes, context: Context) -> bytes:
            metadata = context.invocation_metadata()
            request = self.begin(rpc, id_of(metadata))
            call: Call = request.context
            status: Status | None = None
            try:
                self.admit(rpc, call, asked(metadata), request.received, context)
                answer = await door(body, call)
            except asyncio.CancelledError:
                self.gone(request)
                raise
            except Exception as error:
                status = explain(error, call)
            if status is not None:
                self.failed(request)
                await abort(context, status)
                return b""
            trailing = [("x-request-id", call.id)]
            if call.timed and call.timings is not None:
                trailing.append(("server-timing", server_timing(call.timings)[1].decode()))
            context.set_trailing_metadata(trailing)
            self.over(request, 200, len(answer))
            return answer

        return handle

    def refuse(self, context: Context, request: HTTPRequest, error: Exception) -> None:
        """Let a call of many messages end with the status of ``error`` when its handler returns."""
        conclude(context, explain(error, request.context))
        self.failed(request)


def conclude(context: Context, status: Status) -> None:
    """Set the status that a call has when its handler returns without a message."""
    code, details, metadata = status
    context.set_code(code)
    context.set_details(details)
    context.set_trailing_metadata(metadata)


async def abort(context: Context, status: Status) -> None:
    """End a call of one message without sending any: clients repeat only calls that brought nothing.

    What the library raises is the context's own, and raised again by it once the handler returns; with its
    traceback it would leave the frames, message and all, to the collector.
    """
    code, details, metadata = status
    try:
        await context.abort(code, details, metadata)
    except grpc.aio.AbortError as ended:
        ended.__traceback__ = ended.__context__ = None


def id_of(metadata: Any) -> bytes | None:
    """Return the id that a client gives its call."""
    for key, value in metadata:
        if key == "x-request-id":
            return value.encode() if isinstance(value, str) else None
    return None


def asked(metadata: Any) -> Asked:
    """Return what metadata ask for; raises ``InvalidInput``."""
    found = Asked()
    for key, value in metadata:
        if key not in _READ:
            continue
        if not isinstance(value, str):
            raise InvalidInput(f"the metadata {key} must be text")
        if key == "x-request-timeout":
            found.timeout = timeout_of(value.encode())
        elif key == "x-priority":
            found.priority = priority_of(value.encode())
        elif key == "x-server-timing":
            found.timed = value == "1"
        elif key == "traceparent":
            found.parent = value
        elif key == "tracestate":
            found.state = f"{found.state},{value}" if found.state else value
        else:
            found.strict = value.strip().lower() == "true"
    return found


_READ = frozenset(
    ("x-request-timeout", "x-priority", "x-server-timing", "triton_grpc_error", "traceparent", "tracestate")
)  # fmt: skip


class Handlers(grpc.GenericRpcHandler):
    """Finds the handler of a method by its path."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler, or ``None`` where there is no such method."""
        return self._handlers.get(handler_call_details.method)

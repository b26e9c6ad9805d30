"""A plane: the application of one listener, made of routes, a guard and doors.

``accept`` runs on the head of every request, before its body: id, route, method, guard. What is
refused there is answered there. The handler is bound to the matched route, runs its door and turns
whatever it raises into an answer. ``finished`` hands each request to an observer (logs, metrics);
what the transport refused before it was a request goes to ``refused``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from inferd.api.call import Call, RequestIds, Terms, trace_of
from inferd.api.cors import Cors
from inferd.api.errors import KIND_OF, failure, respond
from inferd.api.guard import Guard
from inferd.api.hosts import Hosts
from inferd.api.router import Match, Router, check_routes
from inferd.api.routes import SIMPLE, Route, dialect_of
from inferd.core.errors import InferdError, NotFound, nearest
from inferd.core.message import Timings
from inferd.telemetry.sampling import PASSED_ON, Traces
from inferd.transport.message import Accepted, Deliver, Headers, HTTPRequest, HTTPResponse, Started

Door = Callable[[HTTPRequest, Call], Awaitable[HTTPResponse]]
Start = Callable[[HTTPRequest, Call, Deliver], Started | HTTPResponse | None]
"""Begins what a door does without a coroutine: see ``transport.message.Starter``. May raise."""
Observer = Callable[[HTTPRequest, int, int, float, Timings | None, str | None], None]
"""Hears of every finished request: request, status, bytes sent, seconds, timings, model."""

Refused = Callable[[int, str, int], None]
"""Hears of every refusal of what was no request yet: status, kind of error, bytes of the answer."""


def observe_nothing(
    request: HTTPRequest,
    status: int,
    sent: int,
    seconds: float,
    timings: Timings | None,
    model: str | None,
) -> None:
    """An observer for planes that nobody watches."""


def refuse_unseen(status: int, kind: str, size: int) -> None:
    """The same for what was no request yet."""


class Endpoint:
    """One route and the door behind it."""

    __slots__ = ("_accepted", "_door", "_start", "route")

    def __init__(self, route: Route, door: Door, start: Start | None = None) -> None:
        self.route = route
        self._door = door
        self._start = start
        self._accepted: dict[tuple[int, bool], Accepted] = {}

    def accepted(self, limit: int, *, view: bool) -> Accepted:
        """Return the transport's ticket for a body of at most ``limit`` bytes."""
        ticket = self._accepted.get((limit, view))
        if ticket is None:
            start = self.start if self._start is not None else None
            ticket = self._accepted[limit, view] = Accepted(self.handle, limit, start, view)
        return ticket

    async def handle(self, request: HTTPRequest) -> HTTPResponse:
        """Answer ``request``, whatever happens."""
        call: Call = request.context
        try:
            return await self._door(request, call)
        except asyncio.CancelledError:
            call.kind = "cancelled"
            raise
        except Exception as error:
            return respond(error, self.route.dialect, call)

    def start(self, request: HTTPRequest, deliver: Deliver) -> Started | HTTPResponse | None:
        """Begin to answer ``request`` without a coroutine, or say that it needs one."""
        call: Call = request.context
        assert self._start is not None
        try:
            return self._start(request, call, deliver)
        except Exception as error:
            return respond(error, self.route.dialect, call)


class Known:
    """What was decided on an accepted head, for the next one of equal bytes.

    ``id``: the one the client sent, ``None`` where each request gets its own. ``shared``: the
    headers of every response to such requests, the id's left out.
    """

    __slots__ = ("id", "route", "shared", "terms", "ticket", "values")

    def __init__(
        self, id: str | None, shared: Headers, route: Route, values: tuple[str, ...], terms: Terms,
        ticket: Accepted,
    ) -> None:  # fmt: skip
        self.id = id
        self.shared = shared
        self.route = route
        self.values = values
        self.terms = terms
        self.ticket = ticket


class Plane:
    """The application of one listener. Implements ``transport.message.Application``.

    ``accepted`` counts the requests begun; ``finished`` hears of each of them once. ``refused`` is
    told of what never became one, and may be set.
    """

    def __init__(
        self,
        routes: tuple[Route, ...],
        doors: Mapping[str, Door],
        guard: Guard,
        ids: RequestIds,
        *,
        starts: Mapping[str, Start] | None = None,
        observer: Observer = observe_nothing,
        cors: Cors | None = None,
        hosts: Hosts | None = None,
        traces: Traces = PASSED_ON,
    ) -> None:
        check_routes(routes, doors)
        self._router: Router[Endpoint] = Router()
        for route in routes:
            endpoint = Endpoint(route, doors[route.door], (starts or {}).get(route.door))
            self._router.add(route.method, route.template, endpoint)
        self._guard = guard
        self._ids = ids
        self._observer = observer
        self._cors = cors if cors is not None and cors.enabled else None
        self._hosts = hosts
        self._traces = traces
        self.accepted = 0
        self.refused: Refused = refuse_unseen

    def accept(self, request: HTTPRequest) -> Accepted | HTTPResponse:
        """Decide on the head alone."""
        memo = request.memo
        if memo is not None and memo.value is not None:
            return self._again(request, memo.value)
        call = self._call(request)
        dialect = SIMPLE
        try:
            if self._hosts is not None:
                self._hosts.check(request)
            found = self._router.find(request.raw_path)
            if found is None:
                return self._unmatched(request, call)
            resource, call.values = found
            endpoint = resource.methods.get(request.method)
            if endpoint is None:
                return self._other_method(request, call, found)
            call.route = route = endpoint.route
            dialect = route.dialect
            terms = self._guard.admit(request, route, call)
            ticket = endpoint.accepted(terms.limit, view=terms.view)
            if memo is not None:
                given = request.header(b"x-request-id")
                id = call.id if given is not None and call.id.encode() == given else None
                memo.value = Known(id, call.headers[1:], route, call.values, terms, ticket)
            return ticket
        except InferdError as error:
            return respond(error, dialect, call)
        except Exception as error:
            return respond(error, SIMPLE, call)

    def _again(self, request: HTTPRequest, known: Known) -> Accepted | HTTPResponse:
        """Accept a head whose like was accepted; only id, deadline and permission are new."""
        self.accepted += 1
        id = known.id or self._ids.of(None)
        call = request.context = Call(id, [(b"X-Request-Id", id.encode()), *known.shared])
        call.values = known.values
        call.route = route = known.route
        parent = request.header(b"traceparent")
        if parent is not None or self._traces.on:
            call.trace = trace_of(request, parent, self._traces)
        try:
            self._guard.admit(request, route, call, known.terms)
        except InferdError as error:
            return respond(error, route.dialect, call)
        except Exception as error:
            return respond(error, SIMPLE, call)
        return known.ticket

    def _call(self, request: HTTPRequest) -> Call:
        self.accepted += 1
        id = self._ids.of(request.header(b"x-request-id"))
        headers: Headers = [(b"X-Request-Id", id.encode())]
        if self._cors is not None:
            headers += self._cors.headers(request)
        call = request.context = Call(id, headers)
        call.trace = trace_of(request, request.header(b"traceparent"), self._traces)
        return call

    def _unmatched(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        if request.method == "OPTIONS" and request.raw_path == b"*":
            allow = (b"Allow", b"GET, HEAD, POST, OPTIONS")
            return HTTPResponse(204, headers=[*call.headers, allow])
        path = request.path[:200]
        hint = nearest(path, self._router.templates())
        error = NotFound(f"no route {path!r}", help=hint if hint.startswith("did") else None)
        return respond(error, _dialect_of(request), call)

    def _other_method(
        self, request: HTTPRequest, call: Call, found: Match[Endpoint]
    ) -> HTTPResponse:
        resource, _ = found
        allow = (b"Allow", resource.allow)
        if request.method == "OPTIONS":
            extra = self._cors.preflight(request, resource.allow) if self._cors else []
            return HTTPResponse(204, headers=[*call.headers, allow, *extra])
        response = failure(
            405,
            "method_not_allowed",
            f"{request.method[:20]} is not offered here",
            f"allowed: {resource.allow.decode()}",
            _dialect_of(request),
            call,
        )
        response.headers = [*response.headers, allow]
        return response

    def error(self, request: HTTPRequest | None, status: int, message: str) -> HTTPResponse:
        """Return the body of an error the transport found."""
        kind = KIND_OF.get(status, "invalid_input" if status < 500 else "internal")
        if request is None:
            response = failure(status, kind, message, None, SIMPLE, None)
            assert isinstance(response.body, bytes)
            self.refused(status, kind, len(response.body))
            return response
        call = request.context or self._call(request)
        return failure(status, kind, message, None, _dialect_of(request), call)

    def finished(self, request: HTTPRequest, status: int, sent: int, seconds: float) -> None:
        """Pass a finished request on to the observer."""
        call: Call | None = request.context
        if call is None:
            call = self._call(request)
        self._observer(request, status, sent, seconds, call.timings, call.model or None)


def _dialect_of(request: HTTPRequest) -> str:
    call: Call | None = request.context
    if call is not None and call.route is not None:
        return call.route.dialect
    return dialect_of(request.raw_path)

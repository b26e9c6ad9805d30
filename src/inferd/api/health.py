"""Whether the server lives and is ready. Never asks who wants to know.

Live: the loop answers. Ready: every model named at the start has answered its golden request
(that is what state ``ready`` means), and the server is not draining. Once ready, a model that
fails turns its own readiness only; the server stays ready for the others.
"""

from __future__ import annotations

from inferd.api.call import Call
from inferd.codecs import json
from inferd.routing.table import RouteTable
from inferd.transport.message import HTTPRequest, HTTPResponse


class Readiness:
    """The server's readiness; ``draining`` is set when it begins to stop.

    ``starting`` is set while not all models are in the table yet: those that are may be ready alone.
    ``may_be_empty``: models come and go at a client's request, so having none is no failing.
    """

    def __init__(self, table: RouteTable, *, may_be_empty: bool = False) -> None:
        self._table = table
        self._may_be_empty = may_be_empty
        self._was_ready = False
        self.starting = False
        self.draining = False

    def reasons(self) -> list[str]:
        """Return why the server is not ready; nothing where it is."""
        if self.draining:
            return ["the server is stopping"]
        if self._was_ready:
            return []
        versions = self._table.all()
        if not versions and not self._may_be_empty:
            return ["no model is loaded"]
        reasons = [
            f"model {v.model!r} version {v.version} is {v.state}"
            + (f": {v.reason}" if v.reason and v.reason != v.state else "")
            for v in versions
            if not v.ready
        ]
        if self.starting and not reasons:
            return ["the server is starting"]
        self._was_ready = not reasons
        return reasons


class HealthDoors:
    """``/healthz`` and ``/readyz``."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def live(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say that the server lives."""
        return HTTPResponse(200, b'{"status":"ok"}', headers=call.headers)

    async def ready(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether the server is ready, and why not."""
        reasons = self._readiness.reasons()
        if not reasons:
            return HTTPResponse(200, b'{"status":"ready"}', headers=call.headers)
        body = json.dumps({"status": "not ready", "reasons": reasons})
        return HTTPResponse(503, body, headers=[*call.headers, (b"Retry-After", b"1")])

"""A replica over HTTP, whatever is spoken: messages go out, answers come back, failures are told apart.

The head of a request is the same for all but its path, its lengths and what it passes on, so the rest of
it is written once.
"""

from __future__ import annotations

import time

from inferd.codecs.refusals import refusal, retry_after
from inferd.core.errors import InferdError, Overloaded, Unavailable
from inferd.routing.remote import failure
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.spec import Endpoint, ServiceSpec
from inferd.transport.outgoing import Pool
from inferd.transport.outgoing_connection import Buffer, HTTPAnswer, NoAnswer, Whole


class HTTPReplica:
    """One replica of a service over HTTP. Everything raises ``Failure``."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, pool: Pool) -> None:
        self._service = spec.name
        self._pool = pool
        self._where = pool.address.host + f":{pool.address.port}"
        fixed = [("Host", endpoint.authority), ("User-Agent", "inferd"), *spec.sent]
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed).encode()

    def _head(self, path: str) -> list[Buffer]:
        """Return a request that asks for what is at ``path``."""
        return [f"GET {path} HTTP/1.1\r\n".encode() + self._fixed + b"\r\n"]

    async def _ask(self, message: list[Buffer], seconds: float) -> HTTPAnswer:
        try:
            return await self._pool.exchange(message, seconds)
        except NoAnswer as error:
            raise self._failed(error) from None

    async def _open(self, message: list[Buffer], seconds: float) -> Whole:
        """Do the same for an answer in pieces; one that is no success is given whole."""
        try:
            return await self._pool.stream(message, seconds)
        except NoAnswer as error:
            raise self._failed(error) from None

    def _failed(self, error: NoAnswer) -> Failure:
        if error.full:
            return failure.crowded(self._service, self._where, error.reason)
        if error.late:
            return failure.late(self._service, self._where, error.reason)
        if not error.connected:
            return failure.unreached(self._service, self._where, error.reason)
        kind = failure.garbled if error.began else failure.broken
        return kind(self._service, self._where, error.reason)

    def _garbled(self, reason: str) -> Failure:
        return failure.garbled(self._service, self._where, reason)

    def _refused(self, answer: HTTPAnswer) -> Failure:
        location = answer.headers.get(b"location")
        error = refusal(
            answer.status, answer.body, None if location is None else location.decode("latin-1")
        )
        return failure.refused(self._service, self._timed(error, answer))

    def _timed(self, error: InferdError, answer: HTTPAnswer) -> InferdError:
        """Return the error of an answer with the time after which to come back, where it says one."""
        if isinstance(error, (Overloaded, Unavailable)):
            value = answer.headers.get(b"retry-after")
            error.retry_after = retry_after(
                None if value is None else value.decode("latin-1"), time.time()
            )
        return error

    def drain(self) -> None:
        """Take no more questions; those under way are answered."""
        self._pool.close()

    async def aclose(self) -> None:
        """End everything."""
        await self._pool.aclose()

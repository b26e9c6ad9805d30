"""The request seam: anything that answers one request.

A batched model, a cache, a traffic split, a fallback, a pipeline, a remote server: all are
servables and wrap each other. Raises only ``InferdError`` subclasses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from inferd.core.message import Request, Response, Timings, collected
from inferd.core.tensor import Tensors


class Servable(Protocol):
    """Answers one request, or raises an ``InferdError``."""

    async def __call__(self, request: Request) -> Response:
        """Answer ``request``."""
        ...


class Promise(Protocol):
    """Where an answer goes: what is used of ``asyncio.Future``, so that one serves as well."""

    def done(self) -> bool:
        """Whether it was settled or cancelled."""
        ...

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        ...

    def cancel(self) -> bool:
        """Give up; whether that was news."""
        ...

    def set_result(self, result: Tensors, /) -> None:
        """Settle with outputs."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """Settle with an error."""
        ...


class Direct(Servable, Protocol):
    """A servable that can also answer without a coroutine: it settles a promise later.

    Half of what a small request costs is futures and coroutines, hence this shorter way. A servable
    that wraps others need not offer it: doors use the plain call then.
    """

    def begin(
        self, inputs: Tensors, promise: Promise, deadline: float, priority: int, id: str
    ) -> Any | None:
        """Admit a request and return a handle, or ``None`` where only the plain call will do.

        The arguments are those of a ``Request`` for all outputs. Raises the refusal. ``promise`` may
        be settled before this returns.
        """
        ...

    def timings(self, handle: Any) -> Timings:
        """Return the timings of a request that was answered."""
        ...

    def abandon(self, handle: Any) -> None:
        """Nobody waits any more: drop it before it runs, where it still waits."""
        ...


async def answer_all(
    servable: Servable, requests: Sequence[Request], at_once: int
) -> list[Response]:
    """Ask ``servable`` for each of ``requests``, at most ``at_once`` at a time.

    Streamed answers are collected. The first error cancels the rest and is raised.
    """
    import asyncio  # a worker, which knows this module too, has no use for it

    responses: list[Response | None] = [None] * len(requests)
    pending: Iterator[tuple[int, Request]] = iter(enumerate(requests))

    async def work() -> None:
        for index, request in pending:
            responses[index] = response = await servable(request)
            if response.chunks is not None:
                response.outputs, response.chunks = await collected(response), None

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(requests))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [response for response in responses if response is not None]

"""Calls in which messages come and go in any number, and how they end when the server stops.

An *exchange* is the simple kind (watching health, reflection): an iterator of messages in, one of
messages out. ``session`` is the other kind, where requests are answered as they get ready. Both are
open for as long as the client likes, so a stopping server ends them: it takes no further message,
gives the answers that are due, and says that it is unavailable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import grpc

from inferd.api.call import Call
from inferd.api.grpc.calls import Asked, Calls, Context, id_of
from inferd.api.grpc.methods import Rpc
from inferd.core.errors import Unavailable

Exchange = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
Handler = Callable[[Any, Context], Awaitable[None]]


class Closable(Protocol):
    """Something that ends itself when asked to."""

    def close(self) -> None:
        """End after what is due; idempotent."""
        ...


def stopping() -> Unavailable:
    """Return what open streams are told when the server stops."""
    return Unavailable("the server is stopping", retry_after=1.0)


class Streams:
    """The open streams of a server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._open: set[Closable] = set()
        self.closing = False

    def close(self) -> None:
        """End every stream, those to come at once."""
        self.closing = True
        for stream in list(self._open):
            stream.close()

    @contextlib.contextmanager
    def opened(self, stream: Closable) -> Any:
        """Count ``stream`` as open; raises where the server is stopping."""
        if self.closing:
            raise stopping()
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)

    def exchange(self, rpc: Rpc, exchange: Exchange) -> Handler:
        """Return the handler of a method that is an exchange."""
        calls = self._calls

        async def handle(messages: Any, context: Context) -> None:
            metadata = context.invocation_metadata()
            request = calls.begin(rpc, id_of(metadata))
            call: Call = request.context
            try:
                calls.admit(rpc, call, Asked(), request.received, context)
                talk = Talk(exchange, context)
                with self.opened(talk):
                    await talk.run()
            except asyncio.CancelledError:  # that is how clients end a watch
                calls.over(request, 200, 0)
                raise
            except Exception as error:
                calls.refuse(context, request, error)
            else:
                calls.over(request, 200, 0)

        return handle


class Talk:
    """One exchange that goes on.

    What waits for the next answer is a task of its own, so that closing can end the wait: a message
    that is being written must not be cancelled, or the call could not be ended after it.
    """

    def __init__(self, exchange: Exchange, context: Context) -> None:
        self._exchange = exchange
        self._context = context
        self._next: asyncio.Future[bytes | None] | None = None
        self._closed = False

    def close(self) -> None:
        """End it now."""
        self._closed = True
        if self._next is not None:
            self._next.cancel()

    async def run(self) -> None:
        """Talk until the client has no more to say; raises ``Unavailable`` where it was closed."""
        answers = self._exchange(read(self._context))
        try:
            while not self._closed:
                self._next = asyncio.ensure_future(anext(answers, None))
                await asyncio.wait({self._next})
                if self._next.cancelled():
                    break
                answer = self._next.result()
                if answer is None:
                    return
                await self._context.write(answer)
        finally:
            if self._next is not None and not self._next.done():
                self._next.cancel()
                await asyncio.wait({self._next})
            await answers.aclose()  # type: ignore[attr-defined]
        raise stopping()


async def read(context: Context) -> AsyncIterator[bytes]:
    """Give the messages of a call until the client has no more."""
    while True:
        message = await context.read()
        if message is grpc.aio.EOF:
            return
        yield message

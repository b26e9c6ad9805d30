"""The pieces of an answer that goes out as its last step generates it.

A piece carries what is new of the outputs that the streaming step gives. The other outputs come once: in
the first piece where they are known by then, else, together, in a last piece of their own. The first piece
waits only for steps from which a streamed output would rather come. Steps that need the whole of what is
streamed get it when it has ended, so what they give is in the last piece.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from inferd.core.errors import Cancelled, InferdError
from inferd.core.tensor import Tensors
from inferd.routing.pipeline.execute.outputs import before, follows, outputs_of, settled
from inferd.routing.pipeline.execute.values import Values, fitted, taken
from inferd.routing.pipeline.execute.wiring import Exit, Line

AHEAD = 2
"""Pieces that wait to be taken; a slow client holds up its own generation and nothing else."""


class Origin(Protocol):
    """The request whose answer this is."""

    values: Values
    exits: Sequence[Exit]
    over: list[bool]
    loop: asyncio.AbstractEventLoop

    def opened(self) -> None:
        """Hear that the answer has begun."""
        ...

    def drop(self) -> None:
        """Hear that nobody waits any more."""
        ...


class Stream:
    """Takes the pieces of a step (``ask.Sink``) and gives those of the pipeline.

    Closing it before the end stops the generation and all that still runs.
    """

    def __init__(self, origin: Origin, line: Line) -> None:
        self.opened = False
        self._origin: Origin | None = origin
        self._line = line
        self._slots = {slot.name: slot for slot in line.outputs}
        self._pieces: deque[Tensors] = deque()
        self._before: set[int] = set()
        self._live: list[tuple[Exit, str]] | None = None
        self._rest: list[Exit] = []
        self._ended = False
        self._error: InferdError | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    # -- from the step --------------------------------------------------------------------------

    def open(self) -> None:
        """Begin the answer."""
        origin = self._origin
        if origin is not None and not self.opened:
            self.opened = True
            self._before = before(origin.exits, self._line.index)
            origin.opened()

    async def put(self, piece: Tensors) -> None:
        """Hand on a piece once there is room; raises ``ModelFailed`` for one of the wrong type."""
        while (origin := self._origin) is not None:
            if len(self._pieces) < AHEAD and all(origin.over[i] for i in self._before):
                self._add(origin, piece)
                return
            self._room = origin.loop.create_future()
            await self._room
        raise Cancelled("nobody takes its pieces any more")

    def _add(self, origin: Origin, piece: Tensors) -> None:
        out: Tensors = {}
        if self._live is None:
            out = self._begin(origin)
        for exit_, name in self._live or ():
            if name in piece:
                batched = self._line.node.batched
                (array,) = taken(piece, (self._slots[name],), 1 if batched else None)
                out[exit_.name] = fitted(array if batched else array[None], exit_.rank + 1)
        if out:
            self._pieces.append(out)
            _wake(self._arrived)

    def _begin(self, origin: Origin) -> Tensors:
        """Find which outputs are streamed; return those of the others that are known."""
        self._live = []
        known: list[Exit] = []
        for exit_ in origin.exits:
            name = follows(exit_, origin.values, self._line.index)
            if name is not None:
                self._live.append((exit_, name))
            elif settled(exit_, origin.values, origin.over):
                known.append(exit_)
            else:
                self._rest.append(exit_)
        return outputs_of(known, origin.values, None)

    # -- from the request -----------------------------------------------------------------------

    def news(self) -> None:
        """Hear that some step has ended."""
        _wake(self._room)

    def finish(self) -> None:
        """End: all steps have ended. What no piece has carried yet comes in the last."""
        origin, self._origin = self._origin, None
        if origin is None:
            return
        last = self._begin(origin) if self._live is None else {}
        last.update(outputs_of(self._rest, origin.values, None))
        if last:
            self._pieces.append(last)
        self._ended = True
        _wake(self._arrived)

    def fail(self, error: InferdError) -> None:
        """End with an error, once the pieces before it are taken."""
        self._origin = None
        self._error = error
        self._ended = True
        _wake(self._arrived)
        _wake(self._room)

    # -- to whoever reads -------------------------------------------------------------------------

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Tensors:
        while not self._pieces:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            origin = self._origin
            if self._ended or origin is None:
                raise StopAsyncIteration
            self._arrived = origin.loop.create_future()
            try:
                await self._arrived
            except BaseException:
                await self.aclose()
                raise
        piece = self._pieces.popleft()
        _wake(self._room)
        return piece

    async def aclose(self) -> None:
        """Stop: the generation ends before its next step, and so does all that still runs."""
        origin, self._origin = self._origin, None
        self._ended = True
        self._error = None
        self._pieces.clear()
        _wake(self._room)
        if origin is not None:
            origin.drop()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)

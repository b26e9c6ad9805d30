"""Requests whose answers come in pieces: what crosses to the worker and back, and who waits for it.

========  =========  ==============================================================================
kind      from       payload
========  =========  ==============================================================================
GENERATE  front      f64 deadline, u32 size of the parameters, these as JSON, one block
TAKEN     front      u32: so many pieces have been taken; as many more may be sent
CANCEL    front      empty: nobody waits any more; the generation stops before its next step
CHUNK     worker     one block of one entry: a piece of the answer
END       worker     JSON: an error or null, seconds in all, pieces
========  =========  ==============================================================================

The handle is the job's, which has one entry. At most ``WINDOW`` pieces are under way to a client: a
slow one holds up its own generation and nothing else.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from inferd.core.errors import InferdError, from_kind
from inferd.core.message import Parameters
from inferd.core.tensor import Tensors
from inferd.execution import frames
from inferd.execution.blocks import Block, BlockReader, BlockWriter, FrameError
from inferd.execution.frames import FAILED, OK, Frame, Outcome, frame, told

if TYPE_CHECKING:
    import asyncio

WINDOW = 32
PARAMETERS_MAX = 1 << 20
_GENERATE = struct.Struct("<dI")
_COUNT = struct.Struct("<I")


class Stream:
    """The pieces of one answer as they come. A ``core.servable.Promise`` and an async iterator.

    ``parameters``: what the request asks of the generation. ``emitted``: a piece has come, so the
    request may not be run again. ``taken``: is told how many pieces were taken, now and then.
    """

    __slots__ = (
        "_arrived", "_error", "_gone", "_pieces", "_settled", "_unsaid", "emitted", "parameters", "taken",
    )  # fmt: skip

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.emitted = False
        self.taken: Callable[[int], None] = _ignore
        self._pieces: deque[Tensors] = deque()
        self._unsaid = 0
        self._settled = False
        self._gone = False
        self._error: BaseException | None = None
        self._arrived: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether the worker waits until pieces are taken."""
        return len(self._pieces) + self._unsaid >= WINDOW

    def put(self, piece: Tensors) -> None:
        """Add a piece."""
        self.emitted = True
        if not self._settled:
            self._pieces.append(piece)
            self._wake()

    def done(self) -> bool:
        """Whether no further piece comes."""
        return self._settled

    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._gone

    def cancel(self) -> bool:
        """Give up; whether that was news."""
        news = not self._settled
        self._settled = self._gone = True
        self._pieces.clear()
        self._wake()
        return news

    def set_result(self, result: Tensors, /) -> None:
        """End; ``result`` is the last piece where it holds anything."""
        if result:
            self.put(result)
        self._settled = True
        self._wake()

    def set_exception(self, exception: BaseException, /) -> None:
        """End with an error, once the pieces before it are taken."""
        self._error = exception
        self._settled = True
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def next(self) -> Tensors | None:
        """Return the next piece, ``None`` after the last; raises what ended the answer."""
        import asyncio  # a worker, which knows this module too, has no use for it

        while not self._pieces:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._settled:
                return None
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        piece = self._pieces.popleft()
        self._unsaid += 1
        if self._unsaid >= WINDOW // 2 and not self._settled:
            count, self._unsaid = self._unsaid, 0
            self.taken(count)
        return piece


def _ignore(count: int) -> None:
    return None


def write_generate(
    handle: int, parameters: Parameters, deadline: float, inputs: Tensors
) -> Frame:  # fmt: skip
    """Build a GENERATE frame; everything travels in it."""
    told_ = orjson.dumps(parameters)
    if len(told_) > PARAMETERS_MAX:
        raise FrameError(f"request parameters of {len(told_)} bytes")
    writer = BlockWriter()
    writer.add([inputs], 1)
    head = _GENERATE.pack(deadline, len(told_)) + told_
    return frame(frames.GENERATE, handle, [b"".join((head, *writer.heads)), *writer.data])


def read_generate(payload: memoryview) -> tuple[Parameters, float, Tensors]:
    """Decode a GENERATE payload; raises ``FrameError``."""
    try:
        deadline, size = _GENERATE.unpack_from(payload)
        start = _GENERATE.size
        if size > len(payload) - start:
            raise FrameError("the parameters of a request are longer than its frame")
        parameters: Parameters = orjson.loads(payload[start : start + size])
    except (struct.error, ValueError) as error:
        raise FrameError(f"malformed GENERATE frame: {error}") from None
    return parameters, deadline, _one(payload, start + size)


def write_chunk(handle: int, piece: Tensors) -> Frame:
    """Build a CHUNK frame; raises ``InferdError`` or ``FrameError`` for what cannot be sent."""
    writer = BlockWriter()
    writer.add([piece], 1)
    return frame(frames.CHUNK, handle, [*writer.heads, *writer.data])


def read_chunk(payload: memoryview) -> Tensors:
    """Decode a CHUNK payload: arrays of their own; raises ``FrameError``."""
    return _one(bytes_of(payload), 0)


def bytes_of(payload: memoryview) -> memoryview:
    """Return a copy: the channel uses its buffer again while a piece still waits."""
    return memoryview(bytes(payload))


def _one(payload: memoryview, position: int) -> Tensors:
    reader = BlockReader(payload, position)
    (block,) = reader.read(1)
    if block.count != 1:
        raise FrameError("a piece of more than one request")
    return block.tensors


def write_end(handle: int, error: InferdError | None, seconds: float, pieces: int) -> Frame:
    """Build an END frame."""
    value = [told(error) if error is not None else None, seconds, pieces]
    return frames.json_frame(frames.END, handle, value)


def read_end(payload: memoryview) -> Outcome:
    """Decode an END payload into the outcome of a job of one entry; raises ``FrameError``."""
    try:
        error, seconds, pieces = orjson.loads(payload)
        seconds = float(seconds)
        if not 0 <= seconds < float("inf") or int(pieces) < 0:
            raise FrameError("the end of a stream with impossible figures")
        return ended(from_kind(*error) if error is not None else None, seconds)
    except (ValueError, TypeError) as problem:
        raise FrameError(f"malformed END frame: {problem}") from None


def ended(error: InferdError | None, seconds: float) -> Outcome:
    """Return the outcome of a streamed job."""
    if error is not None:
        return Outcome(bytes([FAILED]), [], {0: error}, run=seconds, rows=1)
    return Outcome(bytes([OK]), [Block(1, {})], {}, run=seconds, rows=1)


def taken_frame(handle: int, count: int) -> Frame:
    """Build a TAKEN frame."""
    return frame(frames.TAKEN, handle, [_COUNT.pack(count)])


def read_taken(payload: memoryview) -> int:
    """Decode a TAKEN payload; raises ``FrameError``."""
    try:
        (count,) = _COUNT.unpack_from(payload)
    except struct.error as error:
        raise FrameError(f"malformed TAKEN frame: {error}") from None
    return int(count)

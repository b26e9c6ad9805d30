"""Everything that crosses between the front and a worker, listed in one file.

A frame is a 16-byte head and a payload::

    u8 kind, u8[3] zero, u32 payload length, u64 handle (the job)

========  =========  ==============================================================================
kind      from       payload
========  =========  ==============================================================================
LOAD      front      JSON: the model to load (``ModelSpec.to_json`` and how to measure)
UNLOAD    front      empty: finish what runs, then exit 0
ADD       front      u32 entries, u32 blocks, u32 rerun budget, f64 deadline per entry, blocks
CANCEL    front      empty: the job of ``handle`` is no longer wanted, if it has not started
CREDIT    front      u32 slots, then u64 offsets of output memory given back
DONE      worker     answer to LOAD (JSON) or ADD (outcome, below)
BEAT      worker     u64 CPU nanoseconds used so far, u64 steps of its engine
========  =========  ==============================================================================

``streams`` has those of answers in pieces: GENERATE, TAKEN, CHUNK, END.

Outcome: u32 entries, u32 blocks, u32 reruns, u32 size of the error list, f64 batch seconds, f64
run seconds, f32 fill, u32 rows, one status byte per entry, the errors as JSON, then the blocks of
the entries that succeeded, in order. Fixed schema, no pickle, no names of memory or ports.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from typing import Any, cast

import numpy as np
import orjson

from inferd.core.errors import InferdError, ModelFailed, from_kind
from inferd.core.tensor import Tensors
from inferd.execution.blocks import (
    Block,
    BlockReader,
    BlockWriter,
    Buffer,
    FrameError,
    Place,
    whole,
)  # fmt: skip
from inferd.execution.layout import Layout

LOAD, UNLOAD, ADD, CANCEL, CREDIT, DONE, CHUNK, BEAT, GENERATE, TAKEN, END = range(1, 12)
KINDS = (
    "", "load", "unload", "add", "cancel", "credit", "done", "chunk", "beat", "generate", "taken", "end",
)  # fmt: skip

HEAD = struct.Struct("<B3xIQ")
MAX_PAYLOAD = 1 << 30
MESSAGE_MAX = 4096
HEADS_MAX = 512
_ADD = struct.Struct("<III")
_OUTCOME = struct.Struct("<IIIIddfI")
OK, FAILED = 0, 1

Frame = list[Buffer | np.ndarray]


def frame(kind: int, handle: int, payload: Frame) -> Frame:
    """Put a head before the parts of a payload."""
    size = sum([p.nbytes if isinstance(p, np.ndarray) else len(p) for p in payload])
    if size > MAX_PAYLOAD:
        raise FrameError(f"a frame of {size} bytes is over the {MAX_PAYLOAD} allowed")
    return [HEAD.pack(kind, size, handle), *payload]


def joined(parts: Frame) -> bytes:
    """Return a frame as one byte string, ready to be sent."""
    return b"".join(cast("list[bytes]", parts))  # join takes any contiguous buffer


def parse_head(head: Buffer) -> tuple[int, int, int]:
    """Return (kind, payload length, handle); raises ``FrameError``."""
    kind, size, handle = HEAD.unpack_from(head)
    if not 0 < kind < len(KINDS) or size > MAX_PAYLOAD:
        raise FrameError(f"a frame of kind {kind} and {size} bytes")
    return kind, size, handle


def json_frame(kind: int, handle: int, value: Any) -> Frame:
    """Build a frame whose payload is JSON."""
    return frame(kind, handle, [orjson.dumps(value)])


def load_frame(order: Mapping[str, Any]) -> Frame:
    """Build a LOAD frame. A step's parameter may be infinite, which only ``json`` lets through."""
    return frame(LOAD, 0, [json.dumps(order).encode()])


def told(error: InferdError) -> tuple[str, str, str | None]:
    """Return kind, message and help of an error as it may cross: valid UTF-8 of bounded length."""
    return error.kind, _fit(error.message), _fit(error.help) if error.help else None


def _fit(text: str) -> str:
    if len(text) > MESSAGE_MAX:
        text = text[: MESSAGE_MAX - 3] + "..."
    return text.encode("utf-8", "replace").decode()


def write_add(
    handle: int,
    entries: Sequence[tuple[Layout | None, Tensors]],
    deadlines: Sequence[float],
    budget: int,
    place: Place | None = None,
) -> tuple[Frame, list[tuple[int, int]]]:
    """Build an ADD frame; ``entries`` are (layout, tensors), equal layouts being one object.

    Returns the frame and the spans of shared memory it uses.
    """
    writer = BlockWriter(place)
    run: list[Tensors] = []
    last: Layout | None = None
    for layout, tensors in entries:
        if run and layout is not last:
            writer.add(run, len(run))
            _learn(last, len(run), writer)
            run = []
        last = layout
        run.append(tensors)
        if layout is None:
            writer.add(run, 1)
            run = []
    if run:
        writer.add(run, len(run))
        _learn(last, len(run), writer)
    n = len(entries)
    head = _ADD.pack(n, writer.count, budget) + struct.pack(f"<{n}d", *deadlines)
    return frame(ADD, handle, [b"".join((head, *writer.heads)), *writer.data]), writer.spans


def write_alike(
    handle: int, layout: Layout, inputs: list[Tensors], deadlines: list[float], budget: int
) -> bytes | None:
    """Build an ADD frame of small entries that all have one layout, the usual job.

    Returns ``None`` where the header is not known yet or the data belongs in shared memory.
    """
    n = len(inputs)
    head = layout.heads.get(n)
    if head is None:
        return None
    size = _ADD.size + 8 * n + len(head) + layout.nbytes * n
    parts: list[Any] = [
        HEAD.pack(ADD, size, handle), _ADD.pack(n, 1, budget), _doubles(n).pack(*deadlines), head,
    ]  # fmt: skip
    for name in inputs[0]:
        parts += [whole(t[name]) for t in inputs]
    return b"".join(parts)


_doubles = lru_cache(1024)(lambda n: struct.Struct(f"<{n}d"))


def _learn(layout: Layout | None, entries: int, writer: BlockWriter) -> None:
    """Remember the header of a block that always travels inline."""
    if layout is None or not layout.nbytes or not writer.constant:
        return
    if len(layout.heads) < HEADS_MAX:
        layout.heads[entries] = writer.heads[-1]


@dataclass(slots=True)
class AddJob:
    """A decoded ADD frame; ``spans`` is the shared memory its tensors are views of."""

    deadlines: tuple[float, ...]
    budget: int
    blocks: list[Block]
    spans: list[tuple[int, int]]


def read_add(payload: memoryview, shared: memoryview | None) -> AddJob:
    """Decode an ADD payload; raises ``FrameError``."""
    try:
        n, blocks, budget = _ADD.unpack_from(payload)
        deadlines = _doubles(n).unpack_from(payload, _ADD.size)
    except struct.error as error:
        raise FrameError(str(error)) from None
    reader = BlockReader(payload, _ADD.size + 8 * n, shared)
    found = reader.read(blocks)
    if sum([b.count for b in found]) != n:
        raise FrameError("an ADD frame's blocks do not add up to its entries")
    return AddJob(deadlines, budget, found, reader.spans)


@dataclass(slots=True)
class Outcome:
    """How one job went.

    ``blocks`` hold the outputs of the entries whose ``status`` is OK, in order; ``errors`` maps
    the index of each other entry to its error. ``batch`` (decode, transforms, collation) and
    ``run`` (the runtime) are seconds; ``fill`` is real over padded elements; ``rows`` ran;
    ``reruns`` counts entries run again to isolate a failure.
    """

    status: bytes
    blocks: list[Block]
    errors: dict[int, InferdError]
    batch: float = 0.0
    run: float = 0.0
    fill: float = 1.0
    rows: int = 0
    reruns: int = 0


def all_failed(count: int, error: InferdError) -> Outcome:
    """Return the outcome of a job none of whose ``count`` entries succeeded."""
    return Outcome(bytes([FAILED]) * count, [], dict.fromkeys(range(count), error))


def write_outcome(
    handle: int, outcome: Outcome, place: Place | None = None
) -> tuple[Frame, list[tuple[int, int]]]:
    """Build the DONE frame of a job; returns it and the shared memory spans it uses."""
    writer = BlockWriter(place)
    for block in outcome.blocks:
        writer.add([block.tensors], block.count)
    errors = b""
    if outcome.errors:
        errors = orjson.dumps([[i, *told(e)] for i, e in outcome.errors.items()])
    head = _OUTCOME.pack(
        len(outcome.status), writer.count, outcome.reruns, len(errors),
        outcome.batch, outcome.run, outcome.fill, outcome.rows,
    )  # fmt: skip
    parts = [b"".join((head, outcome.status, errors, *writer.heads)), *writer.data]
    return frame(DONE, handle, parts), writer.spans


def sendable(outcome: Outcome) -> Outcome:
    """Return the outcome with every block that cannot be written turned into errors."""
    blocks: list[Block] = []
    errors = dict(outcome.errors)
    status = bytearray(outcome.status)
    good = [i for i, s in enumerate(status) if s == OK]
    for block in outcome.blocks:
        mine, good = good[: block.count], good[block.count :]
        try:
            BlockWriter().add([block.tensors], block.count)
            blocks.append(block)
        except Exception as error:  # whatever foreign arrays hold
            failure = ModelFailed(f"the model's answer cannot be sent: {error}")
            for i in mine:
                status[i] = FAILED
                errors[i] = failure
    return replace(outcome, status=bytes(status), blocks=blocks, errors=errors)


def read_outcome(
    payload: memoryview, entries: int, shared: memoryview | None
) -> tuple[Outcome, list[tuple[int, int]]]:
    """Decode the outcome of a job of ``entries`` entries; raises ``FrameError``."""
    try:
        n, blocks, reruns, size, batch, run, fill, rows = _OUTCOME.unpack_from(payload)
        position = _OUTCOME.size
        status = bytes(payload[position : position + n])
        position += n
        errors: dict[int, InferdError] = {}
        if size > len(payload) - position:
            raise FrameError("an outcome's errors are longer than its frame")
        if size:
            for i, kind, message, help_ in orjson.loads(payload[position : position + size]):
                errors[int(i)] = from_kind(str(kind), str(message), help_)
            position += size
    except (struct.error, ValueError, TypeError) as error:
        raise FrameError(f"malformed outcome: {error}") from None
    if not (0 <= batch < inf and 0 <= run < inf and 0 <= fill < inf):  # false for NaN, too
        raise FrameError("an outcome with impossible figures")
    if n != entries or len(status) != n:
        raise FrameError("an outcome does not have one status for each entry")
    reader = BlockReader(payload, position, shared)
    found = reader.read(blocks)
    failed = {i for i, s in enumerate(status) if s != OK} if any(status) else set()
    if sum([b.count for b in found]) != n - len(failed) or set(errors) != failed:
        raise FrameError("an outcome's blocks and errors do not cover its entries")
    return Outcome(status, found, errors, batch, run, fill, rows, reruns), reader.spans

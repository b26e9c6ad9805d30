import asyncio

import numpy as np
import pytest

from inferd.api.call import Call
from inferd.api.stream import EVENTS, event, opened, streamed
from inferd.core.errors import ModelFailed
from inferd.core.message import Response, Timings


def piece(value):
    return {"y": np.array([value])}


async def counting(count, *, error=None, closed=None):
    try:
        for i in range(count):
            yield piece(i)
        if error is not None:
            raise error
    finally:
        if closed is not None:
            closed.append(True)


def response(chunks):
    return Response("m", "1", piece(7), Timings(), chunks)


async def values(chunks):
    return [int(p["y"][0]) for p in [c async for c in await opened(response(chunks))]]


def test_a_whole_answer_is_one_piece():
    assert asyncio.run(values(None)) == [7]


def test_pieces_come_in_order_and_an_empty_stream_has_none():
    assert asyncio.run(values(counting(3))) == [0, 1, 2]
    assert asyncio.run(values(counting(0))) == []


def test_what_fails_before_the_first_piece_fails_at_once():
    closed = []

    with pytest.raises(ModelFailed):
        asyncio.run(values(counting(0, error=ModelFailed("no"), closed=closed)))
    assert closed == [True]


def test_closing_the_pieces_closes_the_answer():
    closed = []

    async def first_only():
        pieces = await opened(response(counting(9, closed=closed)))
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(first_only())

    assert closed == [True]


@pytest.mark.parametrize(
    ("error", "kind", "last"),
    [
        (ModelFailed("it broke"), "model_failed", b'data: "it broke"\n\n'),
        (ValueError("secret"), "internal", b'data: "internal error (request id r1)"\n\n'),
    ],
)
def test_what_fails_later_is_the_last_event(error, kind, last):
    call = Call("r1", [(b"X-Request-Id", b"r1")])

    async def body():
        async for chunk in counting(1, error=error):
            yield event(int(chunk["y"][0]))

    async def sent():
        answer = streamed(body(), call, lambda e: event(e.message))
        assert (answer.status, answer.content_type) == (200, EVENTS)
        assert (b"X-Request-Id", b"r1") in answer.headers
        return [b async for b in answer.body]

    assert asyncio.run(sent()) == [b"data: 0\n\n", last]
    assert call.kind == kind

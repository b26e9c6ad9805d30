"""Asking a servable many times: bounded, in order, and over with the first error."""

import asyncio

import numpy as np
import pytest

from inferd.core.errors import ModelFailed
from inferd.core.message import Request, Response, Timings
from inferd.core.servable import answer_all


def rows(count):
    return [Request("m", {"x": np.array([i])}) for i in range(count)]


def test_rows_run_a_bounded_number_at_a_time_and_keep_their_order():
    running, most = 0, 0

    async def servable(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Response("m", "1", request.inputs, Timings())

    responses = asyncio.run(answer_all(servable, rows(20), 4))

    assert [r.outputs["x"][0] for r in responses] == list(range(20))
    assert most == 4


def test_the_first_error_ends_the_other_rows():
    cancelled = []

    async def servable(request):
        if request.inputs["x"][0] == 1:
            raise ModelFailed("row 1")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(request.inputs["x"][0])
            raise

    with pytest.raises(ModelFailed, match="row 1"):
        asyncio.run(answer_all(servable, rows(9), 3))
    assert sorted(cancelled) == [0, 2]


def test_streamed_answers_are_collected():
    async def pieces(value):
        for part in (b"a", b"b"):
            yield {"text": np.array([part + b"%d" % value], object)}

    async def servable(request):
        return Response("m", "1", {}, Timings(), pieces(request.inputs["x"][0]))

    responses = asyncio.run(answer_all(servable, rows(2), 4))

    assert [r.outputs["text"].tolist() for r in responses] == [[b"a0b0"], [b"a1b1"]]
    assert all(r.chunks is None for r in responses)

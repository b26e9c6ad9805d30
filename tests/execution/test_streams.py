import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import InvalidInput, ModelFailed
from inferd.execution import frames, streams
from inferd.execution.blocks import FrameError
from inferd.execution.frames import FAILED, HEAD, OK, joined, parse_head
from inferd.execution.streams import WINDOW, Stream

PIECE = {"text": np.array([b"a\xff"], object), "ids": np.array([[1, 2]])}


def sent(parts):
    data = joined(parts)
    kind, size, handle = parse_head(data)
    assert size == len(data) - HEAD.size
    return kind, handle, memoryview(data)[HEAD.size :]


def same(one, two):
    assert list(one) == list(two)
    return all(a.tolist() == b.tolist() for a, b in zip(one.values(), two.values(), strict=True))


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.booleans(), st.integers(-9, 9))))
def test_a_request_crosses(parameters):
    kind, handle, payload = sent(streams.write_generate(5, parameters, 12.5, PIECE))

    told, deadline, inputs = streams.read_generate(payload)

    assert (kind, handle, told, deadline) == (frames.GENERATE, 5, parameters, 12.5)
    assert same(inputs, PIECE)


def test_a_piece_crosses():
    kind, handle, payload = sent(streams.write_chunk(6, PIECE))

    assert (kind, handle) == (frames.CHUNK, 6)
    assert same(streams.read_chunk(payload), PIECE)


def test_an_end_crosses():
    well = streams.read_end(sent(streams.write_end(7, None, 0.5, 3))[2])
    badly = streams.read_end(sent(streams.write_end(7, InvalidInput("no"), 0.5, 3))[2])

    assert (well.status, well.run, well.errors) == (bytes([OK]), 0.5, {})
    assert badly.status == bytes([FAILED]) and isinstance(badly.errors[0], InvalidInput)


def test_what_was_taken_crosses():
    assert streams.read_taken(sent(streams.taken_frame(8, 16))[2]) == 16


READERS = (streams.read_generate, streams.read_chunk, streams.read_end)
BAD = (b"", b"\0", b"\xff" * 40, b"[1, 2]", b"[null, -1, 3]")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("payload", BAD)
def test_malformed_frames_are_refused(read, payload):
    with pytest.raises(FrameError):
        read(memoryview(payload))


def test_a_count_needs_four_bytes():
    with pytest.raises(FrameError):
        streams.read_taken(memoryview(b"\0\0"))


def test_parameters_over_the_limit_are_refused():
    with pytest.raises(FrameError, match="request parameters of"):
        streams.write_generate(1, {"a": "x" * streams.PARAMETERS_MAX}, 0.0, PIECE)


async def all_of(stream):
    found = []
    while (piece := await stream.next()) is not None:
        found.append(piece)
    return found


def test_pieces_come_in_order_until_the_end():
    async def main():
        stream = Stream({})
        reading = asyncio.create_task(all_of(stream))
        for value in range(3):
            stream.put({"i": value})
            await asyncio.sleep(0)
        stream.set_result({"i": 3})
        assert stream.done() and stream.emitted and not stream.cancelled()
        return await reading

    assert asyncio.run(main()) == [{"i": i} for i in range(4)]


def test_an_error_comes_after_the_pieces_before_it():
    async def main():
        stream = Stream({})
        stream.put({"i": 0})
        stream.set_exception(ModelFailed("it broke"))
        assert await stream.next() == {"i": 0}
        with pytest.raises(ModelFailed):
            await stream.next()
        assert await stream.next() is None

    asyncio.run(main())


def test_giving_up_drops_what_is_there():
    async def main():
        stream = Stream({})
        stream.put({"i": 0})
        assert stream.cancel() and not stream.cancel()
        stream.put({"i": 1})
        assert await stream.next() is None
        assert stream.cancelled()

    asyncio.run(main())


def test_what_is_taken_is_said_by_the_half_window():
    async def main():
        stream, said = Stream({}), []
        stream.taken = said.append
        for value in range(WINDOW):
            assert not stream.full
            stream.put({"i": value})
        assert stream.full
        for _ in range(WINDOW // 2):
            await stream.next()
        assert said == [WINDOW // 2] and not stream.full

    asyncio.run(main())

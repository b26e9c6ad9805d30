"""The worker's end of its socket: whole frames, however they were cut."""

import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.execution import frames
from inferd.execution.blocks import FrameError
from inferd.execution.frames import HEAD, frame, joined
from inferd.execution.reader import BUFFER, FrameReader


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, FrameReader(theirs)
    ours.close()
    theirs.close()


def message(handle, data):
    return joined(frame(frames.ADD, handle, [data]))


SIZES = st.sampled_from([0, 1, 100, BUFFER - HEAD.size, BUFFER, BUFFER + 1, 3 * BUFFER])


@settings(max_examples=15, deadline=None)
@given(st.lists(SIZES, min_size=1, max_size=6), st.integers(20, 2 * BUFFER))
def test_frames_arrive_whole_and_in_order(sizes, cut):
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    payloads = [bytes([i + 1]) * n for i, n in enumerate(sizes)]
    data = b"".join(message(i, p) for i, p in enumerate(payloads))

    def send():
        for start in range(0, len(data), cut):
            ours.sendall(data[start : start + cut])
        ours.close()

    sender = threading.Thread(target=send)
    sender.start()
    reader = FrameReader(theirs)
    for i, payload in enumerate(payloads):
        assert reader.read() == (frames.ADD, i, bytearray(payload))
    assert reader.read() is None
    sender.join()
    theirs.close()


def test_a_payload_is_never_overwritten(pair):
    ours, reader = pair
    ours.sendall(message(1, b"first") + message(2, b"second"))
    _, _, first = reader.read()
    reader.read()
    ours.sendall(message(3, b"x" * 1000))
    reader.read()

    assert first == b"first"


def test_it_says_whether_more_is_there(pair):
    ours, reader = pair
    assert not reader.more()
    ours.sendall(message(1, b"a") + message(2, b"b"))
    assert reader.more()
    reader.read()
    assert reader.more(), "the second lies in the buffer"
    reader.read()
    assert not reader.more()


@pytest.mark.parametrize("data", [b"", b"abc", message(1, b"x" * 50)[:-1], message(1, b"x" * 99_999)[:-1]],
                         ids=["nothing", "half-a-head", "short", "short-large"])  # fmt: skip
def test_a_peer_that_goes_is_the_end(pair, data):
    ours, reader = pair
    ours.sendall(data)
    ours.shutdown(socket.SHUT_WR)

    assert reader.read() is None


def test_a_head_that_breaks_the_schema_is_refused(pair):
    ours, reader = pair
    ours.sendall(b"\xff" * HEAD.size)
    with pytest.raises(FrameError):
        reader.read()

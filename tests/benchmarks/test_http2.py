"""HTTP/2 as the load generator speaks it: frames in any pieces, heads written once."""

from __future__ import annotations

import pytest
from benchmarks.http2 import Frame, Head

from benchmarks import http2


def test_frames_are_found_when_they_are_whole() -> None:
    first = http2.frame(http2.DATA, http2.END_STREAM, 5, b"abc")
    data = first + http2.frame(http2.PING, 0, 0, b"12345678")

    assert http2.frames(data[: len(first) - 1]) == ([], 0)
    assert http2.frames(data[:-1]) == ([Frame(http2.DATA, http2.END_STREAM, 5, b"abc")], len(first))
    assert [frame.kind for frame in http2.frames(data)[0]] == [http2.DATA, http2.PING]


def test_the_opening_asks_for_no_waiting() -> None:
    found, _ = http2.frames(http2.opening().removeprefix(http2.PREFACE))

    assert [frame.kind for frame in found] == [http2.SETTINGS, http2.WINDOW]
    assert dict(http2.settings(found[0].payload)) == {
        http2.INITIAL_WINDOW_SIZE: http2.LARGEST_WINDOW
    }


def test_a_head_is_named_by_reference_after_the_first_time() -> None:
    head = Head("/service/method")

    assert b"/service/method" in head.first
    assert head.again == bytes((0x83, 0x86, 0xC2, 0xC1, 0xC0, 0xBF, 0xBE))


def test_a_long_header_is_refused() -> None:
    with pytest.raises(ValueError, match="126"):
        Head("/" + "a" * 126)


def test_a_frame_larger_than_peers_must_take_is_refused() -> None:
    with pytest.raises(ValueError, match="16385"):
        http2.frame(http2.DATA, 0, 1, bytes(16385))


def test_a_message_is_read_when_it_is_whole() -> None:
    data = http2.framed(b"hello")

    assert [http2.unframed(data[:n]) for n in range(len(data))] == [None] * len(data)
    assert http2.unframed(data) == b"hello"

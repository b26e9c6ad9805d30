"""The front's end of a worker's socket: frames whole and in order, however the bytes arrive."""

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.execution import frames
from inferd.execution.blocks import FrameError
from inferd.execution.channel import READ, Channel
from inferd.execution.frames import frame, joined


class Peer:
    """A channel and the raw socket at its other end."""

    def __init__(self, on_frame=None):
        self.frames = []
        self.closed = []
        self._on_frame = on_frame
        ours, self.raw = socket.socketpair()
        self.raw.setblocking(False)
        self.channel = Channel(ours, asyncio.get_running_loop(), self.hear, self.closed.append)
        self.channel.open()

    def hear(self, kind, handle, payload):
        if self._on_frame is not None:
            self._on_frame(kind, handle, payload)
        self.frames.append((kind, handle, bytes(payload)))

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.raw, data)

    async def until(self, check):
        async with asyncio.timeout(10):
            while not check():
                await asyncio.sleep(0.001)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.raw.close()


def message(handle, data, kind=frames.DONE):
    return joined(frame(kind, handle, [data]))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.lists(st.integers(1, 400), min_size=1, max_size=30),
)
def test_frames_arrive_whole_however_they_are_cut(payloads, cuts):
    data = b"".join(message(i, p) for i, p in enumerate(payloads))

    async def run():
        with Peer() as peer:
            start, i = 0, 0
            while start < len(data):
                end = start + cuts[i % len(cuts)]
                await peer.send(data[start:end])
                start, i = end, i + 1
            await peer.until(lambda: len(peer.frames) == len(payloads))
            assert peer.frames == [(frames.DONE, i, p) for i, p in enumerate(payloads)]

    asyncio.run(run())


@pytest.mark.parametrize("size", [READ - 16, READ, READ + 1, 5 * READ], ids=str)
def test_large_frames_arrive_between_small_ones(size):
    large = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def run():
        with Peer() as peer:
            await peer.send(message(1, b"a") + message(2, large) + message(3, b"b"))
            await peer.until(lambda: len(peer.frames) == 3)
            assert [p for _, _, p in peer.frames] == [b"a", large, b"b"]

    asyncio.run(run())


def test_a_payload_handed_on_is_never_overwritten():
    kept = []

    async def run():
        with Peer(lambda _kind, _handle, payload: kept.append(payload)) as peer:
            for i in range(50):
                await peer.send(message(i, bytes([i]) * 100))
            await peer.until(lambda: len(peer.frames) == 50)

    asyncio.run(run())
    assert [bytes(p) for p in kept] == [bytes([i]) * 100 for i in range(50)]


def test_sending_never_blocks_and_keeps_the_order():
    async def run():
        with Peer() as peer:
            sizes = [10, 2_000_000, 10, 500_000, 0]
            for i, size in enumerate(sizes):
                peer.channel.send(frame(frames.ADD, i, [bytes([i]) * size]))
            assert peer.channel.backlog > 0
            received = bytearray()
            total = sum(sizes) + 16 * len(sizes)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                while len(received) < total:
                    received += await loop.sock_recv(peer.raw, 1 << 16)
            assert received == b"".join(
                message(i, bytes([i]) * n, frames.ADD) for i, n in enumerate(sizes)
            )
            assert peer.channel.backlog == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", None),
        (b"half a he", None),
        (b"\xff" * 16, "kind 255"),
        (b"\7" + b"\xff" * 15, "bytes"),
    ],
    ids=["end", "cut", "kind", "length"],
)
def test_the_end_is_told_once_with_its_reason(data, reason):
    async def run():
        with Peer() as peer:
            await peer.send(data)
            peer.raw.close()
            await peer.until(lambda: peer.closed)
            peer.channel.close()
            assert peer.channel.closed
            assert len(peer.closed) == 1
            assert peer.closed[0] is None if reason is None else reason in peer.closed[0]
            peer.channel.send(frame(frames.ADD, 1, [b"x"]))  # to nobody, and no error

    asyncio.run(run())


@pytest.mark.parametrize("size", [3, READ + 5], ids=["small", "large"])
def test_a_frame_refused_by_its_reader_closes(size):
    def refuse(*_):
        raise FrameError("not like this")

    async def run():
        with Peer(refuse) as peer:
            await peer.send(message(1, b"x" * size) + message(2, b"y"))
            await peer.until(lambda: peer.closed)
            assert peer.closed == ["not like this"]
            assert peer.frames == []

    asyncio.run(run())


def test_a_reader_may_close_while_frames_are_left():
    async def run():
        with Peer(lambda *_: peer.channel.close()) as peer:
            await peer.send(message(1, b"a") + message(2, b"b"))
            await peer.until(lambda: peer.frames)
            await asyncio.sleep(0)
            assert [h for _, h, _ in peer.frames] == [1]

    asyncio.run(run())

"""One exchange on one connection: every framing, every cut, every way to break off."""

import asyncio

import pytest
from tests.transport.answering import ASK, OK, answering, asking, saying
from tests.transport.serving import run

from inferd.transport.outgoing_connection import AnswerLimits, AnswerStream, HTTPAnswer, NoAnswer

CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


def in_pieces(raw, size, close=False):
    async def script(peer, reader, writer, number):
        while True:
            await peer.request(reader)
            for at in range(0, len(raw), size):
                writer.write(raw[at : at + size])
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                return

    return script


@pytest.mark.parametrize("size", [1, 7, 1000], ids=str)
@pytest.mark.parametrize(
    "raw",
    [OK, CHUNKS, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK],
    ids=["length", "chunked", "interim"],
)
def test_an_answer_is_read_however_it_is_cut(raw, size):
    async def main():
        async with answering(in_pieces(raw, size)) as peer, asking(peer.port) as pool:
            for _ in range(3):
                answer = await pool.exchange(ASK, 5)
                assert (answer.status, bytes(answer.body)) == (200, b"ok")
            assert peer.connections == 1
            assert peer.asked == [(ASK[0], b"abc")] * 3

    run(main())


def test_a_body_without_a_length_ends_with_the_connection():
    async def main():
        raw = b"HTTP/1.0 200 OK\r\n\r\nall of it"
        async with answering(in_pieces(raw, 5, close=True)) as peer, asking(peer.port) as pool:
            answer = await pool.exchange(ASK, 5)
            assert bytes(answer.body) == b"all of it"
            await pool.exchange(ASK, 5)
            assert peer.connections == 2

    run(main())


@pytest.mark.parametrize("size", [0, 1, 65_535, 300_000, 5_000_000], ids=str)
def test_bodies_of_any_size_arrive_whole(size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def echo(peer, reader, writer, number):
        while True:
            _, sent = await peer.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(sent))
            writer.write(sent)
            await writer.drain()

    async def main():
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
        half = memoryview(body)[: size // 2], memoryview(body)[size // 2 :]
        async with answering(echo) as peer, asking(peer.port) as pool:
            for _ in range(2):
                answer = await pool.exchange((head, *half), 20)
                assert bytes(answer.body) == body
            assert peer.connections == 1

    run(main())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"garbage\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000, "head is longer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", "longer than 1000"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"z" * 2000,
            "longer than 1000",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 2000, "longer than 1000"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "interim"),
    ],
    ids=["garbage", "head", "length", "chunked", "unsaid", "interim"],
)
def test_what_is_no_answer_or_too_long_ends_the_exchange(raw, reason):
    async def main():
        limits = AnswerLimits(body_bytes=1000)
        async with answering(saying(raw)) as peer, asking(peer.port, limits=limits) as pool:
            with pytest.raises(NoAnswer, match=reason) as caught:
                await pool.exchange(ASK, 5)
            assert caught.value.began
            await asyncio.sleep(0.01)
            assert pool.open == 0

    run(main())


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 200 OK\r\nContent-", OK[:-1], CHUNKS[:-2], OK[:-1].replace(b": 2", b": 200000")],
    ids=["head", "length", "chunked", "long"],
)
def test_half_an_answer_is_none(raw):
    async def main():
        async with answering(saying(raw, close=True)) as peer, asking(peer.port) as pool:
            with pytest.raises(NoAnswer, match="before the answer was whole") as caught:
                await pool.exchange(ASK, 5)
            assert caught.value.began
            assert peer.connections == 1

    run(main())


def test_bytes_that_nobody_asked_for_close_the_connection():
    async def main():
        async with answering(saying(OK + b"more")) as peer, asking(peer.port) as pool:
            for _ in range(2):
                assert (await pool.exchange(ASK, 5)).status == 200
            assert peer.connections == 2

    run(main())


# -- streams ---------------------------------------------------------------------------------------


def streaming(parts, *, whole=True, pause=0.0):
    async def script(peer, reader, writer, number):
        while True:
            await peer.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in parts:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
                await asyncio.sleep(pause)
            if not whole:
                return
            writer.write(b"0\r\n\r\n")

    return script


def test_a_stream_gives_pieces_as_they_come_and_its_connection_back():
    async def main():
        async with answering(streaming([b"a", b"b", b"c"], pause=0.02)) as peer:
            async with asking(peer.port, connections=1) as pool:
                for _ in range(2):
                    answer = await pool.stream(ASK, 5)
                    assert isinstance(answer, AnswerStream)
                    assert [piece async for piece in answer] == [b"a", b"b", b"c"]
                assert peer.connections == 1

    run(main())


def test_a_refusal_of_a_stream_is_given_whole():
    async def main():
        raw = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
        async with answering(saying(raw)) as peer, asking(peer.port) as pool:
            answer = await pool.stream(ASK, 5)
            assert isinstance(answer, HTTPAnswer)
            assert (answer.status, bytes(answer.body)) == (404, b"no")

    run(main())


def test_a_stream_that_is_closed_closes_its_connection_and_frees_its_place():
    async def main():
        async with answering(streaming([b"a"] * 1000, pause=0.01)) as peer:
            async with asking(peer.port, connections=1) as pool:
                answer = await pool.stream(ASK, 5)
                assert await anext(answer) == b"a"
                assert pool.busy == 1
                await answer.aclose()
                assert pool.busy == 0
                async with asyncio.timeout(2):
                    while not peer.ended:
                        await asyncio.sleep(0.01)

    run(main())


def test_a_stream_that_breaks_off_says_so_after_its_pieces():
    async def main():
        async with answering(streaming([b"a"], whole=False)) as peer, asking(peer.port) as pool:
            answer = await pool.stream(ASK, 5)
            assert await anext(answer) == b"a"
            with pytest.raises(NoAnswer, match="whole"):
                await anext(answer)

    run(main())


def test_a_stream_ends_by_its_deadline():
    async def main():
        async with answering(streaming([b"a", b"b"], pause=5)) as peer, asking(peer.port) as pool:
            answer = await pool.stream(ASK, 0.2)
            assert await anext(answer) == b"a"
            with pytest.raises(NoAnswer) as caught:
                await anext(answer)
            assert caught.value.late

    run(main())


def test_a_stream_that_nobody_reads_holds_its_sender_back():
    sent = []

    async def script(peer, reader, writer, number):
        await peer.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            sent.append(65536)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def main():
        async with answering(script) as peer, asking(peer.port) as pool:
            answer = await pool.stream(ASK, 20)
            await asyncio.sleep(0.3)
            assert sum(sent) < 20 << 20
            total = 0
            async for piece in answer:
                total += len(piece)
            assert total == 65536 * 1000

    run(main())

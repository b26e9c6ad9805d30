"""Streaming answers: chunks, back-pressure, failures, disconnects."""

import asyncio

import pytest
from tests.transport.serving import request, run, serving


def talk(exchange, **options):
    async def main():
        async with serving(**options) as server:
            await exchange(server, await server.connect())

    run(main())


def test_stream_is_chunked_and_the_connection_kept():
    async def exchange(server, client):
        answer = await client.ask("/stream")
        assert answer.body == b"000001111122222"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert await client.is_open()
        assert server.app.done[0] == ("/stream", 200, 15)
        assert server.app.closed == [3]

    talk(exchange)


def test_stream_to_http_1_0_ends_with_the_connection():
    async def exchange(server, client):
        answer = await client.ask("/stream", version="1.0", headers=b"Connection: keep-alive\r\n")
        assert answer.body == b"000001111122222"
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"

    talk(exchange)


def test_stream_that_fails_has_no_last_chunk(caplog):
    async def exchange(server, client):
        client.send(request("/stream-fails") + request("/behind"))
        seen = await client.closed()
        assert seen.endswith(b"5\r\n11111\r\n")
        assert b"secret" not in seen
        await server.until(lambda: len(server.app.done) == 2)
        assert server.app.done == [("/stream-fails", 500, 10), ("/behind", 499, 0)]

    talk(exchange)
    assert "failed after its head" in caplog.text


def test_stream_that_fails_resets_http_1_0(caplog):
    async def exchange(server, client):
        client.send(request("/stream-fails", version="1.0"))
        with pytest.raises(ConnectionError):
            await client.closed()
        assert server.app.done == [("/stream-fails", 500, 10)]

    talk(exchange)


def test_stream_waits_for_a_slow_reader():
    async def exchange(server, client):
        client.writer.transport.pause_reading()
        client.send(request("/stream-endless"))
        await server.until(lambda: server.app.started)
        sizes = []
        for _ in range(3):
            await asyncio.sleep(0.03)
            (connection,) = server.listener._shared.connections
            sizes.append(connection._answers._sent)
        assert sizes[1] == sizes[2] < 1 << 25  # it stands still, whatever the sockets buffer
        client.close()
        await server.until(lambda: server.app.closed)
        assert server.app.done[0][:2] == ("/stream-endless", 499)

    talk(exchange)


def test_disconnect_closes_the_stream():
    async def exchange(server, client):
        client.send(request("/stream-waits"))
        head = await client.reader.readuntil(b"first\r\n")
        assert b"Transfer-Encoding: chunked" in head
        client.close()
        await server.until(lambda: server.app.closed == ["waiting"])
        assert server.app.done == [("/stream-waits", 499, 5)]

    talk(exchange)


def test_requests_behind_a_stream_wait_for_its_end():
    async def exchange(server, client):
        client.send(request("/stream-waits") + request("/", b"after"))
        await client.reader.readuntil(b"first\r\n")
        server.app.release.set()
        assert await client.chunked() == b"second"
        assert (await client.answer()).body == b"after"

    talk(exchange)


def test_unread_answers_stop_the_connection_from_asking_more():
    async def exchange(server, client):
        client.writer.transport.pause_reading()
        client.send(request("/big") * 40)
        await asyncio.sleep(0.1)
        assert len(server.app.started) < 5
        client.writer.transport.resume_reading()
        for _ in range(40):
            assert len((await client.answer()).body) == 8 << 20

    talk(exchange, pipelined=4)

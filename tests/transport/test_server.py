"""The listener: binding, inheriting, and the stages of a graceful stop."""

import asyncio
import os
import socket

import pytest
from tests.transport.serving import App, Client, request, run, serving

from inferd.core.errors import ConfigError
from inferd.transport.server import Listener


async def connect(port):
    return Client(*await asyncio.open_connection("127.0.0.1", port))


def test_a_port_in_use_is_a_clear_error():
    async def main():
        async with serving() as server:
            with pytest.raises(ConfigError) as caught:
                await Listener(App()).start(port=server.listener.port)
            assert f"cannot listen on 127.0.0.1:{server.listener.port}" in str(caught.value)
            assert "another port" in str(caught.value)

    run(main())


def test_an_unknown_host_is_a_clear_error():
    async def main():
        with pytest.raises(ConfigError, match="cannot listen on 'no such host'"):
            await Listener(App()).start("no such host")

    run(main())


def test_every_address_of_a_name_gets_the_same_free_port():
    async def main():
        listener = Listener(App())
        await listener.start("localhost", 0)
        assert {port for _, port in listener.addresses} == {listener.port}
        assert listener.port != 0
        await listener.stop(0, 1)

    run(main())


def test_inherits_a_socket():
    async def main():
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        listener = Listener(App())
        await listener.start(descriptor=sock.detach())
        assert listener.port == port
        client = await connect(port)
        assert await client.is_open()
        client.close()
        await listener.stop(0, 1)
        with pytest.raises(OSError):
            await connect(port)

    run(main())


def test_inherits_a_unix_socket(tmp_path):
    async def main():
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "s"))
        sock.listen()
        listener = Listener(App())
        await listener.start(descriptor=sock.detach())
        client = Client(*await asyncio.open_unix_connection(str(tmp_path / "s")))
        assert await client.is_open()
        client.close()
        await listener.stop(0, 1)

    run(main())


def test_refuses_to_inherit_what_is_no_listening_socket():
    async def main():
        reader, writer = os.pipe()
        with pytest.raises(ConfigError, match=f"file descriptor {reader} is no socket"):
            await Listener(App()).start(descriptor=reader)
        os.close(reader)
        os.close(writer)
        with socket.socket() as sock:
            with pytest.raises(ConfigError, match="does not listen"):
                await Listener(App()).start(descriptor=sock.fileno())
            assert sock.fileno() >= 0
            sock.getsockname()  # left open

    run(main())


def test_draining_serves_on_and_closes_after_each_answer():
    async def main():
        async with serving() as server:
            kept = await server.connect()
            await kept.ask("/")
            stop = asyncio.create_task(server.listener.stop(0.3, 5))
            await asyncio.sleep(0.01)
            assert server.listener.draining
            fresh = await server.connect()
            for client in (kept, fresh):
                answer = await client.ask("/", b"x")
                assert (answer.body, answer.headers["connection"]) == (b"x", "close")
                assert await client.closed() == b""
            assert not stop.done()
            await stop

    run(main())


def test_draining_answers_all_that_was_pipelined():
    async def main():
        async with serving() as server:
            client = await server.connect()
            client.send(request("/slow") + request("/", b"1") + request("/", b"2"))
            await server.until(lambda: server.app.started)
            stop = asyncio.create_task(server.listener.stop(0, 5))
            await asyncio.sleep(0.01)
            server.app.release.set()
            answers = [await client.answer() for _ in range(3)]
            assert [a.body for a in answers] == [b"slow", b"1", b"2"]
            assert ["connection" in a.headers for a in answers] == [False, False, True]
            assert await client.closed() == b""
            await stop

    run(main())


def test_idle_connections_are_closed_and_those_in_flight_are_answered():
    async def main():
        async with serving() as server:
            idle, busy, half = [await server.connect() for _ in range(3)]
            await idle.ask("/")
            busy.send(request("/slow"))
            half.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha")
            await server.until(lambda: len(server.app.accepted) == 3)
            stop = asyncio.create_task(server.listener.stop(0, 5))
            assert await idle.closed() == b""
            half.send(b"lf")
            assert (await half.answer()).body == b"half"
            assert not stop.done()
            server.app.release.set()
            assert (await busy.answer()).body == b"slow"
            await stop
            assert server.app.cancelled == []

    run(main())


def test_a_stream_is_finished_before_the_stop():
    async def main():
        async with serving() as server:
            client = await server.connect()
            client.send(request("/stream-waits"))
            await client.reader.readuntil(b"first\r\n")
            stop = asyncio.create_task(server.listener.stop(0, 5))
            await asyncio.sleep(0.03)
            server.app.release.set()
            assert await client.chunked() == b"second"
            await stop

    run(main())


@pytest.mark.parametrize("how", ["deadline", "abort"])
def test_what_is_overdue_gets_a_503_and_no_reset(how):
    async def main():
        async with serving() as server:
            busy, half, head, stream = [await server.connect() for _ in range(4)]
            busy.send(request("/slow") + request("/behind"))
            half.send(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha")
            head.send(b"POST / HTTP/1.1\r\nHo")
            stream.send(request("/stream-waits"))
            await stream.reader.readuntil(b"first\r\n")
            await server.until(lambda: len(server.app.accepted) == 4)
            if how == "abort":
                stop = asyncio.create_task(server.listener.stop(60, 60))
                await asyncio.sleep(0.01)
                server.listener.abort()
            else:
                stop = asyncio.create_task(server.listener.stop(0, 0.05))
            for client, answers in ((busy, 2), (half, 1), (head, 1)):
                for last in range(answers - 1, -1, -1):
                    answer = await client.answer()
                    assert answer.status == 503
                    assert "retry-after" in answer.headers
                    assert ("connection" in answer.headers) is (last == 0)
                assert await client.closed() == b""
            assert await stream.closed() == b""  # cut off without its last chunk
            await stop
            assert server.app.closed == ["waiting"]
            assert len(server.app.cancelled) == 1
            assert sorted(server.app.done) == [
                ("/behind", 503, 34), ("/half", 503, 34), ("/slow", 503, 34),
                ("/stream-waits", 499, 5),
            ]  # fmt: skip

    run(main())


def test_a_handler_that_ignores_its_cancellation_does_not_answer_twice():
    class Stubborn(App):
        async def do_stubborn(self, request):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return await self.do_headers(request)

    async def main():
        async with serving(Stubborn()) as server:
            client = await server.connect()
            client.send(request("/stubborn"))
            await server.until(lambda: server.app.started)
            stop = asyncio.create_task(server.listener.stop(0, 0.02))
            assert (await client.answer()).status == 503
            assert await client.closed() == b""
            await stop
            assert len(server.app.done) == 1

    run(main())


def test_connections_in_the_accept_queue_are_served_not_reset():
    async def main():
        server = Listener(App())
        await server.start()
        clients = []
        for i in range(50):  # the loop has no turn in between: they all wait in the queue
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.sendall(request("/", b"%d" % i))
            clients.append(sock)
        await server.stop(0, 5)
        for i, sock in enumerate(clients):
            sock.settimeout(5)
            seen = b""
            while data := sock.recv(65536):
                seen += data
            assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Connection: close" in seen
            assert seen.endswith(b"\r\n\r\n%d" % i)
            sock.close()

    run(main())


def test_a_fresh_connection_is_given_time_for_its_first_request():
    async def main():
        async with serving() as server:
            client = await server.connect()
            await server.until(lambda: server.listener.connections == 1)
            stop = asyncio.create_task(server.listener.stop(0, 5))
            await asyncio.sleep(0.05)
            assert (await client.ask("/", b"x")).body == b"x"
            await stop

    run(main())


def test_no_request_is_lost_while_stopping_under_load():
    async def main():
        async with serving() as server:
            port, answered, failed = server.listener.port, [], []
            stopping = False

            async def kept():
                client = await connect(port)
                while True:
                    answer = await client.ask("/", b"k")
                    answered.append(answer.status)
                    if answer.headers.get("connection") == "close":
                        client.close()
                        if stopping:
                            return
                        client = await connect(port)
                    await asyncio.sleep(0.002)

            async def fresh():
                while not stopping:
                    try:
                        client = await connect(port)
                    except ConnectionRefusedError:
                        return
                    answered.append((await client.ask("/", b"f")).status)
                    client.close()

            async def guarded(work):
                try:
                    await work()
                except OSError as error:
                    failed.append(error)
                except EOFError as error:
                    failed.append(error)

            tasks = [asyncio.create_task(guarded(w)) for w in [kept] * 8 + [fresh] * 8]
            await asyncio.sleep(0.1)
            stop = asyncio.create_task(server.listener.stop(0.1, 5))
            await asyncio.sleep(0.05)
            stopping = True
            await stop
            await asyncio.gather(*tasks)
            assert failed == []
            assert set(answered) == {200}
            assert len(answered) > 100

    run(main())

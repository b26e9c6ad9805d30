"""Every row of the table of limits, provoked over real sockets; time is a fake clock."""

import asyncio
import re
from pathlib import Path

import pytest
from tests.transport.serving import App, request, run, serving

from inferd.core.errors import ConfigError
from inferd.transport.limits import LIMITS, Limits, limits_from, limits_table

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


async def refused(server, raw, status, *, keeps=False):
    """Send ``raw`` on a fresh connection: it is answered with ``status`` and closed."""
    client = await server.connect()
    client.send(raw)
    answer = await client.answer()
    assert answer.status == status
    assert (answer.headers.get("connection") == "close") is not keeps
    if not keeps:
        assert await client.closed() == b""
    return answer


async def header_bytes():
    async with serving(header_bytes=200) as server:
        fits = request("/", b"", headers=b"X: " + b"x" * 148 + b"\r\n")
        assert len(fits) == 200
        assert (await refused(server, fits, 200, keeps=True)).status == 200
        await refused(server, request("/", headers=b"X: " + b"x" * 149 + b"\r\n"), 431)
        await refused(server, POST + b"X: " + b"x" * 200, 431)  # while it arrives


async def header_count():
    async with serving(header_count=5) as server:
        await refused(server, request("/", headers=b"X: y\r\n" * 3), 200, keeps=True)
        await refused(server, request("/", headers=b"X: y\r\n" * 4), 431)
        await refused(server, POST + b"X: y\r\n" * 5, 431)


async def target_bytes():
    async with serving(target_bytes=100) as server:
        await refused(server, request("/" + "x" * 99), 200, keeps=True)
        await refused(server, request("/" + "x" * 100), 414)
        await refused(server, b"GET /" + b"x" * 200, 414)


async def body_bytes():
    """The application names the limit of each route: ``json_body_bytes``, ``binary_body_bytes``."""
    async with serving() as server:
        await refused(server, request("/small", b"x" * 10), 200, keeps=True)
        client = await server.connect()
        client.send(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
        assert (await client.answer()).status == 413  # before a byte of it came
        chunked = b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        await refused(server, chunked + b"a\r\n0123456789\r\n0\r\n\r\n", 200, keeps=True)
        await refused(server, chunked + b"b\r\n01234567890", 413)
        assert [r.path for r in server.app.started] == ["/small", "/small"]


async def receiving_bytes():
    async with serving(receiving_bytes=1000) as server:
        halves = [await server.connect() for _ in range(2)]
        for client in halves:
            client.send(POST + b"Content-Length: 450\r\n\r\n" + b"x" * 400)
        await server.until(lambda: server.listener.receiving == 800)
        assert await (await server.connect()).is_open()  # whole requests are not held
        answer = await refused(server, POST + b"Content-Length: 400\r\n\r\n" + b"x" * 300, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert server.listener.receiving == 800
        for client in halves:
            client.send(b"x" * 50)
            assert (await client.answer()).status == 200
        assert server.listener.receiving == 0


async def chunk_overhead():
    async with serving(chunk_overhead=1000) as server:
        head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
        await refused(server, head + b"1\r\nx\r\n" * 150 + b"0\r\n\r\n", 200, keeps=True)
        await refused(server, head + b"1\r\nx\r\n" * 300, 413)
        await refused(server, head + b"1;" + b"e" * 1100, 413)
        big = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        await refused(server, head + big * 200 + b"0\r\n\r\n", 200, keeps=True)
        assert server.app.started[-1].body == b"x" * 4096 * 200


async def trailer_bytes():
    async with serving(trailer_bytes=100) as server:
        head = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        await refused(server, head + b"X: " + b"y" * 90 + b"\r\n\r\n", 200, keeps=True)
        await refused(server, head + b"X: " + b"y" * 100 + b"\r\n\r\n", 431)
        await refused(server, head + b"X: y\r\n" * 20, 431)
        client = await server.connect()
        client.send(head)
        await asyncio.sleep(0.01)
        client.send(b"X: ")
        await asyncio.sleep(0.01)
        client.send(b"y" * 200)  # one trailer that never ends
        assert (await client.answer()).status == 431


async def header_time():
    async with serving(header_time=10.0) as server:
        client = await server.connect()
        client.send(b"POST / HT")
        await server.later(6)
        client.send(b"TP/1.1\r\n")  # a byte now and then does not extend it
        await server.later(5)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert await client.closed() == b""
        silent = await server.connect()
        await server.later(11)
        assert await silent.closed() == b""  # nothing was asked: nothing is answered


async def body_time():
    async with serving(body_time=30.0, least_rate=10) as server:
        client = await server.connect()
        client.send(POST + b"Content-Length: 100\r\n\r\n")
        for _ in range(5):
            await server.later(6)
            client.send(b"x")
        await server.later(1)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        chunked = await server.connect()
        chunked.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await server.later(31)
        assert (await chunked.answer()).status == 408


async def least_rate():
    async with serving(body_time=30.0, least_rate=10) as server:
        client = await server.connect()
        client.send(POST + b"Content-Length: 1000\r\n\r\n")
        for _ in range(10):
            client.send(b"x" * 100)  # 100 bytes buy ten seconds
            await server.later(9)
        assert (await client.answer()).status == 200


async def write_time():
    async with serving(write_time=30.0, least_rate=1 << 20) as server:
        client = await server.connect()
        client.writer.transport.pause_reading()
        client.send(request("/big"))
        await server.until(lambda: server.app.done)
        await server.later(31)
        assert server.listener.connections == 1  # 8 MiB may take eight seconds more
        await server.later(10)
        assert server.listener.connections == 0
        stream = await server.connect()
        stream.writer.transport.pause_reading()
        stream.send(request("/stream-endless"))
        await asyncio.sleep(0.1)
        await server.later(40)
        await server.until(lambda: server.app.closed)
        assert server.app.done[-1][:2] == ("/stream-endless", 499)


async def idle_time():
    async with serving(idle_time=75.0) as server:
        client = await server.connect()
        await client.ask("/")
        await server.later(70)
        await client.ask("/")
        await server.later(70)
        assert server.listener.connections == 1
        await server.later(6)
        assert await client.closed() == b""
        busy = await server.connect()
        busy.send(request("/slow"))
        await server.until(lambda: len(server.app.started) == 3)
        await server.later(1000)  # a handler's time is the application's business
        server.app.release.set()
        assert (await busy.answer()).body == b"slow"


async def connections():
    async with serving(connections=2) as server:
        first, second = await server.connect(), await server.connect()
        assert await first.is_open()
        assert await second.is_open()
        third = await server.connect()
        answer = await third.answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert int(answer.headers["retry-after"]) >= 1
        assert await third.closed() == b""
        third.close()
        first.close()
        await server.until(lambda: server.listener.connections == 1)
        assert await (await server.connect()).is_open()


async def connections_far_over():
    """Beyond those that are told, connections are just closed."""
    async with serving(connections=1) as server:
        clients = [await server.connect() for _ in range(200)]
        await server.until(lambda: server.listener.connections <= 129)
        assert await clients[0].is_open()


async def pipelined():
    async with serving(pipelined=3) as server:
        client = await server.connect()
        client.send(request("/slow"))
        await server.until(lambda: server.app.started)
        client.send(request("/", b"x") * 100)
        await asyncio.sleep(0.02)
        assert len(server.app.accepted) == 4
        server.app.release.set()
        for _ in range(101):
            assert (await client.answer()).status == 200


async def drain_bytes():
    async with serving(drain_bytes=1000) as server:
        await refused(server, request("/refuse", b"x" * 1000), 403, keeps=True)
        await refused(server, request("/refuse", b"x" * 1001), 403)
        client = await server.connect()
        client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        assert (await client.answer()).status == 403
        await server.later(31)  # the body to drop never comes
        assert await client.closed() == b""


async def linger_time():
    async with serving(linger_time=2.0) as server:
        client = await server.connect()
        client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        client.send(b"x" * 1000)
        await server.later(1)
        assert server.listener.connections == 1
        await server.later(2)
        assert server.listener.connections == 0


async def linger_bytes():
    async with serving(linger_bytes=10_000) as server:
        client = await server.connect()
        client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        client.send(b"x" * 20_000)
        await server.until(lambda: server.listener.connections == 0)


async def handshake_time():
    """See ``test_tls.py``."""


async def json_depth():
    """Enforced by the codecs; the row is the one place that holds it."""
    assert Limits().json_depth == 64


PROVOKED = {
    "header_bytes": header_bytes,
    "header_count": header_count,
    "target_bytes": target_bytes,
    "json_body_bytes": body_bytes,
    "binary_body_bytes": body_bytes,
    "receiving_bytes": receiving_bytes,
    "chunk_overhead": chunk_overhead,
    "trailer_bytes": trailer_bytes,
    "json_depth": json_depth,
    "header_time": header_time,
    "body_time": body_time,
    "write_time": write_time,
    "least_rate": least_rate,
    "idle_time": idle_time,
    "handshake_time": handshake_time,
    "connections": connections,
    "pipelined": pipelined,
    "drain_bytes": drain_bytes,
    "linger_time": linger_time,
    "linger_bytes": linger_bytes,
}


@pytest.mark.parametrize("name", PROVOKED)
def test_limit_bites(name):
    run(PROVOKED[name]())


def test_every_row_is_provoked():
    assert list(PROVOKED) == [row.name for row in LIMITS]


def test_connections_far_over_the_limit():
    run(connections_far_over())


def test_defaults_are_those_promised():
    limits = Limits()
    assert limits.json_body_bytes == 8 * 1024 * 1024
    assert limits.binary_body_bytes == 64 * 1024 * 1024


def test_a_flood_of_tiny_chunks_is_refused_early():
    async def main():
        app = App(max_body=64 << 20)
        async with serving(app) as server:
            client = await server.connect()
            client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            flood = b"1\r\nx\r\n" * 10_000
            client.send(flood * 50)
            answer = await client.answer()
            assert answer.status == 413
            assert app.started == []

    run(main())


def test_settings_become_limits():
    assert limits_from({}) == Limits()
    assert limits_from({"idle_time": 5, "connections": 7}) == Limits(idle_time=5, connections=7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"idle_tme": 5}, "did you mean 'idle_time'?", id="unknown"),
        pytest.param({"connections": 1.5}, "whole number of connections", id="fraction"),
        pytest.param({"connections": True}, "whole number", id="bool"),
        pytest.param({"connections": "7"}, "whole number", id="text"),
        pytest.param({"connections": 0}, "positive", id="zero"),
        pytest.param({"idle_time": float("inf")}, "positive", id="endless"),
        pytest.param({"idle_time": float("nan")}, "positive", id="nan"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(ConfigError) as caught:
        limits_from(values)
    assert message in str(caught.value)


def test_documentation_holds_the_table():
    text = Path("docs/transport.md").read_text()
    assert limits_table() in text, "run: python -m tests.transport.test_limits"


if __name__ == "__main__":
    page = Path("docs/transport.md")
    old = re.compile(r"\| limit \|.*?\n(?!\|)", re.DOTALL)
    page.write_text(
        old.sub(lambda _: limits_table(), page.read_text() + "\n", count=1).rstrip() + "\n"
    )

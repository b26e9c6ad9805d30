"""Requests and answers over real sockets: what a well-meaning client sees."""

import asyncio

import pytest
from tests.transport.serving import App, request, run, serving


def talk(exchange, **options):
    """Run ``exchange(server, client)`` against a fresh listener."""

    async def main():
        async with serving(**options) as server:
            await exchange(server, await server.connect())

    run(main())


def test_answers_a_request():
    async def exchange(server, client):
        answer = await client.ask("/predict?a=b", b'{"x":1}', headers=b"X-Y: z\r\n")
        assert (answer.status, answer.body) == (200, b'{"x":1}')
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-length"] == "7"
        assert answer.headers["date"].endswith(" GMT")
        assert "connection" not in answer.headers
        assert "server" not in answer.headers
        (seen,) = server.app.started
        assert (seen.method, seen.path, seen.raw_path, seen.query) == (
            "POST", "/predict", b"/predict", b"a=b",
        )  # fmt: skip
        assert seen.headers == [(b"host", b"a"), (b"content-length", b"7"), (b"x-y", b"z")]
        assert seen.header(b"x-y") == b"z"
        assert (seen.peer, seen.tls, seen.http10) == ("127.0.0.1", False, False)
        assert server.app.done == [("/predict", 200, 7)]

    talk(exchange)


def test_keeps_the_connection():
    async def exchange(server, client):
        for i in range(5):
            assert (await client.ask("/", b"%d" % i)).body == b"%d" % i
        assert len(server.app.done) == 5

    talk(exchange)


def test_equal_heads_do_not_share_state():
    async def exchange(server, client):
        await client.ask("/", b"1")
        server.app.started[0].headers.append((b"x", b"y"))
        await client.ask("/", b"2")
        first, second = server.app.started
        assert (b"x", b"y") not in second.headers
        assert (first.body, second.body) == (b"1", b"2")

    talk(exchange)


@pytest.mark.parametrize(
    ("version", "headers", "kept"),
    [
        pytest.param("1.1", b"", True, id="1.1"),
        pytest.param("1.1", b"Connection: close\r\n", False, id="1.1-close"),
        pytest.param("1.1", b"Connection: foo, Close\r\n", False, id="1.1-close-in-list"),
        pytest.param("1.1", b"Connection: foo\r\nConnection: close\r\n", False, id="1.1-close-2nd"),
        pytest.param("1.0", b"", False, id="1.0"),
        pytest.param("1.0", b"Connection: keep-alive\r\n", True, id="1.0-keep-alive"),
        pytest.param("1.0", b"Connection: keep-alive, close\r\n", False, id="1.0-both"),
    ],
)
def test_connection_is_kept_or_closed_as_asked(version, headers, kept):
    async def exchange(server, client):
        answer = await client.ask("/", b"x", version=version, headers=headers)
        assert answer.body == b"x"
        said = answer.headers.get("connection")
        if kept:
            assert said == ("keep-alive" if version == "1.0" else None)
            assert (await client.ask("/", b"y", version=version, headers=headers)).body == b"y"
        else:
            assert said == "close"
            assert await client.closed() == b""

    talk(exchange)


def test_pipelined_requests_are_answered_in_order():
    async def exchange(server, client):
        client.send(b"".join(request("/", b"%d" % i) for i in range(50)))
        assert [(await client.answer()).body for _ in range(50)] == [b"%d" % i for i in range(50)]

    talk(exchange)


def test_a_slow_request_holds_back_those_behind_it_in_bounds():
    async def exchange(server, client):
        client.send(request("/slow") + b"".join(request("/", b"%d" % i) for i in range(50)))
        await server.until(lambda: server.app.started)
        await asyncio.sleep(0.02)
        assert len(server.app.accepted) == 4
        assert len(server.app.started) == 1
        server.app.release.set()
        bodies = [(await client.answer()).body for _ in range(51)]
        assert bodies == [b"slow"] + [b"%d" % i for i in range(50)]

    talk(exchange, pipelined=4)


def test_a_pipelined_body_is_not_received_before_its_turn():
    async def exchange(server, client):
        body = b"x" * 1_000_000
        client.send(request("/slow") + request("/", body) + request("/", b"last"))
        await server.until(lambda: len(server.app.accepted) == 2)
        await asyncio.sleep(0.02)
        assert 0 < server.listener.receiving <= 256 * 1024  # one read, and it is counted
        server.app.release.set()
        assert (await client.answer()).body == b"slow"
        assert (await client.answer()).body == body
        assert (await client.answer()).body == b"last"

    talk(exchange)


@pytest.mark.parametrize("size", [0, 1, 2047, 70_000, 600_000, 1 << 20])
def test_bodies_of_every_size(size):
    async def exchange(server, client):
        body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
        assert (await client.ask("/", body)).body == body
        assert await client.is_open()

    talk(exchange)


def test_a_body_in_many_small_pieces():
    async def exchange(server, client):
        raw = request("/", b"0123456789" * 20)
        await client.bytewise(raw)
        assert (await client.answer()).body == b"0123456789" * 20
        assert await client.is_open()

    talk(exchange)


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_chunked_body_and_what_follows(bytewise):
    async def exchange(server, client):
        raw = (
            b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;ext=1\r\nhello\r\n6\r\n\r\n\r\n--\r\n0\r\nX-Sum: 1\r\n\r\n"
        ) + request("/next", b"n")
        if bytewise:
            await client.bytewise(raw)
        else:
            client.send(raw)
        assert (await client.answer()).body == b"hello\r\n\r\n--"
        assert (await client.answer()).body == b"n"

    talk(exchange)


def test_expect_continue_is_answered_after_accept():
    async def exchange(server, client):
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await client.answer()).status == 100
        assert len(server.app.accepted) == 1
        client.send(b"hi")
        assert (await client.answer()).body == b"hi"
        assert await client.is_open()

    talk(exchange)


def test_expect_continue_is_refused_without_a_100():
    async def exchange(server, client):
        client.send(
            b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (403, "close")
        assert await client.closed() == b""

    talk(exchange)


def test_expect_continue_waits_for_the_answers_before_it():
    async def exchange(server, client):
        client.send(
            request("/slow")
            + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        await server.until(lambda: len(server.app.accepted) == 2)
        server.app.release.set()
        assert (await client.answer()).body == b"slow"
        assert (await client.answer()).status == 100
        client.send(b"hi")
        assert (await client.answer()).body == b"hi"

    talk(exchange)


def test_expect_is_ignored_on_http_1_0_and_where_the_body_came_along():
    async def exchange(server, client):
        expect = b"Expect: 100-continue\r\nConnection: keep-alive\r\n"
        assert (await client.ask("/", b"x", version="1.0", headers=expect)).body == b"x"
        assert (await client.ask("/", b"x", headers=expect)).body == b"x"

    talk(exchange)


def test_head_has_length_and_no_body():
    async def exchange(server, client):
        answer = await client.ask("/headers", method="HEAD")
        assert (answer.status, answer.headers["content-length"]) == (201, "2")
        assert server.app.done == [("/headers", 201, 0)]
        answer = await client.ask("/stream", method="HEAD")
        assert answer.status == 200
        assert server.app.closed == []  # the iterator was closed without being started
        assert await client.is_open()

    talk(exchange)


def test_options_reaches_the_application():
    async def exchange(server, client):
        assert (await client.ask("*", method="OPTIONS")).status == 200
        assert server.app.started[0].path == "*"

    talk(exchange)


def test_no_content_has_no_length():
    async def exchange(server, client):
        answer = await client.ask("/empty")
        assert answer.status == 204
        assert not {"content-length", "content-type", "transfer-encoding"} & set(answer.headers)
        assert await client.is_open()

    talk(exchange)


def test_large_answer():
    async def exchange(server, client):
        assert (await client.ask("/big")).body == b"x" * (8 << 20)
        assert await client.is_open()

    talk(exchange)


def test_application_headers_are_sent():
    async def exchange(server, client):
        answer = await client.ask("/headers")
        assert (answer.headers["x-a"], answer.headers["x-b"]) == ("1", "2")

    talk(exchange)


def test_response_may_close():
    async def exchange(server, client):
        client.send(request("/closes") + request("/never"))
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.closed() == b""
        await server.until(lambda: server.listener.connections == 0)
        assert [r.path for r in server.app.started] == ["/closes"]
        assert server.app.done == [("/closes", 200, 3), ("/never", 499, 0)]

    talk(exchange)


@pytest.mark.parametrize("path", ["/boom", "/cancelled", "/wrong", "/injects", "/framing"])
def test_a_failing_handler_is_a_500_and_the_connection_lives(path, caplog):
    async def exchange(server, client):
        answer = await client.ask(path, b"x")
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert b"evil" not in answer.body
        assert await client.is_open()
        assert server.app.done[0][:2] == (path, 500)
        assert server.app.errors[0][1:] == (500, "internal error")

    talk(exchange)
    assert caplog.records


def test_an_application_that_raises_everywhere_is_survived(caplog):
    class Broken(App):
        def error(self, request, status, message):
            raise RuntimeError("error failed")

        def finished(self, request, status, sent, seconds):
            raise RuntimeError("finished failed")

    async def main():
        async with serving(Broken()) as server:
            client = await server.connect()
            answer = await client.ask("/accept-raises")
            assert (answer.status, answer.body) == (500, b"internal error")
            assert await client.is_open()

    run(main())
    assert len(caplog.records) >= 3


def test_handlers_run_inside_a_task():
    async def exchange(server, client):
        assert (await client.ask("/timeout")).body == b"timed out"
        assert await client.is_open()

    talk(exchange)


def test_refusal_keeps_the_connection_over_a_small_body():
    async def exchange(server, client):
        answer = await client.ask("/refuse", b"x" * 1000)
        assert (answer.status, "connection" in answer.headers) == (403, False)
        assert await client.is_open()
        assert [r.path for r in server.app.started] == ["/probe"]
        client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        assert (await client.answer()).status == 403  # at once, before the body
        client.send(b"body")
        assert await client.is_open()

    talk(exchange)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", id="large"),
        pytest.param(
            b"POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", id="chunked"
        ),
        pytest.param(b"POST /refuse-close HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", id="asked"),
    ],
)  # fmt: skip
def test_refusal_of_an_uncertain_body_is_read_by_a_client_that_sends_on(head):
    async def exchange(server, client):
        client.send(head)
        for _ in range(40):
            client.send(b"x" * 100_000)
            await asyncio.sleep(0)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (403, "close")
        assert await client.closed() == b""

    talk(exchange)


def test_disconnect_cancels_the_handler():
    async def exchange(server, client):
        client.send(request("/slow") + request("/behind"))
        await server.until(lambda: len(server.app.accepted) == 2)
        client.close()
        await server.until(lambda: server.app.cancelled)
        assert sorted(server.app.done) == [("/behind", 499, 0), ("/slow", 499, 0)]
        assert len(server.app.started) == 1

    talk(exchange)


def test_disconnect_inside_a_body_is_reported():
    async def exchange(server, client):
        client.send(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        await server.until(lambda: server.listener.receiving == 4)
        client.close()
        await server.until(lambda: server.app.done == [("/half", 499, 0)])
        assert server.listener.receiving == 0
        assert server.app.started == []

    talk(exchange)


def test_empty_lines_between_requests_are_ignored():
    async def exchange(server, client):
        client.send(b"\r\n" + request("/", b"1") + b"\r\n\r\n" + request("/", b"2") + b"\r")
        assert (await client.answer()).body == b"1"
        assert (await client.answer()).body == b"2"
        client.send(b"\n")
        assert await client.is_open()
        await server.later(11)
        assert await client.is_open()  # no header is overdue

    talk(exchange)

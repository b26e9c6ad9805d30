"""The ASGI adapter: driven by hand, and by httpx and Starlette where they are installed."""

import asyncio

import pytest
from tests.transport.serving import App

from inferd.transport.asgi import ASGIAdapter
from inferd.transport.limits import Limits


def scope(path="/", method="POST", headers=(), **more):
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"a=b", "headers": [(b"Host", b"a"), *headers], "http_version": "1.1",
        "scheme": "http", "client": ("10.0.0.1", 99), "root_path": "", **more,
    }  # fmt: skip


def ask(app, request, *pieces, hold=True, gone=None, **options):
    """Run one request; returns the messages sent. ``gone``: an event that ends the client."""

    async def main():
        messages = [
            {"type": "http.request", "body": p, "more_body": i < len(pieces) - 1}
            for i, p in enumerate(pieces)
        ] or [{"type": "http.request"}]
        sent = []

        async def receive():
            if messages:
                return messages.pop(0)
            if gone is None:
                await asyncio.Event().wait()
            await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        async with asyncio.timeout(5):
            await ASGIAdapter(app, **options)(request, receive, send)
        return sent

    return asyncio.run(main())


def test_answers_a_request():
    app = App()
    start, body = ask(app, scope("/x", headers=[(b"X-Y", b"z")]), b"hel", b"lo")
    assert start["status"] == 200
    assert dict(start["headers"]) == {b"content-type": b"application/json", b"content-length": b"5"}
    assert body["body"] == b"hello"
    (seen,) = app.started
    assert (seen.path, seen.query, seen.peer, seen.header(b"x-y")) == (
        "/x",
        b"a=b",
        "10.0.0.1",
        b"z",
    )
    assert app.done == [("/x", 200, 5)]


@pytest.mark.parametrize("inner", ["/m/x", "/x"], ids=["path-with-prefix", "path-without"])
def test_mounted_below_a_prefix(inner):
    app = App()
    ask(app, scope(inner, root_path="/m"), b"")
    assert (app.started[0].path, app.started[0].raw_path) == ("/x", b"/x")


def test_head_has_length_and_no_body():
    app = App()
    start, body = ask(app, scope("/headers", "HEAD"))
    assert (start["status"], dict(start["headers"])[b"content-length"], body["body"]) == (
        201,
        b"2",
        b"",
    )
    assert app.done == [("/headers", 201, 0)]


def test_streams_and_closes_the_iterator():
    app = App()
    messages = ask(app, scope("/stream"), b"")
    assert [m.get("body") for m in messages[1:]] == [b"00000", b"11111", b"22222", b""]
    assert [m.get("more_body", False) for m in messages[1:]] == [True, True, True, False]
    assert app.closed == [3]
    assert app.done == [("/stream", 200, 15)]


def test_a_stream_that_fails_reaches_the_host_server(caplog):
    app = App()
    with pytest.raises(RuntimeError):
        ask(app, scope("/stream-fails"), b"")
    assert app.closed == [2]
    assert app.done == [("/stream-fails", 500, 10)]


@pytest.mark.parametrize("path", ["/boom", "/wrong", "/injects", "/accept-raises"])
def test_failures_are_a_500(path, caplog):
    app = App()
    start, body = ask(app, scope(path), b"")
    assert start["status"] == 500
    assert b"secret" not in body["body"]


def test_refusal_is_answered_without_the_body():
    app = App()
    start, _ = ask(app, scope("/refuse"), b"x")
    assert start["status"] == 403
    assert app.done == [("/refuse", 403, 14)]


@pytest.mark.parametrize(
    "headers", [[], [(b"content-length", b"11")]], ids=["counted", "announced"]
)
def test_body_over_the_limit(headers):
    app = App()
    start, _ = ask(app, scope("/small", headers=headers), b"01234", b"56789a")
    assert start["status"] == 413
    assert app.started == []


def test_too_much_at_once():
    app = App()
    start, _ = ask(app, scope("/"), b"x" * 100, limits=Limits(receiving_bytes=50))
    assert start["status"] == 503
    assert b"Retry-After".lower() in dict(start["headers"])


@pytest.mark.parametrize("path", ["/slow", "/stream-waits"])
def test_disconnect_cancels(path):
    app = App()
    ask(app, scope(path), b"", gone=True)
    assert app.done[0][:2] == (path, 499)
    assert app.cancelled or app.closed


def test_disconnect_inside_the_body():
    async def main():
        app = App()

        async def receive():
            return {"type": "http.disconnect"}

        await ASGIAdapter(app)(scope("/"), receive, None)
        assert app.done == [("/", 499, 0)]

    asyncio.run(main())


def lifespan(adapter):
    async def main():
        sent = []

        async def receive():
            return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

        async def send(message):
            sent.append(message["type"])

        await adapter({"type": "lifespan"}, receive, send)
        return sent

    return asyncio.run(main())


def test_lifespan_runs_the_hooks(caplog):
    seen = []

    async def up():
        seen.append("up")

    async def down():
        seen.append("down")

    async def fails():
        raise RuntimeError("no model")

    app = App()
    assert lifespan(ASGIAdapter(app, startup=up, shutdown=down)) == [
        "lifespan.startup.complete", "lifespan.shutdown.complete",
    ]  # fmt: skip
    assert seen == ["up", "down"]
    assert lifespan(ASGIAdapter(app, startup=fails)) == ["lifespan.startup.failed"]


def test_websockets_are_refused():
    async def main():
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        await ASGIAdapter(App())({"type": "websocket"}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1000}]

    asyncio.run(main())


def test_serves_httpx():
    httpx = pytest.importorskip("httpx")

    async def main():
        transport = httpx.ASGITransport(ASGIAdapter(App()))
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            answer = await client.post("/x", content=b"hello")
            assert (answer.status_code, answer.content) == (200, b"hello")
            assert (await client.post("/stream")).text == "000001111122222"

    asyncio.run(main())


def test_mounts_into_starlette():
    applications = pytest.importorskip("starlette.applications")
    routing = pytest.importorskip("starlette.routing")
    httpx = pytest.importorskip("httpx")

    async def main():
        app = App()
        outer = applications.Starlette(routes=[routing.Mount("/m", ASGIAdapter(app))])
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            assert (await client.post("/m/x", content=b"hi")).content == b"hi"
        assert app.started[0].path == "/x"

    asyncio.run(main())

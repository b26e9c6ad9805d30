"""A small application behind a real listener on uvloop, and a raw client that counts bytes."""

import asyncio
import contextlib

import uvloop

from inferd.core.clock import FakeClock
from inferd.transport.limits import Limits
from inferd.transport.message import Accepted, HTTPResponse
from inferd.transport.server import Listener

JSON = b"application/json"
PATIENCE = 5.0


HANDLED = ("/boom", "/cancelled", "/wrong", "/timeout", "/injects", "/framing")
"""Paths that only a handler may answer: what is started never raises and answers what can be sent."""


class App:
    """Echoes bodies; special paths misbehave. Records what it saw.

    ``way``: how requests are answered, each test of the connection is run in all: ``"handled"`` by
    the handler, ``"started"`` without a task where the path allows it, ``"at once"`` the same, and
    what needs no waiting inside ``start`` itself.
    """

    way = "handled"

    def __init__(self, max_body=1 << 20):
        self.max_body = max_body
        self.accepted = []
        self.started = []
        self.cancelled = []
        self.closed = []
        self.errors = []
        self.done = []
        self.release = asyncio.Event()

    def accept(self, request):
        self.accepted.append(request)
        path = request.path
        if path == "/refuse":
            return HTTPResponse(403, b'{"error":"no"}')
        if path == "/refuse-close":
            return HTTPResponse(403, b'{"error":"no"}', close=True)
        if path == "/accept-raises":
            raise RuntimeError("accept failed")
        start = None if self.way == "handled" else self.start
        return Accepted(self.handle, 10 if path == "/small" else self.max_body, start)

    def start(self, request, deliver):
        path = request.path
        if path.startswith("/stream") or path in HANDLED:
            return None
        if self.way == "at once" and path != "/slow":
            try:
                self.handle(request).send(None)
            except StopIteration as answered:
                return answered.value
        return Begun(self.handle(request), deliver)

    async def handle(self, request):
        self.started.append(request)
        special = getattr(self, "do_" + request.path.strip("/").replace("-", "_"), None)
        if special is not None:
            return await special(request)
        return HTTPResponse(200, bytes(request.body))

    async def do_slow(self, request):
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        return HTTPResponse(200, b"slow")

    async def do_boom(self, request):
        raise RuntimeError("secret")

    async def do_cancelled(self, request):
        raise asyncio.CancelledError

    async def do_wrong(self, request):
        return "not a response"

    async def do_injects(self, request):
        return HTTPResponse(200, b"", headers=[(b"x", b"a\r\nevil: 1")])

    async def do_framing(self, request):
        return HTTPResponse(200, b"", headers=[(b"Content-Length", b"7")])

    async def do_closes(self, request):
        return HTTPResponse(200, b"bye", close=True)

    async def do_empty(self, request):
        return HTTPResponse(204, b"")

    async def do_headers(self, request):
        return HTTPResponse(201, b"{}", headers=[(b"X-A", b"1"), (b"X-B", b"2")])

    async def do_big(self, request):
        return HTTPResponse(200, b"x" * (8 << 20), b"application/octet-stream")

    async def do_timeout(self, request):
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return HTTPResponse(200, b"timed out")

    async def do_stream(self, request):
        return HTTPResponse(200, self.chunks(3), b"text/plain")

    async def do_stream_fails(self, request):
        return HTTPResponse(200, self.chunks(2, fail=True), b"text/plain")

    async def do_stream_endless(self, request):
        return HTTPResponse(200, self.chunks(1 << 30, size=1 << 16), b"text/plain")

    async def do_stream_waits(self, request):
        return HTTPResponse(200, self.waiting(), b"text/plain")

    async def chunks(self, n, fail=False, size=5):
        produced = 0
        try:
            for i in range(n):
                yield b"%d" % (i % 10) * size
                produced += 1
            if fail:
                raise RuntimeError("secret")
        finally:
            self.closed.append(produced)

    async def waiting(self):
        try:
            yield b"first"
            await self.release.wait()
            yield b"second"
        finally:
            self.closed.append("waiting")

    def error(self, request, status, message):
        self.errors.append((request, status, message))
        return HTTPResponse(status, b'{"error":"%s"}' % message.encode())

    def finished(self, request, status, sent, seconds):
        assert seconds >= 0
        self.done.append((request.path, status, sent))


class Begun:
    """A request that was started: what the handler answers is delivered."""

    def __init__(self, answering, deliver):
        self.task = asyncio.ensure_future(self.answer(answering, deliver))

    async def answer(self, answering, deliver):
        deliver(await answering)

    def abandon(self):
        self.task.cancel()


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """A raw connection."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def bytewise(self, data):
        for i in range(len(data)):
            if self.writer.transport.is_closing():
                return  # the server has seen enough
            self.writer.write(data[i : i + 1])
            await asyncio.sleep(0)

    async def answer(self, *, to_head=False):
        """Read one answer, with strict framing."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *rows = head[:-4].decode("ascii").split("\r\n")
            version, status, _ = line.split(" ", 2)
            assert version == "HTTP/1.1"
            headers = {}
            for row in rows:
                name, value = row.split(": ", 1)
                assert name.lower() not in headers
                headers[name.lower()] = value
            status = int(status)
            if to_head or status in (100, 204, 304):
                body = b""
            elif headers.get("transfer-encoding") == "chunked":
                assert "content-length" not in headers
                body = await self.chunked()
            elif "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            else:
                body = await self.reader.read(-1)
        return Answer(status, headers, body)

    async def chunked(self):
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
            chunk = await self.reader.readexactly(size + 2)
            assert chunk[-2:] == b"\r\n"
            if not size:
                return body
            body += chunk[:-2]

    async def ask(self, path="/", body=b"", *, method="POST", headers=b"", version="1.1"):
        self.send(request(path, body, method=method, headers=headers, version=version))
        return await self.answer(to_head=method == "HEAD")

    async def closed(self):
        """Wait for the server's end; return what came before it. A reset fails."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(-1)

    async def is_open(self):
        """Whether the connection still answers."""
        answer = await self.ask("/probe", b"p")
        return answer.status == 200 and answer.body == b"p"

    def close(self):
        self.writer.close()


def request(path="/", body=b"", *, method="POST", headers=b"", version="1.1"):
    length = b"Content-Length: %d\r\n" % len(body) if body or method == "POST" else b""
    return b"%b %b HTTP/%b\r\nHost: a\r\n%b%b\r\n%b" % (
        method.encode(), path.encode(), version.encode(), length, headers, body
    )  # fmt: skip


class Server:
    """A running listener with its application, clock and clients."""

    def __init__(self, app, listener, clock):
        self.app = app
        self.listener = listener
        self.clock = clock
        self.clients = []

    async def connect(self, **options):
        client = Client(
            *await asyncio.open_connection(
                "127.0.0.1", self.listener.port, limit=1 << 26, **options
            )
        )
        self.clients.append(client)
        return client

    async def later(self, seconds):
        """Let the fake clock pass and the sweep see it."""
        await settle()
        self.clock.advance(seconds)
        self.listener.sweep()
        await settle()

    async def until(self, condition):
        """Wait until the server has come to a state."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.001)


async def settle():
    """Let everything that is under way on the loop and in the sockets happen."""
    for _ in range(5):
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def serving(app=None, *, context=None, clock=None, **limits):
    app = app or App()
    clock = clock or FakeClock()
    listener = Listener(app, limits=Limits(**limits), context=context, clock=clock)
    await listener.start()
    server = Server(app, listener, clock)
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        await listener.stop(0, 0)
        assert not listener.connections
        assert listener.receiving == 0


def run(coroutine):
    """Run a test's coroutine on uvloop."""
    return uvloop.run(coroutine)

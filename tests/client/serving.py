"""What the tests of the clients share: steps played without a network, and one client for two.

``Blocking`` is ``AsyncClient`` called from ordinary code, so that every test of behaviour runs on both.
"""

import asyncio
import http.server
import json
import threading
from contextlib import contextmanager

import httpx

from inferd import AsyncClient, Client
from inferd.client.wire import Answer, Pause, Send
from inferd.core.clock import FakeClock

ADDRESS = "http://server:8000"


def answer(status=200, body=b"{}", **headers):
    """Return a response as the shells give it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, httpx.Headers(named), raw)


class Played:
    """Steps carried out by ``respond(request)``; pauses move a fake clock."""

    def __init__(self, respond, clock=None):
        self.respond = respond
        self.clock = clock or FakeClock()
        self.sent, self.pauses = [], []

    def run(self, steps):
        got = None
        try:
            while True:
                step = steps.send(got)
                got = None
                if isinstance(step, Pause):
                    self.pauses.append(step.seconds)
                    self.clock.advance(step.seconds)
                else:
                    assert isinstance(step, Send)
                    self.sent.append(step)
                    got = self.respond(step.request)
        except StopIteration as done:
            return done.value

    @property
    def paths(self):
        return [f"{step.request.method} {step.request.path}" for step in self.sent]


class Blocking:
    """``AsyncClient`` with the methods of ``Client``, on a loop of its own."""

    def __init__(self, url, **options):
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, **options)

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*arguments, **named):
            made = method(*arguments, **named)
            if hasattr(made, "__anext__"):
                return self._iterate(made)
            return self._runner.run(made)

        return call

    def _iterate(self, made):
        async def following():
            return await anext(made, None)

        try:
            while (piece := self._runner.run(following())) is not None:
                yield piece
        finally:
            self._runner.run(made.aclose())

    def close(self):
        self._runner.run(self._client.aclose())
        self._runner.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


CLIENTS = {"sync": Client, "async": Blocking}


@contextmanager
def answering(respond):
    """Run a tiny HTTP server; ``respond(handler, body)`` answers; yield its address and requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append((self.command, self.path, dict(self.headers), body))
            respond(self, body)

        do_POST = do_GET

        def say(self, status, body=b"", **headers):
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

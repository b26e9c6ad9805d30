"""The gRPC application on a loop of its own, in a thread, with servables that need no model."""

import asyncio
import contextlib
import threading

import grpc
import numpy as np
import pytest
import uvloop
from tests.api.serving import Direct, Observed
from tests.codecs.signatures import signature

from inferd.api.grpc.application import GRPCApplication
from inferd.api.health import Readiness
from inferd.api.settings import ApiSettings
from inferd.codecs.protobuf.messages import CLASSES
from inferd.core.message import Response, Timings
from inferd.core.plan import BatchPlan
from inferd.routing.table import READY, RouteTable, Version

PAIR = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 2])])


def double(x):
    return {"y": x * 2}


def version(model="m", number="1", sig=PAIR, function=double, servable=None, **more):
    return Version(
        model, number, READY, "", sig, more.pop("plan", BatchPlan()), servable or Direct(function),
        "numpy", "numpy_function", **more,
    )  # fmt: skip


class Slow:
    """A servable that never answers; says when it began and how it ended."""

    def __init__(self):
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.request = None

    async def __call__(self, request):
        self.request = request
        self.begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.ended.set()


class Counting:
    """A servable that streams: as many numbers as ``x`` begins with, one piece each."""

    def __init__(self, error=None, pause=0.0):
        self.error = error
        self.pause = pause
        self.closed = threading.Event()
        self.given = 0
        self.request = None

    async def __call__(self, request):
        self.request = request
        return Response("m", "1", {}, Timings(queue=0.001), self.pieces(request.inputs["x"]))

    async def pieces(self, x):
        try:
            for i in range(int(x[0, 0])):
                await asyncio.sleep(self.pause)
                self.given += 1
                yield {"y": np.array([[i, x[0, 1]]], np.float32)}
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


class Served:
    """A running application; ``address`` is where."""

    def __init__(self, *versions, settings=ApiSettings(), **more):
        self.table = RouteTable()
        for each in versions or (version(),):
            self.table.put(each)
        self.observed = Observed()
        self.readiness = Readiness(self.table)
        self.settings = settings
        self.more = more
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _start(self):
        self.application = GRPCApplication(
            self.table, self.settings, readiness=self.readiness, observer=self.observed, **self.more
        )
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers([self.application.handlers])
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        return f"127.0.0.1:{port}"

    async def _stop(self):
        self.application.close()
        await self.server.stop(5)

    def __enter__(self):
        self.thread.start()
        self.address = self.do(self._start())
        self.channel = grpc.insecure_channel(self.address)
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.do(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def method(self, path):
        """Return the stub of a unary method of raw messages."""
        return self.channel.unary_unary(path)

    def ask(self, path, message=b"", **call):
        """Call a method; return its answer and trailing metadata."""
        body = message if isinstance(message, bytes) else message.SerializeToString()
        answer, done = self.method(path).with_call(body, timeout=call.pop("timeout", 20), **call)
        return answer, dict(done.trailing_metadata())

    def inference(self, method, answer=None, message=b"", **call):
        """Call a method of the inference service; return the answer as a message."""
        raw, _ = self.ask(f"/inference.GRPCInferenceService/{method}", message, **call)
        return CLASSES[f"inference.{answer or method + 'Response'}"].FromString(raw)

    def statuses(self):
        """Return the HTTP statuses that the observer heard of."""
        return [status for _, status, *_ in self.observed]


@contextlib.contextmanager
def refused(code):
    """Expect a call to end with a status; gives a dict of details and trailing metadata."""
    said = {}
    with pytest.raises(grpc.RpcError) as caught:
        yield said
    error = caught.value
    assert error.code() is code, (error.code(), error.details())
    said.update(dict(error.trailing_metadata() or ()), details=error.details())

"""Drives applications in-process, as the transport does, and serves small numpy functions."""

import asyncio

import numpy as np
import orjson
from tests.codecs.signatures import signature

from inferd.api.data import data_plane
from inferd.api.health import Readiness
from inferd.api.settings import ApiSettings
from inferd.core.clock import FakeClock
from inferd.core.message import Request, Response, Timings
from inferd.core.plan import BatchPlan
from inferd.routing.table import READY, RouteTable, Version
from inferd.transport.message import Accepted, HTTPRequest, HTTPResponse


class Numpy:
    """A servable that runs a function of tensors; remembers the requests it saw."""

    def __init__(self, function, error=None):
        self.function = function
        self.error = error
        self.seen = []

    async def __call__(self, request):
        self.seen.append(request)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        outputs = self.function(**request.inputs)
        return Response(
            request.model, request.version, outputs, Timings(0.001, 0.002, 0.003, batch_size=2)
        )


class Direct(Numpy):
    """The same, answering without a coroutine: ``early`` settles inside ``begin``."""

    early = False

    def __init__(self, function, error=None):
        super().__init__(function, error)
        self.abandoned = []

    def begin(self, inputs, promise, deadline, priority, id):
        self.seen.append(Request("", inputs, id=id, deadline=deadline, priority=priority))
        if self.early:
            self.settle(inputs, promise)
        else:
            asyncio.get_running_loop().call_soon(self.settle, inputs, promise)
        return promise

    def settle(self, inputs, promise):
        if promise.done():
            return
        try:
            if self.error is not None:
                raise self.error
            promise.set_result(self.function(**inputs))
        except Exception as error:
            promise.set_exception(error.with_traceback(None))

    def timings(self, handle):
        return Timings(0.001, 0.002, 0.003, batch_size=2)

    def abandon(self, handle):
        self.abandoned.append(handle)
        handle.cancel()


class Early(Direct):
    early = True


Numpy.chosen = Numpy  # the kind that ``version`` serves
SERVABLES = {"awaited": Numpy, "begun": Direct, "begun and settled": Early}


def mean(x):
    return {"y": x.mean(axis=1, keepdims=True).astype(np.float32)}


VECTOR = signature([("x", "FP32", [-1, 3])])


def version(model="m", number="1", sig=VECTOR, function=mean, plan=None, error=None, **more):
    servable = Numpy.chosen(function, error)
    return Version(
        model, number, READY, "", sig, plan or BatchPlan(), servable, "numpy", "numpy_function",
        **more,
    )  # fmt: skip


class Observed(list):
    """An observer that keeps what it hears."""

    def __call__(self, *heard):
        self.append(heard)


class Server:
    """A plane and a way to ask it."""

    def __init__(self, *versions, plane=None, settings=ApiSettings(), **more):
        self.table = RouteTable()
        for each in versions:
            self.table.put(each)
        self.clock = FakeClock()
        self.observed = Observed()
        self.readiness = Readiness(self.table)
        make = plane or data_plane
        self.plane = make(
            self.table, settings, readiness=self.readiness, observer=self.observed,
            clock=self.clock, **more,
        )  # fmt: skip
        self.limit = None

    def head(self, method, target, headers=(), body=b""):
        path, _, query = target.partition("?")
        sent = [(k.lower().encode(), str(v).encode()) for k, v in dict(headers).items()]
        if not any(name == b"host" for name, _ in sent):
            sent.append((b"host", b"localhost"))
        if method == "POST":
            sent.append((b"content-length", b"1"))
        return HTTPRequest(
            method, path, path.encode(), query.encode(), sent, received=self.clock(), body=body
        )

    async def ask(self, method, target, body=b"", **headers):
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        request = self.head(method, target, names)
        decision = self.plane.accept(request)
        if isinstance(decision, Accepted):
            self.limit = decision.max_body
            request.body = orjson.dumps(body) if isinstance(body, dict) else body
            response = await self.answer(decision, request)
        else:
            response = decision
        self.plane.finished(request, response.status, len(response.body), 0.5)
        return response

    async def answer(self, accepted, request):
        """Answer as the transport does: start where that is offered, else run the handler."""
        delivered = asyncio.get_running_loop().create_future()
        started = accepted.start and accepted.start(request, delivered.set_result)
        if started is None:
            return await accepted.handler(request)
        if isinstance(started, HTTPResponse):
            return started
        try:
            return await delivered
        except asyncio.CancelledError:
            started.abandon()
            raise

    def get(self, target, **headers):
        return asyncio.run(self.ask("GET", target, **headers))

    def ask_for(self, method, target, body=b"", **headers):
        return asyncio.run(self.ask(method, target, body, **headers))

    def post(self, target, body=b"", **headers):
        return asyncio.run(self.ask("POST", target, body, **headers))


def value(response):
    return orjson.loads(response.body)


def headers(response):
    return {name.decode().lower(): text.decode() for name, text in response.headers}

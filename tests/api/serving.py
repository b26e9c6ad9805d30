"""Drives applications in-process, as the transport does, and serves small numpy functions."""

import asyncio

import numpy as np
import orjson
from tests.codecs.signatures import signature

from inferd.api.data import data_plane
from inferd.api.health import Readiness
from inferd.api.settings import ApiSettings
from inferd.core.clock import FakeClock
from inferd.core.message import Response, Timings
from inferd.core.plan import BatchPlan
from inferd.routing.table import READY, RouteTable, Version
from inferd.transport.message import Accepted, HTTPRequest


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


def mean(x):
    return {"y": x.mean(axis=1, keepdims=True).astype(np.float32)}


VECTOR = signature([("x", "FP32", [-1, 3])])


def version(model="m", number="1", sig=VECTOR, function=mean, plan=None, error=None, **more):
    servable = Numpy(function, error)
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
            response = await decision.handler(request)
        else:
            response = decision
        self.plane.finished(request, response.status, len(response.body), 0.5)
        return response

    def get(self, target, **headers):
        return asyncio.run(self.ask("GET", target, **headers))

    def post(self, target, body=b"", **headers):
        return asyncio.run(self.ask("POST", target, body, **headers))


def value(response):
    return orjson.loads(response.body)


def headers(response):
    return {name.decode().lower(): text.decode() for name, text in response.headers}

"""A service for the length of a block, and what is left of it afterwards: nothing."""

import asyncio
import contextlib
import os
import time

import uvloop

from inferd.core.message import Request
from inferd.core.tensor import Tensors
from inferd.routing.remote.servable import RemoteModel
from inferd.routing.remote.service import Service
from inferd.routing.remote.spec import ServiceSpec, parse_url


def run(coroutine):
    return uvloop.run(coroutine)


def spec_of(*urls, name="work", **more):
    found = [parse_url(url) for url in urls]
    protocol, model = more.pop("protocol", found[0][1]), more.pop("model", name)
    return ServiceSpec(name, tuple(endpoint for endpoint, _ in found), protocol, model, **more)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@contextlib.asynccontextmanager
async def serving(*urls, describe=True, **more):
    """Have a running service, and (``describe``) the model as its first replica describes it."""
    made = {key: more.pop(key) for key in ("resolver", "make_wire", "clock") if key in more}
    service = Service(spec_of(*urls, **more), **made)
    before = asyncio.all_tasks()
    await service.start()
    try:
        async with asyncio.timeout(5):
            while not service.replicas:
                await asyncio.sleep(0.01)
        if not describe:
            yield service
            return
        described = await service.replicas[0].wire.describe(5)
        yield RemoteModel(service, described, "1", doubted=lambda: None)
    finally:
        replicas = list(service.replicas)
        await service.stop()
        await asyncio.sleep(0.01)
        assert all(replica.load.in_flight == 0 for replica in replicas)
        left = {t for t in asyncio.all_tasks() - before if "/inferd/" in repr(t)}
        assert not left


def request(inputs: Tensors, seconds=10.0, model="work", **more):
    return Request(model, inputs, deadline=time.monotonic() + seconds, **more)

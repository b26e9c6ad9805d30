"""The short way of a request: started on the head's terms, settled by a batch, delivered once."""

import asyncio

import numpy as np
import pytest
from tests.api.serving import Direct, Early, Numpy, Server, mean, value, version

from inferd.api.offload import Inline
from inferd.api.settings import ApiSettings
from inferd.core.errors import Overloaded
from inferd.core.plan import BatchPlan
from inferd.routing.table import FAILED
from inferd.transport.message import HTTPResponse

GOOD = b'{"data": [1, 2, 3]}'


def started(server, body=GOOD, path="/predict"):
    """Start a request; return it, what ``start`` gave, and what was delivered so far."""
    request = server.head("POST", path, body=body)
    delivered = []
    accepted = server.plane.accept(request)
    return request, accepted.start(request, delivered.append), delivered


def on_loop(test):
    def run(*given, **named):
        asyncio.run(test(*given, **named))

    run.__name__ = test.__name__
    run.__signature__ = __import__("inspect").signature(test)
    return run


@on_loop
async def test_the_answer_is_the_same_however_it_is_given(servable):
    server = Server(version())
    request, found, delivered = started(server)
    if servable is Numpy:
        assert found is None
        response = await server.plane.accept(request).handler(request)
    elif servable is Early:
        response = found
    else:
        await asyncio.sleep(0.01)
        (response,) = delivered

    assert (response.status, value(response)) == (200, {"result": 2.0})
    assert request.context.timings.run == 0.003
    assert delivered in ([], [response])


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"data": [1]}', 400), (b'{"data": [1, 2, 3], "outputs": ["no"]}', 400)],
    ids=["malformed", "wrong shape", "unknown output"],
)
@on_loop
async def test_a_bad_body_is_answered_at_once(servable, body, status):
    _, found, delivered = started(Server(version()), body)

    if servable is Numpy:
        assert found is None
    else:
        assert isinstance(found, HTTPResponse)
        assert (found.status, delivered) == (status, [])


@on_loop
async def test_an_error_of_the_batch_is_its_answer(servable):
    error = Overloaded("full", retry_after=3.0)
    _, found, delivered = started(Server(version(error=error)))
    await asyncio.sleep(0.01)

    if servable is not Numpy:
        response = found if servable is Early else delivered[0]
        assert response.status == 429
        assert (b"Retry-After", b"3") in response.headers


@on_loop
async def test_nothing_is_delivered_to_who_has_left(servable):
    model = version()
    request, found, delivered = started(Server(model))
    if servable is not Direct:
        return
    found.abandon()
    await asyncio.sleep(0.01)

    assert delivered == []
    assert len(model.servable.abandoned) == 1
    assert request.context.kind == "cancelled"


@pytest.mark.parametrize(
    ("body", "plan"),
    [
        (b'{"data": [[1, 2, 3], [4, 5, 6]]}', BatchPlan(split=True)),
        (b'{"data": [1, 2, 3], "outputs": ["y"]}', BatchPlan()),
    ],
    ids=["rows one by one", "chosen outputs"],
)
@on_loop
async def test_what_needs_more_is_left_to_the_handler_and_read_once(servable, body, plan):
    server = Server(version(plan=plan))
    request, found, _ = started(server, body)
    decoded = request.context.decoded

    assert found is None
    response = await server.plane.accept(request).handler(request) if decoded is None else None
    if response is None:
        call = request.context
        response = await server.plane.accept(request).handler(request)
        assert call.decoded is decoded
    assert response.status == 200


class Slow(Inline):
    """Encodes elsewhere, when it is told to."""

    def __init__(self):
        self.release = asyncio.Event()

    async def encode(self, *given):
        await self.release.wait()
        return await super().encode(*given)


@pytest.mark.parametrize("leaves", [False, True], ids=["waits", "leaves"])
@on_loop
async def test_a_large_answer_is_written_elsewhere(servable, leaves):
    def wide(x):
        return {"y": np.tile(x, 100)}

    offload = Slow()
    server = Server(
        version(function=wide), settings=ApiSettings(offload_bytes=200), offload=offload
    )
    _, found, delivered = started(server)
    await asyncio.sleep(0.01)
    if servable is Numpy:
        return
    assert delivered == []
    if leaves:
        found.abandon()
    offload.release.set()
    await asyncio.sleep(0.01)

    assert len(delivered) == (not leaves)
    assert all(len(value(r)["result"]) == 300 for r in delivered)


@on_loop
async def test_a_version_that_failed_or_was_replaced_is_not_asked_again(servable):
    first = version()
    server = Server(first)
    started(server)
    first.state, first.reason = FAILED, "gone"
    server.table.changed("m")
    _, found, _ = started(server)
    if servable is not Numpy:
        assert found.status == 503

    second = version(function=lambda x: mean(x * 2))
    server.table.put(second)
    started(server)
    assert len(second.servable.seen) == (servable is not Numpy)
    assert len(first.servable.seen) == (servable is not Numpy)

"""The short way of a request: started on the head's terms, settled by a batch, delivered once."""

import asyncio
import functools
import inspect

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


def on_loop(test):
    @functools.wraps(test)
    def run(*given, **named):
        asyncio.run(test(*given, **named))

    run.__signature__ = inspect.signature(test)
    return run


async def turn():
    """Let the loop do what is due now."""
    for _ in range(5):
        await asyncio.sleep(0)


def started(server, body=GOOD, path="/predict"):
    """Start a request; return it, what ``start`` gave, and what was delivered so far."""
    request = server.head("POST", path, body=body)
    delivered = []
    accepted = server.plane.accept(request)
    return request, accepted.start(request, delivered.append), delivered


async def answered(found, delivered):
    """Return the only response: given at once, or delivered once."""
    await turn()
    given = [found] if isinstance(found, HTTPResponse) else []
    (response,) = given + delivered
    return response


@on_loop
async def test_a_request_is_answered_without_its_handler(servable):
    request, found, delivered = started(Server(version()))
    assert isinstance(found, HTTPResponse) == (servable is Early)
    response = await answered(found, delivered)

    assert (response.status, value(response)) == (200, {"result": 2.0})
    assert request.context.timings.run == 0.003


@on_loop
async def test_a_servable_that_only_can_be_awaited_is_left_to_the_handler(servable, monkeypatch):
    monkeypatch.setattr(Numpy, "chosen", Numpy)
    _, found, delivered = started(Server(version()))
    await turn()

    assert found is None
    assert not delivered


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"data": [1]}', 400), (b'{"data": [1, 2, 3], "outputs": ["no"]}', 400)],
    ids=["malformed", "wrong shape", "unknown output"],
)
@on_loop
async def test_a_bad_body_is_answered_at_once(servable, body, status):
    _, found, delivered = started(Server(version()), body)

    assert isinstance(found, HTTPResponse)
    assert (found.status, delivered) == (status, [])


@on_loop
async def test_an_error_of_the_batch_is_its_answer(servable):
    error = Overloaded("full", retry_after=3.0)
    _, found, delivered = started(Server(version(error=error)))
    response = await answered(found, delivered)

    assert response.status == 429
    assert (b"Retry-After", b"3") in response.headers


@on_loop
async def test_nothing_is_delivered_to_who_has_left(servable, monkeypatch):
    monkeypatch.setattr(Numpy, "chosen", Direct)  # one that is settled at once has no time to leave
    model = version()
    request, found, delivered = started(Server(model))
    found.abandon()
    await turn()

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
async def test_what_needs_more_is_left_to_the_handler_and_read_once(
    servable, monkeypatch, body, plan
):
    server = Server(version(plan=plan))
    request, found, _ = started(server, body)
    assert found is None
    assert request.context.decoded is not None

    def again(self, body):
        raise AssertionError("the body was read twice")

    monkeypatch.setattr("inferd.codecs.simple.SimpleCodec.decode", again)
    accepted = server.plane.accept(server.head("POST", "/predict"))
    assert (await accepted.handler(request)).status == 200


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
    await turn()
    assert delivered == []
    if leaves:
        found.abandon()
    offload.release.set()
    await turn()

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
    assert found.status == 503

    second = version(function=lambda x: mean(x * 2))
    server.table.put(second)
    started(server)
    assert (len(first.servable.seen), len(second.servable.seen)) == (1, 1)


@on_loop
async def test_a_trace_that_goes_on_to_others_takes_the_way_that_carries_it(servable):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for parts, left in (((), False), (("other",), True)):
        server = Server(version(parts=parts))
        request = server.head("POST", "/predict", {"traceparent": parent}, GOOD)
        accepted = server.plane.accept(request)
        found = accepted.start(request, lambda response: None)
        await turn()

        assert (found is None) is left
        if left:
            assert (await accepted.handler(request)).status == 200
            assert server.table.find("m").servable.seen[-1].trace.parent == parent


@pytest.mark.parametrize("parts", [(), ("generates",)], ids=["model", "pipeline"])
@on_loop
async def test_parameters_are_left_to_the_handler_where_a_step_may_heed_them(
    servable, monkeypatch, parts
):
    monkeypatch.setattr(Numpy, "chosen", Direct)
    model = version()
    model.parts = parts
    _, found, _ = started(Server(model), b'{"data": [1, 2, 3], "parameters": {"seed": 4}}')

    assert (found is None) == bool(parts)

"""What only tasks can do; everything else of ``AsyncClient`` is in ``test_sync.py``."""

import asyncio
import time

import numpy as np
import pytest
from tests.client.serving import answering

from inferd import AsyncClient
from inferd.core.errors import DeadlineExceeded


def test_fifty_at_once(server):
    async def main():
        async with AsyncClient(server.url, connections=20) as client:
            rows = [np.full(4, n, np.float32) for n in range(50)]
            answers = await asyncio.gather(*(client.predict("Sums", row) for row in rows))
            return [float(answer["sum"]) for answer in answers]

    assert asyncio.run(main()) == [4.0 * n for n in range(50)]


def test_a_cancelled_call_leaves_the_client_well(server):
    async def main():
        async with AsyncClient(server.url, connections=1) as client:
            task = asyncio.create_task(client.predict("Slow", 0.3))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await client.predict("Sums", [1, 2, 3, 4]))["sum"]

    assert asyncio.run(main()) == 10


def test_leaving_a_loop_ends_the_generation(server):
    async def main():
        async with AsyncClient(server.url) as client:
            more = {"max_tokens": 49, "seconds": 0.1}
            async for piece in client.generate("Story", "a", **more):
                assert piece == "a0 "
                break
            begin = time.monotonic()
            await client.predict("Story", "b", parameters={"max_tokens": 1})
            return time.monotonic() - begin

    assert asyncio.run(main()) < 2


def test_the_loop_goes_on_while_a_call_waits(server):
    async def main():
        async with AsyncClient(server.url) as client:
            task = asyncio.create_task(client.predict("Slow", 0.3))
            turns = 0
            while not task.done():
                await asyncio.sleep(0.01)
                turns += 1
            return turns

    assert asyncio.run(main()) > 5


def test_a_pause_before_a_repeat_does_not_hold_the_loop():
    async def main(url):
        async with AsyncClient(url) as client:
            begin = time.monotonic()
            await asyncio.gather(*(client.models() for _ in range(5)))
            return time.monotonic() - begin

    seen = set()

    def respond(handler, body):
        id = handler.headers["X-Request-Id"]
        if id in seen:
            handler.say(200, {"models": []})
        else:
            seen.add(id)
            handler.say(503, {"error": "loading"}, Retry_After="1")

    with answering(respond) as (url, _):
        assert asyncio.run(main(url)) < 3


def test_time_runs_out_exactly(server):
    async def main():
        async with AsyncClient(server.url) as client:
            await client.predict("Slow", 0.0)
            begin = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await client.predict("Slow", 1.0, timeout=0.2)
            return time.monotonic() - begin

    assert 0.15 < asyncio.run(main()) < 0.8
    time.sleep(1)

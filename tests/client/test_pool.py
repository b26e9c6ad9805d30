"""Lanes over fake transports; the clients' own tests run them over the network."""

import asyncio
import threading

import httpx
import pytest

from inferd.client.pool import KEPT_SECONDS, AsyncPool, Idle, Pool
from inferd.core.clock import FakeClock
from inferd.core.errors import Unavailable

REQUEST = httpx.Request("GET", "http://h/")


class Lane:
    def __init__(self, error=None):
        self.error = error
        self.closed = False

    def handle_request(self, request):
        if self.error:
            raise self.error
        return httpx.Response(200, stream=httpx.ByteStream(b"x"))

    def close(self):
        self.closed = True

    async def handle_async_request(self, request):
        return self.handle_request(request)

    async def aclose(self):
        self.closed = True


class Made(list):
    def __init__(self, **more):
        super().__init__()
        self.more = more

    def __call__(self):
        self.append(Lane(**self.more))
        return self[-1]


def test_the_lane_used_last_is_taken_first():
    idle = Idle(FakeClock())
    assert idle.take() is None
    idle.give("a")
    idle.give("b")

    assert idle.take() == "b"


def test_lanes_unused_for_long_are_given_out_to_be_closed():
    clock = FakeClock()
    idle = Idle(clock)
    idle.give("a")
    clock.advance(KEPT_SECONDS / 2)
    assert idle.give("b") == []
    clock.advance(KEPT_SECONDS * 0.6)

    assert idle.give("c") == ["a"]


def test_a_closed_pool_takes_nothing():
    idle = Idle(FakeClock())
    idle.give("a")

    assert idle.close() == ["a"]
    assert idle.give("b") == ["b"], "what was in use is closed when it comes back"
    with pytest.raises(Unavailable, match="closed"):
        idle.take()


def test_one_lane_serves_requests_that_follow_each_other():
    made = Made()
    pool = Pool(made, 2)
    for _ in range(3):
        response = pool.send(REQUEST, 1.0)
        response.close()
        response.close()
    pool.close()

    assert len(made) == 1 and made[0].closed


def test_requests_at_once_have_lanes_of_their_own_up_to_the_size():
    made = Made()
    pool = Pool(made, 2)
    first, second = pool.send(REQUEST, 1.0), pool.send(REQUEST, 1.0)
    with pytest.raises(httpx.PoolTimeout):
        pool.send(REQUEST, 0.01)
    timer = threading.Timer(0.05, first.close)
    timer.start()
    third = pool.send(REQUEST, 5.0)
    timer.join()

    assert len(made) == 2
    second.close()
    third.close()
    pool.close()


def test_a_failed_request_gives_its_place_back():
    pool = Pool(Made(error=httpx.ConnectError("x")), 1)
    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            pool.send(REQUEST, 0.1)


def test_tasks_wait_for_a_lane():
    made = Made()

    async def main():
        pool = AsyncPool(made, 2)

        async def ask():
            response = await pool.send(REQUEST)
            await asyncio.sleep(0)
            body = await response.aread()
            await response.aclose()
            return body

        bodies = await asyncio.gather(*(ask() for _ in range(20)))
        await pool.aclose()
        with pytest.raises(Unavailable):
            await pool.send(REQUEST)
        return bodies

    assert asyncio.run(main()) == [b"x"] * 20
    assert len(made) <= 2 and all(lane.closed for lane in made)


def test_a_task_that_is_cancelled_gives_its_lane_back():
    class Slow(Lane):
        async def handle_async_request(self, request):
            await asyncio.sleep(60)

    async def main():
        pool = AsyncPool(Slow, 1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await pool.send(REQUEST)

    asyncio.run(main())

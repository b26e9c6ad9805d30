"""Large bodies in a worker of their own: answers, errors, deadlines, losses."""

import asyncio
import os
import signal
import time

import numpy as np
import orjson
import pytest
from tests.execution.workers import exists

from inferd.codecs.base import Decoded
from inferd.core.errors import DeadlineExceeded, InvalidInput, Overloaded, Unavailable
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.execution import offload
from inferd.execution.executor import Loss
from inferd.execution.offload import CodecPool

SIGNATURE = Signature.from_json({
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, -1]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, -1]}],
})  # fmt: skip
PLAN = BatchPlan(length=("x", 1))
NEVER = float("inf")


LARGE = b'{"data": [' + b",".join([b"[" + b",".join([b"1.5"] * 1000) + b"]"] * 4000) + b"]}"
"""Takes long enough to be interrupted."""


def body(rows):
    return orjson.dumps({"data": rows})


def with_pool(test):
    """Run ``test(pool)`` and stop the pool; nothing of it may stay behind."""

    async def main():
        pool = CodecPool()
        try:
            async with asyncio.timeout(30):
                await test(pool)
        finally:
            pids = pid(pool)
            await pool.stop()
        assert pids is None or not exists(pids)

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


def pid(pool):
    return pool._executor.describe()["pid"] if pool._executor else None


async def decoded(pool, rows, deadline=NEVER):
    return await pool.decode("simple", body(rows), SIGNATURE, PLAN, deadline)


def test_large_bodies_and_answers_go_there_and_back():
    async def test(pool):
        values = np.arange(300_000, dtype=np.float32).reshape(3000, 100)
        request = await decoded(pool, values.tolist())
        assert np.array_equal(request.inputs["x"], values)
        answer = await pool.encode(
            "simple", {"y": values}, SIGNATURE, PLAN, request, "m", "1", NEVER
        )
        assert np.array_equal(orjson.loads(answer)["result"], values)

    with_pool(test)


def test_rows_of_unequal_length_keep_their_lengths():
    async def test(pool):
        request = await decoded(pool, [[1, 2, 3], [4], [5, 6]])
        rows = request.rows if request.rows is not None else [request.inputs]
        assert [r["x"].tolist() for r in rows] == [[[1, 2, 3]], [[4]], [[5, 6]]]
        back = await pool.encode(
            "simple", [{"y": r["x"]} for r in rows], SIGNATURE, PLAN, request, "m", "1", NEVER
        )
        assert orjson.loads(back) == {"result": [[1, 2, 3], [4], [5, 6]]}

    with_pool(test)


def test_a_wrong_body_is_told_as_the_codec_tells_it():
    async def test(pool):
        with pytest.raises(InvalidInput) as caught:
            await pool.decode("simple", b'{"data": [', SIGNATURE, PLAN, NEVER)
        assert "JSON" in caught.value.message
        assert (await decoded(pool, [[1]])).inputs["x"].tolist() == [[1]]

    with_pool(test)


def test_a_deadline_holds_while_the_worker_starts_and_while_it_works():
    async def test(pool):
        with pytest.raises(DeadlineExceeded):
            await decoded(pool, [[1]], time.monotonic() + 0.001)
        await decoded(pool, [[1]])
        with pytest.raises(DeadlineExceeded):
            await decoded(pool, [[1.0] * 400] * 4000, time.monotonic() + 0.005)
        with pytest.raises(DeadlineExceeded):
            await decoded(pool, [[1]], time.monotonic() - 1)
        assert (await decoded(pool, [[2]])).inputs["x"].tolist() == [[2]]
        assert pool._open == pool._bytes == 0

    with_pool(test)


def test_too_much_at_once_is_refused_and_said_when_to_come_back(monkeypatch):
    monkeypatch.setattr(offload, "JOBS_MAX", 3)
    monkeypatch.setattr(offload, "BYTES_MAX", 1_000_000)

    async def test(pool):
        results = await asyncio.gather(*(decoded(pool, [[i]]) for i in range(5)),
                                       return_exceptions=True)  # fmt: skip
        refused = [r for r in results if isinstance(r, Overloaded)]
        assert len(refused) == 2
        assert all(r.retry_after > 0 for r in refused)
        assert [r.inputs["x"].tolist() for r in results[:3]] == [[[0]], [[1]], [[2]]]
        with pytest.raises(Overloaded):
            await decoded(pool, [[1.0] * 1000] * 1000)

    with_pool(test)


def test_a_body_whose_worker_was_killed_is_read_again():
    async def test(pool):
        await decoded(pool, [[1]])
        worker = pool._executor._worker
        task = asyncio.create_task(pool.decode("simple", LARGE, SIGNATURE, PLAN, NEVER))
        while not any(map(worker.started, worker.jobs.values())):
            await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGKILL)
        assert (await task).inputs["x"].shape == (4000, 1000)
        assert pool._executor.restarts == {"dead": 1}

    with_pool(test)


def test_a_body_that_ends_its_worker_is_refused_and_the_next_is_read():
    async def test(pool):
        await decoded(pool, [[1]])
        worker = pool._executor._worker
        started = asyncio.create_task(pool.decode("simple", LARGE, SIGNATURE, PLAN, NEVER))
        others = [asyncio.create_task(decoded(pool, [[i]])) for i in range(3)]
        while not any(map(worker.started, worker.jobs.values())):
            await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGABRT)
        with pytest.raises(InvalidInput, match="could not be read"):
            await started
        assert [(await t).inputs["x"].tolist() for t in others] == [[[0]], [[1]], [[2]]]

    with_pool(test)


def test_nobody_waits_for_a_pool_that_stops():
    async def test(pool):
        await decoded(pool, [[1]])
        os.kill(pid(pool), signal.SIGSTOP)
        tasks = [asyncio.create_task(decoded(pool, [[i]])) for i in range(4)]
        await asyncio.sleep(0.01)
        await pool.stop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(r, (Unavailable, InvalidInput)) for r in results), results

    with_pool(test)


def test_the_worker_ends_when_nobody_needs_it(monkeypatch):
    monkeypatch.setattr(offload, "IDLE", 0.1)

    async def test(pool):
        await decoded(pool, [[1]])
        first = pid(pool)
        while exists(first):
            await asyncio.sleep(0.01)
        assert pool._executor is None
        await decoded(pool, [[1]])
        assert pid(pool) != first

    with_pool(test)


def test_a_worker_that_cannot_come_back_refuses_who_waits():
    async def test(pool):
        await decoded(pool, [[1]])
        executor = pool._executor
        entry_future = asyncio.get_running_loop().create_future()

        class Waiting:
            future = entry_future

        pool._waiting.append(Waiting)
        state, executor.state = executor.state, "failed"
        pool.changed(executor)
        executor.state = state
        assert isinstance(entry_future.exception(), Unavailable)
        pool.lost(executor, [], [], Loss("dead", "nobody ran"))

    with_pool(test)


def test_the_request_is_asked_for_nothing_it_does_not_say():
    assert Decoded({"x": np.zeros(1)}).priority is None

"""The batched model over real worker processes: right answers through kills, stops and poison."""

import asyncio
import os
import random
import signal
import time

import numpy as np
import pytest
from tests.execution.workers import (
    ABORT,
    CURVE,
    OK,
    PAUSE,
    RAISE,
    SLEEP,
    launch,
    pid_of,
    probe_spec,
)
from tests.scheduling.instances import Instance, batcher, turn

from inferd.core.errors import DeadlineExceeded, InferdError, InvalidInput, ModelFailed, Quarantined
from inferd.core.message import Request
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.execution.executor import READY, Curve
from inferd.execution.supervisor import ProcessExecutor
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.costs import Costs
from inferd.scheduling.model import BatchedModel
from inferd.scheduling.settings import BatchSettings

SIGNATURE = Signature.from_json({
    "inputs": [{"name": "x", "dtype": "int8", "shape": [-1, 1]}],
    "outputs": [{"name": "y", "dtype": "int8", "shape": [-1, 1]}],
})  # fmt: skip


# -- with an executor in memory -----------------------------------------------------------------


def model(instance, *, curve=None, **settings):
    given = {"curve": curve} if curve is not None else {}
    subject = batcher(instance, **given, **settings)
    return BatchedModel("m", "3", SIGNATURE, BatchPlan(), subject)


def request(rows=1, **given):
    return Request("m", {"x": np.arange(rows, dtype=np.int8).reshape(rows, 1)}, **given)


async def answered(instance, *tasks):
    while not all(t.done() for t in tasks):
        await turn()
        while instance.jobs:
            instance.finish()
            await turn()


def test_an_answer_says_who_gave_it_and_how_long_it_took():
    async def main():
        one = Instance()
        task = asyncio.create_task(model(one)(request(2)))
        await answered(one, task)
        response = task.result()
        assert (response.model, response.version) == ("m", "3")
        assert response.outputs["y"].tolist() == [[0], [1]]
        assert response.timings.run == 0.001
        assert response.timings.queue >= 0
        assert response.timings.batch_size == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (Request("m", {"x": np.zeros((1, 2), np.int8)}), "shape"),
        (Request("m", {"z": np.zeros((1, 1), np.int8)}), "unknown input 'z'"),
    ],
    ids=["shape", "name"],
)
def test_what_does_not_fit_is_refused(given, error):
    async def main():
        with pytest.raises(InvalidInput, match=error):
            await model(Instance())(given)

    asyncio.run(main())


def test_outputs_may_be_chosen_by_name():
    async def main():
        one = Instance()
        good = asyncio.create_task(model(one)(request(outputs=("y",))))
        await answered(one, good)
        assert list(good.result().outputs) == ["y"]
        bad = asyncio.create_task(model(one)(request(outputs=("z",))))
        await answered(one, bad)
        with pytest.raises(InvalidInput, match="unknown output 'z'"):
            bad.result()

    asyncio.run(main())


def test_a_large_request_takes_turns_and_is_answered_whole():
    async def main():
        one = Instance()
        subject = model(one, max_size=4, curve=Curve(((1, 0.01), (4, 0.01))))
        task = asyncio.create_task(subject(request(50)))
        await turn()
        small = asyncio.create_task(subject(request(1)))
        await answered(one, task, small)
        assert task.result().outputs["y"].ravel().tolist() == list(range(50))
        assert max(len(np.concatenate(s)) for s in one.seen) <= 4
        order = [sum(map(len, s)) for s in one.seen]
        assert order.index(1) < len(order) - 5, "the small one did not wait for all of it"
        assert task.result().timings.batch_size == 4

    asyncio.run(main())


@pytest.mark.parametrize(
    ("most", "given"),
    [(1, {}), (4, {}), (4, {"curve": Curve(((1, 1e-6),))}), (4, {"max_size": 8})],
    ids=["one at a time", "four", "four and very fast", "four and eight configured"],
)
def test_no_part_of_a_request_is_over_what_the_artifact_bears(most, given):
    async def main():
        one, plan = Instance(), BatchPlan(max_batch=most)
        subject = BatchedModel("m", "3", SIGNATURE, plan, batcher(one, plan=plan, **given))
        task = asyncio.create_task(subject(request(6)))
        await answered(one, task)
        assert task.result().outputs["y"].ravel().tolist() == list(range(6))
        assert all(sum(map(len, rows)) <= most for rows in one.seen)

    asyncio.run(main())


def test_a_large_request_fails_as_one():
    async def main():
        one = Instance()
        subject = model(one, max_size=4, curve=Curve(((1, 0.01), (4, 0.01))))
        task = asyncio.create_task(subject(request(50)))
        await turn()
        one.finish(errors={0: ModelFailed("part 1")})
        await answered(one, task)
        with pytest.raises(ModelFailed, match="part 1"):
            task.result()
        await turn()
        await answered(one)
        assert not subject.batcher.busy

    asyncio.run(main())


def test_a_client_that_leaves_cancels_its_request():
    async def main():
        one = Instance()
        subject = model(one, max_size=1)
        first = asyncio.create_task(subject(request()))
        waits = asyncio.create_task(subject(request()))
        await turn()
        waits.cancel()
        await turn()
        assert subject.batcher.queue.entries == 0
        assert subject.batcher.counters.cancelled == 1
        await answered(one, first)
        assert waits.cancelled()
        assert len(one.seen) == 1

    asyncio.run(main())


# -- with worker processes ----------------------------------------------------------------------


class Served:
    """A probe model behind its batcher, on ``instances`` worker processes."""

    def __init__(
        self, directory, *, instances=1, slots=1, prefetch=1, run_timeout=10.0, **settings
    ):
        self.directory = directory
        self.executors = [
            ProcessExecutor(launch(probe_spec(directory)), i, curve=CURVE) for i in range(instances)
        ]
        self.slots, self.prefetch, self.run_timeout = slots, prefetch, run_timeout
        self.settings = {"max_size": 8, "slots": slots, **settings}

    async def __aenter__(self):
        relay = type("Relay", (), {"__getattr__": lambda *_: lambda *__: None})()
        loaded = await asyncio.gather(*(e.start(relay) for e in self.executors))
        self.batcher = Batcher(
            "probe v1", loaded[0].plan, Costs(CURVE), BatchSettings(**self.settings)
        )
        for executor in self.executors:
            executor._owner = self.batcher
            executor.configure(self.slots, self.prefetch, self.run_timeout)
        self.batcher.attach(self.executors)
        self.model = BatchedModel("probe", "1", loaded[0].signature, loaded[0].plan, self.batcher)
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(e.stop(1.0) for e in self.executors))

    async def ask(self, value, order=OK, *, timeout=15.0):
        inputs = {"x": np.array([[value, order]], np.float32)}
        response = await self.model(Request("probe", inputs, deadline=time.monotonic() + timeout))
        return float(response.outputs["y"][0])

    def deaths(self):
        return sum(sum(e.restarts.values()) for e in self.executors)

    async def settled(self):
        async with asyncio.timeout(20):
            while any(e.state != READY for e in self.executors):
                await asyncio.sleep(0.01)


def test_every_answer_belongs_to_its_request_through_kills(tmp_path):
    async def main():
        async with Served(tmp_path, instances=2) as served:
            stop = time.monotonic() + 4
            rng = random.Random(7)
            failures, answered = [], 0

            async def client(number):
                nonlocal answered
                value = number * 100_000
                while time.monotonic() < stop:
                    value += 1
                    try:
                        got = await served.ask(value, rng.choice([OK, OK, OK, PAUSE]))
                        assert got == 2 * value
                        answered += 1
                    except InferdError as error:
                        failures.append(error)

            async def killer():
                while time.monotonic() < stop - 0.5:
                    await asyncio.sleep(0.7)
                    victims = [e for e in served.executors if e.state == READY]
                    if victims:
                        os.kill(pid_of(rng.choice(victims)), signal.SIGKILL)

            await asyncio.gather(killer(), *(client(i) for i in range(12)))
            assert failures == []
            assert answered > 200
            assert served.deaths() >= 3
            counters = served.batcher.counters
            assert counters.admitted == counters.answered == answered

    asyncio.run(main())


def test_a_poison_among_many_costs_two_deaths_and_nobody_else_his_answer(tmp_path):
    async def main():
        async with Served(tmp_path) as served:
            requests = [served.ask(i, ABORT if i == 57 else OK) for i in range(200)]
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert isinstance(results.pop(57), ModelFailed)
            assert results == [2 * i for i in range(200) if i != 57]
            assert served.deaths() <= 2
            before = served.deaths()
            with pytest.raises(Quarantined):
                await served.ask(57, ABORT)
            assert await served.ask(58) == 116
            assert served.deaths() == before

    asyncio.run(main())


def test_a_stopped_worker_costs_no_request(tmp_path):
    async def main():
        async with Served(tmp_path, instances=2) as served:
            assert await served.ask(1) == 2
            os.kill(pid_of(served.executors[0]), signal.SIGSTOP)
            results = await asyncio.gather(*(served.ask(i) for i in range(60)))
            assert results == [2 * i for i in range(60)]
            await served.settled()

    asyncio.run(main())


def test_a_request_that_hangs_is_ended_and_refused_afterwards(tmp_path):
    async def main():
        async with Served(tmp_path, run_timeout=0.5) as served:
            hanging = asyncio.create_task(served.ask(60, SLEEP))
            await asyncio.sleep(0.1)
            others = [asyncio.create_task(served.ask(i)) for i in range(10)]
            with pytest.raises(ModelFailed, match="longer than"):
                await hanging
            assert await asyncio.gather(*others) == [2 * i for i in range(10)]
            assert served.deaths() == 2
            with pytest.raises(Quarantined):
                await served.ask(60, SLEEP)

    asyncio.run(main())


def test_no_execution_starts_late(tmp_path):
    async def main():
        async with Served(tmp_path, max_size=1) as served:
            slow = [asyncio.create_task(served.ask(0.2, SLEEP)) for _ in range(3)]
            await asyncio.sleep(0.05)
            late = await asyncio.gather(
                *(served.ask(i, RAISE, timeout=0.05) for i in range(20)), return_exceptions=True
            )
            assert all(isinstance(e, DeadlineExceeded) or e.kind == "overloaded" for e in late), {
                type(e) for e in late
            }
            await asyncio.gather(*slow)
            assert served.deaths() == 0

    asyncio.run(main())


def test_bad_items_fail_alone_for_as_long_as_they_come(tmp_path):
    async def main():
        async with Served(tmp_path, max_size=8) as served:
            bad = {i for i in range(3000) if i % 7 == 0}
            gate = asyncio.Semaphore(100)

            async def one(i):
                async with gate:
                    return await served.ask(i, RAISE if i in bad else OK)

            results = await asyncio.gather(*(one(i) for i in range(3000)), return_exceptions=True)
            for i, result in enumerate(results):
                if i in bad:
                    assert f"cannot take {i}" in str(result)
                else:
                    assert result == 2 * i
            assert served.deaths() == 0

    asyncio.run(main())

"""The inline executor: the same answers as a worker gives, in this process."""

import asyncio
import time

import numpy as np
import pytest
from tests.execution.workers import CURVE, RAISE, SLEEP, Ear, launch, probe_spec, values

from inferd.core.errors import InferdError
from inferd.execution.blocks import each
from inferd.execution.executor import READY, STOPPED, Curve
from inferd.execution.inline import InlineExecutor

FAST = CURVE
SLOW = Curve(((1, 0.01), (2, 0.02)))


async def started(directory, curve=FAST, **changes):
    ear = Ear()
    executor = InlineExecutor(launch(probe_spec(directory, **changes)), curve=curve)
    loaded = await executor.start(ear)
    executor.configure(2, 1, 10.0)
    return executor, ear, loaded


@pytest.mark.parametrize("curve", [FAST, SLOW], ids=["on-the-loop", "in-a-thread"])
def test_jobs_are_answered_and_bad_items_fail_alone(tmp_path, curve):
    async def main():
        executor, ear, loaded = await started(tmp_path, curve)
        assert executor.state == READY
        assert loaded.runtime == "python"
        assert executor.room == (1 if curve is FAST else 2)
        outcome = await ear.run(executor, (1, 0), (2, RAISE), (3, 0))
        assert values(outcome) == [2, None, 6]
        assert "cannot take 2" in outcome.errors[1].message
        assert executor.running == 0
        await executor.stop(1.0)
        assert (executor.state, executor.room) == (STOPPED, 0)

    asyncio.run(main())


def test_a_slow_model_leaves_the_loop_free(tmp_path):
    async def main():
        executor, ear, _ = await started(tmp_path, SLOW)
        job = ear.job((0.4, SLEEP))
        executor.submit(job)
        began = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - began < 0.3
        assert executor.running == 1
        executor.cancel(job)
        executor.abandon(job, "nobody waits")
        await executor.stop(5.0)
        assert job.id in ear.outcomes, "stopping waits for what runs"

    asyncio.run(main())


def test_callers_arrays_stay_as_they_are_and_answers_are_their_own(tmp_path):
    source = """
    from inferd import Model

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 2])}
        outputs = {"y": ("float32", [-1, 2])}

        def predict(self, x):
            x *= 3
            self.kept = x
            return self.kept
    """

    async def main():
        ear = Ear()
        executor = InlineExecutor(launch(probe_spec(tmp_path, source)), curve=FAST)
        await executor.start(ear)
        executor.configure(1, 0, 10)
        job = ear.job((1, 20))
        mine = job.entries[0].inputs["x"]
        executor.submit(job)
        await ear.until(lambda: ear.outcomes)
        assert mine.tolist() == [[1, 20]]
        (answer,) = each(ear.outcomes[job.id][1].blocks)
        assert answer["y"].tolist() == [[3, 60]]
        model = executor._program.runtime._model
        assert not np.shares_memory(answer["y"], model.kept)
        await executor.stop(0)

    asyncio.run(main())


def test_a_job_ends_whatever_happens(tmp_path, monkeypatch):
    async def main():
        executor, ear, _ = await started(tmp_path)

        def broken(*_args, **_kwargs):
            raise RuntimeError("a bug")

        monkeypatch.setattr(executor._program, "run", broken)
        outcome = await ear.run(executor, (1, 0), (2, 0))
        assert {type(e) for e in outcome.errors.values()} == {InferdError}
        assert len(outcome.errors) == 2
        await executor.stop(0)

    asyncio.run(main())


def test_a_model_that_cannot_be_loaded_says_why(tmp_path):
    async def main():
        with pytest.raises(InferdError, match="Nothing"):
            await started(tmp_path, options={"class": "probe:Nothing", "directory": str(tmp_path)})

    asyncio.run(main())


def test_it_describes_itself_as_a_worker_does(tmp_path):
    async def main():
        executor, _, _ = await started(tmp_path)
        told = executor.describe()
        assert told["executor"] == "inline" and told["state"] == READY
        assert {"pid", "running", "slots", "restarts", "reason"} <= set(told)
        await executor.stop(0)

    asyncio.run(main())

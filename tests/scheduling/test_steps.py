from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.scheduling.instances import Instance, batcher, turn

from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.message import Request
from inferd.core.plan import BatchPlan
from inferd.core.qualified import packed, unpacked
from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, FP32, uneven
from inferd.execution.blocks import Block
from inferd.execution.frames import Outcome
from inferd.scheduling.steps import INLINE_BYTES, InlineStep, WorkerStep

X = TensorSpec("x", FP32, (2,))
PARTS = TensorSpec("parts", FP32, (-1, -1))
TEXT = TensorSpec("text", BYTES, ())
OUT = TensorSpec("out", FP32, (-1, -1))


class Answering(Instance):
    """Gives every step its ``parts`` back as ``out``, or ``x`` as ``y``."""

    def submit(self, job):
        self.jobs.append(job)

    def finish(self, answer=None):
        job = self.jobs.pop(0)
        (entry,) = job.entries
        step, given = unpacked(entry.inputs)
        back = answer
        if back is None:
            back = packed(
                step, {"out": given["parts"]} if "parts" in given else {"y": given["x"]}, {"out"}
            )
        self.owner.finished(
            self, job, Outcome(b"\0", [Block(1, back)], {}, batch=0.1, run=0.2, rows=1)
        )


def steps(instance):
    shared = batcher(instance, plan=BatchPlan(batched=False, max_batch=1))
    one = WorkerStep("app", "1", "one", [X], [TensorSpec("y", FP32, (2,))], (), shared)
    two = WorkerStep("app", "1", "two", [PARTS, TEXT], [OUT], {"parts", "out"}, shared)
    return shared, one, two


def text(value=b"a"):
    out = np.empty((), object)
    out[()] = value
    return out


def lists(*lengths):
    return {"parts": uneven([np.zeros(n, np.float32) for n in lengths]), "text": text()}


def run(main):
    async def bounded():
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


async def asked(instance, step, inputs, answer=None, **given):
    task = asyncio.ensure_future(step(Request("app", inputs, **given)))
    await turn()
    if instance.jobs:
        instance.finish(answer)
    return await task


def test_steps_share_a_worker_and_are_told_apart_by_names():
    async def main():
        instance = Answering()
        shared, one, two = steps(instance)
        got = await asked(instance, one, {"x": np.ones(2, np.float32)})
        assert got.outputs["y"].tolist() == [1, 1] and (got.model, got.version) == ("app", "1")
        assert (got.timings.run, got.timings.batch, got.timings.batch_size) == (0.2, 0.1, 1)
        got = await asked(instance, two, lists(0, 3, 1))
        assert [a.shape for a in got.outputs["out"]] == [(0,), (3,), (1,)]
        assert shared.counters.answered == 2

    run(main)


def test_a_list_of_no_arrays_has_its_datatype():
    async def main():
        instance = Answering()
        _, _, two = steps(instance)
        empty = (await asked(instance, two, lists())).outputs["out"]
        assert (empty.dtype, empty.shape) == (np.float32, (0, 0))

    run(main)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"text": text()}, "input 'parts' is missing"),
        ({"parts": lists(1)["parts"]}, "input 'text' is missing"),
        ({**lists(1), "x": np.zeros(1)}, "unknown input 'x'"),
        (
            {**lists(), "parts": uneven([np.zeros(2)])},
            "an element of input 'parts' is FP64 [2], expected FP32 [-1]",
        ),
        (
            {**lists(), "parts": uneven([np.zeros((2, 2), np.float32)])},
            "is FP32 [2, 2], expected FP32 [-1]",
        ),
        ({**lists(), "parts": np.zeros((5000, 1), np.float32)}, "holds 5000 arrays, over 4096"),
        ({**lists(1), "text": np.zeros((), np.float32)}, "input 'text' has datatype FP32"),
    ],
    ids=["no list", "no text", "unknown", "datatype", "axes", "too many", "text"],
)
def test_what_a_step_cannot_take_is_refused_before_it_waits(inputs, says):
    async def main():
        instance = Answering()
        shared, _, two = steps(instance)
        with pytest.raises(InvalidInput) as caught:
            await asked(instance, two, inputs)
        assert says in caught.value.message
        assert not instance.jobs and not shared.queue.entries

    run(main)


def test_elements_of_a_mapped_answer_may_come_as_one_array():
    async def main():
        instance = Answering()
        _, _, two = steps(instance)
        got = await asked(instance, two, {"parts": np.ones((2, 3), np.float32), "text": text()})
        assert [a.tolist() for a in got.outputs["out"]] == [[1, 1, 1]] * 2

    run(main)


@pytest.mark.parametrize(
    "answer",
    [{"two.out[]": np.array(2)}, {"two.out[]": np.array([1, 2])}],
    ids=["lacks", "no number"],
)
def test_an_answer_of_a_broken_worker_fails_alone(answer):
    async def main():
        instance = Answering()
        _, _, two = steps(instance)
        with pytest.raises(ModelFailed, match="the worker's answer lacks"):
            await asked(instance, two, lists(1), answer)

    run(main)


def test_it_answers_without_a_coroutine():
    async def main():
        instance = Answering()
        shared, one, _ = steps(instance)
        future = asyncio.get_running_loop().create_future()
        handle = one.begin({"x": np.ones(2, np.float32)}, future, float("inf"), 0, "id")
        await turn()
        instance.finish()
        assert (await future)["y"].tolist() == [1, 1] and one.timings(handle).run == 0.2

        future = asyncio.get_running_loop().create_future()
        handle = one.begin({"x": np.ones(2, np.float32)}, future, float("inf"), 0, "id")
        one.abandon(handle)
        assert future.cancelled() and shared.counters.cancelled == 1

    run(main)


def test_a_caller_that_goes_takes_its_question_with_it():
    async def main():
        instance = Answering(slots=0)
        shared, one, _ = steps(instance)
        task = asyncio.ensure_future(one(Request("app", {"x": np.ones(2, np.float32)})))
        await turn()
        assert shared.queue.entries == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not shared.queue.entries and shared.counters.cancelled == 1

    run(main)


def test_only_the_outputs_asked_for_are_given():
    async def main():
        instance = Answering()
        _, one, _ = steps(instance)
        with pytest.raises(InvalidInput, match="unknown output 'z'"):
            await asked(instance, one, {"x": np.ones(2, np.float32)}, outputs=("z",))

    run(main)


# -- in the front ---------------------------------------------------------------------------------------


def inline(function=lambda t: {"y": t["x"] * 2}, spec=None):
    return InlineStep("app", "1", [spec or X], function)


def test_a_quick_step_answers_at_once():
    async def main():
        step = inline()
        future = asyncio.get_running_loop().create_future()
        handle = step.begin({"x": np.ones(2, np.float32)}, future, float("inf"), 0, "id")
        assert future.result()["y"].tolist() == [2, 2] and step.timings(handle).run > 0
        step.abandon(handle)
        response = await step(Request("app", {"x": np.ones(2, np.float32)}, outputs=("y",)))
        assert response.outputs["y"].tolist() == [2, 2]

    run(main)


def test_a_large_example_does_not_hold_the_loop():
    import threading

    async def main():
        seen = []
        step = inline(
            lambda t: seen.append(threading.current_thread()) or {"y": t["x"]},
            TensorSpec("x", FP32, (-1,)),
        )
        large = {"x": np.zeros(INLINE_BYTES // 4 + 1, np.float32)}
        assert (
            step.begin(large, asyncio.get_running_loop().create_future(), float("inf"), 0, "")
            is None
        )
        await step(Request("app", large))
        assert seen and seen[0] is not threading.main_thread()

    run(main)


def test_what_it_cannot_take_is_refused():
    async def main():
        step = inline()
        with pytest.raises(InvalidInput, match="has shape"):
            step.begin(
                {"x": np.ones(3, np.float32)}, asyncio.get_running_loop().create_future(), 0, 0, ""
            )
        with pytest.raises(InvalidInput, match="is missing"):
            await step(Request("app", {}))

    run(main)

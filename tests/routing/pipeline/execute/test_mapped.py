"""Steps that are asked for every element of a list."""

import asyncio
import time

import numpy as np
import pytest
from tests.routing.pipeline.running import (
    Plain,
    Prompt,
    ask,
    nothing_left,
    pipeline,
    request,
    texts,
)
from tests.routing.pipeline.written import function, model

from inferd.core.errors import DeadlineExceeded, ModelFailed
from inferd.core.message import ADMITTED, Timings
from inferd.core.plan import BatchPlan
from inferd.core.tensor import is_uneven, uneven
from inferd.routing.pipeline.execute.mapped import AT_ONCE, add

TEXT = """
    inputs: [x]
    steps:
      cut: {python: "s:cut", inputs: {x: x}}
      read: {model: read, inputs: {factor: cut.factor}, map: {line: cut.lines}}
      join: {python: "s:join", inputs: {parts: read.y}}
    outputs: {y: join.y}
"""
ONE = np.array([[3]], np.float32)
FREE = BatchPlan()
SPLIT = BatchPlan(split=True)


def lines(*widths):
    return [np.full((width,), i, np.float32) for i, width in enumerate(widths)]


def build(directory, parts, read, callee=None, each="float32 -1", more=None):
    """Return a pipeline that maps ``read`` over ``parts`` and keeps what it gave."""
    seen = []

    def join(inputs):
        seen.append(inputs["parts"])
        return {"y": np.zeros((), np.float32)}

    def cut(_):
        return {"lines": parts, "factor": np.array(10, np.float32)}

    servables = {"cut": Plain(cut), "read": read, "join": Plain(join), **(more or {})}
    callee = callee or model("line: float32 -1, factor: float32", f"y: {each}", plan=FREE)
    callees = {
        "cut": function("x: float32 1", "lines: float32 -1 -1, factor: float32", ["lines"]),
        "read": callee,
        "join": function(f"parts: {each.replace(' -1', ' -1 -1', 1) if '-1' in each else each + ' -1'}",
                         "y: float32", ["parts"] if "-1" in each else []),
    }  # fmt: skip
    return pipeline(directory, TEXT, callees, servables), seen


def scaled(inputs):
    """A batched model: each row times its factor."""
    factor = inputs["factor"].reshape(-1, *[1] * (inputs["line"].ndim - 1))
    return {"y": inputs["line"] * factor}


def alone(inputs):
    """The same for one example."""
    return {"y": inputs["line"] * inputs["factor"]}


def test_elements_of_one_shape_are_one_request(tmp_path):
    read = Plain(scaled)
    subject, seen = build(tmp_path, uneven(lines(4, 4, 4)), read)
    ask(subject, x=ONE)
    (asked,) = read.asked

    assert asked.inputs["line"].shape == (3, 4)
    assert asked.inputs["factor"].shape == (3,)
    assert asked.priority == ADMITTED
    assert seen[0].tolist() == [[0] * 4, [10] * 4, [20] * 4]


def test_a_list_that_is_an_array_is_given_without_a_copy(tmp_path):
    read, parts = Plain(scaled), np.ones((5, 4), np.float32)
    subject, seen = build(tmp_path, parts, read)
    ask(subject, x=ONE)

    assert np.shares_memory(read.asked[0].inputs["line"], parts)
    assert seen[0].shape == (5, 4)


@pytest.mark.parametrize("kind", [Plain, Prompt], ids=["plain", "by promise"])
def test_unequal_elements_are_a_request_each(tmp_path, kind):
    read = kind(scaled)
    subject, seen = build(tmp_path, uneven(lines(2, 5, 3)), read)
    ask(subject, x=ONE)

    assert is_uneven(seen[0])
    assert [part.tolist() for part in seen[0]] == [[0] * 2, [10] * 5, [20] * 3]
    assert len(read.asked) == 3


def test_a_model_that_answers_rows_apart_is_asked_for_one_at_a_time(tmp_path):
    read = Plain(scaled)
    callee = model("line: float32 -1, factor: float32", "y: float32 -1", plan=SPLIT)
    subject, seen = build(tmp_path, uneven(lines(4, 4, 4)), read, callee)
    ask(subject, x=ONE)

    assert [r.inputs["line"].shape for r in read.asked] == [(1, 4)] * 3
    assert seen[0].tolist() == [[0] * 4, [10] * 4, [20] * 4]


def test_what_takes_one_example_is_asked_for_each(tmp_path):
    read = Plain(alone)
    callee = function("line: float32 -1, factor: float32", "y: float32 -1")
    subject, seen = build(tmp_path, np.ones((3, 4), np.float32), read, callee)
    ask(subject, x=ONE)

    assert [r.inputs["line"].shape for r in read.asked] == [(4,)] * 3
    assert seen[0].tolist() == [[10] * 4] * 3


def test_elements_that_are_texts_come_back_as_a_list(tmp_path):
    read = Plain(lambda i: {"y": texts(*[b"%d" % len(row) for row in i["line"]])})
    callee = model("line: float32 -1, factor: float32", "y: bytes")
    for i, widths in enumerate([(2, 2), (2, 5, 3)]):
        directory = tmp_path / str(i)
        directory.mkdir()
        subject, seen = build(directory, uneven(lines(*widths)), read, callee, each="bytes")
        ask(subject, x=ONE)
        assert seen[0].tolist() == [b"%d" % w for w in widths]


@pytest.mark.parametrize("each", ["float32 -1", "bytes", "float32 3 -1"], ids=str)
def test_an_empty_list_asks_nobody(tmp_path, each):
    read = Plain(scaled)
    callee = model("line: float32 -1, factor: float32", f"y: {each}")
    subject, seen = build(tmp_path, uneven([]), read, callee, each=each)
    ask(subject, x=ONE)

    assert not read.asked
    assert len(seen[0]) == 0
    assert seen[0].dtype == (object if each == "bytes" else np.float32)


def test_a_long_list_is_asked_for_a_bounded_number_at_a_time(tmp_path):
    read = Plain(scaled, hold=0.001)
    widths = [2 + i % 2 for i in range(5 * AT_ONCE)]
    subject, seen = build(tmp_path, uneven(lines(*widths)), read)
    response = ask(subject, x=ONE)

    assert read.most == AT_ONCE
    assert [float(part[0]) for part in seen[0]] == [10.0 * i for i in range(len(widths))]
    assert response.timings.steps[1].timings.run == pytest.approx(0.3 * len(widths))


def test_answers_that_come_at_once_need_no_stack(tmp_path):
    subject, seen = build(tmp_path, uneven(lines(*[2, 3] * 2000)), Prompt(scaled, "at once"))
    ask(subject, x=ONE)

    assert len(seen[0]) == 4000


@pytest.mark.parametrize("at", [0, 40], ids=["the first", "a later one"])
def test_the_first_element_that_fails_ends_the_step(tmp_path, at):
    def fails(inputs):
        if inputs["line"][0, 0] == at:
            raise ModelFailed("not this")
        return scaled(inputs)

    read = Plain(fails, hold=0.001)
    subject, _ = build(tmp_path, uneven(lines(*[2, 3] * 50)), read)
    with pytest.raises(ModelFailed, match="step 'read': not this"):
        ask(subject, x=ONE)
    assert read.running == 0
    assert len(read.asked) < 100


def test_one_of_the_wrong_type_ends_the_step(tmp_path):
    read = Plain(lambda i: {"y": np.zeros((len(i["line"]), 4))})
    subject, _ = build(tmp_path, np.ones((3, 4), np.float32), read)
    with pytest.raises(ModelFailed, match="step 'read': output 'y' has datatype FP64"):
        ask(subject, x=ONE)


def test_a_step_that_hangs_on_one_element_ends_by_the_deadline(tmp_path):
    read = Prompt(scaled, "held")
    subject, _ = build(tmp_path, uneven(lines(*[2, 3] * 50)), read)
    with pytest.raises(DeadlineExceeded, match="step 'read'"):
        ask(subject, x=ONE, _deadline=time.monotonic() + 0.05)
    assert len(read.abandoned) == AT_ONCE


def test_values_stand_in_for_the_whole_list(tmp_path):
    text = TEXT.replace("{model: read,", "{model: read, fallback: {values: {y: [[5, 6], [7]]}},")
    subject, seen = build(tmp_path, uneven(lines(2, 3)), Plain(ModelFailed("no")))
    other = pipeline(
        tmp_path, text,
        {
            "cut": function("x: float32 1", "lines: float32 -1 -1, factor: float32", ["lines"]),
            "read": model("line: float32 -1, factor: float32", "y: float32 -1"),
            "join": function("parts: float32 -1 -1", "y: float32", ["parts"]),
        },
        subject._bind(),
    )  # fmt: skip
    ask(other, x=ONE)

    assert [part.tolist() for part in seen[0]] == [[5, 6], [7]]


def test_lists_of_unequal_length_are_refused(tmp_path):
    text = """
        inputs: [x]
        steps:
          cut: {python: "s:cut", inputs: {x: x}}
          add: {model: add, map: {a: cut.a, b: cut.b}}
        outputs: {y: add.y}
    """
    servables = {
        "cut": Plain(lambda _: {"a": np.zeros(3, np.float32), "b": np.zeros(2, np.float32)}),
        "add": Plain(scaled),
    }
    callees = {
        "cut": function("x: float32 1", "a: float32 -1, b: float32 -1"),
        "add": model("a: float32, b: float32", "y: float32"),
    }
    subject = pipeline(tmp_path, text, callees, servables)
    with pytest.raises(
        ModelFailed, match="step 'add': the lists .* unequal length: 'a' has 3, 'b' has 2"
    ):
        ask(subject, x=ONE)


def test_one_that_is_cancelled_drops_every_element(tmp_path):
    read = Plain(scaled, hold=9)
    subject, _ = build(tmp_path, uneven(lines(*[2, 3] * 50)), read)

    async def main():
        task = asyncio.create_task(subject(request(x=ONE)))
        while read.running < AT_ONCE:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_left(subject)

    asyncio.run(main())
    assert read.cancelled == AT_ONCE


def test_stages_add_up():
    total = Timings()
    add(total, Timings(1, 2, 3, batch_size=4, began=7.0))
    add(total, Timings(1, 2, 3, batch_size=2, began=5.0))
    add(total, None)

    assert (total.queue, total.batch, total.run, total.batch_size, total.began) == (2, 4, 6, 4, 5.0)

"""What goes out of a pipeline."""

import numpy as np
import pytest
from tests.routing.pipeline.written import function, read

from inferd.core.errors import InvalidInput
from inferd.routing.pipeline.check.typing import plan
from inferd.routing.pipeline.execute.outputs import before, follows, outputs_of, settled, wanted
from inferd.routing.pipeline.execute.wiring import wired

TEXT = """
    inputs: {x: {dtype: float32, shape: []}}
    steps:
      a: {python: "s:f", inputs: {x: x}, when: x > 0}
      b: {python: "s:f", inputs: {x: x}, when: x > 1}
    outputs:
      both: {from: [a.y, b.y], default: 7}
      plain: x
"""
F = function("x: float32", "y: float32")


@pytest.fixture
def wiring(tmp_path):
    return wired(plan(read(tmp_path, TEXT), {"a": F, "b": F}))


def places(wiring):
    return {line.name: line.outputs[0].place for line in wiring.lines}, dict(wiring.inputs)["x"]


@pytest.mark.parametrize(
    ("there", "expected"),
    [({"a": 1.0, "b": 2.0}, 1.0), ({"b": 2.0}, 2.0), ({}, 7.0), ({"b": [2.0]}, 2.0)],
    ids=["the first", "the second", "the default", "a list of one"],
)
def test_an_output_is_the_first_source_that_is_there(wiring, there, expected):
    by_step, x = places(wiring)
    values = [None] * wiring.size
    values[x] = np.array(5.0, np.float32)
    for name, value in there.items():
        values[by_step[name]] = np.array(value, np.float32)
    outputs = outputs_of(wiring.exits, values, None)

    assert outputs["both"].tolist() == [expected]
    assert outputs["plain"].tolist() == [5.0]


def test_rows_that_went_together_come_out_together(wiring):
    by_step, x = places(wiring)
    values = [None] * wiring.size
    values[x] = np.arange(3, dtype=np.float32)
    outputs = outputs_of(wiring.exits, values, 3)
    assert {k: v.tolist() for k, v in outputs.items()} == {"both": [7, 7, 7], "plain": [0, 1, 2]}

    values[by_step["a"]] = np.arange(3, dtype=np.float32).reshape(3, 1)
    assert outputs_of(wiring.exits, values, 3)["both"].tolist() == [0, 1, 2]


def test_outputs_are_chosen_by_name(wiring):
    assert wanted(wiring, None) == wiring.exits
    assert [e.name for e in wanted(wiring, ("plain", "both"))] == ["plain", "both"]
    with pytest.raises(InvalidInput, match="unknown output 'nope'"):
        wanted(wiring, ("plain", "nope"))


def test_an_output_follows_the_streaming_step_where_nothing_before_it_is_there(wiring):
    both, plain = wiring.exits
    by_step, _ = places(wiring)
    index = {line.name: line.index for line in wiring.lines}
    values = [None] * wiring.size

    assert follows(both, values, index["b"]) == "y"
    assert follows(plain, values, index["b"]) is None
    assert before(wiring.exits, index["b"]) == {index["a"]}
    assert before(wiring.exits, index["a"]) == set()
    values[by_step["a"]] = np.array(1.0)
    assert follows(both, values, index["b"]) is None


def test_an_output_is_known_once_no_better_source_still_runs(wiring):
    both, plain = wiring.exits
    by_step, x = places(wiring)
    index = {line.name: line.index for line in wiring.lines}
    values, over = [None] * wiring.size, [False, False]
    values[x] = np.array(1.0)

    assert settled(plain, values, over)
    assert not settled(both, values, over)
    over[index["a"]] = True
    assert not settled(both, values, over)
    values[by_step["a"]] = np.array(1.0)
    assert settled(both, values, over)
    values[by_step["a"]] = None
    over[index["b"]] = True
    assert settled(both, values, over)

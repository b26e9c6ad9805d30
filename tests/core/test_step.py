"""A declared transform as data."""

import pytest

from inferd.core.step import Step


@pytest.mark.parametrize("params", [None, "float32", {"mean": [1, 2]}, 3], ids=repr)
def test_a_step_round_trips(params):
    step = Step("normalize", params, "model.yaml:7")

    assert Step.from_json(step.to_json()) == step


def test_a_step_need_not_say_where_it_was_written():
    assert Step.from_json({"name": "softmax", "params": None}).where == ""

"""Inputs that are left out: as many defaults as there are rows, each request its own."""

import numpy as np
import pytest
from tests.codecs.signatures import signature

from inferd.core.defaults import Defaults, default_of, sampled
from inferd.core.errors import InvalidInput

SIGNATURE = signature(
    [
        ("text", "BYTES", [-1]),
        ("mark", "BYTES", [-1, -1], {"default": ["!", "?"]}),
        ("times", "INT64", [-1, 1], {"default": 2}),
    ]
)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_default_is_there_for_every_row(rows):
    inputs = {"text": np.full(rows, b"a", object)}

    assert Defaults(SIGNATURE).fill(inputs)
    assert inputs["mark"].tolist() == [[b"!", b"?"]] * rows
    assert inputs["times"].tolist() == [[2]] * rows
    assert inputs["times"].dtype == np.int64


def test_what_is_given_stays():
    inputs = {"mark": np.full((2, 1), b".", object), "times": np.ones((2, 1), np.int64)}

    assert not Defaults(SIGNATURE).fill(inputs)
    assert list(inputs) == ["mark", "times"]


def test_where_nothing_is_given_there_is_one_row():
    inputs = {}
    Defaults(SIGNATURE).fill(inputs)

    assert {name: array.shape for name, array in inputs.items()} == {
        "mark": (1, 2),
        "times": (1, 1),
    }


def test_no_request_can_change_the_default_of_the_next():
    defaults, first, second = Defaults(SIGNATURE), {}, {}
    defaults.fill(first)
    first["times"][...] = 9
    defaults.fill(second)

    assert second["times"].tolist() == [[2]]


def test_a_model_without_batches_gets_the_value_itself():
    inputs = {}
    found = signature([("x", "FP32", [2], {"default": [1, 2]})], batched=False)
    Defaults(found).fill(inputs)

    assert inputs["x"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("dtype", "shape", "default", "says"),
    [
        ("FP32", [-1], "a", "its default holds the text 'a'"),
        ("FP32", [-1, 3], [1, 2], "its default has the shape"),
        ("BYTES", [-1], [""], "its default is a list"),
        ("INT8", [-1], 300, "out of the range"),
    ],
    ids=["text", "size", "list", "range"],
)
def test_a_default_that_the_input_cannot_hold_is_refused(dtype, shape, default, says):
    found = signature([("x", dtype, shape, {"default": default})])

    with pytest.raises(InvalidInput, match=f"input 'x' .*{says}"):
        default_of(found.inputs[0], batched=True)


def test_a_made_up_example_has_the_defaults():
    made = {
        "text": np.array([b"hello"], object), "mark": np.full((1, 8), b"hello", object),
        "times": np.ones((1, 1), np.int64),
    }  # fmt: skip
    found = sampled(made, SIGNATURE)

    assert list(found) == ["text", "mark", "times"]
    assert found["text"].tolist() == [b"hello"]
    assert found["mark"].tolist() == [[b"!", b"?"]]
    assert found["times"].tolist() == [[2]]


def test_where_all_have_defaults_the_first_text_is_made_up():
    found = signature(
        [
            ("audio", "BYTES", [-1], {"default": "", "content": "audio"}),
            ("text", "BYTES", [-1], {"default": ""}),
        ]
    )
    made = {name: np.array([b"hello"], object) for name in ("audio", "text")}

    assert {n: a.tolist() for n, a in sampled(made, found).items()} == {
        "audio": [b""], "text": [b"hello"],
    }  # fmt: skip


def test_an_example_without_defaults_is_left_as_it_is():
    made = {"x": np.ones((1, 1), np.float32)}

    assert sampled(made, signature([("x", "FP32", [-1, 1])])) is made
